"""Trees as arrays: which leaf each row reaches in each tree, and the sum of what the leaves say.

Two ways give the same leaves. One follows all paths at once, a level at a time. The other never follows a path: for
each column it looks up between which two thresholds of the whole forest a value lies, and reads from a table which
leaves of each tree are still possible then, a bit for each leaf; what all columns allow is ANDed, and the lowest bit
left is the leaf. That is several times as fast for many rows, where trees have few enough leaves for a machine word.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
_CHUNK: Final = 512  # rows at a time, so that what lies between two operations stays in the cache
_FEW: Final = 3  # rows for which a table costs more than it saves
_MANY: Final = 4096  # rows that are worth more than one thread
_TABLE_BYTES: Final = 32 << 20
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
        self._columns = [np.ascontiguousarray(self.values[:, i]) for i in range(self.values.shape[1])]
        self._table: _Table | None = None
        self._looked = False

    def prepared(self, matrix: Array) -> Array:
        """Return data in the precision that the trees compare in."""
        if self._double:
            return matrix
        if np.abs(matrix).max(initial=0.0) > _FLOAT32_MAX:
            raise NotCovered("a value too large for single precision")
        return matrix.astype(np.float32)

    def leaves(self, data: Array) -> Array:
        """Return the leaf that each row of prepared data reaches in each tree, shape (trees, rows)."""
        if len(data) == 1:
            row, at = data[0], self.roots
            for _ in range(self._depth):
                right = row[self._feature[at]] > self._threshold[at]
                at = self._children[2 * at + right]
            return at[:, None]
        if len(data) > _FEW and (table := self._the_table()) is not None:
            return table.leaves(data)
        count = len(data)
        flat = np.ascontiguousarray(data.T).reshape(-1)  # column by column
        place = self._feature * count
        rows = np.arange(count)
        at = np.repeat(self.roots, count).reshape(-1, count)
        for _ in range(self._depth):
            right = flat.take(place.take(at) + rows) > self._threshold.take(at)
            at = self._children.take(2 * at + right)
        return at

    def _the_table(self) -> _Table | None:
        if not self._looked:
            self._table = _table_of(self.roots, self._feature, self._threshold, self._children, self._depth)
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
        self._the_table()
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # numpy's loops run beside each other
            return np.concatenate(list(pool.map(lambda part: self._chunk(part, begin, columns), parts)))

    def _chunk(self, data: Array, start: Array, columns: int) -> Array:
        leaves = self.leaves(data)
        if len(data) == 1:
            parts = np.concatenate([start, self.values[leaves[:, 0]].reshape(-1, start.shape[1])])
            summed: Array = parts.cumsum(axis=0)[-1:]
            return summed
        total = np.empty((len(data), start.shape[1]))
        for column in range(start.shape[1]):
            found = (
                self._columns[0].take(leaves[column::columns]) if columns > 1 else self._columns[column].take(leaves)
            )
            found[0] += start[0, column]
            np.add.reduce(found, axis=0, out=total[:, column])  # one tree after the other: the rows lie side by side
        return total


def _single(thresholds: Array) -> Array:
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    above = near.astype(np.float64) > thresholds
    near[above] = np.nextafter(near[above], np.float32(-np.inf))
    return near


class _Table:
    """For each column of the data its sorted thresholds, and for each place among them what is left of each tree."""

    def __init__(self, columns: Array, keys: list[Array], starts: Array, words: Array, leaf: Array) -> None:
        self._columns = columns  # the columns that the trees look at
        self._keys = keys
        self._starts = starts  # where the words of each column begin
        self._words = words  # shape (places, trees)
        self._leaf = leaf.reshape(-1)  # the node of each tree's n-th leaf
        self._firsts = np.arange(leaf.shape[0])[:, None] * leaf.shape[1]

    def leaves(self, data: Array) -> Array:
        """Return the leaf that each row reaches in each tree, shape (trees, rows)."""
        left = None
        for column, keys, start in zip(self._columns, self._keys, self._starts, strict=True):
            allowed = self._words.take(keys.searchsorted(data[:, column]) + start, axis=0)
            left = allowed if left is None else np.bitwise_and(left, allowed, out=left)
        assert left is not None  # noqa: S101 - a table has columns
        size = left.dtype.itemsize
        lowest = left & (~left + left.dtype.type(1))
        # a power of two as a float says its exponent in the bits above the mantissa
        if size == 4:
            place = (lowest.astype(np.float32).view(np.uint32) >> 23) - 127
        else:
            place = (lowest.astype(np.float64).view(np.uint64) >> np.uint64(52)) - np.uint64(1023)
        found: Array = self._leaf.take(place.T.astype(np.intp) + self._firsts)
        return found


def _table_of(roots: Array, feature: Array, threshold: Array, children: Array, depth: int) -> _Table | None:
    """Return the table of a forest; None where following the paths is as good."""
    count, trees = len(feature), len(roots)
    own = np.arange(count)
    is_leaf = children[::2] == own
    tree, levels = _levels(roots, children, is_leaf)
    below = is_leaf.astype(np.int64)  # leaves in each node's part of the tree
    for nodes in reversed(levels):
        below[nodes] = below[children[2 * nodes]] + below[children[2 * nodes + 1]]
    first = np.zeros(count, dtype=np.int64)
    for nodes in levels:
        first[children[2 * nodes]] = first[nodes]
        first[children[2 * nodes + 1]] = first[nodes] + below[children[2 * nodes]]
    most = int(below[roots].max())
    inner = np.concatenate(levels) if levels else own[:0]
    used = np.unique(feature[inner])
    word: Any = np.uint32 if most <= 32 else np.uint64
    places = len(inner) + len(used)
    # a look-up is several times cheaper than a step along a path, but there is one for each column
    if not len(inner) or most > 64 or len(used) * word().itemsize > 32 * depth:
        return None
    if places * trees * word().itemsize > _TABLE_BYTES:
        return None
    leaf = np.zeros((trees, most), dtype=np.intp)
    ends = own[is_leaf & (tree >= 0)]
    leaf[tree[ends], first[ends]] = ends
    widths = below[children[2 * inner]].astype(np.uint64)
    gone = ((np.uint64(1) << widths) - np.uint64(1)) << first[inner].astype(
        np.uint64
    )  # the left side, to the right of it
    kept = (~gone).astype(word)
    keys: list[Array] = []
    starts: list[int] = []
    words: list[Array] = []
    for column in used:
        mine = np.flatnonzero(feature[inner] == column)
        sorted_keys, place = np.unique(threshold[inner[mine]], return_inverse=True)
        part = np.full((len(sorted_keys) + 1, trees), np.iinfo(word).max, dtype=word)
        np.bitwise_and.at(part, (place + 1, tree[inner[mine]]), kept[mine])
        starts.append(sum(len(each) for each in words))
        words.append(np.bitwise_and.accumulate(part, axis=0))
        keys.append(sorted_keys)
    return _Table(used, keys, np.array(starts), np.concatenate(words), leaf)


def _levels(roots: Array, children: Array, is_leaf: Array) -> tuple[Array, list[Array]]:
    """Return the tree that each node belongs to, and the inner nodes of all trees level by level."""
    tree = np.full(len(is_leaf), -1, dtype=np.intp)
    tree[roots] = np.arange(len(roots))
    levels = []
    nodes = roots
    while len(nodes := nodes[~is_leaf[nodes]]):
        levels.append(nodes)
        both = np.concatenate([children[2 * nodes], children[2 * nodes + 1]])
        tree[both] = np.concatenate([tree[nodes], tree[nodes]])
        nodes = both
    return tree, levels
