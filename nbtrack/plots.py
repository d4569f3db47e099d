"""Run data -> series, colours and figures: the only place that decides what a plot shows.

The widget, the panel, ``run.plot()`` and every exported file take their curves and colours from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import plotly.graph_objects as go

    from nbtrack.store.base import MetricHistory, Store

# Okabe-Ito without its yellow, which vanishes on white, and its black, which vanishes on dark themes.
PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8F6AC8", "#7A7A7A")


def color_index(run_id: str) -> int:
    """Return the index into the palette that a run keeps for ever, whatever else is shown beside it.

    Examples
    --------
    >>> color_index("0193a5b7c2d" + "0" * 10) == color_index("0193a5b7c2d" + "0" * 10)
    True
    """
    return int(run_id[-8:], 16) % len(PALETTE)


def color_indexes(run_ids: Sequence[str]) -> list[int]:
    """Return the colours of runs shown together, as indexes into the palette, in the order of `run_ids`.

    Each run has its own colour; only where two shown runs would share one does the younger (by id) take the next that
    is free, so that up to eight runs are always told apart.
    """
    taken: dict[int, int] = dict.fromkeys(range(len(PALETTE)), 0)
    chosen: dict[str, int] = {}
    for run_id in sorted(run_ids):
        own = color_index(run_id)
        turns = min(taken.values())
        color = next((own + i) % len(PALETTE) for i in range(len(PALETTE)) if taken[(own + i) % len(PALETTE)] == turns)
        taken[color] += 1
        chosen[run_id] = color
    return [chosen[run_id] for run_id in run_ids]


def thin(y: np.ndarray[Any, Any], max_points: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the indexes of at most `max_points` points that keep every peak and every valley of a curve.

    The points are cut into even pieces in the order given; of each piece its lowest and its highest value stay, and
    the first and last point of all. NaN is kept where a piece holds nothing else.

    Parameters
    ----------
    y
        Shape ``(n,)``.
    max_points
        At least 4.
    """
    import numpy as np

    n = len(y)
    if n <= max_points:
        return np.arange(n)
    pieces = max(1, (max_points - 2) // 2)
    size = -(-n // pieces)
    padded = np.full(size * pieces, np.nan)
    padded[:n] = y
    grid = padded.reshape(pieces, size)
    low = np.where(np.isnan(grid), np.inf, grid).argmin(axis=1)
    high = np.where(np.isnan(grid), -np.inf, grid).argmax(axis=1)
    base = np.arange(pieces) * size
    keep = np.concatenate(([0, n - 1], base + low, base + high))
    return np.unique(keep[keep < n])


def thinned(history: MetricHistory, max_points: int = 1000) -> MetricHistory:
    """Return the history in the order of its steps, with at most `max_points` points and every peak kept."""
    import numpy as np

    from nbtrack.store.base import MetricHistory

    order = np.argsort(history.step, kind="stable")
    step, value, timestamp = history.step[order], history.value[order], history.timestamp[order]
    keep = thin(value, max(4, max_points))
    return MetricHistory(history.key, step[keep], value[keep], timestamp[keep])


def metric_figure(store: Store, run_ids: Sequence[str], keys: Sequence[str] | None = None) -> go.Figure:
    """Return a plotly figure of metrics: curves over steps where there are several, bars where there is one value.

    Parameters
    ----------
    run_ids
        The runs to draw, one colour each.
    keys
        Metric keys; without them, all that any of the runs has.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    runs = [store.get_run(run_id) for run_id in run_ids]
    shown = list(keys) if keys is not None else sorted({key for run in runs for key in run.data.metrics})
    if not shown:
        figure = go.Figure()
        figure.add_annotation(text="These runs have no metrics", showarrow=False)
        return figure
    figure = make_subplots(
        rows=len(shown), cols=1, subplot_titles=[_plain(key) for key in shown], vertical_spacing=0.3 / len(shown)
    )
    colors = color_indexes(run_ids)
    for row, key in enumerate(shown, start=1):
        curve = any(run.summaries[key].count > 1 for run in runs if key in run.summaries)
        for run, color in zip(runs, colors, strict=True):
            if key not in run.data.metrics:
                continue
            look: dict[str, Any] = {
                "name": _plain(run.info.run_name),
                "legendgroup": run.run_id,
                "showlegend": row == 1,
            }
            if curve:
                history = thinned(store.get_metric_history(run.run_id, key))
                trace = go.Scatter(x=history.step, y=history.value, line_color=PALETTE[color], **look)
            else:
                trace = go.Bar(
                    x=[_plain(run.info.run_name)], y=[run.data.metrics[key]], marker_color=PALETTE[color], **look
                )
            figure.add_trace(trace, row=row, col=1)
        figure.update_xaxes(title_text="step" if curve else None, row=row, col=1)
    figure.update_layout(height=120 + 220 * len(shown), margin={"l": 48, "r": 16, "t": 40, "b": 40})
    return figure


def _plain(text: str) -> str:
    """Return `text` for plotly, which reads ``<b>`` and friends as markup: names are never markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


__all__ = ["PALETTE", "color_index", "color_indexes", "metric_figure", "thin", "thinned"]
