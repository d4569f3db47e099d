"""What a cell tells its reader, by its text: which expressions it prints or shows, and the words before each."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from nbtrack.capture.resolve import callee_name, is_number, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbtrack.capture.scan import Scan

PRINTING: Final = frozenset({"print", "display", "info", "debug", "warning", "write", "echo", "Markdown", "HTML"})
MODULES: Final = frozenset({"np", "numpy", "pd", "pandas", "torch", "math"})  # as nearly everybody calls them
_ROUNDING: Final = frozenset({"round", "float", "abs", "str", "repr", "item", "around"})
_SHOWING: Final = frozenset({"to_string", "to_markdown", "head", "sort_values", "to_dict"})
_BLOCKS: Final = (ast.If, ast.With, ast.AsyncWith, ast.Try)
_PERCENT_FIELD: Final = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]")
_BRACE_FIELD: Final = re.compile(r"\{[^{}]*\}")
_BREAK: Final = re.compile(r"[,;|\n()\[\]]|\.\s")
_LEADING: Final = frozenset(
    {"the", "a", "our", "final", "overall", "with", "and", "epoch", "step", "fold", "got", "is"}
)

Told = tuple[ast.expr, str]  # what is told, and the words before it


def label_key(label: str) -> str:
    """Return a label as the key of a metric: ``R^2 (test)`` -> ``r2_test``."""
    text = label.lower().replace("^2", "2").replace("²", "2")
    words = [word for word in re.split(r"[^a-z0-9@]+", text) if word]
    while len(words) > 1 and (words[0] in _LEADING or words[0].isdigit()):
        words.pop(0)
    return "_".join(words)


def told_parts(scan: Scan) -> Iterator[Told]:
    """Give what the statements outside of loops print, and what the cell shows at its end."""
    for statement in _outside_of_loops(scan.tree.body if scan.tree is not None else []):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            if callee_name(statement.value) in PRINTING:
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
    prints = any(isinstance(one, ast.Call) and callee_name(one) in PRINTING for one in ast.walk(loop))
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
        yield from _filled(_PERCENT_FIELD.split(str(arg.left.value).replace("%%", "\0")), values, before)
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
        yield from _filled(_BRACE_FIELD.split(str(arg.func.value.value)), arg.args, before)
    else:
        yield arg, before


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        return _is_text(node.left)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _filled(texts: list[str], values: list[ast.expr], before: str) -> Iterator[Told]:
    """Give what a template is filled with, each with the text before it, of `texts` between the fields."""
    if len(texts) != len(values) + 1:
        return
    for text, value in zip(texts, values, strict=False):
        yield value, before + text
        before = ""


def _label(text: str) -> str:
    """Return the words right before a number: ``Test RMSE`` of ``done; Test RMSE: ``."""
    return _BREAK.split(text.rstrip(" :=~≈\t"))[-1].strip()


def bare(node: ast.expr) -> ast.expr:
    """Return what is told without its form: ``auc`` of ``round(auc, 3)`` and ``100 * auc``, ``t`` of ``t.head()``."""
    while True:
        if isinstance(node, ast.Call) and callee_name(node) in _ROUNDING:
            of_object = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") not in MODULES
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
