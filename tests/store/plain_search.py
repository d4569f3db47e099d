"""Filters and orders run by run: the plain meaning of the language, which the index must agree with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isnan
from typing import Any, Final

from nbtrack.entities import TAG_USER
from nbtrack.store.query import COMPARE, Compare, Field, Join, Node, Not, Order, like
from nbtrack.store.state import COUNT, LAST, MAX, MAX_STEP, MIN, MIN_STEP, STEP, RunState
from nbtrack.store.vector import resolve, to_number

AGGREGATE_AT: Final = {
    "": LAST,
    "last": LAST,
    "min": MIN,
    "max": MAX,
    "count": COUNT,
    "step": STEP,
    "min_step": MIN_STEP,
    "max_step": MAX_STEP,
}


def attribute_of(state: RunState, key: str) -> Any:
    """One attribute of a run, None where it has none."""
    match key:
        case "run_id":
            return state.run_id
        case "run_name":
            return state.name
        case "status":
            return state.status
        case "experiment_id":
            return state.exp
        case "start_time":
            return state.start
        case "end_time":
            return state.end
        case "user_id":
            return state.tags.get(TAG_USER, "")
        case "lifecycle_stage":
            return "deleted" if state.deleted else "active"
        case "artifact_uri":
            return f"runs:/{state.run_id}"
        case "duration":
            return None if state.end is None else state.end - state.start
    raise KeyError(key)


def value_of(state: RunState, field: Field) -> Any:
    """What a run has for `field`, None if nothing."""
    match field.kind:
        case "metric":
            assert not field.by, "what a metric was at another's best step is in the logs, not in the summary"
            summary = state.metrics.get(field.key)
            return None if summary is None else summary[AGGREGATE_AT[field.aggregate]]
        case "param" | "tag":
            text = (state.params if field.kind == "param" else state.tags).get(field.key)
            return to_number(text) if text is not None and field.aggregate == "number" else text
    return attribute_of(state, field.key)


def compare_value(op: str, found: Any, wanted: Any) -> bool:
    """Return whether one value satisfies one comparison."""
    if op == "is null":
        return found is None
    if found is None:
        return False
    if op == "is not null":
        return True
    if op.endswith("in"):
        return (found in wanted) == (op == "in")
    if op.endswith("like"):
        test = like(wanted, ignore_case=op.endswith("ilike"))
        return test(str(found)) != op.startswith("not")
    if isinstance(found, str) and not isinstance(wanted, str):
        number = to_number(found)
        return number is not None and COMPARE[op](number, wanted)
    return COMPARE[op](found, wanted)


def matches(node: Node | None, state: RunState, metric_keys: Iterable[str]) -> bool:
    """Return whether a run satisfies a filter."""
    match node:
        case None:
            return True
        case Compare(field, op, value):
            return compare_value(op, value_of(state, resolve(field, metric_keys)), value)
        case Not(item):
            return not matches(item, state, metric_keys)
        case Join("and", items):
            return all(matches(item, state, metric_keys) for item in items)
        case Join(_, items):
            return any(matches(item, state, metric_keys) for item in items)


def ordered(states: Sequence[RunState], orders: Sequence[Order], metric_keys: Iterable[str]) -> list[RunState]:
    """Return runs in the order asked for; equal ones newest first, then NaN, then those without the key."""
    found = sorted(states, key=lambda s: (s.start, s.run_id), reverse=True)
    for order in reversed(orders):
        field = resolve(order.field, metric_keys)
        values = {id(s): value_of(s, field) for s in found}
        missing = [s for s in found if values[id(s)] is None]
        odd = [s for s in found if isinstance(value := values[id(s)], float) and isnan(value)]
        apart = {id(s) for s in missing + odd}
        found = [s for s in found if id(s) not in apart]
        found.sort(key=lambda s: values[id(s)], reverse=order.descending)
        found += odd + missing
    return found
