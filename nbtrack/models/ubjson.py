"""Universal Binary JSON, as far as xgboost writes it: read before compiled code does, to see what is in a file."""

from __future__ import annotations

import struct
from typing import Any, Final

_NUMBERS: Final = {"U": ">B", "i": ">b", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_CONSTANTS: Final = {"Z": None, "T": True, "F": False}
_MAX_DEPTH: Final = 64


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise ValueError("it ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def mark(self) -> str:
        return chr(self.take(1)[0])

    def peek(self) -> str:
        return chr(self.data[self.at]) if self.at < len(self.data) else ""

    def number(self, mark: str) -> Any:
        form = _NUMBERS.get(mark)
        if form is None:
            raise ValueError(f"unknown mark {mark!r}")
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.take(self.number(self.mark())).decode()

    def value(self, mark: str, depth: int = 0) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("it is nested too deep")
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        if mark == "S":
            return self.text()
        if mark == "[":
            return self.array(depth)
        if mark != "{":
            return self.number(mark)
        found = {}
        while self.peek() != "}":
            name = self.text()
            if name in found:
                raise ValueError(f"the name {name[:40]!r} occurs twice")
            found[name] = self.value(self.mark(), depth + 1)
        self.at += 1
        return found

    def array(self, depth: int) -> Any:
        import numpy as np

        kind = None
        if self.peek() == "$":
            self.at += 1
            kind = self.mark()
        if self.peek() == "#":
            self.at += 1
            count = self.number(self.mark())
            if kind is None:
                return [self.value(self.mark(), depth + 1) for _ in range(count)]
            form = np.dtype(_NUMBERS.get(kind, "")) if kind in _NUMBERS else None
            if form is None:
                raise ValueError(f"unknown mark {kind!r}")
            return np.frombuffer(self.take(count * form.itemsize), dtype=form)
        found = []
        while self.peek() != "]":
            found.append(self.value(self.mark(), depth + 1))
        self.at += 1
        return found


def decode(data: bytes) -> Any:
    """Return what a file holds: plain values, and arrays of numpy for typed ones.

    Raises
    ------
    ValueError
        If it is something else, or not whole.
    """
    reader = _Reader(data)
    found = reader.value(reader.mark())
    if reader.at != len(data):
        raise ValueError("it goes on after its end")
    return found
