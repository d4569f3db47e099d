"""What the text of a cell says, read without running it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)
# Magics whose text is Python that runs in the user's namespace.
PYTHON_MAGICS: Final = frozenset({"time", "capture", "prun"})
MAX_SOURCE: Final = 500_000


@dataclass(slots=True)
class Assigned:
    """One assignment to a name at the level of the cell.

    `value` is the expression, also if the name takes only a part of it (`part`); `counts` says whether it happens in
    a loop or adds to what was there, `each` that the loop is over folds or models: what it leaves is of the last one.
    """

    name: str
    value: ast.expr | None
    part: bool = False
    counts: bool = False
    each: bool = False
    at: int | None = None  # of a part, which one


@dataclass(slots=True)
class Fit:
    """One call of ``.fit``: on what, and with which arguments."""

    receiver: ast.expr
    call: ast.Call
    name: str | None = None  # the variable that gets the result


@dataclass(slots=True)
class Scan:
    """The assignments, calls and imports of a cell, outside of functions and classes."""

    assigned: dict[str, list[Assigned]] = field(default_factory=dict)
    calls: list[ast.Call] = field(default_factory=list)
    fits: list[Fit] = field(default_factory=list)
    items: dict[str, dict[str, ast.expr]] = field(default_factory=dict)  # d["key"] = value
    keyed: dict[str, list[ast.expr]] = field(default_factory=dict)  # d[name] = value
    appended: dict[str, list[ast.expr]] = field(default_factory=dict)  # list.append(value)
    imports: set[str] = field(default_factory=set)
    configs: set[str] = field(default_factory=set)  # classes that only hold values
    unused: set[int] = field(default_factory=set)  # calls, by identity, whose results nothing uses
    last: ast.expr | None = None
    empty: bool = True
    tree: ast.Module | None = None


def _python_in_magic(call: ast.Call) -> ast.Module | None:
    """Return the Python inside of ``%time x = f()`` or ``%%time``, which IPython hands over as text."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if name not in {"run_line_magic", "run_cell_magic"} or len(texts) < 2 or texts[0] not in PYTHON_MAGICS:
        return None
    try:
        return ast.parse(texts[-1])
    except (SyntaxError, ValueError):  # options before the code, or no code
        return None


def _is_each(node: ast.stmt) -> bool:
    """Whether a loop goes over folds, or over things under their names, rather than on with the same one."""
    if not isinstance(node, (ast.For, ast.AsyncFor)):
        return False
    called = {
        part.func.attr for part in ast.walk(node.iter) if isinstance(part, ast.Call) and hasattr(part.func, "attr")
    }
    bound = {part.id for part in ast.walk(node.target) if isinstance(part, ast.Name)}
    return not called.isdisjoint({"split", "items"}) or any("fold" in name.lower() for name in bound)


class _Reader(ast.NodeVisitor):
    def __init__(self) -> None:
        self.scan = Scan()
        self._loops = 0
        self._each = 0

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, _SCOPES):
            if isinstance(node, ast.ClassDef) and not any(isinstance(one, _SCOPES) for one in node.body):
                self.scan.configs.add(node.name)
            return None  # what a function does inside is not the cell's own state
        if isinstance(node, _LOOPS):
            if isinstance(node, (ast.For, ast.AsyncFor)):
                self._bind(node.target, None, counts=True)
            self._loops += 1
            self._each += (each := _is_each(node))
            self.generic_visit(node)
            self._loops -= 1
            self._each -= each
            return None
        return super().visit(node)

    def _bind(
        self,
        target: ast.expr,
        value: ast.expr | None,
        *,
        part: bool = False,
        counts: bool = False,
        at: int | None = None,
    ) -> None:
        if isinstance(target, ast.Name):
            one = Assigned(target.id, value, part, counts or self._loops > 0, self._each > 0, at)
            self.scan.assigned.setdefault(target.id, []).append(one)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and value is not None:
            if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
                self.scan.items.setdefault(target.value.id, {})[target.slice.value] = value
            elif not isinstance(target.slice, ast.Constant):
                self.scan.keyed.setdefault(target.value.id, []).append(value)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, value, part=True, counts=counts)
        elif isinstance(target, (ast.Tuple, ast.List)):
            pairs: list[ast.expr] | None = None
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
                pairs = None if any(isinstance(e, ast.Starred) for e in (*value.elts, *target.elts)) else value.elts
            for i, one_target in enumerate(target.elts):
                if pairs is not None:
                    self._bind(one_target, pairs[i], counts=counts)
                else:
                    self._bind(one_target, value, part=True, counts=counts, at=i)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._bind(target, node.value)
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            self._fit(node.value, node.targets[0].id)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._bind(node.target, node.value)
            if isinstance(node.target, ast.Name):
                self._fit(node.value, node.target.id)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._bind(node.target, node.value, counts=True)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._bind(node.target, node.value)
        self.generic_visit(node)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            if item.optional_vars is not None:
                self._bind(item.optional_vars, item.context_expr, part=True)
        self.generic_visit(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.visit_With(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.scan.imports.update(alias.name.partition(".")[0] for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module and not node.level:
            self.scan.imports.add(node.module.partition(".")[0])

    def visit_Expr(self, node: ast.Expr) -> None:
        self.scan.unused.add(id(node.value))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.scan.calls.append(node)
        if (inside := _python_in_magic(node)) is not None:
            for statement in inside.body:
                self.visit(statement)
            return
        if isinstance(node.func, ast.Attribute):
            if node.func.attr == "append":
                filled = node.func.value.value if isinstance(node.func.value, ast.Subscript) else node.func.value
                if isinstance(filled, ast.Name):  # losses.append(…), history["loss"].append(…)
                    self.scan.appended.setdefault(filled.id, []).extend(node.args[:1])
            self._fit(node, None)
        self.generic_visit(node)

    def _fit(self, node: ast.expr, name: str | None) -> None:
        if isinstance(node, ast.Await):
            node = node.value
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fit"):
            return
        if all(known.call is not node for known in self.scan.fits):
            receiver = node.func.value
            self.scan.fits.append(Fit(receiver, node, receiver.id if isinstance(receiver, ast.Name) else name))


def scan_cell(source: str) -> Scan | None:
    """Read Python text, such as IPython's transformed cell; None if it is no Python, or absurdly long."""
    if len(source) > MAX_SOURCE:
        return None
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    reader = _Reader()
    for statement in tree.body:
        reader.visit(statement)
    scan = reader.scan
    scan.empty = not tree.body
    scan.tree = tree
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        scan.last = tree.body[-1].value
        scan.unused.discard(id(scan.last))
    return scan


_LOGGING: Final = frozenset({"log_metric", "log_metrics"})
_TRAINING: Final = _LOGGING | {
    *("fit", "fit_predict", "fit_resample", "fit_generator", "fit_one_cycle", "partial_fit", "fine_tune"),
    *("train_on_batch", "train_and_evaluate", "cross_val_score", "cross_validate", "cross_val_predict", "learn"),
}
_PREPARING: Final = ("scaler", "encoder", "imputer", "vectorizer", "tokenizer", "preprocess", "binarizer", "tfidf")


def _root(call: ast.Call) -> str:
    """Return the name that a method is called on: ``scaler`` of ``scaler.fit(X)`` and of ``scaler.steps[0].fit(X)``."""
    node: ast.expr = call.func
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _prepares(root: str, names: Mapping[str, Any]) -> bool:
    """Return whether fitting this only prepares data: a scaler and the like transform, and do not predict."""
    held = names.get(root)
    kind = held if isinstance(held, type) else type(held)
    if held is not None and hasattr(kind, "transform") and not hasattr(kind, "predict"):
        return True
    return any(word in root.lower() for word in _PREPARING)


def _trains(call: ast.Call, names: Mapping[str, Any], own: Mapping[str, ast.AST]) -> bool:
    if isinstance(call.func, ast.Attribute):
        name = call.func.attr
        if name == "train":  # model.train() of PyTorch only sets a mode; xgb.train(params, data) trains
            return bool(call.args or call.keywords) and not _is_mode(call)
        if name == "optimize":  # of an Optuna study: a function and how often
            return bool(call.args)
        if name in {"fit", "partial_fit"}:
            return not _prepares(_root(call), names)
        return name in _TRAINING
    name = getattr(call.func, "id", "")
    if name in own:  # defined in this very cell
        inside = (node for node in ast.walk(own[name]) if isinstance(node, ast.Call))
        return any(_trains(one, names, {}) for one in inside)
    if name in _TRAINING or name == "train":
        return True
    # A function of the notebook's own: what it calls by name says what it does.
    code = getattr(names.get(name), "__code__", None)
    inner = getattr(code, "co_names", ())
    return getattr(names.get(name), "__module__", None) == "__main__" and not _TRAINING.isdisjoint(inner)


def _is_mode(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return len(given) == 1 and isinstance(given[0], ast.Constant) and isinstance(given[0].value, bool)


def fits_or_logs(scan: Scan, names: Mapping[str, Any] | None = None) -> bool:
    """Return whether a cell trains something or logs a metric: what ``%track auto`` looks for.

    Parameters
    ----------
    scan
        What the text says. Functions that are only defined do not count.
    names
        The user's variables: a function of the notebook that trains is known by what it calls.
    """
    body = scan.tree.body if scan.tree is not None else []
    own = {node.name: node for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return any(_trains(call, names or {}, own) for call in scan.calls)
