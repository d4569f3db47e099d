"""Params that a cell states without being told to: literals, keyword arguments, settings of estimators."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.metrics import is_metric_literal
from nbtrack.capture.resolve import MISSING, callee_name, literal, lookup, plain, value_of
from nbtrack.reprs.directions import name_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbtrack.capture.scan import Scan

MAX_PARAMS: Final = 200
_CONFIG_WORDS: Final = frozenset(
    {"params", "param", "config", "configs", "cfg", "conf", "hparams", "hparam", "hyperparams", "hyperparameters"}
    | {"kwargs", "args", "options", "opts", "settings"}
)
_CALLS: Final = frozenset(
    {"train_test_split", "cross_val_score", "cross_validate", "cross_val_predict", "fit", "train", "cv", "compile"}
)
# What makes a class an estimator (fit), an optimizer or scheduler (step), a splitter (get_n_splits).
_TRAINING: Final = ("fit", "fit_transform", "get_n_splits", "step", "training_step")
_TRAINERS: Final = frozenset({"DataLoader", "TrainingArguments", "Seq2SeqTrainingArguments", "LoraConfig"})


class Found:
    """Params in the order found; the same key with another value gets the name of its owner in front."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def add(self, key: str, value: Any, owner: str = "") -> None:
        """Add one, unless it is there already."""
        if key in self.params:
            if str(self.params[key]) == str(value) or not owner:
                return
            key = f"{owner}.{key}"
        if len(self.params) < MAX_PARAMS:
            self.params.setdefault(key, value)


def add_literals(scan: Scan, names: Mapping[str, Any], found: Found) -> None:
    """Add the literals, and the literals of dicts, that the cell assigns."""
    spread = {
        node.value.id
        for call in scan.calls
        for node in call.keywords
        if node.arg is None and isinstance(node.value, ast.Name)
    }
    for name, assignments in scan.assigned.items():
        one = assignments[0]
        if name.startswith("_") or any(each.counts or each.part for each in assignments):
            continue
        stated = [literal(each.value) for each in assignments]
        if len(stated) > 1:  # branches, or a change of mind: what the variable holds now, if it was stated at all
            held = plain(names.get(name, MISSING))
            stated = [held] if any(value is not MISSING and value == held for value in stated) else [MISSING]
        value = stated[0]
        if value is not MISSING:
            if value is not None and not is_metric_literal(name, value):
                found.add(name, value)
        elif isinstance(one.value, ast.Dict) and name not in spread and is_config_name(name):
            _flatten(name, one.value, found)
            for key, node in scan.items.get(name, {}).items():  # config["lr"] = 0.1
                if (added := literal(node)) is not MISSING:
                    found.add(f"{name}.{key}", added)


def is_config_name(name: str) -> bool:
    """Return whether a dict of this name holds settings by the look of it."""
    return not _CONFIG_WORDS.isdisjoint(name_words(name))


def _flatten(prefix: str, node: ast.Dict, found: Found) -> None:
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        key = literal(key_node)
        if not isinstance(key, str):
            continue
        if isinstance(value_node, ast.Dict):
            _flatten(f"{prefix}.{key}", value_node, found)
        elif (value := literal(value_node)) is not MISSING:
            found.add(f"{prefix}.{key}", value)


def is_estimator_class(value: Any) -> bool:
    """Return whether this is a class whose objects are fitted, train step by step, or split data for that."""
    return isinstance(value, type) and (any(hasattr(value, name) for name in _TRAINING) or value.__name__ in _TRAINERS)


def _owners(scan: Scan) -> dict[int, str]:
    """Return which variable gets the object that a call makes: ``b`` of ``b = SVC().fit(X)``."""
    owners = {}
    for name, assignments in scan.assigned.items():
        for one in assignments:
            node = one.value
            while isinstance(node, ast.Call) and not one.part:
                owners[id(node)] = name
                node = node.func.value if isinstance(node.func, ast.Attribute) else None
    return owners


def add_keywords(scan: Scan, names: Mapping[str, Any], found: Found) -> None:
    """Add the keyword arguments of estimators and of functions that train."""
    owners = _owners(scan)
    for call in scan.calls:
        target = lookup(call.func, names)
        name = callee_name(call)
        if not is_estimator_class(target) and name not in _CALLS:
            continue
        for keyword in call.keywords:
            if keyword.arg is None:
                spread = lookup(keyword.value, names)
                pairs = list(spread.items()) if type(spread) is dict else []
            else:
                pairs = [(keyword.arg, value_of(keyword.value, names))]
            for key, value in pairs:
                kept = MISSING if value is MISSING else plain(value)
                if kept is not MISSING and key not in {"verbose", "n_jobs"}:
                    found.add(str(key), kept, owners.get(id(call), name))


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


def changed_settings(estimator: Any, prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Return the settings of an estimator that differ from their defaults; those of its parts as ``part__name``."""
    changed: dict[str, Any] = {}
    settings = estimator.get_params(deep=False)
    defaults = _defaults(type(estimator))
    for name, value in settings.items():
        if name in {"verbose", "n_jobs", "memory"}:
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
        if isinstance(value, dict) and len(str(value)) <= 1000:
            kept = str(value)
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
    """Add the fields of argparse namespaces, dataclasses and the like that the cell makes."""
    for name in scan.assigned:
        _add_fields(name, names.get(name), found)


def _add_fields(prefix: str, value: Any, found: Found, depth: int = 0) -> None:
    if type(value).__name__ != "Namespace" and not hasattr(type(value), "__dataclass_fields__"):
        return
    for key, item in list(getattr(value, "__dict__", {}).items()):
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
        add_settings(variable, estimator, found)
    return found.params


def add_settings(variable: str, estimator: Any, found: Found) -> None:
    """Add the settings of a fitted estimator that differ from their defaults."""
    for key, value in changed_settings(estimator).items():
        stated = found.params.get(key.rpartition("__")[2], MISSING)  # SVC(C=7) inside a pipeline: said already
        if "__" not in key or str(stated) != str(value):
            found.add(key, value, variable)
