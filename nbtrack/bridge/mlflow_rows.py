"""Rows of an MLflow database in the order of run ids, handed out run by run: it may be larger than the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from math import nan
from operator import itemgetter
from typing import Any, Final

from orjson import loads

from nbtrack.bridge.foreign import ForeignRun
from nbtrack.entities import Status
from nbtrack.store.bulk import Point

_STEP = itemgetter(2, 0)
_STATUSES: Final[Mapping[str, Status]] = {"FINISHED": "FINISHED", "FAILED": "FAILED", "SCHEDULED": "SCHEDULED"}


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
    """Return the points by their keys; rows are those of ``(run, key, ms, value or None, step)``."""
    found: dict[str, list[Point]] = {}
    several = False
    for _, key, at, value, step in rows:
        point = (at, nan if value is None else value, step)
        if key in found:
            found[key].append(point)
            several = True
        else:
            found[key] = [point]
    if several:
        for points in found.values():
            points.sort(key=_STEP)  # the latest is that of the highest step, as in MLflow
    return found


def run_of(run_id: str, row: tuple[Any, ...], params: dict[str, str], tags: dict[str, str]) -> ForeignRun:
    """Return a run as its row of the table `runs` says, with what was found of it so far."""
    _, experiment, name, status, start, end, stage, user, _ = row
    return ForeignRun(
        run_id=run_id,
        experiment=str(experiment),
        name=tags.pop("mlflow.runName", "") or str(name or run_id[:8]),
        status=_STATUSES.get(str(status), "KILLED"),  # RUNNING cannot be true of a run that is only read here
        start_time_ms=int(start or 0),
        end_time_ms=None if end is None else int(end),
        deleted=stage == "deleted",
        user=str(user or ""),
        params=params,
        tags=tags,
    )
