"""Params that the cells before the tracked one state, as far as it used them and as far as they still hold."""

from __future__ import annotations

import ast
import dataclasses
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nbtrack.capture.configs import (
    added_items,
    as_dict,
    is_config_name,
    queried_names,
    read_by_key,
    states_settings,
)
from nbtrack.capture.fitted import is_fitted
from nbtrack.capture.params import (
    Found,
    add_keywords,
    add_literals,
    add_records,
    add_settings,
    flatten_held,
    grown,
    said_once,
    spread_names,
)
from nbtrack.capture.resolve import MISSING, branches, literal, plain
from nbtrack.capture.scan import Scan, scan_cell
from nbtrack.capture.settings import is_data
from nbtrack.capture.slice_known import origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbtrack.capture.slice import Slice

_scan = lru_cache(maxsize=512)(scan_cell)


def upstream_params(used: Slice, names: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the cells of a slice before the last state: literals, configs, keyword arguments, settings.

    Parameters
    ----------
    used
        The slice of the tracked cell.
    names
        The user's variables now.
    own
        The params of the tracked cell itself, which win.

    Returns
    -------
    dict
        Without those of `own`.
    """
    found = Found()
    found.params.update(own)
    wanted = set(used.inputs)
    later = set(used.cells[-1].writes)  # bound or changed again: what was stated before no longer holds
    changed: set[str] = set()  # by cells that were watched
    rebound = set((_scan(used.cells[-1].python) or Scan()).assigned)
    settled: dict[str, Any] = {}
    calls: list[tuple[Scan, dict[str, Any]]] = []
    spread = {name for cell in used.cells for name in spread_names(_scan(cell.python) or Scan(), names)}
    said = _said(used, spread)
    read = read_by_key(filter(None, (_scan(cell.python) for cell in used.cells)))
    for cell in reversed(used.cells[:-1]):
        scan = _scan(cell.python)
        if scan is not None:
            wanted.update(_names_in(scan))
            bound = {
                name: held
                for name, held in scan.assigned.items()
                if name in wanted and name not in rebound and name in cell.writes
            }
            mine = {
                name: held
                for name, held in bound.items()
                if name not in later
                or not (cell.watched or name in changed or not _still_holds(held, names.get(name, MISSING)))
            }
            stated = {name: _stated(held, names.get(name, MISSING)) for name, held in mine.items()}
            settled.update({name: value for name, value in stated.items() if value is not MISSING})
            kept = {
                name: mine[name] for name, value in stated.items() if value is not MISSING and not is_data(name, value)
            }
            add_literals(dataclasses.replace(scan, assigned=kept), {**names, **settled}, found)
            given = {
                name: _as_said(name, said, names.get(name)) for name in spread_names(scan, names) if name not in later
            }
            calls.append((dataclasses.replace(scan, calls=_calls_for(scan, wanted)), given))
            bound = {name: held for name, held in bound.items() if name not in spread}
            configs = {name for name in scan.configs if name in wanted and name not in rebound and name in cell.writes}
            _configs(dataclasses.replace(scan, assigned=bound, configs=configs), names, read, found)
            _imported(scan, wanted - rebound, names, found)
            rebound.update(scan.assigned, scan.configs)
        wanted.update(cell.reads)
        later.update(cell.writes)
        changed.update(cell.writes if cell.watched else ())
    known = {name: value for name, value in names.items() if callable(value) or _is_fixed(value)}
    known.update(settled)  # of other names nobody knows what they held when the call was made
    for scan, given in reversed(calls):
        add_keywords(scan, {**known, **given}, found)
    for name in used.inputs:
        if is_fitted(names.get(name)) and hasattr(names[name], "get_params"):
            add_settings(name, names[name], found)
    last = _scan(used.cells[-1].python) or Scan()
    counted = {name for name, held in last.assigned.items() if all(one.value is None for one in held)}
    return {
        key: value for key, value in said_once(found.params, names).items() if key not in own and key not in counted
    }


def _said(used: Slice, spread: set[str]) -> dict[tuple[str, str], list[Any]]:
    """Return every literal that the slice puts under a key of one of these dicts."""
    found: dict[tuple[str, str], list[Any]] = {}
    for scan in filter(None, (_scan(cell.python) for cell in used.cells)):
        for name in spread:
            stated = [pair for one in scan.assigned.get(name, ()) for pair in as_dict(one.value) or ()]
            for key, node in (*stated, *added_items(scan, name)):
                found.setdefault((name, key), []).append(literal(node))
    return found


def _as_said(name: str, said: Mapping[tuple[str, str], list[Any]], held: Any) -> dict[str, Any]:
    """Return what a dict still holds of what the slice put into it: the name may mean another dict by now."""
    items = [(key, plain(value)) for key, value in (held.items() if type(held) is dict else ())]
    return {key: value for key, value in items if value is not MISSING and value in said.get((name, key), ())}


def _is_fixed(value: Any) -> bool:
    """Whether this is a module, or an object of a class of the notebook, of which only the methods are looked up."""
    own = type(value).__module__ == "__main__" and not hasattr(type(value), "__dataclass_fields__")
    return own or type(value).__name__ == "module"


def _names_in(scan: Scan) -> Iterable[str]:
    """Return the names that a cell mentions other than to bind them: ``depth = 3; model = Tree(depth)``."""
    if scan.tree is None:
        return set()
    read = {node.id for node in ast.walk(scan.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read | set(queried_names(scan.tree))


def _stated(assignments: list[Any], held: Any) -> Any:
    """Return the literal that a name was given; of several, the one that it still holds."""
    if any(one.part for one in assignments):
        return MISSING
    if any(one.counts for one in assignments):
        return grown([literal(one.value) for one in assignments], held)
    stated = [literal(node) for one in assignments for node in branches(one.value)]
    if len(stated) == 1:
        return stated[0]
    now = plain(held) if held is not MISSING else MISSING
    return now if now is not MISSING and any(one is not MISSING and one == now for one in stated) else MISSING


def _still_holds(assignments: list[Any], held: Any) -> bool:
    """Return whether a list or tuple is what was written, although a cell that nobody watched may have changed it."""
    stated = _stated(assignments, held)
    return isinstance(stated, (list, tuple)) and type(held) is type(stated) and plain(held) == stated


def _imported(scan: Scan, wanted: set[str], names: Mapping[str, Any], found: Found) -> None:
    """Add the values that come from modules of the user: ``from settings import *``."""
    nodes = (node for node in scan.tree.body if isinstance(node, ast.ImportFrom)) if scan.tree is not None else ()
    for node in nodes:
        module = sys.modules.get(node.module or "")
        if module is None or origin((node.module or "").partition(".")[0]) != "local":
            continue
        bound = {alias.asname or alias.name: alias.name for alias in node.names}
        if "*" in bound:
            bound = {name: name for name in vars(module) if not name.startswith("_")}
        for name, there in bound.items():
            value = names.get(name)
            if name in wanted and value is vars(module).get(there) and isinstance(value, (bool, int, float, str)):
                found.add(name, value)


def _configs(scan: Scan, names: Mapping[str, Any], read: set[str], found: Found) -> None:
    add_records(scan, names, found)
    for name, assignments in scan.assigned.items():
        held = names.get(name)
        stated = name in read and all(states_settings(one.value) for one in assignments)
        if isinstance(held, dict) and (is_config_name(name) or stated):
            flatten_held(name, held, found)


def _calls_for(scan: Scan, wanted: set[str]) -> list[ast.Call]:
    """Return the calls that make, or are made on, one of these names, and those that are made for their effect."""
    trees: list[ast.AST] = [
        one.value for name, held in scan.assigned.items() if name in wanted for one in held if one.value is not None
    ]
    body = scan.tree.body if scan.tree is not None else []
    trees += [one.value for one in body if isinstance(one, ast.Expr)]
    trees += [item.context_expr for one in body if isinstance(one, (ast.With, ast.AsyncWith)) for item in one.items]
    inside = {id(node) for tree in trees for node in ast.walk(tree)}
    return [call for call in scan.calls if id(call) in inside or _receiver(call) in wanted]


def _receiver(call: ast.Call) -> str | None:
    node: ast.AST = call.func
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) and node is not call.func else None
