"""The objects behind names and expressions of a cell, looked up without running anything of the user's."""

from __future__ import annotations

import ast
import operator
import types
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

MISSING: Final = object()
MAX_TEXT: Final = 250
MAX_ITEMS: Final = 20

_ARITHMETIC: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def is_number(value: Any) -> bool:
    """Return whether this is a plain int or float (no bool)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _arithmetic(node: ast.BinOp) -> Any:
    left, right = literal(node.left), literal(node.right)
    act = _ARITHMETIC.get(type(node.op))
    if act is None or not (is_number(left) and is_number(right)):
        return MISSING
    if isinstance(node.op, ast.Pow) and (abs(right) > 64 or abs(left) > 1e6):
        return MISSING
    try:
        return act(left, right)
    except (ArithmeticError, ValueError):
        return MISSING


def literal(node: ast.expr | None) -> Any:
    """Return the value of a literal: a number, text, bool, None, arithmetic on numbers, or a short list of such.

    Examples
    --------
    >>> literal(ast.parse("(2 ** 5, -1e-3)", mode="eval").body)
    (32, -0.001)
    """
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, str):
            return value if len(value) <= MAX_TEXT and "\n" not in value else MISSING
        return value if value is None or isinstance(value, (bool, int, float)) else MISSING
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = literal(node.operand)
        return MISSING if not is_number(value) else -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        return _arithmetic(node)
    if isinstance(node, (ast.Tuple, ast.List)) and 0 < len(node.elts) <= MAX_ITEMS:
        items = [literal(item) for item in node.elts]
        if any(item is MISSING for item in items):
            return MISSING
        return tuple(items) if isinstance(node, ast.Tuple) else items
    return MISSING


def branches(node: ast.expr | None) -> list[ast.expr | None]:
    """Return what an expression may give: both sides of ``4 if quick else 100``, or itself."""
    if isinstance(node, ast.IfExp):
        return [*branches(node.body), *branches(node.orelse)]
    return [node]


def plain(value: Any) -> Any:
    """Return `value` if it can stand as a param: a scalar (also of numpy), short text, or a short list of such."""
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT and "\n" not in value else MISSING
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return plain(value.item())
    if isinstance(value, (tuple, list)) and 0 < len(value) <= MAX_ITEMS:
        items = [plain(item) for item in value]
        if any(item is MISSING for item in items):
            return MISSING
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, type) or (callable(value) and hasattr(value, "__name__")):
        return str(value.__name__)
    return MISSING


def _is_record(value: Any) -> bool:
    return isinstance(value, (types.SimpleNamespace, types.ModuleType, type)) or (
        hasattr(type(value), "__dataclass_fields__") or type(value).__name__ in {"Namespace", "DotDict", "Bunch"}
    )


def lookup(node: ast.expr | None, names: Mapping[str, Any]) -> Any:
    """Return the object that a name, ``a.b`` on modules, classes and plain records, or ``d['key']`` on dicts means.

    Nothing is called, so no property and no ``__getitem__`` of the user's runs; MISSING where that would be needed.
    """
    if isinstance(node, ast.Name):
        return names.get(node.id, MISSING)
    if isinstance(node, ast.Attribute):
        base = lookup(node.value, names)
        if base is MISSING or not _is_record(base):
            return MISSING
        try:
            return getattr(base, node.attr)
        except Exception:  # a lazy module may raise anything
            return MISSING
    if isinstance(node, ast.Subscript):
        base, key = lookup(node.value, names), literal(node.slice)
        if type(base) in {dict, list, tuple} and key is not MISSING:
            try:
                return base[key]
            except (KeyError, IndexError, TypeError):
                return MISSING
    return MISSING


def value_of(node: ast.expr | None, names: Mapping[str, Any]) -> Any:
    """Return what a literal, or a name of a plain value, stands for; else MISSING."""
    found = literal(node)
    if found is not MISSING:
        return found
    found = lookup(node, names)
    return MISSING if found is MISSING else plain(found)


def callee_name(call: ast.Call) -> str:
    """Return the last part of what is called: ``score`` of ``model.score(X)``."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def scalar(value: Any) -> float | None:
    """Return a number, numpy scalar or array or tensor without dimensions as a float; None for anything else."""
    if isinstance(value, bool) or value is None or isinstance(value, (str, bytes)):
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return None
    kind = type(value)
    known = kind.__module__.partition(".")[0] in {"numpy", "torch", "tensorflow", "jax", "jaxlib", "cupy", "decimal"}
    if kind.__module__ == "decimal":
        return float(value)
    if not known or tuple(getattr(value, "shape", (0,))) != () or "bool" in str(getattr(value, "dtype", "")):
        return None
    try:
        item = value.item() if hasattr(value, "item") else value
        return float(item)
    except (TypeError, ValueError):
        return None
