"""Figures about predictions: confusion matrix, ROC and precision over recall, of one run or of several."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nbtrack.errors import InvalidInputError
from nbtrack.plots.palette import DASHES, PALETTE, SCALE, color_indexes, color_of, plain
from nbtrack.plots.spec import Spec, Table, empty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_CLASSES: Final = 40
MOST_POINTS: Final = 400  # of one drawn curve
MOST_ACROSS: Final = 3  # confusion matrices in a row
GAP: Final = 0.22  # before and above each, as a share of its room
TRUE, GUESS, SCORE = "y_true", "y_pred", "y_score"


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a run predicted, a row a sample: ``y_true``, and ``y_pred`` or ``y_score`` (or ``y_score_<class>``)."""

    run_id: str
    name: str
    columns: Mapping[str, Sequence[Any]]

    def scores(self) -> dict[str, Sequence[Any]]:
        """Return the score columns by the class they are about; ``""`` is the greater of two classes."""
        found = {
            key.removeprefix(f"{SCORE}_"): column for key, column in self.columns.items() if key.startswith(f"{SCORE}_")
        }
        return found or ({"": self.columns[SCORE]} if SCORE in self.columns else {})


def is_predictions(columns: Sequence[str]) -> bool:
    """Return whether a table with these columns can be drawn here."""
    return TRUE in columns and any(key == GUESS or key.startswith(SCORE) for key in columns)


def _classes(*columns: Sequence[Any]) -> list[Any]:
    values = {value for column in columns for value in column if value is not None}
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def confusion_counts(y_true: Sequence[Any], y_pred: Sequence[Any]) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """Return the classes, and how often each (row) was predicted as each (column)."""
    if len(y_true) != len(y_pred):
        raise InvalidInputError(
            f"confusion: expected as many predictions as truths, got {len(y_pred)} and {len(y_true)}."
        )
    classes = _classes(y_true, y_pred)
    place = {value: i for i, value in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for truth, guess in zip(y_true, y_pred, strict=True):
        if truth is not None and guess is not None:
            counts[place[truth], place[guess]] += 1
    return classes, counts


def _place(number: int, across: int, down: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where the matrix `number` lies among so many across and down: from left to right, from low to high."""
    row, column = divmod(number, across)
    left_gap = GAP / across if across > 1 else 0.0
    top_gap = GAP / down if down > 1 else 0.0
    high = 1 - row / down
    return (column / across + left_gap, (column + 1) / across), (high - 1 / down + top_gap, high)


def confusion(predictions: Sequence[Predictions]) -> Spec:
    """Return confusion matrices side by side: the share of each true class in colour, the count as a number."""
    shown = [one for one in predictions if GUESS in one.columns][:6]
    title = "Confusion matrix"
    if not shown:
        return empty(title, "No logged table of these runs has the columns y_true and y_pred")
    data: list[dict[str, Any]] = []
    across = len(shown) if len(shown) <= MOST_ACROSS else math.ceil(len(shown) / 2)
    down = math.ceil(len(shown) / across)
    layout: dict[str, Any] = {"height": 50 + 290 * down, "margin": {"l": 64, "r": 16, "t": 40, "b": 60}}
    layout["annotations"] = []
    rows: list[list[Any]] = []
    for number, one in enumerate(shown, start=1):
        classes, counts = confusion_counts(one.columns[TRUE], one.columns[GUESS])
        if len(classes) > MOST_CLASSES:
            return empty(title, f"{len(classes)} classes are too many to draw")
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        suffix = str(number) if number > 1 else ""
        labels = [plain(value, 24) for value in classes]
        data.append(
            {
                "type": "heatmap", "z": share.tolist(), "x": labels, "y": labels, "zmin": 0, "zmax": 1,
                "colorscale": SCALE, "showscale": number == len(shown), "xaxis": f"x{suffix}", "yaxis": f"y{suffix}",
                "text": counts.astype(str).tolist(), "texttemplate": "%{text}",
                "hovertemplate": "true %{y}, predicted %{x}: %{text} (%{z:.1%} of the class)<extra></extra>",
                "colorbar": {"tickformat": ".0%", "thickness": 12},
            }
        )  # fmt: skip
        (left, right), (low, high) = _place(number - 1, across, down)
        layout[f"xaxis{suffix}"] = {
            "domain": [left, right], "anchor": f"y{suffix}", "type": "category",
            "title": {"text": "predicted" if number > len(shown) - across else ""},
        }  # fmt: skip
        layout[f"yaxis{suffix}"] = {
            "domain": [low, high], "anchor": f"x{suffix}", "type": "category", "autorange": "reversed",
            "title": {"text": "true" if (number - 1) % across == 0 else ""},
        }  # fmt: skip
        layout["annotations"].append(
            {"text": plain(one.name, 30), "x": (left + right) / 2, "y": high, "xref": "paper", "yref": "paper",
             "xanchor": "center", "yanchor": "bottom", "showarrow": False}
        )  # fmt: skip
        for i, truth in enumerate(classes):
            rows += [[one.name, str(truth), str(guess), int(counts[i, j])] for j, guess in enumerate(classes)]
    note = "Rows are true classes, columns predicted ones; the number is a count, the colour its share of the row."
    return Spec(title, data, layout, note, Table(["run", "true", "predicted", "count"], rows))


def _ranked(y_true: Sequence[Any], scores: Sequence[Any], positive: Any) -> tuple[Any, Any, int, int]:
    """Return hits and false alarms at each distinct threshold from the highest on, and how many there can be."""
    pairs = [(s, t == positive) for s, t in zip(scores, y_true, strict=True) if s is not None and t is not None]
    score, hit = np.array([p[0] for p in pairs], dtype=np.float64), np.array([p[1] for p in pairs], dtype=bool)
    order = np.argsort(-score, kind="stable")
    score, hit = score[order], hit[order]
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    hits = np.cumsum(hit)[last]
    return hits, last + 1 - hits, int(hit.sum()), int((~hit).sum())


def _few(n: int) -> np.ndarray[Any, Any]:
    return np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(np.int64))


def _positive(truths: Sequence[Any], name: str) -> Any:
    """Return the class that a score is about: the one of this name, else the greater of two."""
    classes = _classes(truths)
    if name:
        return next((value for value in classes if str(value) == name), None)
    return classes[-1] if len(classes) == 2 else None


def roc_points(y_true: Sequence[Any], scores: Sequence[Any], positive: Any) -> tuple[Any, Any, float]:
    """Return the false and the true positive rate from (0, 0) to (1, 1), and the area below the curve."""
    hits, alarms, positives, negatives = _ranked(y_true, scores, positive)
    x = np.concatenate(([0.0], alarms / max(negatives, 1)))
    y = np.concatenate(([0.0], hits / max(positives, 1)))
    return x, y, float(np.trapezoid(y, x) if hasattr(np, "trapezoid") else np.trapz(y, x))  # type: ignore[attr-defined,unused-ignore]


def pr_points(y_true: Sequence[Any], scores: Sequence[Any], positive: Any) -> tuple[Any, Any, float]:
    """Return recall and precision from recall 0 on, and the average precision."""
    hits, alarms, positives, _ = _ranked(y_true, scores, positive)
    precision, recall = hits / np.maximum(hits + alarms, 1), hits / max(positives, 1)
    average = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    return np.concatenate(([0.0], recall)), np.concatenate((precision[:1], precision)), average


def curves(predictions: Sequence[Predictions], kind: str) -> Spec:
    """Return ROC (`kind` ``"roc"``) or precision over recall (``"pr"``), a line for each run and class."""
    roc = kind == "roc"
    title = "ROC" if roc else "Precision and recall"
    data: list[dict[str, Any]] = []
    rows: list[list[Any]] = []
    colors = color_indexes([one.run_id for one in predictions])
    for one, color in zip(predictions, colors, strict=True):
        for number, (name, scores) in enumerate(one.scores().items()):
            positive = _positive(one.columns[TRUE], name)
            if positive is None or len(data) >= 24:
                continue
            x, y, area = (roc_points if roc else pr_points)(one.columns[TRUE], scores, positive)
            keep = _few(len(x))
            label = one.name if not name else f"{one.name}: {name}"
            data.append(
                {
                    "type": "scatter", "mode": "lines", "x": x[keep].tolist(), "y": y[keep].tolist(),
                    "name": f"{plain(label, 40)} ({'AUC' if roc else 'AP'} {area:.3f})",
                    "line": {"color": color_of(color), "width": 2, "dash": DASHES[(number or len(data)) % len(DASHES)],
                             "shape": "linear" if roc else "vh"},
                }
            )  # fmt: skip
            rows += [[label, float(x[i]), float(y[i]), area] for i in keep[:: max(1, len(keep) // 50)]]
    if not data:
        return empty(title, "No logged table of these runs has the columns y_true and y_score")
    if roc:
        data.append(
            {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "name": "guessing", "hoverinfo": "skip",
             "line": {"color": PALETTE[7], "width": 1, "dash": "dot"}}
        )  # fmt: skip
    names = ("false positive rate", "true positive rate") if roc else ("recall", "precision")
    layout = {
        "xaxis": {"title": {"text": names[0]}, "range": [0, 1]},
        "yaxis": {"title": {"text": names[1]}, "range": [0, 1.02]},
        "height": 380,
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},  # it may have many rows
    }
    last = "area under the curve" if roc else "average precision"
    return Spec(title, data, layout, f"The number after each name is the {last}.", Table(["curve", *names, last], rows))
