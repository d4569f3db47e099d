"""A worker's log: whatever it or its libraries print, kept to a size, shown when something goes wrong."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 5 << 20
KEEP_BYTES: Final = 1 << 20
CHECK_S: Final = 5.0


def open_log(path: Path) -> int:
    """Return a descriptor that appends to a log that only this user can read."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def rotate(path: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Start a log over when it has grown too large; return whether it had.

    Its end is kept beside it. The file stays the same one, for other processes hold it open.
    """
    try:
        size = path.stat().st_size
        if size <= max_bytes:
            return False
        with path.open("rb") as file:
            file.seek(size - min(size, KEEP_BYTES))
            end = file.read()
        fd = os.open(path.with_suffix(".log.1"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(end)
        os.truncate(path, 0)
    except OSError:  # a full disk must not stop the server
        return False
    return True


def keep_small(path: Path, stop: threading.Event) -> None:
    """Rotate `path` whenever it has grown too large, until `stop` is set."""
    while not stop.wait(CHECK_S):
        rotate(path)


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log; empty if there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 400 * lines))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def take_output() -> int:
    """Send what is printed to where errors go; return a descriptor of what was the standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    return kept
