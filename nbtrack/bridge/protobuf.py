"""Reads the fields of protocol buffer messages, as far as the logs of other trackers need it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class DamagedError(ValueError):
    """Bytes are not what they should be; the message says where."""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the raw value of each field: whole numbers, or bytes (8 and 4 of them for fixed numbers).

    Raises
    ------
    DamagedError
        If the bytes are no message.

    Examples
    --------
    >>> list(fields(bytes([8, 150, 1, 18, 2, 104, 105])))
    [(1, 150), (2, b'hi')]
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == BYTES:
            size, at = _varint(data, at)
        elif kind in {FIXED64, FIXED32}:
            size = 8 if kind == FIXED64 else 4
        else:
            raise DamagedError(f"a field of the unknown kind {kind}")
        if at + size > end or not number:
            raise DamagedError("a field that is longer than its message")
        yield number, data[at : at + size]
        at += size


def message(data: bytes) -> dict[int, list[int | bytes]]:
    """Return the values of each field by its number."""
    found: dict[int, list[int | bytes]] = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def blobs(found: dict[int, list[int | bytes]], number: int) -> list[bytes]:
    """Return the values of a field of messages, text or bytes."""
    return [value for value in found.get(number, ()) if isinstance(value, bytes)]


def text(found: dict[int, list[int | bytes]], number: int) -> str:
    """Return the last text of a field; empty if there is none."""
    values = blobs(found, number)
    return values[-1].decode("utf-8", "replace") if values else ""


def whole(found: dict[int, list[int | bytes]], number: int) -> int:
    """Return the last value of a field of whole numbers (int32 and int64); 0 if there is none."""
    values = [value for value in found.get(number, ()) if isinstance(value, int)]
    return signed(values[-1]) if values else 0


def real(found: dict[int, list[int | bytes]], number: int) -> float | None:
    """Return the last value of a field of floats or doubles; None if there is none."""
    values = blobs(found, number)
    return unpacked(values[-1]) if values else None


def unpacked(raw: bytes) -> float:
    """Return the number in 4 or 8 bytes; raises DamagedError."""
    if len(raw) not in {4, 8}:
        raise DamagedError(f"a number of {len(raw)} bytes")
    return float(struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0])


def signed(value: int) -> int:
    """Return a varint as a signed number of 64 bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


def zigzag(value: int) -> int:
    """Return the number that a field of the kind sint64 holds."""
    return (value >> 1) ^ -(value & 1)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise DamagedError("a number without an end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
