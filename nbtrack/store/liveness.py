"""Tells whether the process that writes a log still lives: from facts where there are facts, never from a guess alone.

1. A lock that is held proves life. The kernel drops a writer's lock when it dies, so on the same machine a free lock
   proves its end: also across containers, and when the process lives on but has let go of the log. Only through
   another mount of the same share its locks may not be seen: there a free one proves nothing.
2. Without locks, but with the same boot and process namespace, the process table says it: pid *and* start time.
3. For another host, a free lock is believed only if the log's modification time, which the writer touches every
   `BEAT_S` seconds, has not moved for three beats of the reader's own clock.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

BEAT_S: Final = 10.0
YOUNG_S: Final = 2.0  # a log younger than this may not be locked yet
_LONG_AGO_S: Final = 3600.0  # no clock skew between hosts is that large
_LOCK_AT: Final = 2**62  # Windows locks are mandatory: lock a byte where no data will ever be

_identity: tuple[int, dict[str, Any]] | None = None
_seen: dict[str, tuple[int, float]] = {}  # log of another host -> its mtime, and when this reader first saw that


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(fd, 4096).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(fd)


def process_start(pid: int) -> str:
    """Return when a process started, in the kernel's own ticks; empty if there is none, or no way to know."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in {"Z", "X"} else ""


def identity() -> dict[str, Any]:
    """Return what identifies this process: ``host machine boot ns pid start``."""
    global _identity
    pid = os.getpid()
    if _identity is None or _identity[0] != pid:
        try:
            namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
        except OSError:
            namespace = ""
        _identity = (
            pid,
            {
                "host": os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", ""),
                "machine": _read("/etc/machine-id")[:12],
                "boot": _read("/proc/sys/kernel/random/boot_id"),
                "ns": namespace,
                "pid": pid,
                "start": process_start(pid),
            },
        )
    return _identity[1]


def _lock_now(fd: int, *, exclusive: bool) -> None:
    """Take a lock that the kernel drops when `fd` is closed; raises BlockingIOError if somebody else has it."""
    if sys.platform == "win32":
        os.lseek(fd, _LOCK_AT, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from error
    else:
        fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)


def lock(fd: int) -> bool:
    """Take the life sign on an open log; the kernel drops it with the process. False where there are no locks."""
    for _ in range(20):  # a reader's probe holds it for a moment
        try:
            _lock_now(fd, exclusive=True)
        except BlockingIOError:
            time.sleep(0.0005)
        except OSError:
            return False
        else:
            return True
    return False


def _lock_is_held(path: str) -> bool | None:
    """Return whether somebody holds the life sign; None if that cannot be asked here."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None
    try:
        _lock_now(fd, exclusive=False)
    except BlockingIOError:
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(fd)


def _beats(path: str) -> bool:
    """Return whether a log of another host has been touched within three beats."""
    try:
        mtime = os.stat(path).st_mtime_ns
    except OSError:
        return False
    if time.time() - mtime / 1e9 > _LONG_AGO_S:
        return False
    now = time.monotonic()
    last, since = _seen.get(path, (0, now))
    if last != mtime:
        _seen[path] = (mtime, now)
        return True
    return now - since <= 3 * BEAT_S


def _is_other_mount(header: Mapping[str, Any], path: str) -> bool:
    """Return whether the log is seen through another mount than that which its writer, on this machine, writes to."""
    try:
        return header.get("dev") not in {None, os.stat(path).st_dev}
    except OSError:
        return False


def verdict(header: Mapping[str, Any], path: str) -> tuple[bool, bool]:
    """Return ``(alive, final)`` for the writer that `header` describes: final is what can never turn out otherwise."""
    me = identity()
    held = _lock_is_held(path) if header.get("lock") else None
    if held:
        return True, False
    same_boot = bool(header.get("boot")) and header.get("boot") == me["boot"]
    same_machine = (header.get("host"), header.get("machine")) == (me["host"], me["machine"])
    tells = not _is_other_mount(header, path) if same_boot else same_machine
    if held is not None and tells:
        return False, True
    if same_boot and header.get("ns") == me["ns"] and header.get("start"):
        alive = process_start(int(header["pid"])) == header["start"]
        return alive, not alive
    return _beats(path), False


def is_alive(header: Mapping[str, Any], path: str) -> bool:
    """Return whether the writer that `header` describes still lives."""
    return verdict(header, path)[0]
