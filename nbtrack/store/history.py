"""Every value of a metric, as columns; and the compact form of them.

A log is parsed in pieces. When a finished log of some size is first asked for, its metrics are written as
``index/cols/<run>``, which is derived and may be deleted: steps and times once for each set of keys, as differences,
bytes of equal weight beside each other, zlib. ``compact`` moves the same columns into the run's own folder in place of
the lines, with a checksum of what they must come to.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from contextlib import suppress
from operator import itemgetter
from typing import Any, Final
from zlib import crc32

import numpy as np
from orjson import JSONDecodeError, dumps, loads

from nbtrack.errors import DamageWarning
from nbtrack.store.base import MetricHistory
from nbtrack.store.collecting import no_collecting
from nbtrack.store.cols import Array, Group, Series, encode_columns, read_columns, zlib_error
from nbtrack.store.edits import read_edit
from nbtrack.store.files import replace
from nbtrack.store.layout import COLS_SUFFIX, INDEX, LOG_SUFFIX
from nbtrack.store.lines import fits, from_json_number, parse_line
from nbtrack.store.log import PIECE, base_of, open_log, pread, read_ends
from nbtrack.store.runs import log_is_live

_EXACT: Final = 2**53  # a float holds every smaller whole number
COMPACT_FROM: Final = 256 << 10  # a smaller log is parsed as quickly as its columns


class _Parser:
    """Collects metric lines by their set of keys."""

    def __init__(self, base: int) -> None:
        self.series = Series(base)
        self._parts: dict[tuple[str, ...], list[tuple[Array, ...]]] = {}
        self._lines = 0

    def feed(self, data: bytes, offset: int) -> None:
        """Add the lines of `data`, which ends with a newline."""
        if self._at_once(data):
            return
        try:
            records = loads(b"[%b]" % data.rstrip(b"\n").replace(b"\n", b","))
        except JSONDecodeError:
            records = self._one_by_one(data, offset)
        places = [number for number, record in enumerate(records, self._lines) if type(record) is list]
        self._lines += len(records)
        if len(places) < len(records):
            records = [record for record in records if type(record) is list]
        if not records or self._alike(records, places):
            return
        rows: dict[tuple[str, ...], tuple[list[Any], list[int]]] = {}
        for place, record in zip(places, records, strict=True):
            if _is_metric_line(record):
                found, at = rows.setdefault(tuple(sorted(record[2])), ([], []))
                found.append(record)
                at.append(place)
            else:
                self.series.doubts.append(f"line {place + 1:,} is no line of metrics and was left out: {record!r:.60}")
        for found, at in rows.values():
            self._alike(found, at)

    def _at_once(self, data: bytes) -> bool:
        """Add lines that all have the same keys in the same order, as one list of numbers; False if they do not.

        The texts between the numbers are replaced by commas. How often each was replaced, and how many numbers there
        are in the end, must agree: otherwise the lines are parsed one by one.
        """
        body, lines = _metric_lines(data)
        record = parse_line(body[: body.find(b"\n")] if b"\n" in body else body)
        if type(record) is not list or len(record) != 3 or type(record[2]) is not dict or not record[2]:
            return False
        keys = tuple(record[2])
        between = [(b"%b%b:" % (b",{" if at == 0 else b",", dumps(key)), lines) for at, key in enumerate(keys)]
        for text, times in (*between, (b"}]\n[", lines - 1)):
            before = len(body)
            body = body.replace(text, b",")
            if before - len(body) != times * (len(text) - 1):
                return False
        try:
            flat = loads(body[:-2] + b"]")
            width = len(keys) + 2
            if body[-2:] != b"}]" or len(flat) != width * lines:
                return False
            table = np.fromiter(flat, np.float64, len(flat)).reshape(lines, width)
            ints = table[:, :2]
            if np.isnan(table).any() or not ((np.abs(ints) < _EXACT).all() and (ints == np.rint(ints)).all()):
                return False  # a null has become NaN
            columns = (ints[:, at].astype(np.int64) for at in (1, 0))
            part = (np.arange(self._lines, self._lines + lines), *columns, table[:, 2:])
        except (JSONDecodeError, ValueError, TypeError, OverflowError):
            return False
        self._lines += lines
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self._parts.setdefault(tuple(sorted(keys)), []).append((*part[:3], part[3][:, order]))
        return True

    def _alike(self, records: list[Any], places: list[int]) -> bool:
        """Add lines with the same keys, all at once; return False if they have different ones."""
        try:
            times, steps, dicts = zip(*records, strict=True)
            keys = tuple(sorted(dicts[0]))
            if set(map(len, dicts)) != {len(keys)} or not {int} == set(map(type, times)) == set(map(type, steps)):
                return False
            rows = list(map(itemgetter(*keys), dicts))
            columns = [np.array(column, np.int64) for column in (places, steps, times)]
        except (KeyError, TypeError, ValueError, OverflowError):
            return False
        try:
            values = np.array(rows, np.float64)
            strange = bool(np.isnan(values).any())
        except (ValueError, TypeError):
            strange = True
        if strange:
            flat = rows if len(keys) == 1 else [value for row in rows for value in row]
            try:
                values = np.array([from_json_number(value) for value in flat], np.float64)
            except (ValueError, TypeError):
                return False
        self._parts.setdefault(keys, []).append((*columns, values.reshape(len(rows), len(keys))))
        return True

    def _one_by_one(self, data: bytes, offset: int) -> list[Any]:
        records = []
        for line in data.split(b"\n"):
            record = parse_line(line) if line else None
            if record is not None:
                records.append(record)
            elif line:
                self.series.doubts.append(f"the line at byte {offset:,} cannot be read and was left out")
            offset += len(line) + 1
        return records

    def result(self) -> Series:
        """Return everything."""
        for keys, parts in self._parts.items():
            place, step, time, values = (np.concatenate(column) for column in zip(*parts, strict=True))
            time += self.series.base
            self.series.groups.append(Group(keys, place, step, time, values))
        return self.series


def _metric_lines(data: bytes) -> tuple[bytes, int]:
    """Return the lines that are arrays, without the last newline, and their number; the others start with a brace."""
    text = np.frombuffer(data, np.uint8)
    after = np.flatnonzero(text == ord("\n")) + 1
    starts = np.concatenate([[0], after[:-1]])
    others = np.flatnonzero(text[starts] == ord("{"))
    if not len(others):
        return data[:-1], len(after)
    begins, ends = [0, *after[others].tolist()], [*starts[others].tolist(), len(data)]
    kept = [data[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return b"".join(kept)[:-1], len(after) - len(others)


def _is_metric_line(record: list[Any]) -> bool:
    try:
        at, step, values = record
        for value in values.values():
            from_json_number(value)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False
    return bool(values) and fits(at) and fits(step)


def parse_log(data: bytes, base: int) -> Series:
    """Return the metric lines of a log, given its whole lines, with what cannot be vouched for in `doubts`."""
    parser = _Parser(base)
    with no_collecting():
        start = 0
        while start < len(data):
            stop = data.find(b"\n", min(start + PIECE, len(data)) - 1) + 1 or len(data)
            parser.feed(data[start:stop], start)
            start = stop
    series = parser.result()
    series.doubts.extend(
        f"bytes {start:,} to {stop:,} are not as they were written: values there may be wrong"
        for start, stop in broken_segments(data)
    )
    return series


def broken_segments(data: bytes) -> list[tuple[int, int]]:
    """Return the stretches of a log whose checksum is wrong. What follows the last checksum is not vouched for."""
    broken: list[tuple[int, int]] = []
    end = data.rfind(b'\n{"end":"')
    start, at = 0, 0
    while True:
        found = data.find(b'\n{"seal":"', at)
        if found < 0:
            if end < start:
                return broken
            found, end = end, -1
        at = found + 1
        record = parse_line(data[at : data.find(b"\n", at)])
        try:
            length = record["n"]  # more than the stretch if the writer was interrupted at the seal before
            good = at - start <= length <= at and int(record["seal"], 16) == crc32(data[at - length : at])
        except (TypeError, KeyError, ValueError):
            good = False
        if not good:
            broken.append((start, at))
        start = at


def load_series(path: str, run_id: str, root: str, key: str | None) -> Series | None:
    """Return one metric of the log at `path` (None: all), from its columns if it has some; None if it holds nothing."""
    fd, size = open_log(path)
    try:
        ends = read_ends(fd, size, run_id)
        base = base_of(ends, path)
        if base is None:
            return None
        sealed = ends.end is not None
        mark = [ends.size, str((ends.end or {}).get("seal", "")), int((ends.end or {}).get("t", 0))]
        if sealed and (ends.end or {}).get("cols"):
            return read_columns(path[: -len(LOG_SUFFIX)] + COLS_SUFFIX, base, (ends.end or {})["cols"], key)
        cache = f"{root}/{INDEX}/cols/{os.path.basename(path)[: -len(LOG_SUFFIX)]}"
        if sealed and ends.size >= COMPACT_FROM:
            with suppress(OSError, ValueError, KeyError, TypeError, zlib_error):
                return read_columns(cache, base, mark, key)
        data = ends.data if ends.data is not None else pread(fd, size, 0)
    finally:
        os.close(fd)
    whole = data.rfind(b"\n") + 1
    series = parse_log(data[:whole], base)
    if whole < len(data) and not sealed and not log_is_live(path):
        series.doubts.append(f"its last line is torn and was left out, {len(data) - whole} bytes: the writer died")
    if sealed and ends.size >= COMPACT_FROM and not series.doubts:
        with suppress(OSError):
            replace(cache, encode_columns(series, mark))
    return series


def read_history(root: str, folder: str, run_id: str, names: Iterable[str], key: str) -> MetricHistory:
    """Return the values of one metric from all files of a run, in the order they were logged."""
    parts: list[tuple[int, Array, Array, Array]] = []
    for name in sorted(names, key=lambda n: (len(n), n)):
        path = f"{folder}/{name}"
        try:
            if "~" in name:
                edit = read_edit(path)
                if edit is not None and key in edit.metrics:
                    value = np.array([edit.metrics[key][2]])
                    parts.append((edit.at, np.zeros(1, np.int64), value, np.array([edit.at], np.int64)))
                continue
            series = load_series(path, run_id, root, key)
        except (OSError, ValueError, KeyError, TypeError, zlib_error) as error:
            _doubt(run_id, name, f"cannot be read ({error})")
            continue
        if series is not None:
            for text in series.doubts:
                _doubt(run_id, name, text)
            parts.append((series.base, *series.of(key)))
    parts.sort(key=lambda part: part[0])
    if not parts:
        return MetricHistory(key, np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
    if len(parts) == 1:
        _, step, value, time = parts[0]
        return MetricHistory(key, step, value, time)
    step, value, time = (np.concatenate([part[at] for part in parts]) for at in (1, 2, 3))
    return MetricHistory(key, step, value, time)


def _doubt(run_id: str, name: str, text: str) -> None:
    warnings.warn(f"run {run_id}: {name}: {text}. `nbtrack store check` lists all damage.", DamageWarning, stacklevel=5)
