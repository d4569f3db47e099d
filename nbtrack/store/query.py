"""The language of filters and orders: MLflow's, plus OR, NOT, parentheses, and the minimum and so on of a metric.

::

    metrics.acc > 0.9 and (params.kind = 'rf' or tags.`my tag` like '%x%') and attributes.status = 'FINISHED'
    min(metrics.loss) < 0.1        metrics.loss.min < 0.1        params.lr >= 0.01        tags.note is not null
    at_max(metrics.loss, metrics.acc) < 0.2                       the loss at the step at which acc was highest
    number(params.lr) desc                                        a param or tag as a number, in a filter or an order
    run_id in ('…', '…')           not params.kind in ('rf')        metrics.loss is not finite (or: is nan)

A key that a run does not have satisfies no comparison, not even ``!=``. A filter is read by this file's own tokenizer
and never evaluated as code; its length and depth are limited.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeAlias

from nbtrack.errors import FilterSyntaxError

Kind = Literal["attribute", "param", "metric", "tag"]
MAX_LENGTH: Final = 20_000
MAX_DEPTH: Final = 60
AGGREGATES: Final = ("last", "min", "max", "count", "step", "min_step", "max_step")
AT_BEST: Final = ("at_min", "at_max")
ATTRIBUTES: Final = {
    "run_id": "run_id",
    "run_name": "run_name",
    "name": "run_name",
    "run name": "run_name",
    "status": "status",
    "experiment_id": "experiment_id",
    "start_time": "start_time",
    "created": "start_time",
    "end_time": "end_time",
    "user_id": "user_id",
    "user": "user_id",
    "lifecycle_stage": "lifecycle_stage",
    "artifact_uri": "artifact_uri",
    "duration": "duration",
}
NUMERIC_ATTRIBUTES: Final = frozenset({"start_time", "end_time", "duration"})
COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
PREFIXES: Final[dict[str, Kind]] = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
}
_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<word>[^\W\d][\w/:@-]*(?:\.[\w/:@-]+)*)(?:\.(?P<quoted>"[^"]*"|`[^`]*`))?
    | (?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|`[^`]*`)
    | (?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE | re.DOTALL,
)


class Field(NamedTuple):
    """Something that runs can be compared by. `aggregate` is empty unless one was asked for by name."""

    kind: Kind
    key: str
    aggregate: str = ""
    by: str = ""  # at_min, at_max: the metric whose best step counts


class Compare(NamedTuple):
    """One comparison. `value` is a number, a text, a tuple of texts for IN, or None for IS NULL."""

    field: Field
    op: str
    value: Any


class Not(NamedTuple):
    """The opposite of a condition, among the runs that have the keys in question or not."""

    item: Node


class Join(NamedTuple):
    """``and`` or ``or`` of several conditions."""

    op: Literal["and", "or"]
    items: tuple[Node, ...]


Node: TypeAlias = "Compare | Not | Join"


class Order(NamedTuple):
    """One ``order_by`` clause."""

    field: Field
    descending: bool


class _Token(NamedTuple):
    kind: str
    text: str
    at: int
    quoted: str = ""


def _tokens(text: str, what: str) -> list[_Token]:
    if not isinstance(text, str):
        raise FilterSyntaxError(f"{what}: expected text, got {type(text).__name__} {text!r:.60}.")
    if len(text) > MAX_LENGTH:
        raise FilterSyntaxError(
            f"{what}: too long; expected at most {MAX_LENGTH:,} characters, got {len(text):,}. Pass many run ids as"
            " run_ids."
        )
    found: list[_Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            _fail(what, text, at, "this cannot be read")
        kind = match.lastgroup or ""
        if kind == "quoted":
            found.append(_Token("word", match["word"], match.start("word"), match["quoted"]))
        else:
            found.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return found


def _fail(where: str, text: str, at: int, what: str) -> NoReturn:
    shown = text[max(0, at - 40) : at] + "⟨here⟩" + text[at : at + 40]
    example = "metrics.acc DESC" if where == "order_by" else "metrics.acc > 0.9 and params.kind = 'rf'"
    raise FilterSyntaxError(
        f'{where}: {what} at character {at + 1}: {shown!r}. Write for example "{example}"; values of params and tags'
        " stand in single quotes."
    )


def _unquote(text: str) -> str:
    inner = text[1:-1]
    if text[0] == "`":
        return inner
    inner = inner.replace("''", "'") if text[0] == "'" else inner
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL) if "\\" in inner else inner


class Parser:
    """Reads a filter, column or order; `also` are attributes that only several stores together have."""

    def __init__(self, text: str, what: str = "filter", also: Collection[str] = ()) -> None:
        self.what = what
        self.also = also
        self.text = text
        self.tokens = _tokens(text, what)
        self.at = 0
        self.depth = 0

    def peek(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def fail(self, what: str) -> NoReturn:
        token = self.peek()
        _fail(self.what, self.text, token.at if token else len(self.text.rstrip()), what)

    def take(self, what: str) -> _Token:
        token = self.peek()
        if token is None:
            self.fail(f"expected {what}, got the end")
        self.at += 1
        return token

    def word(self, *words: str) -> bool:
        token = self.peek()
        if token is not None and token.kind == "word" and not token.quoted and token.text.lower() in words:
            self.at += 1
            return True
        return False

    def sign(self, text: str) -> bool:
        token = self.peek()
        if token is not None and token.kind == "sign" and token.text == text:
            self.at += 1
            return True
        return False

    def joined(self, op: Literal["and", "or"], item: Callable[[], Node]) -> Node:
        items = [item()]
        while self.word(op):
            items.append(item())
        return items[0] if len(items) == 1 else Join(op, tuple(items))

    def expression(self) -> Node:
        return self.joined("or", lambda: self.joined("and", self.condition))

    def condition(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} deep")
        try:
            if self.word("not"):
                return Not(self.condition())
            if self.sign("("):
                node = self.expression()
                if not self.sign(")"):
                    self.fail("expected ')'")
                return node
            return self.comparison()
        finally:
            self.depth -= 1

    def field(self) -> Field:
        token = self.take("a key such as metrics.acc")
        if token.kind not in {"word", "text"} or (token.kind == "text" and token.text[0] == "'"):
            self.at -= 1
            self.fail("expected a key such as metrics.acc or params.lr")
        if token.kind == "text":
            return self.attribute(_unquote(token.text))
        name = token.text.lower()
        if name in AT_BEST and not token.quoted and self.sign("("):
            return self.at_best(name)
        if name == "number" and not token.quoted and self.sign("("):
            inner = self.field()
            if inner.kind not in {"param", "tag"} or inner.aggregate or not self.sign(")"):
                self.fail("expected number(params.KEY) or number(tags.KEY)")
            return Field(inner.kind, inner.key, "number")
        if name in AGGREGATES and not token.quoted and self.sign("("):
            inner = self.field()
            if inner.kind != "metric" or inner.aggregate or not self.sign(")"):
                self.fail(f"expected {name}(metrics.KEY)")
            return Field("metric", inner.key, name)
        head, dot, rest = token.text.partition(".")
        if not dot and not token.quoted:
            return self.attribute(token.text)
        kind = PREFIXES.get(head.lower())
        if kind is None:
            self.at -= 1
            self.fail(f"expected metrics., params., tags. or attributes. before the key, got {head!r}")
        key = rest
        if token.quoted:
            key = f"{rest}.{_unquote(token.quoted)}" if rest else _unquote(token.quoted)
        return self.attribute(key) if kind == "attribute" else Field(kind, key)

    def at_best(self, name: str) -> Field:
        """Read the rest of ``at_max(metrics.loss, metrics.acc)``: the loss at the step at which acc was highest."""
        wanted = self.field()
        comma = self.sign(",")
        by = self.field() if comma else wanted
        if not comma or not self.sign(")") or any(f.kind != "metric" or f.aggregate for f in (wanted, by)):
            self.fail(f"expected {name}(metrics.KEY, metrics.OTHER)")
        return Field("metric", wanted.key, name, by.key)

    def attribute(self, name: str) -> Field:
        known = ATTRIBUTES.get(name.lower(), name if name in self.also else None)
        if known is None:
            self.at -= 1
            names = ", ".join(sorted({*ATTRIBUTES.values(), *self.also}))
            what = f"{name!r} is no attribute of a run (those are {names})"
            self.fail(f"{what}; write metrics.KEY, params.KEY or tags.KEY for what was logged")
        return Field("attribute", known)

    def comparison(self) -> Node:
        field = self.field()
        if self.word("is"):
            negated = self.word("not")
            words = ("null", "nan", "finite") if _numeric(field) else ("null",)
            state = next(filter(self.word, words), None) or self.fail("expected NULL, or of a number NAN or FINITE")
            return Compare(field, f"is {'not ' * negated}{state}", None)
        negated = self.word("not")
        if self.word("in"):
            node: Node = Compare(field, "not in" if negated else "in", self.values(field))
            return node
        for op in ("like", "ilike"):
            if self.word(op):
                if _numeric(field):
                    self.fail(f"{op.upper()} compares text, and {field.key!r} is a number")
                value = self.text_value()
                return Compare(field, f"not {op}" if negated else op, value)
        token = self.take("a comparison")
        op = {"==": "=", "<>": "!="}.get(token.text, token.text)
        if negated or token.kind != "sign" or op in {"(", ")", ","}:
            self.at -= 1
            self.fail("expected one of = != < <= > >= LIKE ILIKE IN IS")
        return Compare(field, op, self.value(field, op))

    def text_value(self) -> str:
        token = self.take("a text in single quotes")
        if token.kind != "text" or token.text[0] == "`":
            self.at -= 1
            self.fail("expected a text in single quotes")
        return _unquote(token.text)

    def value(self, field: Field, op: str) -> Any:
        token = self.take("a value")
        if token.kind == "number":
            if not _numeric(field) and field.kind in {"attribute", "tag"}:
                return token.text
            return float(token.text) if field.kind != "attribute" or "." in token.text else int(float(token.text))
        if token.kind == "text" and token.text[0] != "`":
            text = _unquote(token.text)
            return _as_number(text, self.fail) if _numeric(field) else text
        if _numeric(field) and token.kind == "word" and token.text.lower() in {"nan", "inf", "infinity"}:
            return float(token.text)
        self.at -= 1
        return self.fail(f"expected a {'number' if _numeric(field) else 'text in single quotes'} after {op}")

    def values(self, field: Field) -> tuple[Any, ...]:
        if not self.sign("("):
            self.fail("expected '(' after IN")
        found = [self.value(field, "IN")]
        while self.sign(","):
            found.append(self.value(field, "IN"))
        if not self.sign(")"):
            self.fail("expected ',' or ')'")
        return tuple(found)


def _as_number(text: str, fail: Callable[[str], NoReturn]) -> float:
    try:
        return float(text)
    except ValueError:
        fail(f"expected a number, got {text!r}")


def _numeric(field: Field) -> bool:
    if field.kind == "attribute":
        return field.key in NUMERIC_ATTRIBUTES
    return field.kind == "metric" or field.aggregate == "number"


def parse_filter(text: str) -> Node | None:
    """Return the condition that `text` states, or None if it is empty.

    Raises
    ------
    FilterSyntaxError
        If it cannot be read; the message points to the place.
    """
    if not text or (isinstance(text, str) and text.isspace()):
        return None
    parser = Parser(text)
    node = parser.expression()
    if parser.peek() is not None:
        parser.fail("expected AND, OR or the end")
    return node


def parse_field(text: str, also: Collection[str] = ()) -> Field:
    """Return what one expression such as ``"min(metrics.loss)"`` stands for; raises FilterSyntaxError."""
    parser = Parser(text, "column", also)
    field = parser.field()
    if parser.peek() is not None:
        parser.fail("expected the end")
    return field


def parse_order(clauses: Sequence[str], also: Collection[str] = ()) -> list[Order]:
    """Return what ``order_by`` clauses such as ``"metrics.acc DESC"`` state; raises FilterSyntaxError."""
    if isinstance(clauses, str):
        clauses = [clauses]
    found: list[Order] = []
    for clause in clauses:
        parser = Parser(clause, "order_by", also)
        field = parser.field()
        descending = parser.word("desc")
        if not descending:
            parser.word("asc")
        if parser.peek() is not None:
            parser.fail("expected ASC, DESC or the end")
        found.append(Order(field, descending))
    return found


def like(pattern: str, *, ignore_case: bool) -> Callable[[str], bool]:
    """Return a test of text against a SQL pattern: ``%`` is any text, ``_`` any one character.

    It takes time in proportion to the text, whatever the pattern.
    """
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    parts = [re.compile("".join("." if c == "_" else re.escape(c) for c in p), flags) for p in pattern.split("%")]
    if len(parts) == 1:
        return lambda text: parts[0].fullmatch(text) is not None

    def test(text: str) -> bool:
        first = parts[0].match(text)
        if first is None:
            return False
        at = first.end()
        for part in parts[1:-1]:
            found = part.search(text, at)
            if found is None:
                return False
            at = found.end()
        stop = len(text) - len(pattern.rpartition("%")[2])
        return stop >= at and parts[-1].fullmatch(text, stop) is not None

    return test
