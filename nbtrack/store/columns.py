"""Columns of the index: read from the snapshot when they are first used, changed in memory, written back whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isnan
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
from orjson import dumps, loads

Array = np.ndarray[Any, np.dtype[Any]]
MISSING_CODE: Final = -1
STAT: Final = np.dtype(
    [
        ("min", "<f8"),
        ("max", "<f8"),
        ("count", "<i8"),
        ("step", "<i8"),
        ("t", "<i8"),
        ("min_step", "<i8"),
        ("max_step", "<i8"),
    ]
)
NO_STAT: Final = (0.0, 0.0, 0, 0, 0, 0, 0)
# A metric that was logged as NaN and one that was never logged are both NaN; they differ in their last bit.
LOGGED_NAN: Final = np.frombuffer((0x7FF8000000000001).to_bytes(8, "little"), "<f8")[0]
_LOGGED_NAN_BITS: Final = np.int64(0x7FF8000000000001)
PIECE: Final = 64 << 10
SMALL_PIECE: Final = 4 << 10  # of what is read here and there
_SMALL_VOCABULARY: Final = 4096


class SnapshotDamagedError(Exception):
    """The snapshot does not hold what it says; the index is built anew."""


class Section:
    """A stretch of the snapshot, with a checksum for each piece. `read` is given place and size within the file."""

    __slots__ = ("at", "crcs", "piece", "read", "size")

    def __init__(self, read: Callable[[int, int], bytes], at: int, size: int, crcs: list[int], piece: int) -> None:
        self.read, self.at, self.size, self.crcs, self.piece = read, at, size, crcs, piece

    def whole(self) -> bytes:
        """Everything."""
        return self.pieces(0, len(self.crcs))

    def array(self, dtype: Any) -> Array:
        """Everything, as an array that cannot be changed: a copy of some megabytes is half of what reading takes."""
        return np.frombuffer(self.whole(), dtype)

    def pieces(self, first: int, last: int) -> bytes:
        """Return whole pieces, checked."""
        piece = self.piece
        want = max(min(last * piece, self.size) - first * piece, 0)
        data = self.read(self.at + first * piece, want)
        if len(data) != want:
            raise SnapshotDamagedError("it is too short")
        view = memoryview(data)
        for number in range(first, last):
            if crc32(view[(number - first) * piece : (number - first + 1) * piece]) != self.crcs[number]:
                raise SnapshotDamagedError("a checksum is wrong")
        return data


class Column:
    """One value a run, of one numpy type; `fill` where there is none."""

    def __init__(self, dtype: Any, fill: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.fill = fill
        self._dense: Array | None = None
        self._base: Section | None = None
        self._base_rows: Section | None = None  # a sparse column: which rows its values belong to
        self._few: tuple[Array, Array] | None = None  # the same, read: rows in order, and their values
        self._changes: dict[int, Any] = {}

    def load_later(self, values: Section, rows: Section | None) -> None:
        """Read the values from the snapshot once somebody wants them."""
        self._base, self._base_rows = values, rows

    def set(self, row: int, value: Any) -> None:
        """Set one value."""
        if self._dense is None:
            changes = self._changes
            changes[row] = value
            if self._base is None and len(changes) >= 512 and len(changes) * 4 > row:
                self._dense = self._load(row + 1)  # no rare key: an array is smaller than a dict of objects
            return
        if row >= self._dense.size:
            self._dense = self._grown(self._dense, row + 1)
        self._put(row, value)

    def _put(self, row: int, value: Any) -> None:
        assert self._dense is not None  # noqa: S101 - asked by the callers
        try:
            self._dense[row] = value
        except ValueError:  # as it was read, it cannot be changed
            self._dense = self._dense.copy()
            self._dense[row] = value

    def _grown(self, old: Array, need: int) -> Array:
        new = self._empty(max(need, len(old) * 5 // 4 + 256))
        new[: len(old)] = old
        return new

    def _empty(self, rows: int) -> Array:
        return np.full(rows, np.array(self.fill, self.dtype), self.dtype)

    def dense(self, rows: int) -> Array:
        """Return the values of the first `rows` rows; a view, not to be changed."""
        if self._dense is None:
            self._dense = self._load(rows)
        if len(self._dense) < rows:
            self._dense = self._grown(self._dense, rows)
        return self._dense[:rows]

    def _load(self, rows: int) -> Array:
        if self.is_sparse:
            at, few = self.sparse()
            dense = self._empty(max(rows, int(at[-1]) + 1 if len(at) else 0))
            dense[at] = few
            self._few = None
            return dense
        assert self._base is not None  # noqa: S101 - else it would be sparse
        dense = self._base.array(self.dtype)
        top = max(rows, max(self._changes, default=-1) + 1)
        if len(dense) < top:
            dense = np.concatenate([dense, self._empty(top - len(dense))])
        if self._changes:
            at, values = self._changed()
            dense = dense if dense.flags.writeable else dense.copy()
            dense[at] = values
        self._base, self._changes = None, {}
        return dense

    def _changed(self) -> tuple[Array, Array]:
        at = np.fromiter(self._changes.keys(), np.int64, len(self._changes))
        return at, np.array(list(self._changes.values()), self.dtype)

    @property
    def is_sparse(self) -> bool:
        """Whether only the rows that have a value are kept: there may be very many keys that few runs have."""
        return self._dense is None and (self._base is None or self._base_rows is not None)

    def sparse(self) -> tuple[Array, Array]:
        """Return ``(rows, values)`` of a sparse column, in order of the rows."""
        if self._base is not None and self._base_rows is not None:
            at = self._base_rows.array("<i4").astype(np.int64)
            values = self._base.array(self.dtype)
            if len(at) != len(values) or (len(at) and int(at.min()) < 0):
                raise SnapshotDamagedError("rows and values differ in number")
            self._few, self._base, self._base_rows = (at, values), None, None
        at, values = self._few if self._few is not None else (np.empty(0, np.int64), self._empty(0))
        if self._changes:
            new_at, new_values = self._changed()
            old = ~np.isin(at, new_at)
            at, values = np.concatenate([at[old], new_at]), np.concatenate([values[old], new_values])
            order = np.argsort(at, kind="stable")
            at, values, self._changes = at[order], values[order], {}
        self._few = (at, values)
        return at, values

    def filled(self, rows: int) -> Array:
        """Return which of the first `rows` rows have something else than the filling; no column of NaN."""
        if not self.is_sparse:
            found: Array = self.dense(rows) != self.fill
            return found
        at, values = self.sparse()
        found = np.zeros(rows, bool)
        found[at[values != self.fill]] = True
        return found

    def take(self, rows: Array, total: int) -> Array:
        """Return the values of some rows, without reading the whole column if a few pieces will do."""
        if self.is_sparse:
            at, values = self.sparse()
            found = self._empty(len(rows))
            if len(at):
                place = np.minimum(np.searchsorted(at, rows), len(at) - 1)
                hit = at[place] == rows
                found[hit] = values[place[hit]]
            return found
        size = self.dtype.itemsize
        if self._dense is not None or self._base is None or len(rows) * self._base.piece * 2 > total * size:
            return self.dense(total)[rows]
        found = self._empty(len(rows))
        inside = self._base.size // size
        pieces: dict[int, bytes] = {}
        for index, row in enumerate(rows.tolist()):
            if row in self._changes:
                found[index] = self._changes[row]
            elif row < inside:
                found[index] = np.frombuffer(self._cell(row * size, size, pieces), self.dtype)[0]
        return found

    def _cell(self, at: int, size: int, pieces: dict[int, bytes]) -> bytes:
        """Return the bytes of one value; it may lie across two pieces."""
        assert self._base is not None  # noqa: S101 - asked by the caller
        data = b""
        while size > 0:
            number, inside = divmod(at, self._base.piece)
            if number not in pieces:
                pieces[number] = self._base.pieces(number, number + 1)
            part = pieces[number][inside : inside + size]
            data += part
            at += len(part)
            size -= len(part)
        return data


class Texts:
    """The different texts of a column. The same text may have several codes: looking each up would cost too much."""

    def __init__(self) -> None:
        self._base_size = 0
        self._base: tuple[Section, Section] | None = None
        self._base_texts: list[str] | None = None
        self._blob: bytes | None = None
        self._starts: Array | None = None
        self._new: list[str] = []
        self.codes: dict[str, int] = {}
        self._codes_whole = True
        self.version = 0
        self._joined: tuple[str, Array] | None = None
        self._lower: str | None = None

    def __len__(self) -> int:
        return self._base_size + len(self._new)

    def load_later(self, size: int, starts: Section, blob: Section) -> None:
        """Read the texts once somebody wants them."""
        self._base_size, self._base = size, (starts, blob)
        self._codes_whole = False

    def code(self, text: str) -> int:
        """Return a code of `text`, a new one if it seems new."""
        if not self._codes_whole and self._base_size <= _SMALL_VOCABULARY:
            self.codes = {known: code for code, known in enumerate(self.all())} | self.codes
            self._codes_whole = True
        code = self.codes.get(text)
        if code is None:
            code = self.codes[text] = len(self)
            self._new.append(text)
            self.version += 1
        return code

    def all(self) -> list[str]:
        """Return all texts; the place of each is its code."""
        if self._base_texts is None:
            self._base_texts = [] if self._base is None else self._decode(self._read_blob(), self._base_size)
        return self._base_texts + self._new if self._new else self._base_texts

    def _decode(self, blob: bytes, size: int) -> list[str]:
        texts = loads(blob)
        if not isinstance(texts, list) or len(texts) != size:
            raise SnapshotDamagedError("texts are missing")
        return texts

    def _read_blob(self) -> bytes:
        """Return the texts as JSON, and learn where in it each begins."""
        if self._blob is None:
            assert self._base is not None  # noqa: S101 - only called where there is one
            self._starts = self._base[0].array("<u4")
            self._blob = self._base[1].whole()
        return self._blob

    def some(self, codes: Array) -> list[str | None]:
        """Return the texts of some codes, None for the missing code."""
        if self._base_texts is None and self._base is not None and len(codes) < self._base_size // 8:
            return self._some(codes)
        texts: list[str | None] = [*self.all(), None]
        return [texts[code] for code in codes.tolist()]

    def _some(self, codes: Array) -> list[str | None]:
        """Return the texts of a few codes, cut out of the blob."""
        blob, old = self._read_blob(), codes[(codes >= 0) & (codes < self._base_size)]
        assert self._starts is not None  # noqa: S101 - read with the blob
        spans = zip(self._starts[old].tolist(), self._starts[old + 1].tolist(), strict=True)
        texts = iter(self._decode(b"[%b]" % b",".join([blob[start : stop - 1] for start, stop in spans]), len(old)))
        size, new = self._base_size, self._new
        return [None if code < 0 else next(texts) if code < size else new[code - size] for code in codes.tolist()]

    def codes_where(self, test: Callable[[str], bool]) -> Array:
        """Return which codes have a text that satisfies `test`."""
        return np.fromiter((test(text) for text in self.all()), bool, len(self))

    def codes_with(self, part: str, *, ignore_case: bool) -> Array:
        """Return which codes have a text that contains `part` (no line break in it): one look at all of them."""
        whole, lines = self._lines()
        flags = 0
        if ignore_case and whole.isascii() and part.isascii():
            if self._lower is None:
                self._lower = whole.lower()
            whole, part = self._lower, part.lower()
        elif ignore_case:
            flags = re.IGNORECASE
        found = np.zeros(len(self), bool)
        at = np.fromiter((hit.start() for hit in re.compile(re.escape(part), flags).finditer(whole)), np.int64)
        found[np.searchsorted(lines, at, side="right") - 1] = True
        return found

    def _lines(self) -> tuple[str, Array]:
        """Return all texts below one another, and where each begins; kept until there is a new one."""
        if self._joined is None or len(self._joined[1]) != len(self):
            texts = self.all()
            sizes = np.fromiter(map(len, texts), np.int64, len(texts))
            self._joined = "\n".join(texts), np.cumsum(sizes + 1) - sizes - 1
            self._lower = None
        return self._joined

    def codes_of(self, text: str) -> list[int]:
        """Return all codes of one text."""
        if self._base_texts is not None or self._base is None or self._base_size <= _SMALL_VOCABULARY:
            return [code for code, known in enumerate(self.all()) if known == text]
        found = [code + self._base_size for code, known in enumerate(self._new) if known == text]
        blob, wanted = self._read_blob(), dumps(text)
        assert self._starts is not None  # noqa: S101 - read with the blob
        at = blob.find(wanted)
        while at >= 0:
            code = int(np.searchsorted(self._starts, at))
            if code < self._base_size and self._starts[code] == at and self._starts[code + 1] == at + len(wanted) + 1:
                found.append(code)
            at = blob.find(wanted, at + 1)
        return found


class CodedTexts(NamedTuple):
    """A text a row, as codes into few different texts; -1 where there is none."""

    texts: list[str]
    codes: Array

    def objects(self) -> Array:
        """Return the texts as an array of objects, None where there is none."""
        texts = np.empty(len(self.texts) + 1, dtype=object)
        texts[:-1] = self.texts
        found: Array = texts[self.codes]
        return found

    def tolist(self) -> list[str | None]:
        """Return the texts, None where there is none."""
        found: list[str | None] = self.objects().tolist()
        return found


class TextColumn(Column):
    """A text a run, as a code into the texts of the column."""

    def __init__(self) -> None:
        super().__init__("<i4", MISSING_CODE)
        self.texts = Texts()

    def set_text(self, row: int, text: str | None) -> None:
        """Set one text; None takes it away."""
        if text is None:
            code: int | None = MISSING_CODE
        else:
            code = self.texts.codes.get(text)
            if code is None:
                code = self.texts.code(text)
        dense = self._dense
        if dense is not None and row < dense.size:
            self._put(row, code)
        else:
            self.set(row, code)

    def values(self, rows: Array, total: int) -> list[str | None]:
        """Return the texts of some rows."""
        return self.texts.some(self.take(rows, total))


class MetricColumn:
    """The last value a run, and the rest of its summary."""

    def __init__(self) -> None:
        self.last = Column("<f8", np.nan)
        self.stats = Column(STAT, NO_STAT)

    def set_summary(self, row: int, summary: list[Any] | None) -> None:
        """Set one summary; None takes it away."""
        if summary is None:
            self.last.set(row, np.nan)
            self.stats.set(row, NO_STAT)
            return
        step, at, last, low, high, count, low_step, high_step = summary
        self.last.set(row, LOGGED_NAN if isnan(last) else last)
        self.stats.set(row, (low, high, count, step, at, low_step, high_step))


def is_logged(values: Array) -> Array:
    """Return which last values stand for a metric that was logged."""
    logged: Array = ~np.isnan(values) | (values.view(np.int64) == _LOGGED_NAN_BITS)
    return logged
