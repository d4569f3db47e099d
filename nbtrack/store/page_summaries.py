"""The metric summaries of a page of runs that a search found, read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nbtrack.entities import MetricSummary
from nbtrack.store.columns import Array, SnapshotDamagedError
from nbtrack.store.index import RunIndex


class PageSummaries:
    """The summaries of one page of runs, read when somebody asks: few do, and they are most of the index."""

    def __init__(self, index: RunIndex, rows: Array, ids: list[str]) -> None:
        self._index, self._table, self._rows, self._ids = index, index.table, rows, ids
        self._stats: dict[str, list[tuple[Any, ...]]] = {}

    def _find_again(self) -> None:
        """Build the index anew, and find the same runs in it."""
        self._index.clear()
        self._index.refresh()
        self._table = self._index.table
        self._rows = np.array([self._index.row_of(run_id) or 0 for run_id in self._ids], np.int64)

    def get(self, place: int, key: str, last: float) -> MetricSummary:
        if key not in self._stats:
            with self._index.lock:
                try:
                    found = self._table.metrics[key].stats.take(self._rows, self._table.rows)
                except SnapshotDamagedError:
                    self._find_again()
                    found = self._table.metrics[key].stats.take(self._rows, self._table.rows)
            self._stats[key] = found.tolist()
        low, high, count, step, at, _, _ = self._stats[key][place]
        return MetricSummary(last, step, at, low, high, count)


class RunSummaries(Mapping[str, MetricSummary]):
    """The summaries of one run of a page."""

    def __init__(self, page: PageSummaries, place: int, last: Mapping[str, float]) -> None:
        self._page, self._place, self._last = page, place, last

    def __getitem__(self, key: str) -> MetricSummary:
        return self._page.get(self._place, key, self._last[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self))
