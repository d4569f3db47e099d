"""Params that a cell states without being told to: literals, keyword arguments, settings of estimators."""

from __future__ import annotations

import ast
import inspect
import re
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.calls import stated, told_by
from nbtrack.capture.configs import added_items, as_dict, is_config_name, read_by_key, set_fields, states_settings
from nbtrack.capture.functions import is_made_by_hand, is_own
from nbtrack.capture.metric_names import is_metric_literal
from nbtrack.capture.resolve import MISSING, branches, callee_name, literal, plain
from nbtrack.capture.settings import IDLE, is_data, is_setting

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from nbtrack.capture.scan import Scan

MAX_PARAMS: Final = 200
MAX_DEPTH: Final = 4


class Found:
    """Params in the order found; the same key with another value gets the name of its owner in front."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def add(self, key: str, value: Any, owner: str = "") -> None:
        """Add one, unless it is there already, or no setting at all."""
        if not is_setting(key, value):
            return
        if key in self.params:
            if str(self.params[key]) == str(value) or not owner:
                return
            key = f"{owner}.{key}"
        if len(self.params) < MAX_PARAMS:
            self.params.setdefault(key, value)


def add_literals(scan: Scan, names: Mapping[str, Any], found: Found) -> None:
    """Add the literals, and the literals of dicts, that the cell assigns."""
    spread = set(spread_names(scan, names))
    read = read_by_key([scan])
    for name, assignments in scan.assigned.items():
        one = assignments[0]
        if name.startswith("_") or any(each.part for each in assignments):
            continue
        written = [literal(node) for each in assignments for node in branches(each.value)]
        if any(each.counts for each in assignments):
            if (list_now := grown(written, names.get(name))) is not MISSING and not is_data(name, list_now):
                found.add(name, list_now)
            continue
        if len(written) > 1:  # branches, or a change of mind: what the variable holds now, if it was stated at all
            held = plain(names.get(name, MISSING))
            written = [held] if any(value is not MISSING and value == held for value in written) else [MISSING]
        value = written[0]
        if value is not MISSING:
            if value is not None and not is_data(name, value) and not is_metric_literal(name, value):
                found.add(name, value)
        elif name in spread or not (is_config_name(name) or (name in read and states_settings(one.value))):
            continue
        elif type(names.get(name)) is dict and _merges(one.value):
            flatten_held(name, names[name], found)
        elif (config := as_dict(one.value)) is not None:
            _add_changed(name, [*config, *added_items(scan, name)], names.get(name), found)
            _flatten(name, config, found)


def grown(written: Sequence[Any], held: Any) -> Any:
    """Return a list of settings as it is after ``features += ["age"]``; MISSING if other things were added to it."""
    kept = plain(held) if isinstance(held, (list, tuple)) else MISSING
    if not isinstance(kept, (list, tuple)) or not all(isinstance(value, (list, tuple)) for value in written):
        return MISSING
    return kept if all(item in kept for value in written for item in value) else MISSING


def spread_names(scan: Scan, names: Mapping[str, Any]) -> list[str]:
    """Return the dicts that a cell gives as ``**name`` to calls that state by themselves what is in them."""
    calls = [call for call in scan.calls if any(keyword.arg is None for keyword in call.keywords)]
    keywords = [keyword for call in calls if told_by(call, names, scan.unused) for keyword in call.keywords]
    return [one.value.id for one in keywords if one.arg is None and isinstance(one.value, ast.Name)]


def _add_changed(name: str, said: list[tuple[str, ast.expr]], held: Any, found: Found) -> None:
    """Add the items of a dict that a cell states: of several values under a key, the one that it holds, or the last."""
    stated: dict[str, list[Any]] = {}
    for key, node in said:
        if (value := literal(node)) is not MISSING:
            stated.setdefault(key, []).append(value)
    for key, values in stated.items():
        now = plain(held.get(key, MISSING)) if type(held) is dict else MISSING
        found.add(f"{name}.{key}", now if now is not MISSING and now in values else values[-1])


def _flatten(prefix: str, config: list[tuple[str, ast.expr]], found: Found) -> None:
    for key, value_node in config:
        if (inner := as_dict(value_node)) is not None:
            _flatten(f"{prefix}.{key}", inner, found)
        elif (value := literal(value_node)) is not MISSING:
            found.add(f"{prefix}.{key}", value)


def _merges(node: ast.expr | None) -> bool:
    """Return whether this makes a dict of others: ``base | {"lr": 1}``, ``{**base, "lr": 1}``, ``dict(base, lr=1)``."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitOr)
    if isinstance(node, ast.Dict):
        return None in node.keys
    if isinstance(node, ast.Call):
        return callee_name(node) in {"dict", "copy", "deepcopy"} and as_dict(node) is None
    return False


def flatten_held(prefix: str, held: dict[Any, Any], found: Found, depth: int = 0) -> None:
    """Add the plain values that a dict of settings holds."""
    for key, value in list(dict.items(held))[:50]:  # also of a class of the user's, whose own methods do not run
        if not isinstance(key, str):
            continue
        if isinstance(value, dict) and depth < MAX_DEPTH:
            flatten_held(f"{prefix}.{key}", value, found, depth + 1)
        elif (kept := plain(value)) is not MISSING and kept is not None and not callable(value):
            found.add(f"{prefix}.{key}", kept)


def _owners(scan: Scan) -> dict[int, str]:
    """Return which variable gets the object that a call makes: ``b`` of ``b = SVC().fit(X)``."""
    owners = {}
    for name, assignments in scan.assigned.items():
        for one in assignments:
            for branch in branches(one.value):
                node: ast.expr | None = branch
                while isinstance(node, ast.Call) and not one.part:
                    owners[id(node)] = name
                    node = node.func.value if isinstance(node.func, ast.Attribute) else None
    return owners


def add_keywords(scan: Scan, names: Mapping[str, Any], found: Found) -> None:
    """Add the keyword arguments of estimators and of functions that train."""
    owners = _owners(scan)
    looped = {name for name, held in scan.assigned.items() if any(one.counts for one in held)}
    fixed = {name: value for name, value in names.items() if name not in looped or callable(value)}
    for call, key, value in stated(scan.calls, fixed, scan.unused):
        owner = owners.get(id(call), callee_name(call))
        if not _denied(names.get(owner), key, value):
            found.add(key, value, owner)


def _denied(made: Any, key: str, value: Any) -> bool:
    """Return whether the object that a call made says otherwise: a branch that did not run, a change of mind."""
    if isinstance(made, type) or not hasattr(made, "get_params"):
        return False
    try:
        settings = made.get_params(deep=False)
    except Exception:  # a broken get_params costs only this nicety
        return False
    return key in settings and plain(settings[key]) is not MISSING and str(plain(settings[key])) != str(value)


def _defaults(kind: type) -> dict[str, Any]:
    """Return the defaults of a class's settings, also of those that its ``__init__`` passes on as ``**kwargs``."""
    found: dict[str, Any] = {}
    for cls in reversed(kind.__mro__):
        try:
            signature = inspect.signature(vars(cls)["__init__"])
        except (KeyError, TypeError, ValueError):
            continue
        found |= {name: parameter.default for name, parameter in signature.parameters.items()}
    return found


def _dict_text(value: dict[Any, Any]) -> Any:
    """Return a dict as text that is the same in every process; MISSING if it is long."""
    frozen = {
        key: _Text(f"{one.dist.name}({', '.join(map(repr, one.args))})") if hasattr(one, "dist") else one
        for key, one in list(value.items())[:MAX_PARAMS]
    }
    text = re.sub(r"<([\w.]+)(?: object)? at 0x[0-9a-f]+>", r"<\1>", str(frozen)) if len(str(value)) <= 2000 else ""
    return text if 0 < len(text) <= 1000 else MISSING


class _Text(str):
    """A text that shows itself without quotation marks."""

    __slots__ = ()
    __repr__ = str.__str__


def changed_settings(estimator: Any, prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Return the settings of an estimator that differ from their defaults; those of its parts as ``part__name``."""
    changed: dict[str, Any] = {}
    settings = estimator.get_params(deep=False)
    defaults = _defaults(type(estimator))
    for name, value in settings.items():
        if name in IDLE:
            continue
        parts: Sequence[Any] = value if isinstance(value, (list, tuple)) else [(name, value)]
        for part in parts:
            if not (isinstance(part, tuple) and len(part) >= 2 and isinstance(part[0], str)):
                continue
            key, owner = part[0], part[1]
            if hasattr(owner, "get_params") and not isinstance(owner, type) and depth < 4:
                changed[f"{prefix}{key}"] = type(owner).__name__
                changed.update(changed_settings(owner, f"{prefix}{key}__", depth + 1))
        kept = plain(value)
        if isinstance(value, dict):
            kept = _dict_text(value)
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):  # of a grid search
            texts = [_dict_text(one) for one in value]
            kept = MISSING if MISSING in texts else f"[{', '.join(texts)}]"
        if kept is MISSING or hasattr(value, "get_params"):
            continue
        default = defaults.get(name, inspect.Parameter.empty)
        if default is inspect.Parameter.empty or str(default) != str(value):
            changed[f"{prefix}{name}"] = kept
    best = getattr(estimator, "best_params_", None)
    if isinstance(best, dict):
        changed |= {f"{prefix}best__{name}": value for name, value in best.items() if plain(value) is not MISSING}
    return changed


def add_records(scan: Scan, names: Mapping[str, Any], found: Found) -> None:
    """Add the fields of argparse namespaces, dataclasses, classes of values only and the like that the cell makes."""
    for name, assignments in scan.assigned.items():
        _add_fields(name, names.get(name), found, written=any(_is_written_record(one.value) for one in assignments))
        _add_own_settings(name, names.get(name), found)
    for name, key, value in set_fields(scan):
        held = names.get(name)
        if is_own(type(held)) and key[:1] != "_" and getattr(held, "__dict__", {}).get(key, MISSING) == value:
            found.add(f"{name}.{key}", value)
    for name in scan.configs:
        held = names.get(name)
        if isinstance(held, type) and not hasattr(held, "__dataclass_fields__") and type(held) is type:
            made = next((key for key, value in names.items() if type(value) is held and key[:1] != "_"), None)
            _add_fields(name if made is None else made, held if made is None else names[made], found)


def _only_values(kind: type) -> bool:
    items = {key: item for key, item in vars(kind).items() if not key.startswith("__")}
    return bool(items) and all(plain(item) is not MISSING and not callable(item) for item in items.values())


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of a record of settings, without running a property; nothing of any other object."""
    kind = type(value)
    if str(kind.__module__).partition(".")[0] == "nbtrack":
        return {}  # ours hold results
    if kind is type:
        return {key: item for key, item in vars(value).items() if not key.startswith("_")}
    if kind.__name__ in {"Namespace", "SimpleNamespace"} or hasattr(kind, "__dataclass_fields__"):
        return dict(getattr(value, "__dict__", {}))
    if is_own(kind) and type(kind) is type and _only_values(kind):
        stated = {key: item for key, item in vars(kind).items() if not key.startswith("_")}
        given = dict(getattr(value, "__dict__", {}))
        if kind.__bases__ == (object,):
            return stated | given
        return {key: given.get(key, item) for key, item in stated.items()} if all(map(is_own, kind.__bases__)) else {}
    if isinstance(value, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
        return dict(zip(kind._fields, value, strict=False))
    if hasattr(kind, "model_fields") and hasattr(kind, "model_dump"):  # pydantic
        return dict(getattr(value, "__dict__", {}))
    return {}


def _add_own_settings(name: str, value: Any, found: Found) -> None:
    """Add what an object of the notebook keeps as its settings: ``self.hparams = {**DEFAULTS, **given}``."""
    if not is_made_by_hand(type(value)):
        return
    for field, held in getattr(value, "__dict__", {}).items():
        for key, item in list(held.items())[:50] if type(held) is dict and is_config_name(field) else ():
            if isinstance(key, str) and (kept := plain(item)) is not MISSING and kept is not None:
                found.add(key, kept, name)


def _is_written_record(node: ast.expr | None) -> bool:
    """Return whether this makes a record of several settings written out: ``SimpleNamespace(r=0.05, T=1.0)``."""
    if not isinstance(node, ast.Call) or node.args or len(node.keywords) < 2:
        return False
    given = [(one.arg, literal(one.value)) for one in node.keywords]
    return all(key is not None and value is not MISSING and not is_metric_literal(key, value) for key, value in given)


def _add_fields(prefix: str, value: Any, found: Found, depth: int = 0, *, written: bool = False) -> None:
    loose = isinstance(value, tuple) or type(value).__name__ == "SimpleNamespace"
    if loose and not (depth or written or is_config_name(prefix)):  # such hold results as often as settings
        return
    for key, item in list(_fields(value).items()):
        kept = plain(item)
        if key.startswith("_") or kept is None:
            continue
        if kept is not MISSING:
            found.add(f"{prefix}.{key}", kept)
        elif depth < 3:
            _add_fields(f"{prefix}.{key}", item, found, depth + 1)


def find_params(scan: Scan, names: Mapping[str, Any], estimators: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of a cell.

    Parameters
    ----------
    scan
        What the text says.
    names
        The user's variables after the cell ran.
    estimators
        Variable -> fitted estimator of this cell.
    """
    found = Found()
    add_literals(scan, names, found)
    add_records(scan, names, found)
    add_keywords(scan, names, found)
    for variable, estimator in estimators.items():
        add_settings(variable, estimator, found, _tried(scan, variable))
    return said_once(found.params, names)


def said_once(params: dict[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return params without the items of dicts that one of them tells whole: ``grid`` of ``param_grid=grid``."""
    told = {str(value) for value in params.values() if isinstance(value, str) and value.startswith("{")}
    heads = {key.partition(".")[0] for key in params if "." in key} if told else set()
    whole = {name for name in heads if type(names.get(name)) is dict and _dict_text(names[name]) in told}
    return {key: value for key, value in params.items() if key.partition(".")[0] not in whole or "." not in key}


def _tried(scan: Scan, variable: str) -> set[str]:
    """Return the settings that a loop tries out on what it calls by this name: the last one means nothing by itself."""
    if not all(one.counts for one in scan.assigned.get(variable, [])):
        return set()
    tried = {name for name, held in scan.assigned.items() if any(one.counts and one.value is None for one in held)}
    keywords = [keyword for call in scan.calls for keyword in call.keywords if isinstance(keyword.value, ast.Name)]
    return {str(one.arg) for one in keywords if isinstance(one.value, ast.Name) and one.value.id in tried}


def add_settings(variable: str, estimator: Any, found: Found, tried: Container[str] = ()) -> None:
    """Add the settings of a fitted estimator that differ from their defaults, but for those that a loop `tried`."""
    for key, value in changed_settings(estimator).items():
        if key.rpartition("__")[2] in tried:
            continue
        stated = found.params.get(key.rpartition("__")[2], MISSING)  # SVC(C=7) inside a pipeline: said already
        if "__" not in key or str(stated) != str(value):
            found.add(key, value, variable)
