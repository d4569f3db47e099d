"""One sleeping thread a process that gives the sign of life of its runs: for readers on other hosts, and so that a
power cut costs at most the last seconds. On the same host nobody needs it: there the kernel tells who lives."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from nbtrack.store.liveness import BEAT_S


class Beating(Protocol):
    """Something that wants a beat every few seconds."""

    def beat(self) -> None: ...


_thread: threading.Thread | None = None
_guard = threading.Lock()


def ensure(writers: Iterable[Beating]) -> None:
    """Start the thread if this process has none yet."""
    global _thread
    if _thread is None:
        with _guard:
            if _thread is None:
                thread = threading.Thread(target=_run, args=(writers,), name="nbtrack-heartbeat", daemon=True)
                thread.start()
                _thread = thread


def beat_all(writers: Iterable[Beating]) -> None:
    """Let each of `writers` give its sign of life, also while other threads start and end runs."""
    while True:
        try:
            now = list(writers)
            break
        except RuntimeError:  # a run was started while the set was being read
            continue
    for writer in now:
        with suppress(Exception):  # a life sign must never harm the run
            writer.beat()


def _run(writers: Iterable[Beating]) -> None:
    wait = threading.Event()
    while True:
        wait.wait(BEAT_S)
        beat_all(writers)


def _after_fork() -> None:
    global _thread, _guard
    _thread, _guard = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
