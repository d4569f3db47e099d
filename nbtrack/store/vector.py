"""Evaluates filters and orders over the columns of the index, all runs at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np

from nbtrack.entities import TAG_USER
from nbtrack.store.columns import Array, TextColumn, is_logged
from nbtrack.store.query import AGGREGATES, COMPARE, Compare, Field, Join, Node, Not, Order, like
from nbtrack.store.snapshot import Table

_TEXT_ATTRIBUTES = {"run_name": "name", "status": "status", "experiment_id": "exp"}
_STAT_FIELDS = {
    "min": "min",
    "max": "max",
    "count": "count",
    "step": "step",
    "min_step": "min_step",
    "max_step": "max_step",
}

_PATTERN: Final = re.compile(r"[%_\n]")  # what makes a part of a LIKE more than a text to find

STATES: Final[dict[str, Callable[[Array], Array]]] = {
    "is nan": np.isnan,
    "is not nan": lambda values: ~np.isnan(values),
    "is finite": np.isfinite,
    "is not finite": lambda values: ~np.isfinite(values),
}


def resolve(field: Field, metric_keys: Iterable[str]) -> Field:
    """Return `field`, with ``metrics.loss.min`` read as the minimum of ``loss`` unless a metric has that very name."""
    if field.kind != "metric" or field.aggregate:
        return field
    key, dot, last = field.key.rpartition(".")
    if dot and key and last in AGGREGATES and field.key not in metric_keys:
        return Field("metric", key, last)
    return field


def to_number(text: str) -> float | None:
    """Return a text of a param as a number, or None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None


class Vectors:
    """The columns of `table` as a filter sees them."""

    def __init__(self, table: Table, value_at: Callable[[int, str, int], float | None]) -> None:
        self.table = table
        self._value_at = value_at  # what a run logged for a metric at a step, from its own log
        self.rows = table.rows

    def mask(self, node: Node) -> Array:
        """Return which rows satisfy a filter."""
        match node:
            case Compare(field, op, value):
                return self._compare(resolve(field, self.table.metrics), op, value)
            case Not(item):
                return ~self.mask(item)
            case Join(op, items):
                result = self.mask(items[0])
                for item in items[1:]:
                    if op == "and":
                        result &= self.mask(item)
                    else:
                        result |= self.mask(item)
                return result

    # -- values ----------------------------------------------------------------------------------------------------
    def text_column(self, field: Field) -> TextColumn | None:
        """The column of a text, None if no run has the key."""
        if field.kind == "param":
            return self.table.params.get(field.key)
        if field.kind == "tag":
            return self.table.tags.get(field.key)
        if field.key == "user_id":
            return self.table.tags.get(TAG_USER)
        return self.table.texts.get(_TEXT_ATTRIBUTES.get(field.key, ""))

    def numbers(self, field: Field) -> tuple[Array, Array | None] | None:
        """Return ``(values, which rows have one)`` of a number; None if the field is no number.

        Where the second is None, :func:`is_logged` of the values tells, and those that are missing are NaN.
        """
        table, rows = self.table, self.rows
        if field.kind == "metric":
            metric = table.metrics.get(field.key)
            if metric is None:
                return np.zeros(rows), np.zeros(rows, bool)
            if field.aggregate in {"", "last"}:
                return metric.last.dense(rows), None
            if field.by:
                return self._at_best(field)
            stats = metric.stats.dense(rows)
            return stats[_STAT_FIELDS[field.aggregate]], stats["count"] > 0
        if field.aggregate == "number":
            return self._as_numbers(field)
        if field.kind != "attribute":
            return None
        start, end = table.numbers["start"].dense(rows), table.numbers["end"].dense(rows)
        match field.key:
            case "start_time":
                return start, np.ones(rows, bool)
            case "end_time":
                return end, end >= 0
            case "duration":
                return end - start, end >= 0
        return None

    def _as_numbers(self, field: Field) -> tuple[Array, Array]:
        """Return the texts of a param or tag as numbers, and which rows have one that is."""
        column = self.text_column(field)
        if column is None:
            return np.zeros(self.rows), np.zeros(self.rows, bool)
        found = [to_number(text) for text in column.texts.all()]
        has = np.array([value is not None for value in [*found, None]])  # the last one is for the missing code
        values = np.array([value or 0.0 for value in [*found, None]])
        codes = column.dense(self.rows)
        return values[codes], has[codes]

    def _at_best(self, field: Field) -> tuple[Array, Array]:
        """Return the values of one metric at the step at which another was best, and which runs have both.

        The index knows the last value; what lies in between is looked up in the logs of the runs.
        """
        metric, other = self.table.metrics[field.key], self.table.metrics.get(field.by)
        values, has = np.full(self.rows, np.nan), np.zeros(self.rows, bool)
        if other is None:
            return values, has
        best = "min" if field.aggregate == "at_min" else "max"
        last, stats, by = metric.last.dense(self.rows), metric.stats.dense(self.rows), other.stats.dense(self.rows)
        both = is_logged(last) & (by["count"] > 0) & ~np.isnan(by[best])
        if field.key == field.by:
            return np.where(both, by[best], np.nan), both
        steps = by[f"{best}_step"]
        known = both & (stats["step"] == steps)
        values[known], has[known] = last[known], True
        for row in np.flatnonzero(both & ~known & (self.table.numbers["alive"].dense(self.rows) != 0)).tolist():
            value = self._value_at(row, field.key, int(steps[row]))
            if value is not None:
                values[row], has[row] = value, True
        return values, has

    # -- comparisons -----------------------------------------------------------------------------------------------
    def _compare(self, field: Field, op: str, value: Any) -> Array:
        numbers = self.numbers(field)
        if numbers is not None:
            return _compare_numbers(*numbers, op, value)
        if field.kind == "attribute" and field.key in {"run_id", "artifact_uri"}:
            return self._compare_ids(field, op, value)
        if field.kind == "attribute" and field.key == "lifecycle_stage":
            deleted = self.table.numbers["deleted"].dense(self.rows) != 0
            yes, no = (_test(op, value)(word) for word in ("deleted", "active"))
            return np.where(deleted, yes, no)
        column = self.text_column(field)
        if column is None:
            if field.kind == "attribute":  # no run has a user: all have the empty one
                return np.full(self.rows, _test(op, value)(""))
            return np.full(self.rows, op == "is null")
        result = self._compare_texts(column, op, value)
        if field.kind == "attribute" and field.key == "user_id":
            missing = column.dense(self.rows) < 0
            result = np.where(missing, _test(op, value)(""), result)
        return result

    def _compare_texts(self, column: TextColumn, op: str, value: Any) -> Array:
        codes = column.dense(self.rows)
        if op == "is null":
            return codes < 0
        if op == "is not null":
            return codes >= 0
        if op == "=" and isinstance(value, str):
            found = column.texts.codes_of(value)
            if len(found) == 1:
                same: Array = codes == found[0]
                return same
            return np.isin(codes, np.array(found, codes.dtype))
        part = value[1:-1] if op in {"like", "ilike"} and len(value) > 2 and value[0] == value[-1] == "%" else ""
        if part and not _PATTERN.search(part):
            good = column.texts.codes_with(part, ignore_case=op == "ilike")
        else:
            good = column.texts.codes_where(_test(op, value))
        good = np.append(good, False)  # the last one is for the missing code
        result: Array = good[codes]
        return result

    def _compare_ids(self, field: Field, op: str, value: Any) -> Array:
        ids = self.table.ids.dense(self.rows)
        prefix = "runs:/" if field.key == "artifact_uri" else ""
        if op in {"=", "in"} and not prefix:
            wanted = [value] if op == "=" else list(value)
            return np.isin(ids, np.array([str(one).encode() for one in wanted]))
        test = _test(op, value)
        return np.fromiter((test(prefix + run_id.decode()) for run_id in ids.tolist()), bool, self.rows)

    # -- order -----------------------------------------------------------------------------------------------------
    def ordered(self, rows: Array, orders: Sequence[Order], limit: int | None) -> Array:
        """Return `rows` in order, the first `limit` of them; equal ones newest first."""
        keys = [key for order in orders for key in self._sort_keys(order, rows)]
        if not orders:
            keys = [np.zeros(len(rows), np.int8), self._newest_first(rows)]
        if limit is not None and 0 < limit < len(rows) // 2:
            leading = _leading(keys[0], keys[1], limit)
            rows, keys = rows[leading], [key[leading] for key in keys]
        order = np.lexsort(keys[::-1])
        rows, keys = rows[order], [key[order] for key in keys]
        for next_key in (self._newest_first, self._ids_descending):
            groups = _groups(keys)
            if groups is None:
                break
            keys = [groups, next_key(rows)]
            order = np.lexsort(keys[::-1])
            rows, keys = rows[order], [key[order] for key in keys]
        return rows[:limit]

    def _newest_first(self, rows: Array) -> Array:
        newest: Array = -self.table.numbers["start"].dense(self.rows)[rows]
        return newest

    def _ids_descending(self, rows: Array) -> Array:
        return -_ranks(self.table.ids.take(rows, self.rows))

    def _sort_keys(self, order: Order, rows: Array) -> tuple[Array, Array]:
        """Return what sorts rows in the order asked for: their class (0 a value, 1 NaN, 2 nothing), then a number."""
        field = resolve(order.field, self.table.metrics)
        numbers = self.numbers(field)
        if numbers is not None:
            values, has = numbers[0][rows], numbers[1]
            has = is_logged(values) if has is None else has[rows]
            odd = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(rows), bool)
            kind = np.where(has, odd.astype(np.int8), np.int8(2))
            keys = np.where(kind == 0, values, 0)
        elif field.kind == "attribute" and field.key in {"run_id", "artifact_uri"}:
            keys, kind = _ranks(self.table.ids.take(rows, self.rows)), np.zeros(len(rows), np.int8)
        elif field.kind == "attribute" and field.key == "lifecycle_stage":
            keys = (self.table.numbers["deleted"].take(rows, self.rows) != 0).astype(np.int8)
            kind = np.zeros(len(rows), np.int8)
        else:
            keys, kind = self._text_keys(field, rows)
        return kind, -keys if order.descending else keys

    def _text_keys(self, field: Field, rows: Array) -> tuple[Array, Array]:
        column = self.text_column(field)
        if column is None:
            return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int8)
        codes = column.dense(self.rows)[rows]
        ranks = np.append(_ranks(np.array([*column.texts.all(), ""], dtype=object))[:-1], -1)
        keys: Array = ranks[codes].astype(np.int64)
        if field.kind == "attribute":  # a run without a user has the empty one
            return keys, np.zeros(len(rows), np.int8)
        return keys, np.where(codes < 0, np.int8(2), np.int8(0))


def _leading(kinds: Array, keys: Array, limit: int) -> Array:
    """Return the places of what may be among the first `limit`, without sorting everything."""
    good = kinds == 0
    if np.count_nonzero(good) < limit:
        return np.arange(len(kinds))
    edge = np.partition(keys[good], limit - 1)[limit - 1]
    return np.flatnonzero(good & (keys <= edge))


def _groups(keys: list[Array]) -> Array | None:
    """Return the number of the group of equals that each of some sorted rows is in; None if no two are equal."""
    same = np.ones(max(len(keys[0]) - 1, 0), bool)
    for key in keys:
        same &= key[1:] == key[:-1]
    if not same.any():
        return None
    return np.concatenate([[0], np.cumsum(~same)])


def _ranks(values: Array) -> Array:
    """Return the rank of each value among the different ones."""
    return np.unique(values, return_inverse=True)[1]


def _compare_numbers(values: Array, has: Array | None, op: str, wanted: Any) -> Array:
    if has is None:
        if op in {"<", "<=", ">", ">=", "="}:  # NaN satisfies none of them, whether it was logged or is missing
            with np.errstate(invalid="ignore"):
                return np.asarray(COMPARE[op](values, wanted))
        has = is_logged(values)
    if op == "is null":
        return ~has
    if op == "is not null":
        return has
    if op in STATES:
        return np.asarray(has & STATES[op](values))
    if op in {"in", "not in"}:
        return has & np.isin(values, np.array(wanted, np.float64), invert=op == "not in")
    with np.errstate(invalid="ignore"):
        result: Array = has & COMPARE[op](values, wanted)
    return result


def _test(op: str, wanted: Any) -> Callable[[str], bool]:
    """Return the test of one text that a comparison stands for."""
    if op in {"is null", "is not null"}:
        return lambda _text: op == "is not null"
    if op in {"in", "not in"}:
        words = frozenset(wanted)
        return lambda text: (text in words) == (op == "in")
    if op.endswith("like"):
        fits = like(wanted, ignore_case=op.endswith("ilike"))
        return lambda text: fits(text) != op.startswith("not")
    compare = COMPARE[op]
    if isinstance(wanted, str):
        return lambda text: compare(text, wanted)

    def as_number(text: str) -> bool:
        number = to_number(text)
        return number is not None and compare(number, wanted)

    return as_number
