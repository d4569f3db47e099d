"""Trees as arrays: which leaf each row reaches in each tree, and the sum of what the leaves say.

Two ways give the same leaves. One follows all paths at once, a level at a time. The other reads them from a table
(table.py): many times as fast where trees have few enough leaves for a machine word.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from nbtrack.models.compiled.table import Array, Table, table_of

_CHUNK: Final = 512  # rows at a time, so that what lies between two operations stays in the cache
_MANY: Final = 4096  # rows that are worth more than one thread
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


class NotCovered(Exception):
    """The compiled predictor does not know this input; ask the model."""


def expect(condition: bool, what: str) -> None:
    """Raise ValueError for arrays that do not fit together."""
    if not condition:
        raise ValueError(what)


class Trees:
    """All trees laid out one after the other, children after their parents; a leaf is its own child.

    With `double`, the trees compare in double precision.
    """

    def __init__(self, arrays: Mapping[str, Array], width: int, double: bool = False) -> None:
        self._double = double
        self.roots = arrays["roots"].astype(np.intp)
        self._feature = arrays["feature"].astype(np.intp)
        self._threshold = arrays["threshold"]
        self._children = arrays["children"].astype(np.intp).reshape(-1)  # left and right of node i at 2i and 2i + 1
        self.values = arrays["values"]
        count = len(self._feature)
        at = np.repeat(np.arange(count), 2)
        leaf = self._children[::2] == np.arange(count)
        expect(len(self._threshold) == len(self.values) == count and len(self._children) == 2 * count, "sizes")
        expect(bool((self._children >= at).all()) and bool((self._children < count).all()), "a child outside its tree")
        expect(bool(((self._children > at) | np.repeat(leaf, 2)).all()), "a path without an end")
        expect(bool((self._feature >= 0).all()) and bool((self._feature < width).all()), "an unknown feature")
        expect(
            self.values.ndim == 2
            and len(self.roots) > 0
            and bool((self.roots >= 0).all())
            and bool((self.roots < count).all()),
            "roots",
        )
        parents = np.bincount(self._children[~np.repeat(leaf, 2)], minlength=count)
        parents += np.bincount(self.roots, minlength=count)
        expect(bool((parents <= 1).all()), "a node in two places")
        self._depth = int(arrays["depth"])
        expect(0 <= self._depth <= count, "depth")
        if not double:  # for data in single precision the next threshold below that is single, too, says the same
            self._threshold = _single(self._threshold)
        self._values = _paired(self.values)
        self._table: Table | None = None
        self._looked = False

    def prepared(self, matrix: Array) -> Array:
        """Return data in the precision that the trees compare in."""
        if self._double:
            return matrix
        if np.abs(matrix).max(initial=0.0) > _FLOAT32_MAX:
            raise NotCovered("a value too large for single precision")
        return matrix.astype(np.float32)

    def _followed(self, data: Array) -> Array:
        """Return the leaf that each row of prepared data reaches in each tree, shape (trees, rows)."""
        if len(data) == 1:
            row, at = data[0], self.roots
            for _ in range(self._depth):
                right = row[self._feature[at]] > self._threshold[at]
                at = self._children[2 * at + right]
            return at[:, None]
        count = len(data)
        flat = np.ascontiguousarray(data.T).reshape(-1)  # column by column
        place = self._feature * count
        rows = np.arange(count)
        at = np.repeat(self.roots, count).reshape(-1, count)
        for _ in range(self._depth):
            right = flat.take(place.take(at) + rows) > self._threshold.take(at)
            at = self._children.take(2 * at + right)
        return at

    def _the_table(self) -> Table | None:
        if not self._looked:
            table = table_of(self.roots, self._feature, self._threshold, self._children, self._depth)
            if table is not None:
                self._table_values = _paired(self.values[table.leaf])
                self._table = table
            self._looked = True
        return self._table

    def summed(self, matrix: Array, start: Array | float = 0.0, columns: int = 1) -> Array:
        """Return the sum of the leaves' values tree after tree: sums of floats depend on their order.

        With `columns` above 1, tree i adds to column i modulo `columns`, as in boosting.
        """
        data = self.prepared(matrix)
        begin = np.broadcast_to(start, (1, columns if columns > 1 else self.values.shape[1]))
        if len(data) <= _CHUNK:
            return self._chunk(data, begin, columns)
        parts = [data[i : i + _CHUNK] for i in range(0, len(data), _CHUNK)]
        if len(data) < _MANY:
            return np.concatenate([self._chunk(part, begin, columns) for part in parts])
        self._the_table()  # before others need it at once
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # numpy's loops run beside each other
            return np.concatenate(list(pool.map(lambda part: self._chunk(part, begin, columns), parts)))

    def _chunk(self, data: Array, start: Array, columns: int) -> Array:
        if (table := self._the_table()) is not None:
            leaves, values = table.leaves(data), self._table_values
        else:
            leaves, values = self._followed(data), self._values
        if columns > 1:
            found = values[0].take(leaves)
            return np.stack([_added(found[i::columns], start[0, i]) for i in range(columns)], axis=1)
        total = np.empty((len(data), start.shape[1]))
        for place, part in enumerate(values):
            begin = start[0, 2 * place : 2 * place + part.itemsize // 8]
            added = _added(part.take(leaves), np.ascontiguousarray(begin, np.float64).view(part.dtype)[0])
            total[:, 2 * place : 2 * place + 2] = added.view(np.float64).reshape(len(data), -1)
        return total


def _paired(values: Array) -> list[Array]:
    """Return columns of doubles two by two as one column of complex numbers, which are found and added at once."""
    pairs = [np.ascontiguousarray(values[:, i : i + 2], dtype=np.float64) for i in range(0, values.shape[1], 2)]
    return [pair.view(np.complex128 if pair.shape[1] == 2 else np.float64).reshape(-1) for pair in pairs]


def _added(found: Array, start: Any) -> Array:
    """Return the sum over the first axis, from `start` on, one tree after the other: of shape (rows,)."""
    found[0] += start
    if found.shape[1] == 1:  # numpy would add up a single row in another order
        return found[:, 0].cumsum()[-1:]
    added: Array = np.add.reduce(found, axis=0)  # the rows lie side by side
    return added


def _single(thresholds: Array) -> Array:
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    above = near.astype(np.float64) > thresholds
    near[above] = np.nextafter(near[above], np.float32(-np.inf))
    return near
