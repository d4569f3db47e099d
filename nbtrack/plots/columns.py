"""Columns of runs as a figure wants them: numbers, or categories in a sensible order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.reprs.directions import better_direction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbtrack.store.base import RunTable, Store

DURATION: Final = "attribute:duration"
START: Final = "attribute:start_time"


def as_float(value: Any) -> float | None:
    """Return `value` as a finite number, None if it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class Axis:
    """One column over runs. `numbers` has one entry a run, None where it has no number.

    Of a column of texts the numbers are places in `categories`. `log` says that its numbers span orders of magnitude.
    """

    id: str
    label: str
    numbers: list[float | None]
    values: Sequence[Any]
    categories: list[str] = field(default_factory=list)
    log: bool = False
    better: str | None = None

    @property
    def varies(self) -> bool:
        """Whether the runs differ in it."""
        return len(set(self.numbers)) > 1

    @property
    def count(self) -> int:
        """How many runs have a number in it."""
        return sum(number is not None for number in self.numbers)


def _sorted_texts(values: Sequence[Any]) -> list[str]:
    return sorted({str(value) for value in values if value is not None}, key=lambda text: (text.casefold(), text))


def make_axis(column_id: str, label: str, values: Sequence[Any]) -> Axis:
    """Return the axis of one column; it is one of numbers if every value that is there reads as a number."""
    present = [value for value in values if value is not None]
    numeric = bool(present) and all(_reads_as_number(value) for value in present)
    better = better_direction(label) if column_id.startswith("metric:") else None
    if numeric:
        numbers = [None if value is None else as_float(value) for value in values]
        known = [number for number in numbers if number is not None]
        log = bool(known) and min(known) > 0 and max(known) / min(known) >= 100
        return Axis(column_id, label, numbers, values, log=log, better=better)
    categories = _sorted_texts(values)
    places = {text: float(place) for place, text in enumerate(categories)}
    return Axis(column_id, label, [None if v is None else places[str(v)] for v in values], values, categories)


def _reads_as_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


class RunColumns:
    """The columns of some runs, by id such as ``param:lr``, ``metric:loss`` or ``attribute:start_time``."""

    def __init__(self, table: RunTable) -> None:
        self.run_ids = list(table.run_ids)
        self._columns = {f"{column.kind}:{column.key}": column for column in table.columns}
        self.names = [str(name) for name in self._columns["attribute:run_name"].values]

    @classmethod
    def read(cls, store: Store, run_ids: Sequence[str]) -> RunColumns:
        """Return the columns of these runs, oldest run first."""
        table = store.run_table(run_ids=list(run_ids), order_by=["attributes.start_time ASC", "attributes.run_id ASC"])
        return cls(table)

    @property
    def metrics(self) -> list[str]:
        """The keys of all metrics."""
        return [column.key for column in self._columns.values() if column.kind == "metric"]

    def __contains__(self, column_id: str) -> bool:
        return column_id == DURATION or column_id in self._columns

    def axis(self, column_id: str) -> Axis:
        """Return one column.

        Raises
        ------
        InvalidInputError
            If `column_id` does not start with a kind.
        NotFoundError
            If no run has it.
        """
        if column_id == DURATION:
            start, end = (self._columns[f"attribute:{key}"].values for key in ("start_time", "end_time"))
            seconds = [None if b is None else (b - a) / 1000 for a, b in zip(start, end, strict=True)]
            return make_axis(DURATION, "duration (s)", seconds)
        kind, colon, key = column_id.partition(":")
        if not colon or kind not in {"param", "metric", "attribute", "tag"}:
            raise InvalidInputError(
                f"column {column_id!r}: expected kind:name such as 'param:lr' or 'metric:loss'. Name the kind first."
            )
        column = self._columns.get(column_id)
        if column is None:
            raise NotFoundError(f"column: none of these runs has the {kind} {key!r}.")
        return make_axis(column_id, key, column.values)

    def varying_params(self) -> list[Axis]:
        """Return the params in which the runs differ, those of numbers first."""
        axes = [self.axis(column_id) for column_id, column in self._columns.items() if column.kind == "param"]
        return sorted((axis for axis in axes if axis.varies), key=lambda axis: bool(axis.categories))

    def metric(self, key: str) -> Axis:
        """Return the metric `key`, or without a key the one of most runs, one with a direction first."""
        if key:
            return self.axis(f"metric:{key}")
        if not self.metrics:
            raise NotFoundError("plot: these runs have no metrics. Log one with log_metric.")
        axes = [self.axis(f"metric:{name}") for name in self.metrics]
        return max(axes, key=lambda axis: (axis.better is not None, axis.count))
