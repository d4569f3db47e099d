"""Metrics that a cell computes without being told to log them: numbers, and what it collects in lists and dicts."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.metric_names import COUNTERS, is_metric_call, is_metric_name, is_result, says_metric
from nbtrack.capture.resolve import MISSING, callee_name, literal, scalar
from nbtrack.capture.told import is_news, told_results
from nbtrack.reprs.directions import name_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbtrack.capture.scan import Assigned, Scan

    Found = dict[str, float | list[float]]

MAX_METRICS: Final = 100
MAX_POINTS: Final = 100_000
_GROUPS: Final = frozenset(
    {"metrics", "metric", "scores", "losses", "errors", "results", "report", "evaluation", "evals"}
)
_COUNTERS: Final = COUNTERS | {"global"}
_HISTORIES: Final = frozenset({"hist", "history", "losses", "loss", "curves", "scores", "errors"})
_SPLITS: Final = frozenset({"train", "training", "val", "valid", "validation", "test", "dev", "eval"})
_STRICT_GROUPS: Final = frozenset({"metrics", "metric", "scores", "losses", "errors"})


def _group(name: str, value: dict[Any, Any]) -> dict[str, float]:
    """Return the results in a dict that is named like one; of a report on classes the averages."""
    words = set(name_words(name))
    if _GROUPS.isdisjoint(words):
        return {}
    strict = not _STRICT_GROUPS.isdisjoint(words)
    report = "macro avg" in value
    found: dict[str, float] = {}
    for key, item in list(value.items())[:MAX_METRICS]:
        if not isinstance(key, str):
            continue
        if type(item) is dict and (not report or key.endswith(" avg")):
            inner = {part: scalar(number) for part, number in item.items() if is_metric_name(str(part))}
            found |= {f"{key}.{part}": number for part, number in inner.items() if number is not None}
        number = scalar(item)
        if number is None or _COUNTERS.issuperset(name_words(key)):
            continue
        if strict or is_metric_name(key):
            found[key] = number
    return found


def _mostly(value: dict[Any, Any], assignments: list[Assigned]) -> Found:
    """Return the results in a dict of any name, if that is what it mostly holds and it was computed."""
    if any(isinstance(one.value, ast.Dict) and _written(one.value) for one in assignments):
        return {}
    numbers = {key: scalar(item) for key, item in list(value.items())[:MAX_METRICS] if isinstance(key, str)}
    known = {key: number for key, number in numbers.items() if number is not None}
    results = {key: number for key, number in known.items() if is_metric_name(key)}
    nested = _nested(value) if all(isinstance(one.value, ast.DictComp) for one in assignments) else {}
    return dict(nested | results if len(results) * 2 >= len(known) else nested)


def _nested(value: dict[Any, Any]) -> dict[str, float]:
    """Return the results in dicts under names: ``quality["median"] = {"psnr": 31.0}``."""
    inner = {key: item for key, item in list(value.items())[:MAX_METRICS] if type(item) is dict}
    found = {
        f"{key}.{part}": scalar(number)
        for key, item in inner.items()
        for part, number in list(item.items())[:MAX_METRICS]
        if isinstance(key, (str, int)) and isinstance(part, str) and is_metric_name(part)
    }
    return {key: number for key, number in found.items() if number is not None}


def _written(node: ast.Dict) -> bool:
    return all(literal(value) is not MISSING for value in node.values)


def _curve(values: list[Any]) -> list[float]:
    """Return a list of numbers as one curve; empty if it is none."""
    numbers = [scalar(value) for value in values[:MAX_POINTS]]
    curve = [number for number in numbers if number is not None]
    return curve if len(curve) == len(numbers) > 1 else []


def _curves(name: str, value: dict[Any, Any]) -> dict[str, list[float]]:
    """Return what a cell collected in lists: ``history["loss"].append(loss)``, ``history["train"].append(loss)``."""
    lists = {key: item for key, item in list(value.items())[:MAX_METRICS] if type(item) is list}
    found = {key: _curve(item) for key, item in lists.items() if isinstance(key, str) and is_metric_name(key)}
    if not _HISTORIES.isdisjoint(name_words(name)):
        found |= {f"{name}.{key}": _curve(item) for key, item in lists.items() if key in _SPLITS}
    return {key: curve for key, curve in found.items() if curve}


def _rows(rows: list[Any], nodes: list[ast.expr]) -> Found:
    """Return what a cell collected row by row: ``rows.append({"model": name, "acc": acc})``, or such tuples.

    Where each row has a name of its own, the metrics are called after it; else they are one curve each.
    """
    texts = [part.id if isinstance(part, ast.Name) else "" for node in nodes[:1] for part in getattr(node, "elts", ())]
    if texts and all(type(row) in {tuple, list} and len(row) == len(texts) for row in rows[:MAX_POINTS]):
        rows = [dict(zip(texts, row, strict=True)) for row in rows[:MAX_POINTS]]
    if not rows or any(type(row) is not dict for row in rows[:MAX_POINTS]):
        return {}
    keys = [key for key in rows[0] if isinstance(key, str) and is_metric_name(key)]
    labels = [key for key, item in rows[0].items() if isinstance(item, str)]
    label = labels[0] if len(labels) == 1 and len({str(row.get(labels[0])) for row in rows}) == len(rows) else None
    found: Found = {}
    for key in keys:
        if label is None:
            if curve := _curve([row.get(key) for row in rows]):
                found[key] = curve
            continue
        for row in rows[:MAX_METRICS]:
            if (number := scalar(row.get(key))) is not None:
                found[f"{row[label]}.{key}"] = number
    return found


def _item_results(scan: Scan, names: Mapping[str, Any]) -> Iterator[tuple[str, Found]]:
    """Return what the cell put into dicts by key: ``results["rf"] = accuracy_score(y, p)``, ``results[name] = acc``."""
    for name in {**scan.items, **scan.keyed}:
        held = names.get(name)
        if type(held) is not dict:
            continue
        group = not _GROUPS.isdisjoint(name_words(name))
        telling = [key for key, node in scan.items.get(name, {}).items() if says_metric(node, names)]
        if any(_holds_result(node, scan, names) for node in scan.keyed.get(name, ())):
            telling += [key for key in held if isinstance(key, str)]
        elif group:
            telling += [key for key in scan.items.get(name, ()) if is_metric_name(key)]
        numbers = {key: scalar(held.get(key)) for key in telling}
        put = [*scan.items.get(name, {}).values(), *scan.keyed.get(name, ())]
        written = all(isinstance(node, ast.Dict) and _written(node) for node in put)
        results: Found = {} if written else dict(_nested(held))
        yield name, results | {key: number for key, number in numbers.items() if number is not None}


def _holds_result(value: ast.expr, scan: Scan, names: Mapping[str, Any]) -> bool:
    """Return whether an expression is a result: computed here, or a variable that holds one."""
    if isinstance(value, ast.Name):
        return is_result(value.id, scan.assigned.get(value.id, []), 0.0, names)
    return says_metric(value, names)


def _folds(name: str, assignments: list[Assigned], value: Any) -> dict[str, float]:
    """Return the mean over the folds of a cross validation."""
    calls = [callee_name(one.value) for one in assignments if isinstance(one.value, ast.Call)]
    if "cross_val_score" in calls and getattr(value, "ndim", 0) == 1 and len(value):
        return {f"{name}.mean": float(value.mean())}
    if "cross_validate" in calls and type(value) is dict:
        scored = {key: part for key, part in value.items() if str(key).startswith(("test_", "train_"))}
        return {f"{name}.{key}.mean": float(part.mean()) for key, part in scored.items() if hasattr(part, "mean")}
    return {}


def _collected(scan: Scan, names: Mapping[str, Any]) -> tuple[Found, set[str]]:
    """Return what the cell collects in lists and dicts, and the variables whose values it collects there."""
    found: Found = {}
    parts: set[str] = set()
    # A list that another cell made.
    filled: dict[str, list[Assigned]] = {name: [] for name in scan.appended if name not in scan.assigned}
    for name, assignments in {**scan.assigned, **filled}.items():
        value = names.get(name)
        if type(value) is list and len(value) == 1 and name not in scan.appended:  # of trainer.test(…)
            value = value[0]
        results: Found = {}
        if type(value) is dict:
            results |= _group(name, value) or _mostly(value, assignments)
            if name in scan.appended:
                results |= _curves(name, value)
        elif type(value) is list and name in scan.appended:
            results |= _list(name, value, scan.appended[name])
        results |= _folds(name, assignments, value)
        found.update((key, item) for key, item in results.items() if key not in found)
        parts.update(_parts(scan.appended.get(name, ())) if results else ())
    for name, results in _item_results(scan, names):
        found.update((key, number) for key, number in results.items() if key not in found)
        parts.update(_parts(scan.keyed.get(name, ())) if results else ())
    return found, parts


def _list(name: str, value: list[Any], nodes: list[ast.expr]) -> Found:
    if rows := _rows(value, nodes):
        return rows
    told = [name, *(node.id for node in nodes if isinstance(node, ast.Name))]  # cv.append(rmse) tells what is in cv
    key = next((one for one in told if is_metric_name(one)), None)
    curve = _curve(value) if key is not None else []
    return {key: curve} if key is not None and curve else {}


def _parts(nodes: Iterable[ast.expr]) -> Iterator[str]:
    """Return the variables that are collected as they are: ``x`` of ``l.append(x)`` and of ``l.append({"x": x})``."""
    for node in nodes:
        held = node.values if isinstance(node, ast.Dict) else getattr(node, "elts", [node])
        yield from (part.id for part in held if isinstance(part, ast.Name))


def displayed_metric(scan: Scan, names: Mapping[str, Any], result: Any) -> dict[str, float]:
    """Return the metric that a cell shows as its last value without a name: ``accuracy_score(y, p)``."""
    number = scalar(result)
    if number is None or not isinstance(scan.last, ast.Call) or not is_metric_call(scan.last, names):
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
    collected, parts = _collected(scan, names)
    # Of each fold, or of each model: what the variable holds is that of the last one, and means nothing by itself.
    last_only = {name for name in parts if all(one.each for one in scan.assigned.get(name, ()))}
    found: Found = {}
    for name, assignments in scan.assigned.items():
        number = scalar(names.get(name, MISSING))
        if number is not None and name not in last_only and is_result(name, assignments, number, names):
            found[name] = number
    for key, item in collected.items():
        if isinstance(item, list) or key not in found:  # a curve says more than its last value
            found[key] = item
    shown = {**displayed_metric(scan, names, result), **told_results(scan, names, result)}
    for key, number in shown.items():
        if key not in last_only and is_news(key, number, scan, found):
            found.setdefault(key, number)
    return dict(list(found.items())[:MAX_METRICS])
