"""Results that a cell tells its reader: what it computes, gives a name, and prints with a label or shows at its end."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.calls import told_by
from nbtrack.capture.metric_names import is_clock, is_metric_name, is_vetoed, is_written_out
from nbtrack.capture.resolve import MISSING, callee_name, is_number, literal, lookup, scalar
from nbtrack.reprs.directions import TIME_WORDS, name_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbtrack.capture.scan import Assigned, Scan

MAX_TOLD: Final = 100
MAX_DEPTH: Final = 4
_PRINTING: Final = frozenset({"print", "display", "info", "debug", "warning", "write", "echo", "Markdown", "HTML"})
_ROUNDING: Final = frozenset({"round", "float", "abs", "str", "repr", "item", "around"})
_MODULES: Final = frozenset({"np", "numpy", "torch", "math"})
_SHOWING: Final = frozenset({"to_string", "to_markdown", "head", "sort_values", "to_dict"})
_BLOCKS: Final = (ast.If, ast.With, ast.AsyncWith, ast.Try)
_FIELD: Final = re.compile(r"%(?!%)[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]|\{[^{}]*\}")
_BREAK: Final = re.compile(r"[,;|\n()\[\]]|\.\s")
_LEADING: Final = frozenset(
    {"the", "a", "our", "final", "overall", "with", "and", "epoch", "step", "fold", "got", "is"}
)
_MAX_LABEL_WORDS: Final = 5
_COUNTED: Final = frozenset({"epoch", "step", "iteration", "iter", "fold", "batch", "year", "day", "id"})
# What describes data or the machine: no result, unless a metric's name stands beside it.
_DESCRIBING: Final = _COUNTED | {"min", "max", "mem", "memory", "kb", "mb", "gb", "bytes", "load"}
_AGGREGATES: Final = frozenset({"mean", "std", "var", "min", "max", "median", "sum", "quantile", "nunique", "mode"})

Told = tuple[ast.expr, str]  # what is told, and the text before it


def label_key(label: str) -> str:
    """Return a label as the key of a metric: ``R^2 (test)`` -> ``r2_test``."""
    text = label.lower().replace("^2", "2").replace("²", "2")
    words = [word for word in re.split(r"[^a-z0-9@]+", text) if word]
    while len(words) > 1 and (words[0] in _LEADING or words[0].isdigit()):
        words.pop(0)
    return "_".join(words)


def told_results(scan: Scan, names: Mapping[str, Any], result: Any = None) -> dict[str, float]:
    """Return the numbers that a cell computes under a name and tells outside of its loops.

    Parameters
    ----------
    scan
        What the text says.
    names
        The user's variables after the cell ran.
    result
        The last value of the cell.

    Returns
    -------
    dict
        Key -> value: under the name of the variable; where that is no metric's name, and the label before it is,
        under the label.
    """
    inputs = _inputs(scan, names)
    found: dict[str, float] = {}
    for node, label in _told(scan):
        bare = _bare(node)
        if isinstance(bare, ast.Name):
            if bare.id not in scan.assigned:
                continue
            found |= {key: number for key, number in _of_several(names.get(bare.id)).items() if key not in found}
            if bare.id in inputs or not _is_computed(bare.id, scan, names):
                continue
            if len(bare.id) == 1 and not label.endswith(f" {bare.id}"):  # Cohen's d, but no w and b
                continue
            held, name = names.get(bare.id, MISSING), bare.id
        elif isinstance(bare, (ast.Attribute, ast.Subscript)):
            held, name = _part(bare, names)
            said = label_key(label)
            if not (is_metric_name(name) or is_metric_name(said) or (name and said.endswith(name.lower()))):
                continue
        else:
            continue
        number, key = _float(held), label_key(label)
        if number is None or _is_time(name, label):
            continue
        if is_metric_name(name) or not is_metric_name(key) or key.count("_") >= _MAX_LABEL_WORDS:
            key = name
        if key in scan.assigned or number not in found.values() or number in {0.0, 1.0}:
            found.setdefault(key, number)
    found |= {key: number for key, number in _of_several(result).items() if key not in found}
    return dict(list(found.items())[:MAX_TOLD])


# -- what is told -----------------------------------------------------------------------------------------------------
def _told(scan: Scan) -> Iterator[Told]:
    """Give what the statements outside of loops print, and what the cell shows at its end."""
    for statement in _outside_of_loops(scan.tree.body if scan.tree is not None else []):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            if callee_name(statement.value) in _PRINTING:
                yield from _printed(statement.value.args)
        elif isinstance(statement, ast.For) and (over := _gone_through(statement)) is not None:
            yield over, ""
    if scan.last is not None:
        parts = scan.last.elts if isinstance(scan.last, (ast.Tuple, ast.List)) else [scan.last]
        if isinstance(scan.last, ast.Dict):
            parts = [value for key, value in zip(scan.last.keys, scan.last.values, strict=True) if key is not None]
        yield from _printed([part for part in parts if not isinstance(part, ast.Constant)])


def _outside_of_loops(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, _BLOCKS):
            inner = [*statement.body, *getattr(statement, "orelse", ()), *getattr(statement, "finalbody", ())]
            yield from _outside_of_loops(inner)


def _gone_through(loop: ast.For) -> ast.expr | None:
    """Return ``report`` of ``for key, value in report.items(): print(key, value)``."""
    over = loop.iter
    if not (isinstance(over, ast.Call) and isinstance(over.func, ast.Attribute) and over.func.attr == "items"):
        return None
    prints = any(isinstance(one, ast.Call) and callee_name(one) in _PRINTING for one in ast.walk(loop))
    return over.func.value if prints else None


def _printed(args: list[ast.expr]) -> Iterator[Told]:
    text = ""
    for arg in args:
        for node, before in _fields(arg, text):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = before + node.value
            else:
                yield node, _label(before)
                text = ""


def _fields(arg: ast.expr, before: str) -> Iterator[Told]:
    """Give the parts of one argument, each with the text before it; text itself comes as a constant."""
    if isinstance(arg, ast.JoinedStr):
        for part in arg.values:
            if isinstance(part, ast.FormattedValue):
                yield part.value, before
                before = ""
            elif isinstance(part, ast.Constant):
                before += str(part.value)
        yield ast.Constant(before), ""
    elif isinstance(arg, ast.BinOp) and isinstance(arg.op, ast.Mod) and isinstance(arg.left, ast.Constant):
        values = arg.right.elts if isinstance(arg.right, ast.Tuple) else [arg.right]
        yield from _filled(str(arg.left.value), values, before)
    elif isinstance(arg, ast.BinOp) and isinstance(arg.op, ast.Add) and _is_text(arg.left):  # "loss " + str(loss)
        for node, text in _fields(arg.left, before):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                before = text + node.value
            else:
                yield node, text
                before = ""
        yield from _fields(arg.right, before)
    elif (
        isinstance(arg, ast.Call)
        and isinstance(arg.func, ast.Attribute)
        and arg.func.attr == "format"
        and isinstance(arg.func.value, ast.Constant)
    ):
        yield from _filled(str(arg.func.value.value), arg.args, before)
    else:
        yield arg, before


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        return _is_text(node.left)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _filled(template: str, values: list[ast.expr], before: str) -> Iterator[Told]:
    texts = _FIELD.split(template.replace("%%", "\0"))
    if len(texts) != len(values) + 1:
        return
    for text, value in zip(texts, values, strict=False):
        yield value, before + text
        before = ""


def _label(text: str) -> str:
    """Return the words right before a number: ``Test RMSE`` of ``done; Test RMSE: ``."""
    return _BREAK.split(text.rstrip(" :=~≈\t"))[-1].strip()


def _bare(node: ast.expr) -> ast.expr:
    """Return what is told without its form: ``auc`` of ``round(auc, 3)`` and ``100 * auc``, ``t`` of ``t.head()``."""
    while True:
        if isinstance(node, ast.Call) and callee_name(node) in _ROUNDING:
            of_object = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") not in _MODULES
            inner = [node.func.value] if of_object and isinstance(node.func, ast.Attribute) else node.args[:1]
            if not inner:
                return node
            node = inner[0]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and is_number(literal(node.right)):
            node = node.left
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and is_number(literal(node.left)):
            node = node.right
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and callee_name(node) in _SHOWING
            and isinstance(node.func.value, (ast.Name, ast.Call))
        ):
            node = node.func.value
        else:
            return node


# -- what of it is a result -------------------------------------------------------------------------------------------
def _inputs(scan: Scan, names: Mapping[str, Any]) -> set[str]:
    """Return the variables that the cell hands to what trains: those are settings, however they were computed."""
    given = [
        node
        for call in scan.calls
        if callee_name(call) not in _PRINTING and told_by(call, names, scan.unused) == "all"
        for node in [*call.args, *(keyword.value for keyword in call.keywords)]
    ]
    return {node.id for node in given if isinstance(node, ast.Name)}


def _is_computed(name: str, scan: Scan, names: Mapping[str, Any]) -> bool:
    """Return whether the cell computed what a variable holds, from more than settings and clocks."""
    assigned = scan.assigned[name]
    if is_vetoed(name) or all(one.each or one.value is None for one in assigned):
        return False
    if not is_metric_name(name) and not _DESCRIBING.isdisjoint(name_words(name)):
        return False
    if all(_describes(one.value, scan) for one in assigned):
        return False
    if any(_reads_clock(one, scan, names) for one in assigned):
        return False
    return any(_is_from_data(one, scan, names) for one in assigned)


def _describes(node: ast.expr | None, scan: Scan) -> bool:
    """Return whether this only sums up data that was there before the cell: ``df.age.mean()``."""
    if not (isinstance(node, ast.Call) and callee_name(node) in _AGGREGATES and isinstance(node.func, ast.Attribute)):
        return False
    root: ast.expr = node
    while isinstance(root, (ast.Call, ast.Attribute, ast.Subscript)):
        root = root.func if isinstance(root, ast.Call) else root.value
    return isinstance(root, ast.Name) and root.id not in scan.assigned and root.id not in _MODULES


def _reads_clock(one: Assigned, scan: Scan, names: Mapping[str, Any], depth: int = 0) -> bool:
    nodes = list(ast.walk(one.value)) if one.value is not None else []
    if any(isinstance(node, ast.Call) and is_clock(node, names) for node in nodes):
        return True
    used = {node.id for node in nodes if isinstance(node, ast.Name) and scalar(names.get(node.id)) is not None}
    parts = [part for name in used for part in scan.assigned.get(name, ()) if depth < MAX_DEPTH]
    return any(_reads_clock(part, scan, names, depth + 1) for part in parts)


def _is_from_data(one: Assigned, scan: Scan, names: Mapping[str, Any], depth: int = 0) -> bool:
    """Return whether an expression needs more than written numbers: a call, a part of something, such a variable."""
    if one.value is None or is_written_out(one.value):
        return False
    for node in ast.walk(one.value):
        if isinstance(node, (ast.Call, ast.Subscript, ast.Attribute)):
            return True
        if isinstance(node, ast.Name):
            if node.id in names and scalar(names[node.id]) is None:
                return True
            inner = scan.assigned.get(node.id, ())
            if depth < MAX_DEPTH and any(_is_from_data(part, scan, names, depth + 1) for part in inner):
                return True
    return False


def _is_time(name: str, label: str) -> bool:
    return not TIME_WORDS.isdisjoint({*name_words(name), *name_words(label)}) or "eta" in {name.lower(), label.lower()}


def _float(value: Any) -> float | None:
    """Return a number that is no count as a float."""
    if isinstance(value, int) or "int" in str(getattr(value, "dtype", "")):
        return None
    return None if value is MISSING else scalar(value)


def _part(node: ast.Attribute | ast.Subscript, names: Mapping[str, Any]) -> tuple[Any, str]:
    """Return what an object holds under a name, and the name; no property runs."""
    base = lookup(node.value, names)
    if isinstance(node, ast.Subscript):
        key = literal(node.slice)
        return (base.get(key, MISSING), key) if type(base) is dict and isinstance(key, str) else (MISSING, "")
    name = node.attr.rstrip("_")
    fields: tuple[str, ...] = getattr(type(base), "_fields", ())
    if isinstance(base, tuple) and node.attr in fields:
        return base[fields.index(node.attr)], name
    try:
        return object.__getattribute__(base, "__dict__").get(node.attr, MISSING), name
    except (AttributeError, TypeError):
        return MISSING, name


def _of_several(value: Any) -> dict[str, float]:
    """Return the numbers of a shown dict, Series or named tuple of which one is called like a metric."""
    kind = type(value)
    if kind.__name__ == "DataFrame" and kind.__module__.startswith("pandas"):
        return _of_table(value)
    if kind is dict:
        pairs = list(value.items())
    elif kind.__name__ == "Series" and kind.__module__.startswith("pandas") and str(value.dtype).startswith("float"):
        pairs = list(zip(value.index[:MAX_TOLD], value.to_numpy()[:MAX_TOLD], strict=True))
    elif isinstance(value, tuple) and hasattr(kind, "_fields"):
        pairs = list(zip(kind._fields, value, strict=False))
    else:
        return {}
    numbers = {key: _float(item) for key, item in pairs[:MAX_TOLD] if isinstance(key, str)}
    known = {key: number for key, number in numbers.items() if number is not None}
    if not any(is_metric_name(key) for key in known):
        return {}
    return {
        key: number
        for key, number in known.items()
        if not is_vetoed(key) and not _is_time(key, "") and _COUNTED.isdisjoint(name_words(key))
    }


def _of_table(table: Any) -> dict[str, float]:
    """Return the cells of a small table of results, whose columns, or whose rows, are called like metrics."""
    if not 0 < table.size <= MAX_TOLD or len(set(table.index)) < len(table.index):
        return {}
    if sum(map(is_metric_name, map(str, table.index))) > sum(map(is_metric_name, map(str, table.columns))):
        table = table.T
    if not all(isinstance(label, str) for label in table.index):
        return {}
    columns = [name for name in table.columns if isinstance(name, str) and is_metric_name(name)]
    cells = {f"{label}.{name}": _float(table.at[label, name]) for label in table.index for name in columns}
    return {key: number for key, number in cells.items() if number is not None}
