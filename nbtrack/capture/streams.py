"""The last lines of what a cell prints, without keeping any of it from the user."""

from __future__ import annotations

import sys
from collections import deque
from typing import Any, Final

MAX_CHARACTERS: Final = 16_000


class Tee:
    """Passes everything on to the stream it stands for, and keeps the end of it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._kept: deque[str] = deque()
        self._size = 0
        self._dropped = 0
        self._keeps = True

    def write(self, text: str) -> int:
        """Write to the stream; keep the text."""
        written = self._stream.write(text)
        if self._keeps and isinstance(text, str):
            self._kept.append(text)
            self._size += len(text)
            while self._size > 4 * MAX_CHARACTERS and len(self._kept) > 1:
                gone = len(self._kept.popleft())
                self._size -= gone
                self._dropped += gone
        return written if isinstance(written, int) else len(text)

    def writelines(self, lines: Any) -> None:
        """Write several pieces."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def peek(self) -> str:
        """Return the newest pieces while more are being written: some thousand characters."""
        return "".join(list(self._kept)[-40:])

    def tail(self) -> str:
        """Return the end of what was written, lines overwritten by ``\\r`` (progress bars) in their last form."""
        self._keeps = False  # somebody may hold on to this object; what they write now belongs to no run
        text = "".join(self._kept)
        self._kept.clear()
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
        text = "\n".join(lines)
        cut = len(text) - MAX_CHARACTERS
        if cut > 0 or self._dropped:
            text = f"… {self._dropped + max(cut, 0):,} characters before this …\n{text[-MAX_CHARACTERS:]}"
        return text


class Streams:
    """Stands between the user's code and stdout and stderr while a cell runs."""

    def __init__(self) -> None:
        self._tees = {"stdout": Tee(sys.stdout), "stderr": Tee(sys.stderr)}

    def start(self) -> None:
        """Take the place of the streams."""
        for name, tee in self._tees.items():
            setattr(sys, name, tee)

    def peek(self) -> str:
        """Return the newest pieces of both streams, errors first: progress bars write there, loops print."""
        return self._tees["stderr"].peek() + "\n" + self._tees["stdout"].peek()

    def stop(self) -> dict[str, str]:
        """Give the streams back, unless somebody else has replaced them since; return what was kept of each."""
        kept = {}
        for name, tee in self._tees.items():
            if getattr(sys, name) is tee:
                setattr(sys, name, tee._stream)
            if text := tee.tail():
                kept[name] = text
        return kept
