"""The filter language of registry searches: conditions joined by AND, as MLflow's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from nbtrack.errors import FilterSyntaxError

Condition = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<op>>=|<=|!=|=|>|<)|(?P<text>'[^']*'|"[^"]*")|(?P<number>[-+]?\d+(?:\.\d+)?)\b
        |(?P<key>(?:tags?\.)?`[^`]*`|[A-Za-z_][A-Za-z0-9_.\-]*))""",
    re.VERBOSE,
)
_MAX_LENGTH: Final = 10_000
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}


def parse_filter(text: str | None, keys: tuple[str, ...]) -> Condition:
    """Return a function that says whether a record (key -> value; tags as ``tags.<key>``) fits `text`.

    Raises
    ------
    FilterSyntaxError
        If `text` is no list of conditions such as ``name = 'clf' AND tags.team LIKE 'a%'``.
    """
    tokens = _tokens(text or "")
    conditions: list[Condition] = []
    at = 0
    while at < len(tokens):
        if conditions:
            if tokens[at] != ("key", "AND") and tokens[at][1].upper() != "AND":
                raise _error(text, f"expected AND, got {tokens[at][1]!r}")
            at += 1
        condition, at = _condition(tokens, at, text, keys)
        conditions.append(condition)
    return lambda record: all(condition(record) for condition in conditions)


def _tokens(text: str) -> list[tuple[str, str]]:
    if not isinstance(text, str) or len(text) > _MAX_LENGTH:
        raise FilterSyntaxError(f"filter: expected text of at most {_MAX_LENGTH:,} characters.")
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            raise _error(text, f"cannot read {text[at : at + 20].strip()!r}")
        found.append((token.lastgroup, token[token.lastgroup]))
        at = token.end()
    return found


def _condition(
    tokens: list[tuple[str, str]], at: int, text: str | None, keys: tuple[str, ...]
) -> tuple[Condition, int]:
    part = tokens[at : at + 4]
    if len(part) < 3 or part[0][0] != "key":
        raise _error(text, "expected KEY OPERATOR VALUE")
    key = _key(part[0][1])
    if key not in keys and not key.startswith("tags."):
        raise _error(text, f"unknown key {key!r}; known are {', '.join(keys)} and tags.KEY")
    (kind, op), width = part[1], 3
    word = op.upper()
    if kind == "op":
        return _comparison(key, _COMPARE[op], op, part[2], text), at + width
    negate = word == "NOT"
    if negate:
        if len(part) < 4:
            raise _error(text, "expected NOT LIKE VALUE")
        word, width = part[2][1].upper(), 4
    value_kind, value = part[width - 1]
    if word not in {"LIKE", "ILIKE"} or value_kind != "text":
        raise _error(text, f"expected an operator (= != < > <= >= LIKE ILIKE) and a quoted text after {key!r}")
    fits = _like(value[1:-1], word == "ILIKE")
    return lambda record: key in record and fits(str(record[key])) is not negate, at + width


def _comparison(
    key: str, compare: Callable[[Any, Any], bool], op: str, token: tuple[str, str], text: str | None
) -> Condition:
    kind, shown = token
    if kind not in {"text", "number"}:
        raise _error(text, f"expected a quoted text or a number after {op!r}, got {shown!r}")
    value: Any = shown[1:-1] if kind == "text" else float(shown)

    def fits(record: Mapping[str, Any]) -> bool:
        mine = record.get(key)
        if mine is None:
            return False
        try:
            return compare(float(mine), float(value)) if isinstance(mine, (int, float)) else compare(mine, str(value))
        except ValueError:
            return op == "!="

    return fits


def _key(token: str) -> str:
    head, dot, tail = token.partition(".")
    if dot and head.lower() in {"tag", "tags"}:
        return f"tags.{tail.strip('`')}"
    return token.strip("`").lower()


def _like(pattern: str, fold_case: bool) -> Callable[[str], bool]:
    """SQL's LIKE without a regular expression, whose worst case grows without bound."""
    wanted = pattern.lower() if fold_case else pattern

    def fits(value: str) -> bool:
        text = value.lower() if fold_case else value
        i = j = 0
        star, mark = -1, 0
        while i < len(text):
            if j < len(wanted) and wanted[j] == "%":
                star, mark = j, i
                j += 1
            elif j < len(wanted) and wanted[j] in {"_", text[i]}:
                i, j = i + 1, j + 1
            elif star >= 0:
                mark += 1
                i, j = mark, star + 1
            else:
                return False
        return all(c == "%" for c in wanted[j:])

    return fits


def _error(text: str | None, why: str) -> FilterSyntaxError:
    shown = repr(text)
    return FilterSyntaxError(
        f"filter {shown if len(shown) <= 80 else shown[:77] + '…'}: {why}."
        " Write conditions such as name = 'clf' AND tags.team LIKE 'a%'."
    )
