"""The index on disk: columns in one file that is only ever replaced whole, and that anybody may delete.

``magic, u64 length and u32 crc of the header, header as JSON, sections``. Each section has a crc32 for every piece of
64 KiB (4 KiB where single values are read), looked at when it is read: a damaged snapshot is never believed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Final
from zlib import crc32

import numpy as np
from orjson import dumps, loads

from nbtrack.store.columns import (
    PIECE,
    SMALL_PIECE,
    STAT,
    Array,
    Column,
    MetricColumn,
    Section,
    SnapshotDamagedError,
    TextColumn,
)
from nbtrack.store.files import remove, temp_name, write_all
from nbtrack.store.log import OPEN_FLAGS, pread

_MAGIC: Final = b"nbtidx03"
_HEAD: Final = len(_MAGIC) + 12


class Table:
    """All columns. `texts` and `numbers` have a value for every run; the others only where a run has the key."""

    def __init__(self, rows: int = 0) -> None:
        self.rows = rows
        self.ids = Column("S32", b"")
        self.texts = {name: TextColumn() for name in ("day", "name", "status", "exp")}
        self.numbers = {
            "start": Column("<i8", 0),
            "end": Column("<i8", -1),
            "deleted": Column("<i8", 0),  # when it was put in the trash, ms; 0 if it is not there
            "alive": Column("u1", 0),  # 0: the row is no run any more
        }
        self.params: dict[str, TextColumn] = {}
        self.tags: dict[str, TextColumn] = {}
        self.metrics: dict[str, MetricColumn] = {}


class _Writer:
    def __init__(self) -> None:
        self.parts: list[bytes | memoryview] = []
        self.size = 0

    def section(self, data: bytes, piece: int = PIECE) -> list[Any]:
        pad = -self.size % 64
        if pad:
            self.parts.append(bytes(pad))
            self.size += pad
        view = memoryview(data)
        entry = [self.size, len(data), [crc32(view[at : at + piece]) for at in range(0, len(data), piece)], piece]
        self.parts.append(data)
        self.size += len(data)
        return entry

    def column(self, column: Column, rows: int, keep: Array | None) -> dict[str, Any]:
        if column.is_sparse and column.dtype.kind != "S":
            at, values = column.sparse()
            if keep is not None:
                there = np.isin(at, keep)
                at, values = np.searchsorted(keep, at[there]), values[there]
            has = self._filled(column, values)
            return self._few(at[has], values[has])
        values = column.dense(rows)
        if keep is not None:
            values = values[keep]
        if column.dtype.kind != "S":
            has = self._filled(column, values)
            if len(has) * (column.dtype.itemsize + 4) < values.nbytes // 2:
                return self._few(has, values[has])
        return {"values": self.section(values.tobytes())}

    def _few(self, at: Array, values: Array) -> dict[str, Any]:
        return {"rows": self.section(at.astype("<i4").tobytes()), "values": self.section(values.tobytes())}

    @staticmethod
    def _filled(column: Column, values: Array) -> Array:
        """Return which of some values are more than the filling."""
        if column.dtype == STAT:
            return np.flatnonzero(values["count"])
        if column.dtype.kind == "f":
            return np.flatnonzero(values.view(np.int64) != np.float64(column.fill).view(np.int64))
        return np.flatnonzero(values != column.fill)

    def text_column(self, column: TextColumn, rows: int, keep: Array | None) -> dict[str, Any]:
        texts = column.texts.all()
        blob = dumps(texts)
        sizes = list(map(len, texts))
        if sum(sizes) + 3 * len(texts) + 1 != len(blob):  # some text is longer in JSON
            sizes = [len(dumps(text)) - 2 for text in texts]
        starts = np.ones(len(texts) + 1, np.int64)
        np.cumsum(np.array(sizes, np.int64) + 3, out=starts[1:])
        starts[1:] += 1
        entry = self.column(column, rows, keep)
        entry["count"] = len(texts)
        entry["starts"] = self.section(starts.astype("<u4").tobytes())
        entry["texts"] = self.section(blob)
        return entry


def write_snapshot(path: str, table: Table, cursor: dict[str, Any], keep: Array | None) -> None:
    """Replace the snapshot at `path`; raises OSError.

    Parameters
    ----------
    cursor
        Up to where the columns know the store, as plain JSON values.
    keep
        The rows to keep; None for all.
    """
    writer = _Writer()
    rows = table.rows
    ids = table.ids.dense(rows)
    if keep is not None:
        ids = ids[keep]
    header: dict[str, Any] = {
        "rows": len(ids),
        "cursor": cursor,
        "ids": writer.section(ids.tobytes(), SMALL_PIECE),
        "order": writer.section(np.argsort(ids, kind="stable").astype("<i4").tobytes()),
        "texts": {name: writer.text_column(column, rows, keep) for name, column in table.texts.items()},
        "numbers": {name: writer.column(column, rows, keep) for name, column in table.numbers.items()},
        "params": {key: writer.text_column(column, rows, keep) for key, column in table.params.items()},
        "tags": {key: writer.text_column(column, rows, keep) for key, column in table.tags.items()},
        "metrics": {
            key: [writer.column(column.last, rows, keep), writer.column(column.stats, rows, keep)]
            for key, column in table.metrics.items()
        },
    }
    header["size"] = writer.size
    body = dumps(header)
    head = _MAGIC + len(body).to_bytes(8, "little") + crc32(body).to_bytes(4, "little") + body
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temp = temp_name(folder)
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        try:
            write_all(fd, head + bytes(-len(head) % 64))
            for part in writer.parts:
                write_all(fd, part)
        finally:
            os.close(fd)
        os.replace(temp, path)
    except BaseException:
        remove(temp)
        raise


class Snapshot:
    """An open snapshot file. Its descriptor lives as long as this object."""

    def __init__(self, path: str) -> None:
        """Open the snapshot at `path`; raises OSError, ValueError if there is none that can be used."""
        self._fd = os.open(path, OPEN_FLAGS)
        self._memory: bytes | None = None
        size = os.fstat(self._fd).st_size
        if os.name == "nt":  # a file that is open could not be replaced there
            self._memory = pread(self._fd, size, 0)
            os.close(self._fd)
            self._fd = -1
        head = self.read(0, min(size, 64 << 10))
        length = int.from_bytes(head[8:16], "little")
        if head[:8] != _MAGIC or length > 1 << 30:
            raise ValueError("another format")
        body = head[_HEAD : _HEAD + length] if len(head) >= _HEAD + length else self.read(_HEAD, length)
        if len(body) < length or crc32(body) != int.from_bytes(head[16:20], "little"):
            raise ValueError("damaged")
        self.header: dict[str, Any] = loads(body)
        self._data_at = _HEAD + length + -(_HEAD + length) % 64
        if size < self._data_at + int(self.header["size"]):
            raise ValueError("truncated")

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            with suppress(OSError):
                os.close(self._fd)

    def read(self, at: int, size: int) -> bytes:
        """Return bytes of the file, fewer only at its end."""
        return pread(self._fd, size, at) if self._memory is None else self._memory[at : at + size]

    def section(self, entry: list[Any]) -> Section:
        """Return a section that the header names."""
        at, size, crcs, piece = entry
        return Section(self.read, self._data_at + at, size, crcs, piece)

    def _fill(self, column: Column, entry: dict[str, Any]) -> None:
        rows = self.section(entry["rows"]) if "rows" in entry else None
        column.load_later(self.section(entry["values"]), rows)

    def _fill_text(self, column: TextColumn, entry: dict[str, Any]) -> TextColumn:
        self._fill(column, entry)
        column.texts.load_later(entry["count"], self.section(entry["starts"]), self.section(entry["texts"]))
        return column

    def table(self) -> Table:
        """Return the columns, to be read when they are used."""
        header = self.header
        table = Table(header["rows"])
        table.ids.load_later(self.section(header["ids"]), None)
        for name, column in table.texts.items():
            self._fill_text(column, header["texts"][name])
        for name, number in table.numbers.items():
            self._fill(number, header["numbers"][name])
        for target, name in ((table.params, "params"), (table.tags, "tags")):
            for key, entry in header[name].items():
                target[key] = self._fill_text(TextColumn(), entry)
        for key, (last, stats) in header["metrics"].items():
            metric = table.metrics[key] = MetricColumn()
            self._fill(metric.last, last)
            self._fill(metric.stats, stats)
        return table


def verify_snapshot(path: str) -> str:
    """Read every section of a snapshot; return what is wrong with it, empty if nothing is."""
    try:
        snapshot = Snapshot(path)
        header = snapshot.header
        entries: list[Any] = [header["ids"], header["order"]]
        stack: list[Any] = [header["texts"], header["numbers"], header["params"], header["tags"], header["metrics"]]
        while stack:
            node = stack.pop()
            if isinstance(node, list) and len(node) == 4 and isinstance(node[0], int):
                entries.append(node)
            elif isinstance(node, dict | list):
                stack.extend(node.values() if isinstance(node, dict) else node)
        for entry in entries:
            snapshot.section(entry).whole()
    except (OSError, ValueError, KeyError, TypeError, SnapshotDamagedError) as error:
        return str(error) or type(error).__name__
    return ""
