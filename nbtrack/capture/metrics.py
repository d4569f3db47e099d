"""Metrics that a cell computes without being told to log them: names and sources tell."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.resolve import MISSING, callee_name, literal, lookup, scalar
from nbtrack.reprs.directions import METRIC_WORDS, better_direction, name_words, singular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.capture.scan import Assigned, Scan

MAX_METRICS: Final = 100
MAX_POINTS: Final = 100_000
# Words that make a number something else than a result, whatever stands beside them.
_VETO: Final = frozenset(
    {"n", "num", "count", "counts", "idx", "index", "threshold", "thresholds", "thresh", "thr", "alpha", "weight"}
    | {"weights", "fn", "func", "function", "name", "limit", "tol", "tolerance", "target", "patience", "seed", "size"}
    | {"dim", "column", "columns", "bins", "every", "scale", "coef", "margin", "budget"}
)
_VAGUE: Final = frozenset({"f", "map", "return", "success", "exact", "hit", "hits", "stress", "energy", "dice", "ap"})
_SIDE: Final = frozenset(
    {"test", "val", "valid", "validation", "train", "training", "dev", "eval", "cv", "oof", "holdout", "mean", "avg"}
    | {"average", "weighted", "macro", "micro", "final", "best", "last", "std", "total", "epoch", "at", "log", "top"}
)
_GROUPS: Final = frozenset(
    {"metrics", "metric", "scores", "losses", "errors", "results", "report", "evaluation", "evals"}
)
_COUNTERS: Final = frozenset({"epoch", "epochs", "step", "steps", "global", "iteration", "fold", "batch"})
_STRICT_GROUPS: Final = frozenset({"metrics", "metric", "scores", "losses", "errors"})
_LIBRARIES: Final = (
    "sklearn.metrics",
    "torchmetrics",
    "imblearn.metrics",
    "evaluate",
    "keras.metrics",
    "lifelines.utils",
)
_METHODS: Final = frozenset({"score", "evaluate", "oob_score"})


def _words(name: str) -> list[str]:
    return [singular(re.sub(r"\d+$", "", word)) if word not in METRIC_WORDS else word for word in name_words(name)]


def is_metric_name(name: str) -> bool:
    """Return whether a variable of this name holds a result, if it is a number that was computed.

    Examples
    --------
    >>> [is_metric_name(n) for n in ("val_loss", "f1", "rmse2", "n_errors", "score_threshold", "C")]
    [True, True, True, False, False, False]
    """
    words = _words(name)
    if not _VETO.isdisjoint(words) or name.startswith("_"):
        return False
    telling = METRIC_WORDS.intersection(words)
    return bool(telling - _VAGUE) or (bool(telling) and len(words) > 1) or better_direction(name) is not None


def is_metric_literal(name: str, value: Any) -> bool:
    """Return whether even a number written out is a result: ``accuracy = 0.93``, not ``max_error = 0.1``."""
    words = _words(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_metric_name(name):
        return False
    return all(word in METRIC_WORDS or word in _SIDE or not word for word in words)


def _is_metric_call(call: ast.Call, names: Mapping[str, Any]) -> bool:
    if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
        return True
    target = lookup(call.func, names)
    module = getattr(target, "__module__", None) if target is not MISSING else None
    if isinstance(module, str) and module.startswith(_LIBRARIES):
        return True
    name = callee_name(call)
    return is_metric_name(name) and (isinstance(call.func, ast.Name) or not name.startswith("make_"))


def says_metric(node: ast.expr | None, names: Mapping[str, Any]) -> bool:
    """Return whether an expression computes from a metric: ``round(model.score(X, y), 3)``."""
    if node is None:
        return False
    return any(isinstance(part, ast.Call) and _is_metric_call(part, names) for part in ast.walk(node))


def _computed(assignments: list[Assigned]) -> bool:
    return any(one.counts or literal(one.value) is MISSING for one in assignments)


def _is_result(name: str, assignments: list[Assigned], value: Any, names: Mapping[str, Any]) -> bool:
    if not _computed(assignments):
        return is_metric_literal(name, value)
    if is_metric_name(name):
        return True
    vetoed = not _VETO.isdisjoint(_words(name)) or name.startswith("_")
    return not vetoed and any(says_metric(one.value, names) for one in assignments)


def _group(name: str, value: dict[Any, Any]) -> dict[str, float]:
    words = set(name_words(name))
    if _GROUPS.isdisjoint(words):
        return {}
    strict = not _STRICT_GROUPS.isdisjoint(words)
    found = {}
    for key, item in list(value.items())[:MAX_METRICS]:
        number = scalar(item)
        if not isinstance(key, str) or number is None or _COUNTERS.issuperset(name_words(key)):
            continue
        if strict or is_metric_name(key):
            found[key] = number
    return found


def _curve(values: list[Any]) -> list[float]:
    """Return a list of numbers as one curve; empty if it is none."""
    numbers = [scalar(value) for value in values[:MAX_POINTS]]
    curve = [number for number in numbers if number is not None]
    return curve if len(curve) == len(numbers) > 1 else []


def _curves(value: dict[Any, Any]) -> dict[str, list[float]]:
    """Return what a cell collected in lists: ``history["loss"].append(loss)``."""
    lists = {key: item for key, item in list(value.items())[:MAX_METRICS] if type(item) is list}
    found = {key: _curve(item) for key, item in lists.items() if isinstance(key, str) and is_metric_name(key)}
    return {key: curve for key, curve in found.items() if curve}


def _item_results(scan: Scan, names: Mapping[str, Any]) -> dict[str, float]:
    """Return what the cell put into dicts by key: ``results["rf"] = accuracy_score(y, p)``."""
    found = {}
    for name, items in scan.items.items():
        held = names.get(name)
        if type(held) is not dict:
            continue
        group = not _GROUPS.isdisjoint(name_words(name))
        for key, value in items.items():
            number = scalar(held.get(key))
            if number is not None and ((group and is_metric_name(key)) or says_metric(value, names)):
                found[key] = number
    return found


def _folds(name: str, assignments: list[Assigned], value: Any) -> dict[str, float]:
    """Return the mean over the folds of a cross validation."""
    calls = [callee_name(one.value) for one in assignments if isinstance(one.value, ast.Call)]
    if "cross_val_score" in calls and getattr(value, "ndim", 0) == 1 and len(value):
        return {f"{name}.mean": float(value.mean())}
    if "cross_validate" in calls and type(value) is dict:
        scored = {key: part for key, part in value.items() if str(key).startswith(("test_", "train_"))}
        return {f"{name}.{key}.mean": float(part.mean()) for key, part in scored.items() if hasattr(part, "mean")}
    return {}


def displayed_metric(scan: Scan, names: Mapping[str, Any], result: Any) -> dict[str, float]:
    """Return the metric that a cell shows as its last value without a name: ``accuracy_score(y, p)``."""
    number = scalar(result)
    if number is None or not isinstance(scan.last, ast.Call) or not _is_metric_call(scan.last, names):
        return {}
    return {callee_name(scan.last): number}


def find_metrics(scan: Scan, names: Mapping[str, Any], result: Any = None) -> dict[str, float | list[float]]:
    """Return the metrics of a cell; a list is a curve, one value a step.

    Parameters
    ----------
    scan
        What the text says.
    names
        The user's variables after the cell ran.
    result
        The last value of the cell.
    """
    found: dict[str, float | list[float]] = {}
    for name, assignments in scan.assigned.items():
        value = names.get(name, MISSING)
        if value is MISSING:
            continue
        number = scalar(value)
        if number is not None:
            if _is_result(name, assignments, value, names):
                found[name] = number
        elif type(value) is dict:
            results: dict[str, float | list[float]] = {**_group(name, value)}
            if name in scan.appended:
                results |= _curves(value)
            found.update((key, item) for key, item in results.items() if key not in found)
        elif type(value) is list and name in scan.appended and is_metric_name(name) and (curve := _curve(value)):
            found[name] = curve
        found |= _folds(name, assignments, value)
    found |= {key: number for key, number in _item_results(scan, names).items() if key not in found}
    for key, number in displayed_metric(scan, names, result).items():
        if number not in found.values():
            found.setdefault(key, number)
    return dict(list(found.items())[:MAX_METRICS])
