"""The language of filters and orders over several stores: what only they know together is put for each of them.

Each store is asked for itself, and knows neither how it is called beside the others (the attribute ``store``) nor the
experiments by name. Such a condition is put for each store as what it comes to there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from nbtrack.reprs.compare import STORE_COLUMN
from nbtrack.store.base import ColumnKind
from nbtrack.store.query import COMPARE, Compare, Field, Node, Order, Parser, like, parse_order
from nbtrack.store.vector import resolve

ALSO: Final = (STORE_COLUMN,)
_PLAIN: Final = re.compile(r"[A-Za-z_]\w*")
_ALL: Final = "run_id is not null"
_NONE: Final = "run_id is null"
_FOREIGN: Final = (STORE_COLUMN, "experiment_id")


class _Spans(Parser):
    """Also notes where in the text each condition stands that a store by itself does not understand."""

    def __init__(self, text: str) -> None:
        super().__init__(text, also=ALSO)
        self.found: list[tuple[int, int, Compare]] = []

    def comparison(self) -> Node:
        first = self.peek()
        node = super().comparison()
        if first is not None and isinstance(node, Compare) and node.field[:2] in {("attribute", k) for k in _FOREIGN}:
            after = self.peek()
            self.found.append((first.at, len(self.text) if after is None else after.at, node))
        return node


def _fits(node: Compare, text: str) -> bool:
    """Return whether a text satisfies one comparison."""
    plain = node.op.removeprefix("not ")
    if plain in {"is null", "is not null"}:
        return plain == "is not null"
    if plain == "in":
        fits = text in node.value
    elif plain in {"like", "ilike"}:
        fits = like(str(node.value), ignore_case=plain == "ilike")(text)
    else:
        return COMPARE[plain](text, str(node.value))
    return fits != node.op.startswith("not ")


class JoinedFilter:
    """A filter over several stores.

    Raises
    ------
    FilterSyntaxError
        If it cannot be read.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans: list[tuple[int, int, Compare]] = []
        if text and not text.isspace():
            parser = _Spans(text)
            parser.expression()
            if parser.peek() is not None:
                parser.fail("expected AND, OR or the end")
            self._spans = parser.found

    def within(self, store: str, experiments: Mapping[str, str]) -> str:
        """Return the filter for the store of this name, whose `experiments` are ids by name."""
        text = self._text
        for first, end, node in reversed(self._spans):
            if node.field.key == STORE_COLUMN:
                said = _ALL if _fits(node, store) else _NONE
            else:
                ids = ", ".join(f"'{key}'" for name, key in experiments.items() if _fits(node, name))
                said = f"experiment_id in ({ids})" if ids else _NONE
            text = f"{text[:first]}{said} {text[end:]}"
        return text


def named_experiments(text: str, experiments: Mapping[str, str]) -> str:
    """Return a filter as one store reads it: ``experiment_id = 'wine'`` may name one of `experiments` (ids by name).

    Raises
    ------
    FilterSyntaxError
        If it cannot be read.
    """
    parser = _Spans(text)
    parser.expression()
    ids = set(experiments.values())
    for first, end, node in reversed(parser.found):
        is_name = node.field.key == "experiment_id" and node.op == "=" and node.value not in ids
        if is_name and node.value in experiments:
            text = f"{text[:first]}experiment_id = '{experiments[node.value]}' {text[end:]}"
    return text


def orders_of(clauses: Sequence[str], metrics: Callable[[], Collection[str]]) -> list[Order]:
    """Return what ``order_by`` clauses state, ``metrics.loss.min`` read as a single store reads it.

    `metrics` tells the keys of all metrics; it is called only where that makes a difference.
    """
    orders = parse_order(clauses, ALSO)
    if all(resolve(one.field, ()) == one.field for one in orders):
        return orders
    known = metrics()
    return [Order(resolve(one.field, known), one.descending) for one in orders]


def clauses_of(orders: Iterable[Order]) -> list[str]:
    """Return the clauses as each store understands them; a store lies in one store throughout."""
    told = [one for one in orders if one.field[:2] != ("attribute", STORE_COLUMN)]
    return [f"{text_of(one.field)} {'DESC' if one.descending else 'ASC'}" for one in told]


def text_of(field: Field) -> str:
    """Return a field as the language writes it."""
    if field.kind == "attribute":
        return field.key
    said = [f"{field.kind}s.{_quoted(field.key)}", *([f"metrics.{_quoted(field.by)}"] if field.by else [])]
    return f"{field.aggregate}({', '.join(said)})" if field.aggregate else said[0]


def _quoted(key: str) -> str:
    return key if _PLAIN.fullmatch(key) else f'"{key}"' if "`" in key else f"`{key}`"


def column_of(field: Field) -> tuple[ColumnKind, str]:
    """Return what :meth:`Store.run_table` calls the column that an order is about."""
    return (field.kind, text_of(field)) if field.aggregate and field.kind == "metric" else (field.kind, field.key)
