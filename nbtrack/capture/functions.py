"""Functions of the notebook: which they are, what they call, and what their text says that they return."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_DRAWING: Final = frozenset(
    {"plt", "sns", "px", "go", "alt", "ax", "axes", "figure", "subplots", "plot", "imshow", "savefig", "show"}
)


def is_own(value: Any) -> bool:
    """Return whether something was defined in the notebook."""
    return getattr(value, "__module__", None) == "__main__"


def own_function(function: Any) -> types.FunctionType | None:
    """Return a function of the notebook without what decorators put around it; None for any other."""
    bare = inspect.unwrap(function) if isinstance(function, types.FunctionType) else None
    return bare if bare is not None and is_own(bare) else None


def is_made_by_hand(kind: Any) -> bool:
    """Return whether this is a class of the notebook with a constructor of the notebook: no record, no error."""
    if not (isinstance(kind, type) and is_own(kind)) or hasattr(kind, "__dataclass_fields__"):
        return False
    return not issubclass(kind, (tuple, BaseException)) and own_function(kind.__init__) is not None


def methods(kind: type) -> Iterator[types.FunctionType]:
    """Give the methods of a class of the notebook, also those that it has from others there."""
    for cls in filter(is_own, kind.__mro__):
        yield from (item for item in vars(cls).values() if isinstance(item, types.FunctionType))


def uses(code: types.CodeType) -> Iterator[str]:
    """Give the names of globals and attributes that a function, or one inside of it, uses."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from uses(inner)


def draws(function: types.FunctionType) -> bool:
    """Return whether a function makes a picture: its arguments are about looks."""
    return not _DRAWING.isdisjoint({*uses(function.__code__), *function.__code__.co_varnames})


def returned(function: Any) -> tuple[ast.expr, ...]:
    """Return the expressions that a function of the notebook returns; a local name stands for what it was given."""
    bare = own_function(function)
    return _returned(bare.__code__) if bare is not None else ()


@lru_cache(maxsize=512)
def _returned(code: types.CodeType) -> tuple[ast.expr, ...]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError, ValueError):  # its text is gone, or it is a lambda in the midst of a line
        return ()
    made: dict[str, ast.expr] = {}
    found: list[ast.expr] = []
    for node in _inside(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            made[node.targets[0].id] = node.value
        elif isinstance(node, ast.Return) and node.value is not None:
            found.append(node.value)
    return tuple(_told(node, made) for node in found)


def _told(node: ast.expr, made: dict[str, ast.expr]) -> ast.expr:
    if isinstance(node, ast.Tuple):
        return ast.Tuple([_told(part, made) for part in node.elts], ast.Load())
    return made.get(node.id, node) if isinstance(node, ast.Name) else node


def _inside(tree: ast.Module) -> Iterator[ast.AST]:
    """Give the statements of a function in order, without those of functions inside of it."""
    waiting: list[ast.AST] = [*getattr(tree.body[0], "body", [])][::-1] if tree.body else []
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))
