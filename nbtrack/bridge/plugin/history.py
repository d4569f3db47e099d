"""The values of a metric over time, as MLflow asks for them: of one run, of several, or a sample for a chart.

A point that was logged twice is told once, as MLflow's databases keep it once; our log has both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlflow.entities as theirs
import numpy as np
from mlflow.entities.metric import MetricWithRunId
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.search_utils import SearchUtils

from nbtrack.bridge.plugin.place import invalid
from nbtrack.bridge.plugin.runs import Runs
from nbtrack.errors import InvalidInputError, NotFoundError

Columns = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]  # value, timestamp, step


class Histories(Runs):
    """The part of the tracking store that tells all values of a metric."""

    def _points(self, run_id: str, key: str, by_step: bool = False) -> Columns:
        """Return the different points of a metric by time and step, or by step and time; then by value.

        A run that is not there has none, as in MLflow's databases: one chart shows many runs.
        """
        try:
            known = self.store.get_metric_history(str(run_id), key)
        except (NotFoundError, InvalidInputError):
            return np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
        value, at, step = known.value, known.timestamp, known.step
        order = np.lexsort((value, at, step) if by_step else (value, step, at))
        value, at, step = value[order], at[order], step[order]
        if len(value) > 1:
            same = (value[1:] == value[:-1]) | (np.isnan(value[1:]) & np.isnan(value[:-1]))
            new = np.concatenate(([True], ~(same & (at[1:] == at[:-1]) & (step[1:] == step[:-1]))))
            value, at, step = value[new], at[new], step[new]
        return value, at, step

    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: int | None = None, page_token: str | None = None
    ) -> PagedList[theirs.Metric]:
        """Return all values of a metric, ordered by time, step and value."""
        offset = SearchUtils.parse_start_offset_from_page_token(page_token)
        columns = self._points(run_id, metric_key)
        end = None if max_results is None else offset + max_results
        token = SearchUtils.create_page_token(end) if end is not None and end < len(columns[0]) else None
        return PagedList(_metrics(metric_key, columns, slice(offset, end)), token)

    def get_metric_history_bulk(self, run_ids: Sequence[str], metric_key: str, max_results: int) -> list[Any]:
        """Return values of a metric of several runs, run by run, as many as fit."""
        found: list[Any] = []
        for run_id in sorted(set(run_ids)):
            columns = self._points(run_id, metric_key)
            room = slice(0, max_results - len(found))
            found += [MetricWithRunId(metric, run_id) for metric in _metrics(metric_key, columns, room)]
        return found

    def get_metric_history_bulk_interval(
        self,
        run_ids: Sequence[str],
        metric_key: str,
        max_results: int,
        start_step: int | None,
        end_step: int | None,
    ) -> list[Any]:
        """Return up to `max_results` values of each run, spread evenly, the first and the last among them."""
        if (start_step is None) != (end_step is None):
            raise invalid("Both start_step and end_step must be specified together, or neither may be specified.")
        found: list[Any] = []
        for run_id in run_ids:
            columns = self._points(run_id, metric_key, by_step=True)
            if start_step is not None and end_step is not None:
                inside = (columns[2] >= start_step) & (columns[2] <= end_step)
                columns = (columns[0][inside], columns[1][inside], columns[2][inside])
            picked = _spread(len(columns[0]), max(1, max_results))
            found += [MetricWithRunId(metric, run_id) for metric in _metrics(metric_key, columns, picked)]
        return found


def _metrics(key: str, columns: Columns, which: Any) -> list[theirs.Metric]:
    rows = zip(*(column[which].tolist() for column in columns), strict=True)
    return [theirs.Metric(key, value, at, step) for value, at, step in rows]


def _spread(count: int, wanted: int) -> list[int]:
    """Return which of `count` points are the first ones of `wanted` parts of like size, and the last point."""
    if count <= wanted:
        return list(range(count))
    size, rest = divmod(count, wanted)
    firsts = [part * size + min(part, rest) for part in range(wanted)]
    return [*firsts[:-1], count - 1]
