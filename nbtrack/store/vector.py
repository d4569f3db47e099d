"""Evaluates filters and orders over the columns of the index, all runs at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nbtrack.entities import TAG_USER
from nbtrack.store.columns import Array, TextColumn, is_logged
from nbtrack.store.query import Compare, Field, Join, Node, Not, Order, like
from nbtrack.store.scan import COMPARE, resolve, to_number
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

    def numbers(self, field: Field) -> tuple[Array, Array] | None:
        """Return ``(values, which rows have one)`` of a number; None if the field is no number."""
        table, rows = self.table, self.rows
        if field.kind == "metric":
            metric = table.metrics.get(field.key)
            if metric is None:
                return np.zeros(rows), np.zeros(rows, bool)
            if field.aggregate in {"", "last"}:
                values = metric.last.dense(rows)
                return values, is_logged(values)
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
        good = np.append(column.texts.codes_where(_test(op, value)), False)  # the last one is for the missing code
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
    def sort_keys(self, order: Order) -> tuple[Array, Array]:
        """Return what sorts rows in the order asked for: their class (0 a value, 1 NaN, 2 nothing), then a number."""
        field = resolve(order.field, self.table.metrics)
        numbers = self.numbers(field)
        if numbers is not None:
            values, has = numbers
            odd = np.isnan(values) if values.dtype.kind == "f" else np.zeros(self.rows, bool)
            kind = np.where(has, odd.astype(np.int8), np.int8(2))
            keys = np.where(kind == 0, values, 0)
        elif field.kind == "attribute" and field.key in {"run_id", "artifact_uri"}:
            keys, kind = _ranks(self.table.ids.dense(self.rows)), np.zeros(self.rows, np.int8)
        elif field.kind == "attribute" and field.key == "lifecycle_stage":
            keys = (self.table.numbers["deleted"].dense(self.rows) != 0).astype(np.int8)
            kind = np.zeros(self.rows, np.int8)
        else:
            keys, kind = self._text_keys(field)
        return kind, -keys if order.descending else keys

    def _text_keys(self, field: Field) -> tuple[Array, Array]:
        column = self.text_column(field)
        if column is None:
            return np.zeros(self.rows, np.int64), np.zeros(self.rows, np.int8)
        codes = column.dense(self.rows)
        ranks = np.append(_ranks(np.array([*column.texts.all(), ""], dtype=object))[:-1], -1)
        keys: Array = ranks[codes].astype(np.int64)
        if field.kind == "attribute":  # a run without a user has the empty one
            return keys, np.zeros(self.rows, np.int8)
        return keys, np.where(codes < 0, np.int8(2), np.int8(0))

    def ordered(self, rows: Array, orders: Sequence[Order], limit: int | None) -> Array:
        """Return `rows` in order, the first `limit` of them; equal ones newest first."""
        keys = [key for order in orders for key in self.sort_keys(order)]
        start = self.table.numbers["start"].dense(self.rows)
        keys += [np.zeros(self.rows, np.int8), -start]
        if limit is not None and 0 < limit < len(rows) // 2:
            rows = _leading(rows, keys[0][rows], keys[1][rows], limit)
        sorted_rows = rows[np.lexsort([key[rows] for key in reversed(keys)])]
        return self._by_id_within_ties(sorted_rows, keys)[:limit]

    def _by_id_within_ties(self, rows: Array, keys: list[Array]) -> Array:
        """Let the ids decide, newest first, where everything else is equal."""
        if len(rows) < 2:
            return rows
        same = np.ones(len(rows) - 1, bool)
        for key in keys:
            values = key[rows]
            same &= values[1:] == values[:-1]
        if not same.any():
            return rows
        group = np.concatenate([[0], np.cumsum(~same)])
        ids = self.table.ids.take(rows, self.rows)
        return rows[np.lexsort([-_ranks(ids), group])]


def _leading(rows: Array, kinds: Array, keys: Array, limit: int) -> Array:
    """Return the rows that may be among the first `limit`, without sorting them all."""
    good = kinds == 0
    if np.count_nonzero(good) < limit:
        return rows
    edge = np.partition(keys[good], limit - 1)[limit - 1]
    leading: Array = rows[good & (keys <= edge)]
    return leading


def _ranks(values: Array) -> Array:
    """Return the rank of each value among the different ones."""
    return np.unique(values, return_inverse=True)[1]


def _compare_numbers(values: Array, has: Array, op: str, wanted: Any) -> Array:
    if op == "is null":
        return ~has
    if op == "is not null":
        return has
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
