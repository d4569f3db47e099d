"""Appends values of metrics to a log: the hot path of training."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from os import write
from time import time_ns
from typing import Any

from orjson import dumps

from nbtrack.entities import MetricSummary
from nbtrack.errors import InvalidInputError
from nbtrack.names import check_key
from nbtrack.store.appender import Appender
from nbtrack.store.base import RunWriter
from nbtrack.store.layout import check_time
from nbtrack.store.lines import MAX_INT, NEWLINE, to_float, to_json_number, to_step
from nbtrack.store.state import (
    COUNT,
    LAST,
    MAX,
    MAX_STEP,
    MIN,
    MIN_STEP,
    STEP,
    TIME,
    RunState,
    new_summary,
)


class MetricAppender(Appender, RunWriter):
    """An open log that takes values of metrics, and the summary of each of them."""

    def __init__(self, run_id: str, path: str, fd: int, size: int, base: int, before: RunState | None) -> None:
        super().__init__(run_id, path, fd, size)
        self._base = base
        self._before = before
        self._dirty = False  # a call is between its write and its bookkeeping
        self._interrupted = False  # one never came to its bookkeeping: the summary is made from the log itself
        self._stats: dict[str, list[Any]] = {}

    def log_metric(self, key: str, value: Any, step: int | None = None, timestamp_ms: int | None = None) -> None:
        """Append one value of one metric.

        This is :meth:`_append` and the bookkeeping of :meth:`_log_group` once more, in line: each call saved is a
        twentieth of what the whole takes. So is ``with``; the lock is taken inside ``try``, because an interrupt may
        come right after it was taken.
        """
        if type(value) is not float:
            value = to_float(key, value)
        try:
            self._lock.acquire()
            try:
                stat = self._stats[key]
            except KeyError:
                stat = self._new_stat(key)
            if step is None:
                step = stat[0] + 1
                if step > MAX_INT:  # noqa: PLR1730 - min() would be a call
                    step = MAX_INT
            elif type(step) is not int or step > MAX_INT:
                step = to_step(step)
            at = time_ns() // 1_000_000 if timestamp_ms is None else check_time("timestamp", timestamp_ms)
            if value - value != 0.0 or self._detour:
                self._log_group({key: value}, step, at)
            else:
                try:
                    line = dumps((at - self._base, step, {key: value}), None, NEWLINE)
                except TypeError:
                    step = to_step(step)  # says that it is too low
                    raise
                try:
                    written = write(self._fd, line)
                except OSError as error:
                    self._keep(line, error)
                else:
                    self._size = size = self._size + written
                    if written != len(line):
                        self._finish_short(line, written)
                    elif size > self._seal_at:
                        self._seal_segment()
                stat[0] = step
                stat[1] = at
                stat[2] = value
                stat[5] += 1
                if value < stat[3]:
                    stat[3] = value
                    stat[6] = step
                if value > stat[4]:
                    stat[4] = value
                    stat[7] = step
        except BaseException as error:
            self._interrupted |= not isinstance(error, InvalidInputError)  # that comes before anything is written
            self._give_back()
            raise
        self._lock.release()

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None, timestamp_ms: int | None = None) -> None:
        """Append one value for each key; one line if all have the same step."""
        with self._lock:
            at = time_ns() // 1_000_000 if timestamp_ms is None else check_time("timestamp", timestamp_ms)
            if step is not None and (type(step) is not int or not -MAX_INT <= step <= MAX_INT):
                step = to_step(step)
            groups: dict[int, dict[str, float]] = {}
            stats = self._stats
            for key, value in metrics.items():
                number = value if type(value) is float else to_float(key, value)
                stat = stats.get(key) or self._new_stat(key)
                groups.setdefault(min(stat[STEP] + 1, MAX_INT) if step is None else step, {})[key] = number
            for at_step, values in groups.items():
                self._log_group(values, at_step, at)

    def _log_group(self, values: dict[str, float], step: int, at: int) -> None:
        finite = all(map(isfinite, values.values()))
        shown = values if finite else {key: to_json_number(value) for key, value in values.items()}
        line = dumps([at - self._base, step, shown], None, NEWLINE)
        self._begin()
        self._append(line)
        stats = self._stats
        for key, value in values.items():
            stat = stats[key]
            stat[STEP] = step
            stat[TIME] = at
            stat[LAST] = value
            stat[COUNT] += 1
            if value < stat[MIN]:
                stat[MIN] = value
                stat[MIN_STEP] = step
            if value > stat[MAX]:
                stat[MAX] = value
                stat[MAX_STEP] = step
        self._dirty = False

    def _new_stat(self, key: str) -> list[Any]:
        """Start the summary of a metric; the place where its key is checked."""
        check_key(key, "metric key")
        before = self._before.metrics.get(key) if self._before is not None else None
        stat = new_summary(before[STEP] if before is not None else self.first_steps.get(key, 0) - 1)
        self._stats[key] = stat
        return stat

    def summaries(self) -> Mapping[str, MetricSummary]:
        """Each metric in one line, from memory: what a live view looks at, in any thread."""
        return {
            key: MetricSummary(s[LAST], s[STEP], s[TIME], s[MIN], s[MAX], s[COUNT])
            for key, s in list(self._stats.items())
            if s[COUNT]
        }

    def _begin(self) -> None:
        """Note that a line is about to be written and counted."""
        self._interrupted |= self._dirty
        self._dirty = True
