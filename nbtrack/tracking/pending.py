"""Runs whose last words are still being written in the background; whoever reads runs waits for them first."""

from __future__ import annotations

import threading
import time

_lock = threading.Lock()
_pending: dict[str, threading.Thread] = {}


def add(run_id: str, thread: threading.Thread) -> None:
    """Remember that `thread`, already started, is about to end the run `run_id`."""
    with _lock:
        _pending[run_id] = thread


def done(run_id: str) -> None:
    """Forget the run `run_id`."""
    with _lock:
        _pending.pop(run_id, None)


def wait(run_id: str | None = None, timeout_s: float = 5.0) -> bool:
    """Wait until the run `run_id`, or every one, is complete; return whether it is."""
    with _lock:
        if not _pending:
            return True
        threads = [thread for key, thread in _pending.items() if run_id in (None, key)]
    until = time.monotonic() + timeout_s
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in threads if thread is not threading.current_thread())
