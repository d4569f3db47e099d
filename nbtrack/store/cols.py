"""The compact form of many metric values: columns instead of lines.

Steps and times are kept once for each set of keys, as differences in the fewest bytes that hold them; values as 32-bit
floats where that loses nothing; bytes of equal weight lie beside each other, each such plane packed by zlib.

``magic, u64 length and u32 crc of the header, header as JSON, packed planes``
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Thread
from typing import Any, Final, NamedTuple
from zlib import compress, crc32, decompress
from zlib import error as zlib_error

import numpy as np
from orjson import dumps, loads

from nbtrack.store.log import open_log, pread

__all__ = ["Array", "Group", "Series", "decode_columns", "encode_columns", "read_columns", "zlib_error"]

Array = np.ndarray[Any, np.dtype[Any]]
_MAGIC: Final = b"nbtcol01"
_HEAD: Final = len(_MAGIC) + 12
_MUCH: Final = 256 << 10  # bytes that take longer to unpack than a thread to start


class Group(NamedTuple):
    """The values of all lines with one set of keys, in the order of the lines. `place` is the number of the line."""

    keys: tuple[str, ...]
    place: Array
    step: Array
    time: Array  # ms since 1970
    values: Array  # shape (lines, keys)


class Series:
    """All metric lines of one log, and what cannot be vouched for."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.groups: list[Group] = []
        self.doubts: list[str] = []

    def of(self, key: str) -> tuple[Array, Array, Array]:
        """Return ``(step, value, ms since 1970)`` of one metric, in the order of the lines."""
        parts = [(group, group.keys.index(key)) for group in self.groups if key in group.keys]
        if not parts:
            return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
        if len(parts) == 1:
            group, at = parts[0]
            return group.step, np.ascontiguousarray(group.values[:, at]), group.time
        step = np.concatenate([group.step for group, _ in parts])
        value = np.concatenate([group.values[:, at] for group, at in parts])
        time = np.concatenate([group.time for group, _ in parts])
        order = np.argsort(np.concatenate([group.place for group, _ in parts]), kind="stable")
        return step[order], value[order], time[order]


def _pack(array: Array, parts: list[bytes]) -> list[Any]:
    """Append the byte planes of `array`, packed; return how to read them."""
    planes = array.reshape(-1, 1).view(np.uint8)
    sizes = []
    for number in range(planes.shape[1]):
        plain = planes[:, number].tobytes()
        packed = compress(plain, 1)
        if len(packed) > 0.9 * len(plain):
            packed = plain  # as long as the plane is: not packed
        parts.append(packed)
        sizes.append(len(packed))
    return [array.dtype.str, sizes]


def _pack_ints(array: Array, parts: list[bytes]) -> list[Any]:
    """Pack whole numbers as differences; a constant difference needs no bytes at all."""
    with np.errstate(over="ignore"):
        steps = np.diff(array)
    first = int(array[0]) if len(array) else 0
    if len(steps) == 0 or (steps == steps[0]).all():
        return [first, int(steps[0]) if len(steps) else 0]
    for dtype in ("<i1", "<i2", "<i4", "<i8"):
        info = np.iinfo(dtype)
        if info.min <= int(steps.min()) and int(steps.max()) <= info.max:
            return [first, None, *_pack(steps.astype(dtype), parts)]
    raise AssertionError("every difference fits in 64 bits")


def _pack_floats(array: Array, parts: list[bytes]) -> list[Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        short = array.astype("<f4")
    if np.array_equal(short.astype("<f8"), array, equal_nan=True):
        return _pack(short, parts)
    return _pack(array.astype("<f8"), parts)


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = memoryview(data), at

    def planes(self, packed: list[Any], count: int) -> Array:
        kind, sizes = np.dtype(packed[0]), packed[1]
        if kind.itemsize != len(sizes):
            raise ValueError("planes are missing")
        stretches = []
        for size in sizes:
            stretches.append(self.data[self.at : self.at + size])
            self.at += size
        result: Array = _interleaved(stretches, count).reshape(-1).view(kind)
        return result

    def skip(self, packed: list[Any]) -> None:
        """Go past planes that nobody wants."""
        self.at += sum(packed[-1]) if len(packed) > 1 and isinstance(packed[-1], list) else 0

    def ints(self, entry: list[Any], count: int, base: int = 0) -> Array:
        first, constant, *rest = entry
        if constant is not None:
            even: Array = np.arange(count, dtype=np.int64)
            if constant != 1:
                even *= constant
            if first + base:
                even += first + base
            return even
        result = np.empty(count, np.int64)
        result[0] = first + base
        result[1:] = self.planes(rest, count - 1)
        np.cumsum(result, out=result)  # from one type to another it would take four times as long
        return result


def _interleaved(stretches: list[memoryview], count: int) -> Array:
    """Return bytes of shape ``(count, planes)`` from planes of which some are packed; raises ValueError, zlib.error.

    Two threads share the work where there is much: neither zlib nor numpy holds the interpreter's lock meanwhile.
    """
    found = np.empty((count, len(stretches)), np.uint8)
    left = sorted(enumerate(stretches), key=lambda one: len(one[1]) * (len(one[1]) != count))  # plain ones are quick
    wrong: list[BaseException] = []

    def work() -> None:
        while left and not wrong:
            with suppress(IndexError):  # the other thread may have taken the last one
                number, stretch = left.pop()
                try:
                    plain = stretch if len(stretch) == count else decompress(stretch, bufsize=count)
                    if len(plain) != count:
                        raise ValueError("planes are too short")
                    found[:, number] = np.frombuffer(plain, np.uint8)
                except BaseException as error:
                    wrong.append(error)

    helper = Thread(target=work)
    if sum(map(len, stretches)) > _MUCH:
        with suppress(RuntimeError):  # there are no more threads: the interpreter is about to end
            helper.start()
    work()
    if helper.ident is not None:
        helper.join()
    if wrong:
        raise wrong[0]
    return found


def encode_columns(series: Series, mark: Any) -> bytes:
    """Return all metric lines of a log as bytes. `mark` says which log they are of."""
    parts: list[bytes] = []
    groups = []
    for group in series.groups:
        entry: dict[str, Any] = {"keys": group.keys, "n": len(group.step)}
        ints = (group.place, group.step, group.time - series.base)  # the log's own times: they are smaller
        entry["ints"] = [_pack_ints(array, parts) for array in ints]
        entry["values"] = [_pack_floats(group.values[:, at], parts) for at in range(len(group.keys))]
        groups.append(entry)
    body = b"".join(parts)
    header = dumps({"mark": mark, "groups": groups, "size": len(body), "crc32": crc32(body)})
    return _MAGIC + len(header).to_bytes(8, "little") + crc32(header).to_bytes(4, "little") + header + body


def decode_columns(data: bytes, base: int, mark: Any, key: str | None = None, *, places: bool = False) -> Series:
    """The reverse of :func:`encode_columns`, of all metrics or of one.

    The places of the lines of one metric are only told if they matter, or with `places`.

    Raises ValueError if the bytes are not whole, or of another log.
    """
    length = int.from_bytes(data[8:16], "little")
    packed = data[_HEAD : _HEAD + length]
    if data[:8] != _MAGIC or len(packed) < length or crc32(packed) != int.from_bytes(data[16:20], "little"):
        raise ValueError("the columns are damaged")
    header = loads(packed)
    at = _HEAD + length
    if header["mark"] != mark:
        raise ValueError("the columns are of another log")
    if len(data) != at + header["size"] or crc32(memoryview(data)[at:]) != header["crc32"]:
        raise ValueError("the columns are damaged")
    reader = _Reader(data, at)
    series = Series(base)
    alone = not places and key is not None and sum(key in entry["keys"] for entry in header["groups"]) == 1
    for entry in header["groups"]:
        count, keys = entry["n"], tuple(entry["keys"])
        if key is not None and key not in keys:
            for packed in [*entry["ints"], *entry["values"]]:
                reader.skip(packed)
            continue
        if alone:  # the lines of several groups would have to be put in order
            reader.skip(entry["ints"][0])
            place = np.empty(0, np.int64)
        else:
            place = reader.ints(entry["ints"][0], count)
        step, time = (reader.ints(ints, count, at) for ints, at in zip(entry["ints"][1:], (0, base), strict=True))
        values = []
        for one, packed in zip(keys, entry["values"], strict=True):
            if key in (None, one):
                values.append(reader.planes(packed, count).astype(np.float64, copy=False))
            else:
                reader.skip(packed)
        matrix = values[0].reshape(-1, 1) if len(values) == 1 else np.stack(values, axis=1)
        series.groups.append(Group(keys if key is None else (key,), place, step, time, matrix))
    return series


def read_columns(path: str, base: int, mark: Any, key: str | None = None, *, places: bool = False) -> Series:
    """Return the series in a file, all or of one metric; raises OSError, ValueError."""
    fd, size = open_log(path)
    try:
        return decode_columns(pread(fd, size, 0), base, mark, key, places=places)
    finally:
        os.close(fd)
