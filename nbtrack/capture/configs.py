"""Dicts and objects of settings in the text of cells: what is put into them, and which of them are used as such."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.resolve import MISSING, literal
from nbtrack.reprs.directions import name_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbtrack.capture.scan import Scan

_CONFIG_WORDS: Final = frozenset(
    {"params", "param", "config", "configs", "cfg", "conf", "hparams", "hparam", "hyperparams", "hyperparameters"}
    | {"kwargs", "args", "options", "opts", "settings", "grid", "space", "hp", "hps"}
)
_ADDING: Final = frozenset({"update", "setdefault"})
_QUERIED: Final = re.compile(r"@([^\W\d]\w*)")


def is_config_name(name: str) -> bool:
    """Return whether a dict of this name holds settings by the look of it."""
    return not _CONFIG_WORDS.isdisjoint(name_words(name))


def as_dict(node: ast.expr | None) -> list[tuple[str, ast.expr]] | None:
    """Return the keys and values of ``{"a": 1}`` or ``dict(a=1)``; None if this is neither."""
    if isinstance(node, ast.Dict):
        pairs = [(literal(key), value) for key, value in zip(node.keys, node.values, strict=True)]
        return [(key, value) for key, value in pairs if isinstance(key, str)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg is not None]
    return None


def states_settings(node: ast.expr | None) -> bool:
    """Return whether this dict is written out, and holds single values rather than the data itself."""
    pairs = as_dict(node) or []
    values = [literal(value) for _, value in pairs]
    single = [value for value in values if value is not MISSING and not isinstance(value, (list, tuple))]
    return MISSING not in values and len(single) * 2 > len(values)


def added_items(scan: Scan, name: str) -> list[tuple[str, ast.expr]]:
    """Return what a cell puts into a dict after it was made: ``d["lr"] = 1``, ``d.update(lr=1)``."""
    found = list(scan.items.get(name, {}).items())
    for call in scan.calls:
        func = call.func
        if not (isinstance(func, ast.Attribute) and func.attr in _ADDING and _is_name(func.value, name)):
            continue
        if func.attr == "update":
            found += [pair for node in call.args for pair in as_dict(node) or ()]
            found += [(one.arg, one.value) for one in call.keywords if one.arg is not None]
        elif len(call.args) == 2 and isinstance(key := literal(call.args[0]), str):
            found.append((key, call.args[1]))
    return found


def set_fields(scan: Scan) -> Iterator[tuple[str, str, Any]]:
    """Give (name, field, value) of literals set on objects: ``cfg.lr = 1``, ``setattr(cfg, "lr", 1)``."""
    for call in scan.calls:
        if _is_name(call.func, "setattr") and len(call.args) == 3 and isinstance(call.args[0], ast.Name):
            key, value = literal(call.args[1]), literal(call.args[2])
            if isinstance(key, str) and value is not MISSING:
                yield call.args[0].id, key, value
    for node in ast.walk(scan.tree) if scan.tree is not None else ():
        if isinstance(node, ast.Assign) and (value := literal(node.value)) is not MISSING:
            for target in node.targets:
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                    yield target.value.id, target.attr, value


def read_by_key(scans: Iterable[Scan]) -> set[str]:
    """Return the dicts whose items cells, or functions in them, read by a written key and never fill or count up."""
    read: set[str] = set()
    filled: set[str] = set()
    for node in (node for scan in scans if scan.tree is not None for node in ast.walk(scan.tree)):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            if isinstance(node.ctx, ast.Load) and isinstance(literal(node.slice), str):
                read.add(node.value.id)
        elif isinstance(node, ast.Assign) and literal(node.value) is MISSING:
            filled.update(filter(None, map(_owner, node.targets)))
        elif isinstance(node, (ast.AugAssign, ast.For)):
            filled.update(filter(None, [_owner(node.target)]))
    return read - filled


def queried_names(tree: ast.AST) -> Iterator[str]:
    """Give the names that texts mention as pandas' ``query`` and ``eval`` take them: ``"age >= @youngest"``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "@" in node.value:
            yield from _QUERIED.findall(node.value)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _owner(target: ast.expr) -> str | None:
    """Return the dict that an item is put into."""
    held = target.value if isinstance(target, ast.Subscript) else None
    return held.id if isinstance(held, ast.Name) else None
