"""The leaves of a whole forest from a table, without following a path.

For each column it is looked up between which two thresholds of all trees a value lies. A table says for each such place
which leaves of each tree are still possible, a bit for each leaf; what all columns allow is ANDed, and the lowest bit
left is the leaf.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
_CELLS: Final = 2048
_LEVELS: Final = 4  # thresholds in one cell that are compared one by one; columns with more are searched
_AT_ONCE_BYTES: Final = 2 << 20  # of looked-up words: up to here one operation for all columns is quicker than many
_TABLE_BYTES: Final = 32 << 20


class Places:
    """How many thresholds of its column lie below each value.

    A grid over each column says it but for the few thresholds in the value's own cell, and these are compared. The way
    from value to cell is rounded, but never backwards, and thresholds go the same way: so the answer is exact.
    """

    def __init__(self, columns: Array, keys: list[Array]) -> None:
        self._columns = columns  # those that the trees look at
        self._starts = np.cumsum([0] + [len(each) + 1 for each in keys[:-1]])
        kind = keys[0].dtype
        finite = [each[np.isfinite(each)] if np.isfinite(each).any() else np.zeros(1, kind) for each in keys]
        self._low = np.array([each[:1] for each in finite])
        self._high = np.array([each[-1:] for each in finite])
        with np.errstate(over="ignore", divide="ignore"):
            spans = self._high - self._low
            self._scale = ((_CELLS - 1) / spans.astype(np.float64)).astype(kind)
        self._scale[~(np.isfinite(self._scale) & np.isfinite(spans))] = 0  # one cell for all
        self._low = np.where(np.isfinite(spans), self._low, self._high)
        ranks = np.zeros((len(keys), _CELLS + 1), dtype=np.int32)
        levels = np.full((_LEVELS, len(keys), _CELLS + 1), np.inf, dtype=kind)
        most = np.zeros(len(keys), dtype=np.intp)
        for place, each in enumerate(keys):
            cells = self._cells(np.repeat(each[None, :], len(keys), axis=0))[place]
            counts = np.bincount(cells, minlength=_CELLS + 1)
            before = np.cumsum(counts) - counts
            ranks[place] = before + self._starts[place]
            most[place] = counts.max()
            nth = np.arange(len(each)) - before[cells]
            few = nth < _LEVELS
            levels[nth[few], place, cells[few]] = each[few]
        self._ranks = ranks.reshape(-1)
        self._levels: list[tuple[Any, Array, Array]] = [(slice(None), *_laid(levels[0]))]
        for level in range(1, _LEVELS):
            if len(also := np.flatnonzero((most > level) & (most <= _LEVELS))):
                self._levels.append((also, *_laid(levels[level][also])))
        self._crowded = [(place, keys[place]) for place in np.flatnonzero(most > _LEVELS)]

    def _cells(self, values: Array) -> Array:
        near = np.maximum(values, self._low)
        np.minimum(near, self._high, out=near)
        near -= self._low
        near *= self._scale
        cells: Array = near.astype(np.intp)
        return cells

    def of(self, data: Array) -> Array:
        """Return which row of the table says what each value allows, shape (columns, rows)."""
        values = data.T.take(self._columns, axis=0)
        cells = self._cells(values)
        found = self._ranks.take(cells + self._levels[0][1])
        for columns, bases, thresholds in self._levels:
            found[columns] += values[columns] > thresholds.take(cells[columns] + bases)
        for column, keys in self._crowded:
            found[column] = keys.searchsorted(values[column]) + self._starts[column]
        return found.astype(np.intp)


def _laid(thresholds: Array) -> tuple[Array, Array]:
    """Return where the cells of each column begin, and the threshold in each cell."""
    return np.arange(len(thresholds))[:, None] * (_CELLS + 1), thresholds.reshape(-1)


class Table:
    """For each column of the data its sorted thresholds, and for each place among them what is left of each tree."""

    def __init__(self, places: Places, words: Array, leaf: Array) -> None:
        self._places = places
        self._words = words  # shape (places, trees)
        self.leaf = leaf.reshape(-1)  # the node of each tree's n-th leaf
        # a power of two as a float says its exponent in the bits above the mantissa
        self._float: Any = np.float32 if words.dtype.itemsize == 4 else np.float64
        self._bits: Any = np.int32 if words.dtype.itemsize == 4 else np.int64
        self._shift, bias = (23, 127) if words.dtype.itemsize == 4 else (52, 1023)
        self._firsts = (np.arange(leaf.shape[0]) * leaf.shape[1] - bias).astype(self._bits)

    def leaves(self, data: Array) -> Array:
        """Return which of the leaves each row reaches in each tree, as places in `leaf`, shape (trees, rows)."""
        places = self._places.of(data)
        if places.size * self._words[0].nbytes <= _AT_ONCE_BYTES:
            left = np.bitwise_and.reduce(self._words.take(places, axis=0), axis=0)
        else:
            left = self._words.take(places[0], axis=0)
            for each in places[1:]:
                np.bitwise_and(left, self._words.take(each, axis=0), out=left)
        lowest = np.negative(left)
        lowest &= left
        found: Array = lowest.astype(self._float).view(self._bits)
        found >>= self._shift
        found += self._firsts
        return found.T.astype(np.intp)


def table_of(roots: Array, feature: Array, threshold: Array, children: Array, depth: int) -> Table | None:
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
    if not len(inner) or most > 64 or np.isnan(threshold).any() or len(used) * word().itemsize > 32 * depth:
        return None
    if places * trees * word().itemsize > _TABLE_BYTES:
        return None
    leaf = np.zeros((trees, most), dtype=np.intp)
    ends = own[is_leaf & (tree >= 0)]
    leaf[tree[ends], first[ends]] = ends
    widths = below[children[2 * inner]].astype(np.uint64)
    # of the leaves, those on the left side are gone to the right of a threshold
    gone = ((np.uint64(1) << widths) - np.uint64(1)) << first[inner].astype(np.uint64)
    kept = (~gone).astype(word)
    keys: list[Array] = []
    words: list[Array] = []
    for column in used:
        mine = np.flatnonzero(feature[inner] == column)
        sorted_keys, place = np.unique(threshold[inner[mine]], return_inverse=True)
        part = np.full((len(sorted_keys) + 1, trees), np.iinfo(word).max, dtype=word)
        np.bitwise_and.at(part, (place + 1, tree[inner[mine]]), kept[mine])
        words.append(np.bitwise_and.accumulate(part, axis=0))
        keys.append(sorted_keys)
    return Table(Places(used, keys), np.concatenate(words), leaf)


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
