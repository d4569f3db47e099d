"""Results that a cell tells its reader: what it computes, gives a name, and prints with a label or shows at its end."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.calls import told_by
from nbtrack.capture.configs import as_dict
from nbtrack.capture.metric_names import COUNTERS, is_clock, is_metric_name, is_vetoed, is_written_out
from nbtrack.capture.resolve import MISSING, callee_name, literal, lookup, scalar
from nbtrack.capture.telling import MODULES, PRINTING, bare, label_key, told_parts
from nbtrack.reprs.directions import TIME_WORDS, name_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.capture.scan import Assigned, Scan

MAX_TOLD: Final = 100
MAX_DEPTH: Final = 4
_MAX_LABEL_WORDS: Final = 5
# What describes data or the machine: no result, unless a metric's name stands beside it.
_DESCRIBING: Final = COUNTERS | {"min", "max", "mem", "memory", "kb", "mb", "gb", "bytes", "load"}
_AGGREGATES: Final = frozenset({"mean", "std", "var", "min", "max", "median", "sum", "quantile", "nunique", "mode"})
_DESCRIBED: Final = frozenset({"count", "mean", "std"})  # the rows of ``describe()``


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
    for node, label in told_parts(scan):
        part = bare(node)
        if isinstance(part, ast.Name):
            if part.id not in scan.assigned:
                continue
            made = [one.value for one in scan.assigned[part.id]]
            _add_several(names.get(part.id), made, scan, names, found)
            if part.id in inputs or not _is_computed(part.id, scan, names):
                continue
            if len(part.id) == 1 and not label.endswith(f" {part.id}"):  # Cohen's d, but no w and b
                continue
            held, name = names.get(part.id, MISSING), part.id
        elif isinstance(part, (ast.Attribute, ast.Subscript)):
            held, name = _part(part, names)
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
        if is_news(key, number, scan, found):
            found.setdefault(key, number)
    if scan.last is not None and not isinstance(bare(scan.last), ast.Name) and not _is_of_before(scan.last, scan):
        _add_several(result, [scan.last], scan, names, found)
    return dict(list(found.items())[:MAX_TOLD])


def is_news(key: str, number: float, scan: Scan, found: Mapping[str, Any]) -> bool:
    """Return whether a number is more than one of `found` under another word: a variable's, or one that many share."""
    return key in scan.assigned or number not in found.values() or number in {0.0, 1.0}


def _inputs(scan: Scan, names: Mapping[str, Any]) -> set[str]:
    """Return the variables that the cell hands to what trains: those are settings, however they were computed."""
    given = [
        node
        for call in scan.calls
        if callee_name(call) not in PRINTING and told_by(call, names, scan.unused) == "all"
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
    return _is_of_before(node, scan)


def _is_of_before(node: ast.expr | None, scan: Scan) -> bool:
    """Return whether this comes from a variable that was there before the cell: ``df.describe()``."""
    while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and node.id not in scan.assigned and node.id not in MODULES


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


def _add_several(
    value: Any, made: list[ast.expr | None], scan: Scan, names: Mapping[str, Any], found: dict[str, float]
) -> None:
    """Add the numbers of a dict, Series, named tuple or table, but for settings that the cell put there."""
    settings = {
        key
        for node in made
        for dict_node in _dicts_in(node, scan)
        for key, held in as_dict(dict_node) or ()
        if is_written_out(held) or (isinstance(held, ast.Name) and _is_setting(held.id, scan, names))
    }
    for key, number in _of_several(value).items():
        if key not in settings:
            found.setdefault(key, number)


def _dicts_in(node: ast.expr | None, scan: Scan) -> list[ast.expr | None]:
    """Return what a dict or Series is made of: the dict itself, and that of ``pd.Series({…})`` and ``pd.Series(d)``."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and as_dict(node) is None:
        node = node.args[0]
    if isinstance(node, ast.Name):
        return [one.value for one in scan.assigned.get(node.id, ())]
    return [node]


def _is_setting(name: str, scan: Scan, names: Mapping[str, Any]) -> bool:
    """Return whether a variable holds a number that this cell did not compute, and is not called like a metric."""
    if is_metric_name(name) and name not in scan.assigned:
        return False
    return not any(_is_from_data(one, scan, names) for one in scan.assigned.get(name, ()))


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
        if not is_vetoed(key) and not _is_time(key, "") and COUNTERS.isdisjoint(name_words(key))
    }


def _of_table(table: Any) -> dict[str, float]:
    """Return the cells of a small table of results, whose columns, or whose rows, are called like metrics."""
    if not 0 < table.size <= MAX_TOLD or len(set(table.index)) < len(table.index) or set(table.index) >= _DESCRIBED:
        return {}
    if sum(map(is_metric_name, map(str, table.index))) > sum(map(is_metric_name, map(str, table.columns))):
        table = table.T
    if not all(isinstance(label, str) for label in table.index):
        return {}
    columns = [name for name in table.columns if isinstance(name, str) and is_metric_name(name)]
    cells = {f"{label}.{name}": _float(table.at[label, name]) for label in table.index for name in columns}
    return {key: number for key, number in cells.items() if number is not None}
