"""Metrics that a cell only prints: ``Test accuracy: 97.3%``, ``epoch 3: loss=0.41 val_loss=0.52``."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.metric_names import is_metric_call, is_metric_name
from nbtrack.capture.metrics import MAX_METRICS, MAX_POINTS
from nbtrack.capture.resolve import callee_name
from nbtrack.capture.telling import label_key
from nbtrack.reprs.directions import METRIC_WORDS, TIME_WORDS, name_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.capture.scan import Scan

# A label of one to four words, a colon or an equals sign (or nothing), and a number that is no integer.
_PRINTED: Final = re.compile(
    r"(?<![\w.])(?P<label>[A-Za-z][\w^²@.-]*(?:[ \t]+[A-Za-z(][\w^²@.()-]*){0,3})"
    r"(?:[ \t]*(?P<sign>[:=])[ \t]*|[ \t]+(?=[-+.\d]))"
    r"(?P<number>[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[ \t]*%)|\d+(?=e))(?:[eE][-+]?\d+)?)(?P<percent>[ \t]*%)?(?![\w.]*\d)"
)
_BARE: Final = re.compile(r"^[ \t]*([-+]?\d+\.\d+(?:[eE][-+]?\d+)?)[ \t]*$", re.MULTILINE)
_COMPOUND: Final = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def printed_calls(scan: Scan, names: Mapping[str, Any], text: str) -> dict[str, float]:
    """Return the metrics that a cell prints without a word: ``print(accuracy_score(y, p))``.

    Parameters
    ----------
    scan
        What the text of the cell says.
    names
        The user's variables.
    text
        What the cell printed. Where it has more or fewer lines of one number than the cell prints, nothing is certain.
    """
    body = scan.tree.body if scan.tree is not None else []
    compound = [at for at, one in enumerate(body) if isinstance(one, _COMPOUND)]
    told = _printed_by(body, names)
    numbers = [float(found) for found in _BARE.findall(text[:MAX_POINTS])]
    if len(told) != len(numbers) and compound:  # what a loop prints stands before what comes after it
        told = _printed_by(body[compound[-1] + 1 :], names)
        numbers = numbers[-len(told) :]
    return dict(zip(told, numbers, strict=True)) if told and len(told) == len(numbers) else {}


def _printed_by(statements: list[ast.stmt], names: Mapping[str, Any]) -> list[str]:
    calls = [one.value for one in statements if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)]
    shown = [call.args[0] for call in calls if callee_name(call) == "print" and len(call.args) == 1]
    return [name for name in (_metric_called(node, names) for node in shown) if name]


def _metric_called(node: ast.expr, names: Mapping[str, Any]) -> str:
    """Return the metric that an expression calls for: ``r2_score`` of ``round(r2_score(y, p), 4)``."""
    while isinstance(node, ast.Call) and callee_name(node) in {"round", "float", "abs"} and node.args:
        node = node.args[0]
    if not isinstance(node, ast.Call) or not is_metric_call(node, names):
        return ""
    return callee_name(node) if is_metric_name(callee_name(node)) else ""  # no classification_report


def _known(value: float, printed: str, found: Mapping[str, float | list[float]]) -> bool:
    """Return whether a printed number is the rounded form of one that is known already."""
    decimals = len(printed.partition(".")[2].rstrip("%")) if "e" not in printed.lower() else 12
    tolerance = 0.5000001 * 10.0**-decimals
    known = [one for held in found.values() for one in (held if isinstance(held, list) else [held])]
    return any(abs(one - value) <= tolerance or abs(one * 100 - value) <= tolerance for one in known)


def printed_metrics(text: str, found: Mapping[str, float | list[float]]) -> dict[str, float | list[float]]:
    """Return the metrics that the output of a cell states and that are not in `found` already.

    Parameters
    ----------
    text
        What the cell printed.
    found
        Metrics that are known by their variables; a number that only repeats one of them is left out.

    Returns
    -------
    dict
        Key -> value; a list where the same label was printed several times. ``97.3%`` is 0.973.

    Examples
    --------
    >>> printed_metrics("Test accuracy: 97.3% on 40 rows", {})
    {'test_accuracy': 0.973}
    """
    values: dict[str, list[float]] = {}
    known: dict[str, int] = {}
    named: dict[str, float | list[float]] = {}  # with a sign; a table below may state the same once more
    for match in _PRINTED.finditer(text[:MAX_POINTS]):
        label = match["label"] if match["sign"] else match["label"].split()[-1]
        key = label_key(label)
        if not match["sign"] and key not in METRIC_WORDS:  # "loss 0.5" says enough, "improved by 0.5" does not
            continue
        if not is_metric_name(key) or key in found or not TIME_WORDS.isdisjoint(name_words(key)):
            continue
        value = float(match["number"])
        known[key] = known.get(key, 0) + _known(value, match["number"], found)
        if not match["sign"]:
            known[key] += _known(value, match["number"], named)
        series = values.setdefault(key, [])
        series.append(round(value / 100, 12) if match["percent"] else value)
        if match["sign"]:
            named[key] = series
        if len(values) >= MAX_METRICS:
            break
    # What only repeats known numbers is no news; a curve of which one value is known is still a curve.
    return {
        key: series[0] if len(series) == 1 else series for key, series in values.items() if known[key] < len(series)
    }
