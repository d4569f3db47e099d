"""Conditions over the metrics of one run while it goes on, in the language of filters.

``val_loss > 1``, ``loss is not finite``, ``min(loss) < 0.1 and acc.max > 0.9``: a bare name is a metric here, and means
the value logged last. As long as a metric has no value, nothing that is said of it is true, nor its opposite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite, isnan
from typing import Any, Final, NamedTuple

from nbtrack.entities import MetricSummary
from nbtrack.errors import FilterSyntaxError
from nbtrack.store.query import AGGREGATES, COMPARE, PREFIXES, Compare, Field, Join, Node, Not, Parser

MAX_LENGTH: Final = 500
_KNOWN: Final = ("last", "min", "max", "count", "step")
_STATES: Final[dict[str, Callable[[float], bool]]] = {"is nan": isnan, "is finite": isfinite}


class Condition(NamedTuple):
    """What is to become true of a run's metrics, and which metrics it is about."""

    text: str
    node: Node
    keys: frozenset[str]


class _Conditions(Parser):
    """Reads bare names as metrics, and nothing but metrics."""

    def field(self) -> Field:
        token = self.peek()
        if token is not None and token.kind == "word" and not token.quoted:
            head, dot, _ = token.text.partition(".")
            if dot and head.lower() not in PREFIXES:  # val.loss
                self.at += 1
                return self._with_aggregate(token.text)
        field = super().field()
        if field.kind != "metric":
            self.at -= 1
            self.fail(f"an alert watches metrics, got the {field.kind} {field.key!r}")
        if field.aggregate not in {"", *_KNOWN}:
            self.fail(f"expected one of {', '.join(_KNOWN)} of a metric, got {field.aggregate}")
        return field if field.aggregate else self._with_aggregate(field.key)

    def attribute(self, name: str) -> Field:
        return Field("metric", name)

    def _with_aggregate(self, key: str) -> Field:
        name, _, last = key.rpartition(".")
        return Field("metric", name, last) if name and last in AGGREGATES and last in _KNOWN else Field("metric", key)


def parse_condition(text: str) -> Condition:
    """Return what `text` states; raises FilterSyntaxError, whose message points to the place."""
    if not isinstance(text, str) or not text.strip():
        raise FilterSyntaxError(f'alert: expected a condition such as "val_loss > 1", got {text!r:.60}.')
    if len(text) > MAX_LENGTH:
        raise FilterSyntaxError(f"alert: too long; expected at most {MAX_LENGTH} characters, got {len(text):,}.")
    parser = _Conditions(text, "alert")
    node = parser.expression()
    if parser.peek() is not None:
        parser.fail("expected AND, OR or the end")
    return Condition(text.strip(), node, frozenset(_keys(node)))


def _keys(node: Node) -> Iterator[str]:
    match node:
        case Compare(field, _, _):
            yield field.key
        case Not(item):
            yield from _keys(item)
        case Join(_, items):
            for item in items:
                yield from _keys(item)


def holds(node: Node, metrics: Mapping[str, MetricSummary]) -> bool | None:
    """Return whether a condition is true of these metrics; None where one of them has no value yet."""
    match node:
        case Compare(field, op, value):
            summary = metrics.get(field.key)
            if op in {"is null", "is not null"}:
                return (summary is None) == (op == "is null")
            return None if summary is None else _compare(getattr(summary, field.aggregate or "last"), op, value)
        case Not(item):
            inner = holds(item, metrics)
            return None if inner is None else not inner
        case Join(op, items):
            found = [holds(item, metrics) for item in items]
            decided = op == "or"  # one that is so decides it
            return decided if decided in found else None if None in found else not decided


def _compare(number: float, op: str, value: Any) -> bool:
    plain = op.replace("not ", "")
    if plain in _STATES:
        return _STATES[plain](number) == (plain == op)
    if plain == "in":
        return (number in value) == (plain == op)
    return COMPARE[op](number, value)
