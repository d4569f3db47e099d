"""Appends lines to one file: the half of a run's writer that deals in bytes.

Each line is one ``write(2)``: when it returns, the operating system has the bytes, and a SIGKILL loses nothing. A full
disk never stops the user's training: the store warns once, keeps the lines in memory and tries again.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Final

from nbtrack.errors import CaptureWarning
from nbtrack.store import heartbeat
from nbtrack.store.log import seal_of

SEAL_BYTES: Final = 32 << 10  # a damaged byte casts doubt on that much of a log at most
sync_data = getattr(os, "fdatasync", os.fsync)
live: weakref.WeakSet[Appender] = weakref.WeakSet()


class Appender(ABC):
    """An open log. Calls that append hold `_lock`.

    What holds it loops only in functions that it calls: Python 3.13 leaves a jump back to a loop's head outside of the
    ``with`` around it, so that an interrupt there would keep the lock for ever.
    """

    def __init__(self, run_id: str, path: str, fd: int, size: int) -> None:
        self.run_id = run_id
        self.path = path
        self._fd = fd
        self._size = size
        self._sealed_to = 0
        self._seal_at = SEAL_BYTES  # the size at which the next checksum is due
        self._new_lock()
        self._pending: list[bytes] = []  # what the disk had no room for
        self._detour = False  # the next line cannot simply be written: see _append_slowly
        self._stale = False  # the log belongs to the parent process
        self._warned = False
        live.add(self)
        heartbeat.ensure(live)

    def _new_lock(self) -> None:
        self._lock = threading.RLock()

    def _give_back(self) -> None:
        """Release the lock if this thread has it: an interrupt may have come before it was taken."""
        with suppress(RuntimeError):
            self._lock.release()

    def _append(self, line: bytes) -> None:
        """Hand a line to the operating system, or keep it if there is no room."""
        if self._detour:
            self._append_slowly(line)
            return
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            self._keep(line, error)
            return
        self._size += written
        if written != len(line):
            self._finish_short(line, written)
        elif self._size > self._seal_at:
            self._seal_segment()

    def _append_slowly(self, line: bytes) -> None:
        if self._stale:
            self._adopt_fork()
            self._append(line)
            return
        self._pending.append(line)
        self._flush_pending()

    @abstractmethod
    def _adopt_fork(self) -> None:
        """Open a log of this child's own at its first write."""

    def _finish_short(self, line: bytes, written: int) -> None:
        """Complete a line of which a part was written; or take the part back, so that nothing is ever glued to it."""
        start = self._size - written
        try:
            while written < len(line):
                count = os.write(self._fd, line[written:])
                written += count
                self._size += count
        except OSError as error:
            try:
                os.ftruncate(self._fd, start)
                self._size = start
            except OSError:
                line = b"\n" + line
            self._keep(line, error)

    def _keep(self, line: bytes, error: OSError) -> None:
        self._pending.append(line)
        self._detour = True
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"run {self.run_id}: {_reason(error)}; the log is {self.path}. What you log is kept in memory and"
                " written as soon as there is room; your code goes on. Free some space.",
                CaptureWarning,
                stacklevel=5,
            )

    def _flush_pending(self) -> bool:
        """Try again to write what the disk had no room for; return whether nothing is left."""
        while self._pending:
            lines, self._pending = b"".join(self._pending), []
            try:
                written = os.write(self._fd, lines)
            except OSError as error:
                self._keep(lines, error)
                return False
            self._size += written
            if written != len(lines):
                self._finish_short(lines, written)
                if self._pending:
                    return False
        self._detour = self._warned = False
        return True

    def _seal_segment(self) -> None:
        """Append the checksum of everything since the last one."""
        try:
            self._size = os.fstat(self._fd).st_size  # an interrupted call may not have counted what it wrote
            crc, length = seal_of(self._fd, self._sealed_to, self._size)
            line = b'{"seal":"%b","n":%d}\n' % (crc.encode(), length)
            written = os.write(self._fd, line)
        except OSError:
            self._seal_at = self._size + SEAL_BYTES
            return
        self._sealed_to = self._size  # the next seal covers this one, too
        self._size += written
        self._seal_at = self._size + SEAL_BYTES
        if written != len(line):
            self._finish_short(line, written)

    def beat(self) -> None:
        """Give a sign of life to other hosts, and make what was logged survive a power cut."""
        with self._lock:
            if self._stale or self._fd < 0:
                return
            if self._pending and not self._flush_pending():
                return
            if self._size - self._sealed_to > 64:
                self._seal_segment()
            fd = os.dup(self._fd)
        try:
            with suppress(OSError):
                os.utime(self.path)
                sync_data(fd)
        finally:
            os.close(fd)

    def _close(self, *, sync: bool) -> None:
        live.discard(self)
        if sync:
            with suppress(OSError):
                sync_data(self._fd)
        os.close(self._fd)
        self._fd = -1

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's log, so that its life sign is the parent's alone."""
        self._new_lock()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._stale = self._detour = True
            self._pending = []


def _reason(error: OSError) -> str:
    from errno import EDQUOT, EFBIG, ENOSPC

    if error.errno in {ENOSPC, EDQUOT, EFBIG}:
        return f"there is no room left on the disk ({error.strerror})"
    return f"the log cannot be written ({error.strerror or error})"


def _after_fork() -> None:
    for appender in list(live):
        appender.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
