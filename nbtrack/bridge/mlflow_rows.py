"""Rows of an MLflow database in the order of run ids, handed out run by run: it may be larger than the memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import nan
from operator import itemgetter
from typing import Any

from orjson import loads

from nbtrack.store.bulk import Point

_STEP = itemgetter(2, 0)


class Texts:
    """The texts of runs in the order of their ids, each run's as a dict or as its JSON."""

    def __init__(self, rows: Iterator[tuple[str, str | dict[str, Any]]]) -> None:
        self._rows = rows
        self._key: str | None
        self._found: str | dict[str, Any]
        self._key, self._found = next(rows, (None, "{}"))

    def of(self, run: str) -> dict[str, str]:
        """Return the texts of a run; runs are asked for in their order."""
        while self._key is not None and self._key < run:
            self._key, self._found = next(self._rows, (None, "{}"))
        if self._key != run:
            return {}
        found = loads(self._found) if isinstance(self._found, str) else self._found
        return found if None not in found.values() else {name: value or "" for name, value in found.items()}


class Merged:
    """Rows in the order of their run id, handed out run by run. Rows of a run that is not there are passed over."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._groups = groupby(rows, itemgetter(0))
        self._key, self._rows = self._step()

    def _step(self) -> tuple[str | None, list[tuple[Any, ...]]]:
        key, rows = next(self._groups, (None, ()))
        return key, list(rows)

    def all(self) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """Yield every run with its rows."""
        while self._key is not None:
            yield self._key, self._rows
            self._key, self._rows = self._step()

    def of(self, run: str) -> list[tuple[Any, ...]]:
        while self._key is not None and self._key < run:
            self._key, self._rows = self._step()
        return self._rows if self._key == run else []


def points_of(rows: list[tuple[Any, ...]]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for _, key, value, at, step, is_nan in rows:
        point = (int(at or 0), nan if is_nan or value is None else float(value), int(step or 0))
        if key in found:
            found[key].append(point)
        else:
            found[key] = [point]
    for points in found.values():
        if len(points) > 1:
            points.sort(key=_STEP)  # the latest is that of the highest step, as in MLflow
    return found
