"""The seeds that a notebook set: those of the cell, and those that earlier cells left in force."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.resolve import MISSING, callee_name, lookup, value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_SEEDS: Final = 50
MAX_CELLS: Final = 500  # of the history that are looked through, newest first
_KEYWORDS: Final = frozenset({"random_state", "seed", "random_seed", "np_random_seed"})
_CALLS: Final = frozenset(
    {"seed", "manual_seed", "manual_seed_all", "set_seed", "seed_everything", "set_random_seed", "default_rng"}
    | {"RandomState", "PRNGKey", "Random", "Generator"}
)
# The name of a call is not always unique; the module of what is called is.
_SOURCES: Final = {
    "numpy": "numpy",
    "torch": "torch",
    "random": "random",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "lightning": "lightning",
    "pytorch_lightning": "lightning",
    "transformers": "transformers",
    "jax": "jax",
}


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def _library(call: ast.Call, names: Mapping[str, Any]) -> str:
    """Return which library a seeding call belongs to, or "" if that cannot be told."""
    root = call.func
    while isinstance(root, ast.Attribute):
        root = root.value
    held = names.get(root.id, MISSING) if isinstance(root, ast.Name) else MISSING
    target = held if isinstance(call.func, ast.Attribute) else lookup(call.func, names)
    module = getattr(target, "__name__", "") if hasattr(target, "__spec__") else getattr(target, "__module__", "")
    if not isinstance(module, str) or not module:
        bound = getattr(target, "__self__", None)  # random.seed is a method of a hidden generator
        module = type(bound).__module__ if bound is not None else ""
    return _SOURCES.get(str(module).partition(".")[0], "")


def _seeding(call: ast.Call, names: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return what a call such as ``np.random.seed(0)`` seeds, and with what."""
    name = callee_name(call)
    if name not in _CALLS:
        return None
    argument = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg in _KEYWORDS), None)
    value = value_of(argument, names) if argument is not None else MISSING
    library = _library(call, names)
    if value is MISSING or isinstance(value, (bool, list, tuple)) or not isinstance(value, (int, str)) or not library:
        return None
    made = name in {"default_rng", "RandomState", "Random", "Generator", "PRNGKey"}
    return (f"{library}.{name}" if made else library), value


def seeds_in(sources: Iterable[ast.AST], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the calls in program text seed: ``{"numpy": 0, "random_state (SVC)": 7}``; later ones win.

    Parameters
    ----------
    sources
        Parsed cells, the oldest first.
    names
        The user's variables, in which a seed that is a variable is looked up.
    """
    found: dict[str, Any] = {}
    for tree in sources:
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            if (seeded := _seeding(node, names)) is not None:
                found.pop(seeded[0], None)
                found[seeded[0]] = seeded[1]
                continue
            for keyword in node.keywords:
                value = value_of(keyword.value, names) if keyword.arg in _KEYWORDS else MISSING
                if isinstance(value, int) and not isinstance(value, bool):
                    found[f"{keyword.arg} ({_dotted(node.func) or 'call'})"[:100]] = value
    return dict(list(found.items())[-MAX_SEEDS:])


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> ast.AST | None:
    if len(text) > 100_000:
        return None
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # a magic, an unfinished cell
        return None


def set_earlier(history: list[Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the seeds of whole libraries that earlier cells set.

    Parameters
    ----------
    history
        The texts of the cells that ran, the oldest first.
    names
        The user's variables.
    """
    texts = [text for text in history[-MAX_CELLS:] if isinstance(text, str) and "seed" in text]
    trees = [tree for tree in map(_parsed, texts) if tree is not None]
    return {
        source: value for source, value in seeds_in(trees, names).items() if "(" not in source and "." not in source
    }
