"""How the rows that a server is asked for differ from those that its model was trained on, column by column.

The measure is the population stability index: 0 where the shares are the same; from 0.1 a shift, from 0.25 another
population. Missing values are a group of their own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from nbtrack.models.profile import as_numbers, as_texts

MIN_ROWS: Final = 100  # of fewer rows the measure says nothing
WINDOW_ROWS: Final = 100_000  # beyond, what was seen long ago counts less and less
SHIFTED: Final = 0.1
DRIFTED: Final = 0.25
_FLOOR: Final = 1e-4  # the share of a group that was never seen


class ColumnDrift:
    """Counts one column's values in the groups of its profile."""

    def __init__(self, profile: Mapping[str, Any]) -> None:
        self.name = profile["name"]
        self._missing_before = float(profile["missing"])
        self._numeric = "edges" in profile
        if self._numeric:
            self._edges = np.asarray(profile["edges"], dtype=np.float64)
            self._expected = np.asarray(profile["shares"], dtype=np.float64)
            self._low, self._high = profile["low"], profile["high"]
        else:
            values: Mapping[str, float] = profile["values"]
            self._places = {value: place for place, value in enumerate(values)}
            self._expected = np.array([*values.values(), max(0.0, 1 - sum(values.values()))])
        self._counts = np.zeros(len(self._expected))
        self.missing = self.outside = 0.0

    def see(self, values: Any) -> None:
        """Count more values."""
        if not self._numeric:
            texts = Counter(as_texts(values))
            self.missing += texts.pop(None, 0)
            for text, count in texts.items():
                place = self._places.get(str(text), -1)
                self._counts[place] += count
                self.outside += count if place < 0 else 0
            return
        numbers = as_numbers(values)
        if numbers is None:
            numbers = np.array([math.nan if v is None else float(v) for v in values])
        finite = numbers[np.isfinite(numbers)]
        self.missing += len(numbers) - len(finite)
        self._counts += np.bincount(self._edges.searchsorted(finite, side="left"), minlength=len(self._counts))
        if self._low is not None:
            self.outside += int(((finite < self._low) | (finite > self._high)).sum())

    def halve(self) -> None:
        """Let what was seen up to now count half."""
        self._counts /= 2
        self.missing /= 2
        self.outside /= 2

    def index(self) -> float:
        """Return the population stability index."""
        there = max(self._counts.sum(), 1.0)
        gone = self.missing / max(there + self.missing, 1.0)
        now = np.append(self._counts / there * (1 - gone), gone)
        then = np.append(self._expected * (1 - self._missing_before), self._missing_before)
        now, then = np.maximum(now, _FLOOR), np.maximum(then, _FLOOR)
        return float(((now - then) * np.log(now / then)).sum())

    def report(self, rows: float) -> dict[str, Any]:
        """Return what is to be shown of `rows` rows."""
        index = self.index()
        verdict = "steady" if index < SHIFTED else "shifted" if index < DRIFTED else "drifted"
        seen = max(float(self._counts.sum()) + self.missing, 1.0)
        return {
            "column": self.name,
            "index": round(index, 4),
            "verdict": verdict if rows >= MIN_ROWS else "too few rows",
            "missing": round(self.missing / seen, 4),
            "missing_before": round(self._missing_before, 4),
            "outside": round(self.outside / seen, 4),
        }


class Drift:
    """Compares rows with a profile of :mod:`nbtrack.models.profile`."""

    def __init__(self, profile: Mapping[str, Any]) -> None:
        self.rows = 0.0
        self.columns = [ColumnDrift(column) for column in profile["columns"]]

    def see(self, data: Any) -> None:
        """Count the rows of a request, as the model was given them."""
        frame = hasattr(data, "iloc")
        if not frame and (not isinstance(data, np.ndarray) or data.ndim != 2):
            return
        for place, column in enumerate(self.columns):
            if frame and column.name in data.columns:
                column.see(data[column.name])
            elif not frame and place < data.shape[1]:
                column.see(data[:, place])
        self.rows += len(data)
        if self.rows > WINDOW_ROWS:
            self.rows /= 2
            for column in self.columns:
                column.halve()

    def report(self) -> dict[str, Any]:
        """Return what was seen: the columns that differ most first."""
        columns = sorted((column.report(self.rows) for column in self.columns), key=lambda each: -each["index"])
        return {"rows": round(self.rows), "columns": columns}
