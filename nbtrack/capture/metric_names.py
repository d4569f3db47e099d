"""Which names, and which expressions, say that a number is a result."""

from __future__ import annotations

import ast
import re
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.functions import returned
from nbtrack.capture.resolve import MISSING, callee_name, literal, lookup
from nbtrack.reprs.directions import AMOUNT_WORDS, METRIC_WORDS, better_direction, name_words, singular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.capture.scan import Assigned


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
_RATED: Final = frozenset(
    {"acceptance", "success", "hit", "miss", "win", "conversion", "detection", "response", "retention", "failure"}
)
_LIBRARIES: Final = (
    "sklearn.metrics",
    "torchmetrics",
    "imblearn.metrics",
    "evaluate",
    "keras.metrics",
    "lifelines.utils",
)
_METHODS: Final = frozenset({"score", "evaluate", "oob_score"})
_ATTRIBUTES: Final = frozenset({"best_value", "best_score", "rsquared", "rsquared_adj", "aic", "bic"})
# Words of what only counts: where a run is, not how good.
COUNTERS: Final = frozenset(
    {"epoch", "epochs", "step", "steps", "iteration", "iter", "fold", "batch", "year", "day", "id"}
)
_CLOCKS: Final = frozenset({"now", "utcnow", "today", "time", "time_ns", "perf_counter", "monotonic", "process_time"})
MAX_DEPTH: Final = 3
_CONFUSION: Final = frozenset({"tn", "fp", "fn", "tp"})  # all four counts of a confusion matrix, or none


def _words(name: str) -> list[str]:
    return [singular(re.sub(r"\d+$", "", word)) if word not in METRIC_WORDS else word for word in name_words(name)]


def is_vetoed(name: str) -> bool:
    """Return whether a name says that a number is something else than a result: a count, a limit, a weight."""
    words = _words(name)
    return name.startswith("_") or not (_VETO.isdisjoint(words) or words[-2:] == ["c", "index"])


def is_metric_name(name: str) -> bool:
    """Return whether a variable of this name holds a result, if it is a number that was computed.

    Examples
    --------
    >>> [is_metric_name(n) for n in ("val_loss", "f1", "rmse2", "n_errors", "score_threshold", "C")]
    [True, True, True, False, False, False]
    """
    words = _words(name)
    if is_vetoed(name) or words in (["neg"], ["negative"]):  # of neg_log_loss the first word, alone a count
        return False
    telling = METRIC_WORDS.intersection(words)
    if words[-1:] == ["rate"] and not _RATED.isdisjoint(words):
        return True
    return bool(telling - _VAGUE) or (bool(telling) and len(words) > 1) or better_direction(name) is not None


def is_metric_literal(name: str, value: Any) -> bool:
    """Return whether even a number written out is a result: ``accuracy = 0.93``, not ``max_error = 0.1``."""
    words = _words(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_metric_name(name):
        return False
    return all((word in METRIC_WORDS and word not in AMOUNT_WORDS) or word in _SIDE or not word for word in words)


def is_metric_call(call: ast.Call, names: Mapping[str, Any], depth: int = 0) -> bool:
    """Return whether a call computes a metric: of a library of metrics, ``.score``, or a function named like one."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
        return True
    if is_clock(call, names):
        return False
    target = lookup(call.func, names)
    module = getattr(target, "__module__", None) if target is not MISSING else None
    if isinstance(module, str) and module.startswith(_LIBRARIES):
        return True
    name = callee_name(call)
    if is_metric_name(name) and (isinstance(call.func, ast.Name) or not name.startswith("make_")):
        return True
    return depth < MAX_DEPTH and any(
        says_metric(node, names, depth + 1) for node in returned(target) if not isinstance(node, ast.Tuple)
    )


def is_clock(call: ast.Call, names: Mapping[str, Any]) -> bool:
    """Return whether a call only reads a clock: ``time.time()``, ``datetime.now()``."""
    target = lookup(call.func, names)
    if getattr(target, "__module__", None) == "time":
        return True
    return callee_name(call) in _CLOCKS and not call.args


def is_written_out(node: ast.expr | None) -> bool:
    """Return whether an expression is a value written out: a literal, or ``float("inf")``."""
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, ast.Call) and callee_name(node) == "float" and len(node.args) == 1:
        node = node.args[0]
    if isinstance(node, ast.Attribute):  # -np.inf
        return node.attr in {"inf", "nan", "NaN", "Inf"}
    return literal(node) is not MISSING


def says_metric(node: ast.expr | None, names: Mapping[str, Any], depth: int = 0) -> bool:
    """Return whether an expression computes from a metric: ``round(model.score(X, y), 3)``, ``search.best_score_``."""
    if node is None:
        return False
    called = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    return any(
        (isinstance(part, ast.Call) and is_metric_call(part, names, depth))
        or (isinstance(part, ast.Attribute) and id(part) not in called and _is_result_attribute(part))
        for part in ast.walk(node)
    )


def _is_result_attribute(node: ast.Attribute) -> bool:
    return node.attr in _ATTRIBUTES or (node.attr.endswith("_") and is_metric_name(node.attr.rstrip("_")))


def is_result(name: str, assignments: list[Assigned], value: Any, names: Mapping[str, Any]) -> bool:
    """Return whether a number that a cell assigned is a result: its name or what it was computed from says so."""
    if all(not one.counts and is_written_out(one.value) for one in assignments):
        return is_metric_literal(name, value) and isfinite(value)
    if all(isinstance(one.value, ast.Call) and is_clock(one.value, names) for one in assignments):
        return False  # when it began
    if is_metric_name(name):
        return any(one.value is not None for one in assignments)  # what a loop goes through is the last of many
    return (not is_vetoed(name) or name in _CONFUSION) and any(_gives_result(one, names) for one in assignments)


def _gives_result(one: Assigned, names: Mapping[str, Any]) -> bool:
    """Return whether what a name was given is a metric; of several values at once, the one that it took."""
    function = lookup(one.value.func, names) if isinstance(one.value, ast.Call) else MISSING
    if one.at is not None and (given := returned(function)):
        parts = [node.elts[one.at] for node in given if isinstance(node, ast.Tuple) and one.at < len(node.elts)]
        return any(
            says_metric(part, names, 1) or (isinstance(part, ast.Name) and is_metric_name(part.id)) for part in parts
        )
    return says_metric(one.value, names)
