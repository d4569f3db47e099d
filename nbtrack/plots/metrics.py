"""Metric curves as a figure: what ``run.plot()`` and every export draw, of the same series as the live ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtrack.names import natural_key
from nbtrack.plots.curves import curve
from nbtrack.plots.palette import color_indexes, color_of, dash_of, plain
from nbtrack.plots.spec import MOST_ROWS, Spec, Table, empty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbtrack.store.base import Store

ROW_PX = 220


def metrics(store: Store, run_ids: Sequence[str], keys: Sequence[str] | None = None) -> Spec:
    """Return metrics below each other: curves over steps where there are several values, bars where there is one.

    Parameters
    ----------
    run_ids
        The runs to draw: a colour and a dash each.
    keys
        Metric keys; without them, all that any of the runs has.
    """
    runs = [store.get_run(run_id) for run_id in run_ids]
    shown = list(keys) if keys else sorted({key for run in runs for key in run.data.metrics}, key=natural_key)
    if not shown:
        return empty("Metrics", "These runs have no metrics")
    gap = min(0.3 / len(shown), 0.12)
    height = (1 - gap * (len(shown) - 1)) / len(shown)
    layout: dict[str, Any] = {
        "height": 100 + ROW_PX * len(shown),
        "margin": {"l": 56, "r": 16, "t": 40, "b": 44},
        "annotations": [],
    }
    data: list[dict[str, Any]] = []
    rows: list[list[Any]] = []
    for number, key in enumerate(shown):
        top = 1 - number * (height + gap)
        suffix = str(number + 1) if number else ""
        layout[f"yaxis{suffix}"] = {"domain": [max(0.0, top - height), top], "anchor": f"x{suffix}", "automargin": True}
        layout["annotations"].append(
            {"text": f"<b>{plain(key, 60)}</b>", "x": 0, "y": top, "xref": "paper", "yref": "paper", "showarrow": False,
             "xanchor": "left", "yanchor": "bottom"}
        )  # fmt: skip
        several = any(run.summaries[key].count > 1 for run in runs if key in run.summaries)
        layout[f"xaxis{suffix}"] = {"anchor": f"y{suffix}"} | ({"title": {"text": "step"}} if several else {})
        for run, color in zip(runs, color_indexes(run_ids), strict=True):
            if key not in run.data.metrics:
                continue
            name = plain(run.info.run_name)
            look: dict[str, Any] = {
                "name": name, "legendgroup": run.run_id, "showlegend": number == 0, "xaxis": f"x{suffix}",
                "yaxis": f"y{suffix}",
            }  # fmt: skip
            if several:
                drawn = curve(store.get_metric_history(run.run_id, key))
                line = {"color": color_of(color), "dash": dash_of(color)}
                data.append(
                    {"type": "scatter", "mode": "lines", "x": drawn.step.tolist(), "y": drawn.value.tolist(),
                     "line": line, **look}
                )  # fmt: skip
            else:
                value = [run.data.metrics[key]]
                data.append({"type": "bar", "x": [name], "y": value, "marker": {"color": color_of(color)}, **look})
            summary = run.summaries[key]
            rows.append([run.info.run_name, key, summary.last, summary.min, summary.max, summary.count])
    names = ["run", "metric", "last", "min", "max", "points"]
    return Spec("Metrics", data, layout, f"{len(shown)} metrics of {len(runs)} runs.", Table(names, rows[:MOST_ROWS]))
