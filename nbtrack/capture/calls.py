"""What a call states: its keyword arguments, and what its positional ones are called where it is defined."""

from __future__ import annotations

import ast
import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.configs import as_dict
from nbtrack.capture.functions import draws, is_made_by_hand, is_own, methods, own_function, uses
from nbtrack.capture.resolve import MISSING, callee_name, literal, lookup, plain, value_of
from nbtrack.reprs.directions import name_words

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

_CALLS: Final = frozenset(
    {"train_test_split", "cross_val_score", "cross_validate", "cross_val_predict", "fit", "train", "cv", "compile"}
    | {"create_study", "optimize", "set_params"}
)
_CALL_WORDS: Final = frozenset({"fit", "train", "tune", "minimize", "optimize", "finetune"})
# What makes a class an estimator (fit), an optimizer or scheduler (step), a splitter (get_n_splits), a callback.
_TRAINING: Final = (
    "fit",
    "fit_transform",
    "get_n_splits",
    "step",
    "training_step",
    "on_epoch_end",
    "on_train_epoch_end",
)
_TRAINERS: Final = frozenset({"DataLoader", "TrainingArguments", "Seq2SeqTrainingArguments", "LoraConfig"})
# What a function of the notebook calls if it trains, splits or seeds.
_WORK: Final = frozenset(
    {"fit", "partial_fit", "fit_transform", "backward", "step", "train_on_batch", "cross_val_score", "cross_validate"}
    | {"train_test_split", "compile"}
)
_TELLING: Final = frozenset({"log", "print", "progress", "record", "show"})  # callbacks that only say how far it is
_LABELS: Final = frozenset({"prefix", "suffix", "name", "stage", "split", "desc", "msg", "message", "tag", "key"})
_SEEDING: Final = frozenset({"seed", "manual_seed"})
MAX_DEPTH: Final = 3


def is_estimator_class(value: Any) -> bool:
    """Return whether this is a class whose objects are fitted, train step by step, or split data for that."""
    if not isinstance(value, type):
        return False
    if value.__name__ in _TRAINERS or any(hasattr(value, name) for name in _TRAINING):
        return True
    return is_own(value) and any(hasattr(value, name) for name in ("forward", "call"))


def _seeds(function: Any) -> bool:
    bare = own_function(function)
    return bare is not None and not _SEEDING.isdisjoint(uses(bare.__code__))


def trains(function: Any, depth: int = 0) -> bool:
    """Return whether a function, or a class, of the notebook trains or splits: what it calls says so."""
    if is_made_by_hand(function):
        return depth <= MAX_DEPTH and any(trains(method, depth + 1) for method in methods(function))
    bare = own_function(function)
    if bare is None or depth > MAX_DEPTH:
        return False
    used = set(uses(bare.__code__))
    if not _WORK.isdisjoint(used):
        return True
    known = [bare.__globals__[name] for name in used if name in bare.__globals__]
    modules = [vars(one) for one in known if isinstance(one, types.ModuleType)]
    known += [module[name] for module in modules for name in used if name in module]  # lgb.LGBMRegressor
    return any(is_estimator_class(one) or (one is not bare and trains(one, depth + 1)) for one in known)


def _target(call: ast.Call, names: Mapping[str, Any]) -> Any:
    """Return what is called; of an object of the notebook's own class the method, without running a property."""
    found = lookup(call.func, names)
    if found is functools.partial and call.args:
        return lookup(call.args[0], names)
    if found is MISSING and isinstance(call.func, ast.Attribute):
        base = lookup(call.func.value, names)
        if base is not MISSING and is_own(type(base)):
            method = inspect.getattr_static(type(base), call.func.attr, MISSING)
            return types.MethodType(method, base) if isinstance(method, types.FunctionType) else MISSING
    return found


def _signature(target: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(target)
    except (TypeError, ValueError):
        return None


def _says(name: str, value: Any) -> bool:
    """Whether this is a setting whose name says something to a reader who does not see the call: no bare ``n``."""
    return isinstance(value, (bool, int, float, str)) and (len(name) > 1 or name.isupper())


def _positional(call: ast.Call, signature: inspect.Signature, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for node, parameter in zip(call.args, signature.parameters.values(), strict=False):
        if isinstance(node, ast.Starred) or parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return
        value = value_of(node, names)
        if _says(parameter.name, value) and not callable(lookup(node, names)):
            yield parameter.name, value


def _keywords(call: ast.Call, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword in call.keywords:
        if keyword.arg is None:
            spread = lookup(keyword.value, names)
            pairs = list(spread.items()) if type(spread) is dict else []
        else:
            value = value_of(keyword.value, names)
            if value == keyword.arg and callable(lookup(keyword.value, names)):  # loss_of=loss_of says nothing
                continue
            inner = as_dict(keyword.value) if value is MISSING else None  # options={"maxiter": 200}
            pairs = [(f"{keyword.arg}.{key}", literal(node)) for key, node in inner or ()] or [(keyword.arg, value)]
        for key, value in pairs:
            kept = MISSING if value is MISSING else plain(value)
            if kept is not MISSING:
                yield str(key), kept


def _inside(call: ast.Call, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give what the arguments of a training call state: ``callbacks=[early_stopping(stopping_rounds=10)]``."""
    for keyword in call.keywords:
        for node in ast.walk(keyword.value):
            if not isinstance(node, ast.Call) or not callable(target := lookup(node.func, names)):
                continue
            tells = not _TELLING.isdisjoint(name_words(callee_name(node)))
            makes_data = str(getattr(target, "__module__", "")).startswith(("numpy", "pandas", "builtins"))
            if not tells and not makes_data and not is_estimator_class(target):  # those are read by themselves
                yield from _arguments(node, target, names)


def _arguments(call: ast.Call, target: Any, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    signature = None if target is MISSING else _signature(target)
    if signature is not None:
        yield from _positional(call, signature, names)
    yield from _keywords(call, names)


def told_by(call: ast.Call, names: Mapping[str, Any], unused: Container[int] = ()) -> str:
    """Return what a call states of a run: ``"all"``, its ``"seed"`` alone, what is written in it as ``"text"``, or "".

    Parameters
    ----------
    call
        A call in the text of a cell.
    names
        The user's variables.
    unused
        The calls, by identity, whose results nothing uses: what they print or draw is no part of a run's result.
    """
    target = _target(call, names)
    function = getattr(target, "__func__", target)
    if is_estimator_class(target) or _is_named_training(call, function) or trains(function):
        return "all"
    if _seeds(function):
        return "seed"
    if is_made_by_hand(function):
        return "text" if id(call) not in unused and not any(map(draws, methods(function))) else ""
    bare = own_function(function)
    return "text" if bare is not None and id(call) not in unused and not draws(bare) else ""


def _is_named_training(call: ast.Call, function: Any) -> bool:
    """Return whether the name of what is called says that it fits something: ``fit``, ``curve_fit``, ``minimize``."""
    name = callee_name(call)
    optimizes = str(getattr(function, "__module__", "")).startswith("scipy.optimize")
    return name in _CALLS or optimizes or not _CALL_WORDS.isdisjoint(name_words(name))


def stated(
    calls: Iterable[ast.Call], names: Mapping[str, Any], unused: Container[int] = ()
) -> Iterator[tuple[ast.Call, str, Any]]:
    """Give (call, key, value) of all that calls of estimators and of functions that train state.

    Parameters
    ----------
    calls
        The calls in the text of a cell.
    names
        The user's variables, in which what is called and what it is given are looked up.
    unused
        The calls, by identity, whose results nothing uses.
    """
    for call in calls:
        told = told_by(call, names, unused)
        if not told:
            continue
        target = _target(call, names)
        if told == "text":
            yield from ((call, key, value) for key, value in _written(call, target, names))
            continue
        given = [*_arguments(call, target, names), *_inside(call, names), *_defaults(call, target)]
        yield from ((call, key, value) for key, value in given if told == "all" or "seed" in key.lower())


def _written(call: ast.Call, target: Any, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give the numbers and switches written into a call, and the texts that stand under their names there."""
    signature = _signature(target)
    numbers = [node if not isinstance(literal(node), str) else ast.Name("") for node in call.args]
    if signature is not None:
        yield from _positional(ast.Call(call.func, numbers, []), signature, {})
    spread = {id(keyword) for keyword in call.keywords if keyword.arg is None}
    kept = [
        one
        for one in call.keywords
        if id(one) in spread or (literal(one.value) is not MISSING and one.arg not in _LABELS)
    ]
    yield from _keywords(ast.Call(call.func, [], kept), names)


def _defaults(call: ast.Call, target: Any) -> Iterator[tuple[str, Any]]:
    """Give what a call leaves as the notebook itself says that it is."""
    function = getattr(target, "__func__", target)
    own = own_function(function) is not None or (isinstance(target, type) and is_own(target))
    signature = _signature(target) if own else None
    named = {keyword.arg for keyword in call.keywords}
    if signature is None or None in named:
        return
    for parameter in list(signature.parameters.values())[len(call.args) :]:
        if parameter.name not in named and _says(parameter.name, parameter.default):
            yield parameter.name, parameter.default
