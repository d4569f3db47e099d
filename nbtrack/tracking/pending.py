"""Runs whose last words are still being written in the background; whoever reads runs waits for them first."""

from __future__ import annotations

import os
import threading
import time

_lock = threading.Lock()
_pending: dict[str, tuple[int, threading.Event]] = {}


def add(run_id: str) -> None:
    """Say that a thread is about to end the run `run_id`."""
    with _lock:
        _pending[run_id] = (os.getpid(), threading.Event())


def done(run_id: str) -> None:
    """Say that the run `run_id` has ended."""
    with _lock:
        known = _pending.pop(run_id, None)
    if known is not None:
        known[1].set()


def wait(run_id: str | None = None, timeout_s: float = 5.0) -> bool:
    """Wait until the run `run_id`, or every one of this process, is complete; return whether it is."""
    if not _pending:
        return True
    here = os.getpid()  # a forked child has the parent's list, but not the threads that work it off
    with _lock:
        pending = tuple(_pending.items())
    events = [event for key, (pid, event) in pending if run_id in (None, key) and pid == here]
    until = time.monotonic() + timeout_s
    return all(event.wait(max(0.0, until - time.monotonic())) for event in events)
