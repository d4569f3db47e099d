"""Metric histories -> what is drawn of them: in order, cut to a window, smoothed, thinned, averaged over groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nbtrack.store.overview import thin

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from nbtrack.store.base import MetricHistory

    Array = np.ndarray[Any, np.dtype[Any]]

Axis = Literal["step", "time", "relative"]
_BLOCK = 128  # points that one matrix product smooths at once


@dataclass(frozen=True, slots=True)
class Extent:
    """How many points a history has, and the time of its first (ms since 1970 UTC)."""

    count: int
    start: int


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve, ready to draw; arrays of shape ``(n,)``.

    `count` is the number of points before thinning, `start` the time of the first of them (ms since 1970 UTC).
    """

    step: Array
    value: Array
    time: Array
    count: int
    start: int
    smooth: Array | None = None


def smoothed(value: np.ndarray[Any, Any], weight: float) -> np.ndarray[Any, Any]:
    """Return the exponential moving average of a curve, without the pull of a start at zero.

    A value that is not finite is left out of the average, and stays as it is.

    Parameters
    ----------
    value
        Shape ``(n,)``.
    weight
        How much of the average before each point stays: 0 changes nothing, 0.99 looks back some 100 points.
    """
    import numpy as np

    finite = np.isfinite(value)
    y = value[finite]
    if weight <= 0 or len(y) == 0:
        return value
    weight = min(weight, 0.9999)
    blocks = -(-len(y) // _BLOCK)
    padded = np.zeros(blocks * _BLOCK)
    padded[: len(y)] = y
    back = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)[None, :]
    kernel = np.where(back >= 0, (1 - weight) * weight ** np.maximum(back, 0), 0.0)
    local = padded.reshape(blocks, _BLOCK) @ kernel.T
    carry, before, block_weight = np.zeros(blocks), 0.0, weight**_BLOCK
    for i, end in enumerate(local[:, -1].tolist()):
        carry[i] = before
        before = end + block_weight * before
    average = (local + carry[:, None] * weight ** np.arange(1, _BLOCK + 1)).ravel()[: len(y)]
    out = value.astype(np.float64, copy=True)
    out[finite] = average / -np.expm1(np.log(weight) * np.arange(1, len(y) + 1))
    return out


def _in_order(x: Array) -> Array | None:
    """Return the order that sorts `x`, None if it is sorted."""
    import numpy as np

    return None if bool(np.all(x[1:] >= x[:-1])) else np.argsort(x, kind="stable")


def _axis(history: MetricHistory, axis: Axis, start: int) -> Array:
    if axis == "step":
        return history.step
    return history.timestamp - start if axis == "relative" else history.timestamp


def curve(
    history: MetricHistory,
    max_points: int = 1000,
    axis: Axis = "step",
    low: float | None = None,
    high: float | None = None,
    smooth: float = 0.0,
    whole: Extent | None = None,
) -> Curve:
    """Return what is drawn of a history: in the order of `axis`, at most `max_points` points, every peak kept.

    Parameters
    ----------
    history
        At least one value.
    low, high
        Only what lies between, in steps or ms, and the nearest point on either side.
    smooth
        As the weight of :func:`smoothed`; the average is taken before anything is cut or thinned.
    whole
        Of what `history` is a part, if it is one.
    """
    import numpy as np

    count, start = (len(history), int(history.timestamp.min())) if whole is None else (whole.count, whole.start)
    x = _axis(history, axis, start)
    step, value, time = history.step, history.value, history.timestamp
    if (order := _in_order(x)) is not None:
        x, step, value, time = x[order], step[order], value[order], time[order]
    average = smoothed(value, smooth) if smooth > 0 else None
    first = 0 if low is None else max(0, int(np.searchsorted(x, low)) - 1)
    last = len(x) if high is None else min(len(x), int(np.searchsorted(x, high, side="right")) + 1)
    keep = first + thin(value[first:last], max(4, max_points))
    return Curve(step[keep], value[keep], time[keep], count, start, None if average is None else average[keep])


def thinned(history: MetricHistory, max_points: int = 1000) -> MetricHistory:
    """Return the history in the order of its steps, with at most `max_points` points and every peak kept."""
    from nbtrack.store.base import MetricHistory

    if not len(history):
        return history
    drawn = curve(history, max_points)
    return MetricHistory(history.key, drawn.step, drawn.value, drawn.time)


@dataclass(frozen=True, slots=True)
class Band:
    """Mean and spread of several curves over common places `x`; arrays of shape ``(n,)``."""

    x: Array
    mean: Array
    low: Array
    high: Array
    runs: int


def _places(curves: Sequence[tuple[Array, Array]], max_points: int) -> tuple[Array, Array]:
    """Return the borders of the pieces that curves are averaged over, and where each is drawn: one a step if few."""
    import numpy as np

    low = min(float(x[0]) for x, _ in curves)
    high = max(float(x[-1]) for x, _ in curves)
    if all(len(x) <= max_points for x, _ in curves):
        known = np.unique(np.concatenate([x for x, _ in curves])).astype(np.float64)
        if len(known) <= max_points:
            return np.append(known, high + 1), known
    borders = np.linspace(low, high, max_points + 1)
    borders[-1] += 1  # the last point belongs to the last piece
    return borders, (np.linspace(low, high, max_points + 1)[:-1] + (high - low) / max_points / 2)


def band(
    histories: Sequence[MetricHistory],
    spread: Literal["range", "std"] = "range",
    axis: Axis = "step",
    low: float | None = None,
    high: float | None = None,
    max_points: int = 300,
) -> Band | None:
    """Return the mean of several curves, with their range (all points, so no peak is lost) or standard deviation.

    Between its own first and last point a curve that has no value at a place counts with the straight line through
    its neighbours. None if no curve has a finite value between `low` and `high`.
    """
    import numpy as np

    curves = []
    for history in histories:
        x = _axis(history, axis, int(history.timestamp.min()) if len(history) else 0)
        fits = np.isfinite(history.value)
        fits &= (x >= (low if low is not None else -np.inf)) & (x <= (high if high is not None else np.inf))
        x, value = x[fits], history.value[fits]
        if len(x):
            order = _in_order(x)
            curves.append((x, value) if order is None else (x[order], value[order]))
    if not curves:
        return None
    borders, places = _places(curves, max(2, max_points))
    means, lows, highs = (np.full((len(curves), len(places)), np.nan) for _ in range(3))
    for row, (x, value) in enumerate(curves):
        piece = np.searchsorted(borders, x, side="right") - 1
        starts = np.flatnonzero(np.diff(piece, prepend=-1))
        at = piece[starts]
        own = np.add.reduceat(value, starts) / np.diff(np.append(starts, len(value)))
        inside = slice(at[0], at[-1] + 1)
        means[row, inside] = np.interp(np.arange(at[0], at[-1] + 1), at, own)
        lows[row], highs[row] = means[row], means[row]
        lows[row, at], highs[row, at] = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    there = ~np.isnan(means).all(axis=0)
    means, lows, highs, places = means[:, there], lows[:, there], highs[:, there], places[there]
    mean = np.nanmean(means, axis=0)
    if spread == "std":
        deviation = np.nanstd(means, axis=0)
        return Band(places, mean, mean - deviation, mean + deviation, len(curves))
    return Band(places, mean, np.nanmin(lows, axis=0), np.nanmax(highs, axis=0), len(curves))
