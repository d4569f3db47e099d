"""Requests and answers about what can be looked at: curves, figures, files, and a page to hand on.

Part of the vocabulary of ``messages.py``, in a file of its own for its length.
"""

from __future__ import annotations

from typing import Any, Literal

from nbtrack.wire.base import Answer, Number, Request

Axis = Literal["step", "time", "relative"]


# -- requests ----------------------------------------------------------------------------------------------------------
class GetSeries(Request, frozen=True, tag="series"):
    """Metric curves, thinned to at most `max_points` a curve so that no peak is lost.

    `axis` orders the points: by step, by time (ms since 1970 UTC), or by time since the curve began (ms). Only points
    with `low` <= x <= `high` are given, and the nearest one on either side, so that a line enters and leaves the view.
    `smooth` (0 to below 1) adds the exponential moving average, taken over all points before any is thinned out.
    """

    run_ids: list[str]
    keys: list[str]
    max_points: int = 1000
    axis: Axis = "step"
    low: float | None = None
    high: float | None = None
    smooth: float = 0.0


class GetBands(Request, frozen=True, tag="bands"):
    """Mean and spread of metric curves over groups of runs: `groups` maps a name to run ids."""

    groups: dict[str, list[str]]
    keys: list[str]
    spread: Literal["range", "std"] = "range"
    axis: Axis = "step"
    low: float | None = None
    high: float | None = None
    max_points: int = 300


class GetFigure(Request, frozen=True, tag="figure"):
    """A plotly figure about runs.

    `metric` is the key of the metric it is about; `columns` are columns by id, such as ``param:lr`` or
    ``metric:loss``; `color` is one such column; `path` is the logged table of an evaluation plot. Without `run_ids`
    it is about all runs of the `experiment` that fit the `filter`.
    """

    kind: Literal["curves", "parallel", "scatter", "matrix", "importance", "best", "confusion", "roc", "pr"]
    run_ids: list[str] | None = None
    experiment: str | None = None
    filter: str = ""
    metric: str = ""
    columns: list[str] = []
    color: str = ""
    path: str = ""


class GetPlotly(Request, frozen=True, tag="plotly"):
    """The program that draws plotly figures, as the installed plotly brings it."""


class GetArtifact(Request, frozen=True, tag="artifact"):
    """A file of a run, as much of it as a preview needs; with `whole`, all of it."""

    run_id: str
    path: str
    whole: bool = False


class MakeReport(Request, frozen=True, tag="report"):
    """A self-contained page about runs, for people without Jupyter. No `run_ids` means all that fit."""

    title: str = ""
    run_ids: list[str] | None = None
    experiment: str | None = None
    filter: str = ""


# -- answers -----------------------------------------------------------------------------------------------------------
class Series(Answer, frozen=True):
    """One curve. `count` is the number of points before thinning; `time` is ms since 1970 UTC, `start` its first."""

    run_id: str
    key: str
    step: list[int]
    value: list[Number]
    time: list[int]
    count: int
    start: int = 0
    smooth: list[Number] | None = None  # the smoothed curve at the same points


class SeriesList(Answer, frozen=True):
    """Curves, in the order of the request's run_ids, then keys; those without a point are left out."""

    series: list[Series]


class Band(Answer, frozen=True):
    """The curve of a group: at each x the mean over its runs, and what the spread is from and to."""

    name: str
    key: str
    runs: int
    x: list[float]
    mean: list[Number]
    low: list[Number]
    high: list[Number]


class Bands(Answer, frozen=True):
    """Curves of groups, in the order of the request's groups, then keys; those without a point are left out."""

    bands: list[Band]


class DataTable(Answer, frozen=True):
    """Rows of a table; `total` counts them all, also those left out."""

    columns: list[str]
    rows: list[list[float | str | None]]
    total: int


class Figure(Answer, frozen=True):
    """A plotly figure as plotly.js takes it, with the data behind it as a table, and what it says in words."""

    title: str
    note: str
    spec: dict[str, Any]
    table: DataTable


class PlotlySource(Answer, frozen=True):
    """plotly.js: gzip in base64."""

    version: str
    source: str


class ArtifactContent(Answer, frozen=True):
    """A file of a run. `text` for what can be read, `data` (base64) for images and downloads, `table` for tables.

    `cut` says that more of it is in the store than here.
    """

    path: str
    kind: Literal["text", "image", "svg", "html", "table", "plotly", "binary"]
    media_type: str
    size_bytes: int
    text: str = ""
    data: str = ""
    table: DataTable | None = None
    cut: bool = False


class ReportPage(Answer, frozen=True):
    """A page to save as a file."""

    file_name: str
    html: str


ANSWERS: dict[str, type[Answer]] = {
    "series": SeriesList,
    "bands": Bands,
    "figure": Figure,
    "plotly": PlotlySource,
    "artifact": ArtifactContent,
    "report": ReportPage,
}
