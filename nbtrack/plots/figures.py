"""Figures about many runs: parallel coordinates, scatter, scatter matrix, best so far, importance of params."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nbtrack.plots.columns import START, Axis, RunColumns
from nbtrack.plots.importance import importance_of
from nbtrack.plots.palette import PALETTE, SCALE, SYMBOLS, color_indexes, color_of, plain, symbol_of
from nbtrack.plots.spec import MOST_ROWS, Spec, Table, empty
from nbtrack.reprs.numbers import clean, format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_AXES: Final = 10
MOST_SQUARES: Final = 5  # columns of a scatter matrix: more are too small to read
MOST_CONSIDERED: Final = 40  # columns of which a scatter matrix takes those that have runs in common
LEAST_SHARED: Final = 2  # runs that have both columns of a square
MANY_POINTS: Final = 1500  # from here on drawn by the graphics card
MARGIN: Final = {"l": 56, "r": 16, "t": 16, "b": 48}


def _label(axis: Axis) -> str:
    arrow = {"higher": " ↑", "lower": " ↓"}.get(axis.better or "", "")
    return plain(axis.label, 28) + arrow


def _ticks(axis: Axis) -> tuple[list[float], list[str]]:
    """Return where an axis has its marks, and their texts: categories, powers of ten, or round numbers."""
    known = [number for number in axis.numbers if number is not None]
    if axis.categories:
        return [float(i) for i in range(len(axis.categories))], [plain(text, 20) for text in axis.categories]
    low, high = min(known), max(known)
    if axis.log:
        powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        marks = [float(power) for power in powers if np.log10(low) - 0.01 <= power <= np.log10(high) + 0.01]
        if len(marks) < 2:
            marks = [float(np.log10(low)), float(np.log10(high))]
        return marks, [format_number(10**mark) for mark in marks]
    if low == high:
        return [low], [format_number(low)]
    step = 10.0 ** np.floor(np.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5)
    marks = [float(mark) for mark in np.arange(np.ceil(low / step) * step, high + step * 1e-9, step)]
    return marks, [format_number(round(mark, 12)) for mark in marks]


def _dimension(axis: Axis, rows: Sequence[int]) -> dict[str, Any]:
    """Return one axis of parallel coordinates; runs without a value lie below all others, at a mark that says so."""
    numbers = [axis.numbers[row] for row in rows]
    known = [number for number in numbers if number is not None]
    scaled = [None if n is None else float(np.log10(n)) if axis.log else n for n in numbers]
    marks, texts = _ticks(axis)
    low, high = (float(np.log10(end)) if axis.log else end for end in (min(known), max(known)))
    if low == high or axis.categories:
        pad = (high - low) * 0.02 or 0.5
        low, high = low - pad, high + pad
    else:  # an axis is drawn from its first mark to its last
        near = (high - low) * 0.06
        inner = [(mark, text) for mark, text in zip(marks, texts, strict=True) if low + near < mark < high - near]
        ends = [(end, format_number(float(f"{10**end if axis.log else end:.3g}"))) for end in (low, high)]
        marks, texts = [list(column) for column in zip(ends[0], *inner, ends[1], strict=True)]
    if len(known) < len(numbers):
        none = low - (high - low) * 0.12
        scaled = [none if n is None else n for n in scaled]
        marks, texts, low = [none, *marks], ["none", *texts], none
    return {"label": _label(axis), "values": scaled, "tickvals": marks, "ticktext": texts, "range": [low, high]}


def _shown_axes(columns: RunColumns, wanted: Sequence[str], metric: Axis | None, most: int) -> list[Axis]:
    if wanted:
        axes = [columns.axis(column_id) for column_id in wanted if column_id in columns]
    else:
        axes = columns.varying_params()[: most - 1]
        if metric is not None:
            axes.append(metric)
    return [axis for axis in axes if any(number is not None for number in axis.numbers)][:most]


def _table(columns: RunColumns, axes: Sequence[Axis], rows: Sequence[int]) -> Table:
    return Table(
        ["run", *(axis.label for axis in axes)],
        [[columns.names[row], *(axis.values[row] for axis in axes)] for row in rows[:MOST_ROWS]],
    )


def parallel(columns: RunColumns, wanted: Sequence[str] = (), metric_key: str = "") -> Spec:
    """Return parallel coordinates: a line a run, through its params to its metric, coloured by the metric.

    ``layout.meta`` tells a front end which column each axis is, so that a brush on it can filter a table:
    ``{"run_ids": […], "axes": [{"id", "log", "categories"}, …]}``.
    """
    title = "Parallel coordinates"
    metric = columns.metric(metric_key) if columns.metrics else None
    axes = _shown_axes(columns, wanted, metric, MOST_AXES)
    if len(axes) < 2:
        return empty(title, "Fewer than two columns differ between these runs")
    color = metric if metric is not None else axes[-1]
    rows = [row for row, number in enumerate(color.numbers) if number is not None]
    if not rows:
        return empty(title, "None of these runs has the metric")
    axes = [axis for axis in axes if any(axis.numbers[row] is not None for row in rows)]
    left = len(columns.run_ids) - len(rows)
    trace = {
        "type": "parcoords",
        "dimensions": [_dimension(axis, rows) for axis in axes],
        "line": {
            "color": [color.numbers[row] for row in rows],
            "colorscale": SCALE,
            "reversescale": color.better == "lower",
            "showscale": True,
            "colorbar": {"title": {"text": _label(color)}, "thickness": 12, "len": 0.9, "x": 1.05},
        },
        "labelangle": -16 if len(axes) > 6 else 0,
    }
    meta = {
        "run_ids": [columns.run_ids[row] for row in rows],
        "axes": [{"id": axis.id, "label": axis.label, "log": axis.log, "categories": axis.categories} for axis in axes],
    }
    note = f"{len(rows)} runs over {len(axes)} columns, coloured by {color.label}."
    if left:
        note += f" {left} without {color.label} {'is' if left == 1 else 'are'} left out."
    layout = {"margin": {"l": 60, "r": 110, "t": 56, "b": 28}, "height": 380, "meta": meta}
    return Spec(title, [trace], layout, note, _table(columns, axes, rows))


def _looks(columns: RunColumns, rows: Sequence[int], color: Axis | None) -> dict[str, Any]:
    """Return the colour and the shape of each run's mark: a scale for numbers, a colour and a shape for categories."""
    if color is None or not any(color.numbers[row] is not None for row in rows):
        shades = color_indexes([columns.run_ids[row] for row in rows])
        return {"color": [color_of(i) for i in shades], "symbol": [symbol_of(i) for i in shades], "size": 9}
    if color.categories or len(set(color.numbers)) <= 2:
        kinds = sorted({str(value) for value in color.values})
        place = [kinds.index(str(color.values[row])) % len(PALETTE) for row in rows]
        return {"color": [PALETTE[i] for i in place], "symbol": [SYMBOLS[i] for i in place], "size": 9}
    return {
        "color": [color.numbers[row] for row in rows],
        "colorscale": SCALE,
        "reversescale": color.better == "lower",
        "showscale": True,
        "colorbar": {"title": {"text": _label(color)}, "thickness": 12},
        "size": 9,
        "symbol": "circle",
    }


def _hover(columns: RunColumns, axes: Sequence[Axis], row: int) -> str:
    lines = [f"<b>{plain(columns.names[row], 60)}</b>"]
    return "<br>".join([*lines, *(f"{plain(axis.label, 40)} {plain(axis.values[row], 40)}" for axis in axes)])


def _plot_axis(axis: Axis) -> dict[str, Any]:
    look: dict[str, Any] = {"title": {"text": _label(axis)}, "automargin": True}
    if axis.categories:
        marks, texts = _ticks(axis)
        return {**look, "tickvals": marks, "ticktext": texts}
    return {**look, "type": "date"} if axis.id == START else {**look, "type": "log" if axis.log else "linear"}


def scatter(columns: RunColumns, wanted: Sequence[str] = (), color_id: str = "", metric_key: str = "") -> Spec:
    """Return one column over another, a mark a run."""
    metric = columns.metric(metric_key) if columns.metrics else None
    axes = _shown_axes(columns, wanted, metric, 2)
    if len(axes) < 2:
        return empty("Scatter", "Choose two columns that these runs have")
    x, y = axes
    color = columns.axis(color_id) if color_id in columns else None
    rows = [i for i, (a, b) in enumerate(zip(x.numbers, y.numbers, strict=True)) if a is not None and b is not None]
    if not rows:
        return empty("Scatter", f"No run has both {clean(x.label)} and {clean(y.label)}")
    told = [*axes, *([color] if color is not None else [])]
    trace = {
        "type": "scattergl" if len(rows) > MANY_POINTS else "scatter",
        "mode": "markers",
        "x": [x.numbers[row] for row in rows],
        "y": [y.numbers[row] for row in rows],
        "marker": {**_looks(columns, rows, color), "opacity": 0.85, "line": {"width": 0.5, "color": "#808080"}},
        "text": [_hover(columns, told, row) for row in rows],
        "hoverinfo": "text",
        "customdata": [columns.run_ids[row] for row in rows],
    }
    layout = {"xaxis": _plot_axis(x), "yaxis": _plot_axis(y), "margin": MARGIN, "height": 380, "hovermode": "closest"}
    note = f"{y.label} over {x.label}: {len(rows)} of {len(columns.run_ids)} runs have both."
    return Spec(f"{y.label} over {x.label}", [trace], layout, note, _table(columns, told, rows))


def _sharing(axes: Sequence[Axis]) -> tuple[list[Axis], list[Axis]]:
    """Return the columns of which any two have runs in common, fullest first considered, and the others.

    Runs of different kinds have few params in common: most squares of all their columns would be empty.
    """
    held = {axis.id: {row for row, number in enumerate(axis.numbers) if number is not None} for axis in axes}
    kept: list[str] = []
    for axis in sorted(axes, key=lambda one: -len(held[one.id])):
        if all(len(held[axis.id] & held[other]) >= LEAST_SHARED for other in kept):
            kept.append(axis.id)
    return [axis for axis in axes if axis.id in kept], [axis for axis in axes if axis.id not in kept]


def matrix(columns: RunColumns, wanted: Sequence[str] = (), color_id: str = "", metric_key: str = "") -> Spec:
    """Return every column over every other, a mark a run."""
    title = "Scatter matrix"
    metric = columns.metric(metric_key) if columns.metrics else None
    axes, unlike = _sharing(_shown_axes(columns, wanted, metric, len(wanted) or MOST_CONSIDERED))
    if len(axes) > MOST_SQUARES:
        axes = axes[:MOST_SQUARES] if wanted else [*axes[: MOST_SQUARES - 1], axes[-1]]  # the metric is the last
    if len(axes) < 2 and unlike:
        return empty(title, "No two of the columns in which these runs differ have runs in common")
    if len(axes) < 2:
        return empty(title, "Fewer than two columns differ between these runs")
    if len(axes) == 2:  # one square, which plotly cannot draw as a matrix
        return scatter(columns, [axis.id for axis in axes], color_id or (metric.id if metric else ""))
    rows = [n for n in range(len(columns.run_ids)) if sum(axis.numbers[n] is not None for axis in axes) > 1]
    color = columns.axis(color_id) if color_id in columns else metric
    values = [[axis.numbers[row] for row in rows] for axis in axes]
    trace = {
        "type": "splom",
        "dimensions": [
            {"label": _label(axis), "values": held, "axis": {"matches": False}}
            for axis, held in zip(axes, values, strict=True)
        ],
        "marker": {**_looks(columns, rows, color), "size": 5, "opacity": 0.8},
        "diagonal": {"visible": False},
        "showupperhalf": False,
        "text": [_hover(columns, axes, row) for row in rows],
        "hoverinfo": "text",
        "customdata": [columns.run_ids[row] for row in rows],
    }
    layout: dict[str, Any] = {"margin": {**MARGIN, "l": 76}, "height": 130 + 120 * len(axes), "hovermode": "closest"}
    for number, axis in enumerate(axes, start=1):
        look = _plot_axis(axis)
        look.pop("automargin")
        layout[f"xaxis{number if number > 1 else ''}"] = look
        layout[f"yaxis{number if number > 1 else ''}"] = look
    note = f"{len(axes)} columns against each other, {len(rows)} runs" + (
        f", coloured by {color.label}." if color else "."
    )
    if unlike:
        names = ", ".join(axis.label for axis in unlike[:4]) + (
            f" and {len(unlike) - 4} more" if len(unlike) > 4 else ""
        )
        note += f" Left out, as few runs have them together with the others: {names}."
    if left := len(columns.run_ids) - len(rows):
        note += f" {left} {'run has' if left == 1 else 'runs have'} none of these pairs."
    return Spec(title, [trace], layout, note, _table(columns, axes, rows))


def best_so_far(columns: RunColumns, metric_key: str = "") -> Spec:
    """Return the metric of each run in the order in which they began, and the best there was up to then."""
    metric = columns.metric(metric_key)
    rows = [row for row, number in enumerate(metric.numbers) if number is not None]
    if not rows:
        return empty("Best so far", "None of these runs has the metric")
    lower = metric.better == "lower"
    values = np.array([metric.numbers[row] for row in rows], dtype=np.float64)
    best = np.minimum.accumulate(values) if lower else np.maximum.accumulate(values)
    order = list(range(1, len(rows) + 1))
    started = columns.axis(START)
    hover = [_hover(columns, [metric], row) for row in rows]
    runs = {
        "type": "scattergl" if len(rows) > MANY_POINTS else "scatter",
        "mode": "markers",
        "name": "each run",
        "x": order,
        "y": values.tolist(),
        "marker": {"color": PALETTE[4], "symbol": "circle-open", "size": 7},
        "text": hover,
        "hoverinfo": "text",
        "customdata": [columns.run_ids[row] for row in rows],
    }
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": order,
        "y": best.tolist(),
        "line": {"shape": "hv", "color": PALETTE[5], "width": 2.5},
        "hoverinfo": "skip",
    }
    won = int(values.argmin() if lower else values.argmax())
    note = f"{'Lowest' if lower else 'Highest'} {metric.label}: {format_number(float(best[-1]))}, by run {won + 1} of"
    note += f" {len(rows)}, {columns.names[rows[won]]}."
    if metric.better is None:
        note += " Its name does not say which way is better; higher is taken as better."
    layout = {
        "xaxis": {"title": {"text": "run, in the order of their start"}},
        "yaxis": {"title": {"text": _label(metric)}, "automargin": True},
        "margin": MARGIN,
        "height": 360,
        "legend": {"orientation": "h", "y": 1.12},
        "hovermode": "closest",
    }
    table = Table(
        ["run", "started (ms)", metric.label, "best so far"],
        [[columns.names[r], started.values[r], metric.numbers[r], float(b)] for r, b in zip(rows, best, strict=True)][
            :MOST_ROWS
        ],
    )
    return Spec(f"{metric.label}: best so far", [runs, line], layout, note, table)


def importance(columns: RunColumns, metric_key: str = "") -> Spec:
    """Return how much of the metric's spread goes with each param, most first."""
    metric = columns.metric(metric_key)
    found = [one for axis in columns.varying_params() if (one := importance_of(axis, metric)) is not None]
    title = f"What {metric.label} depends on"
    if not found:
        return empty(title, "Too few runs differ in their params to tell: it takes five with this metric")
    found = sorted(found, key=lambda one: one.share)[-20:]
    texts = []
    for one in found:
        way = (
            ""
            if one.trend is None or abs(one.trend) < 0.1
            else " ▲ rises with it"
            if one.trend > 0
            else " ▼ falls with it"
        )
        texts.append(f"{one.share:.0%}{way}")
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [one.share for one in found],
        "y": [plain(one.label, 30) for one in found],
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": PALETTE[0]},
        "hoverinfo": "x+y",
    }
    layout = {
        "xaxis": {
            "title": {"text": f"share of the spread of {plain(metric.label, 30)}"},
            "tickformat": ".0%",
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "range": [0, 1.25],
        },
        "yaxis": {"automargin": True},
        "margin": {**MARGIN, "l": 100},
        "height": 110 + 30 * len(found),
    }
    note = (
        f"How much of the spread of {metric.label} goes with each param alone, corrected for chance."
        " Params that were changed together share their part; this is no proof of a cause."
    )
    rows = [[one.label, one.share, one.trend, one.runs] for one in reversed(found)]
    return Spec(title, [trace], layout, note, Table(["param", "share", "rank correlation", "runs"], rows))
