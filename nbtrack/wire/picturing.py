"""Answers what can be looked at: curves, bands, figures, and the files of a run."""

from __future__ import annotations

import base64
import gzip
import math
import mimetypes
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from nbtrack import plots
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.plots.recent import Window, recent
from nbtrack.plots.tables import SUFFIXES, read_table
from nbtrack.store.base import Store
from nbtrack.tracking.resumed import joined_history, resumed_runs
from nbtrack.wire import pictures as p
from nbtrack.wire.base import Number, number
from nbtrack.wire.listing import experiment_ids

MOST_CURVES: Final = 2000  # of one request
MOST_RUNS: Final = 20_000  # of one figure
PREVIEW_TEXT: Final = 200_000  # bytes
PREVIEW_IMAGE: Final = 8 << 20
WHOLE_FILE: Final = 128 << 20
PREVIEW_ROWS: Final = 200
IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"})


def _numbers(values: np.ndarray[Any, Any]) -> list[Number]:
    if np.isfinite(values).all():
        found: list[Number] = values.astype(np.float64).tolist()
        return found
    return [number(value) for value in values.tolist()]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the histories of one request, each joined to that of the run it goes on with."""

    store: Store
    before: Mapping[str, str]
    revision: str

    def draw(self, run_id: str, key: str, window: Window) -> plots.Curve | None:
        place = (self.store.uri, run_id, key)
        return recent.draw(
            place,
            self.revision,
            window,
            lambda: joined_history(self.store, run_id, key, self.before),
            lambda: None if run_id in self.before else self.store.get_metric_overview(run_id, key),
        )


def _curve(reader: _Reader, request: p.GetSeries, run_id: str, key: str) -> p.Series | None:
    window = Window(request.max_points, request.axis, request.low, request.high, request.smooth)
    drawn = reader.draw(run_id, key, window)
    if drawn is None:
        return None
    return p.Series(
        run_id=run_id,
        key=key,
        step=drawn.step.tolist(),
        value=_numbers(drawn.value),
        time=drawn.time.tolist(),
        count=drawn.count,
        start=drawn.start,
        smooth=None if drawn.smooth is None else _numbers(drawn.smooth),
    )


def get_series(store: Store, request: p.GetSeries) -> p.SeriesList:
    pairs = [(run_id, key) for run_id in request.run_ids for key in request.keys][:MOST_CURVES]
    if not 0 <= request.smooth < 1:
        raise InvalidInputError(f"smooth: expected 0 to below 1, got {request.smooth}.")
    reader = _Reader(store, resumed_runs(store, request.run_ids), store.revision())
    if len(pairs) < 4:
        found = [_curve(reader, request, *pair) for pair in pairs]
    else:
        # Unpacking and numpy let other threads run meanwhile: long curves come twice as fast on two cores.
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            found = list(pool.map(lambda pair: _curve(reader, request, *pair), pairs))
    return p.SeriesList(series=[one for one in found if one is not None])


def get_bands(store: Store, request: p.GetBands) -> p.Bands:
    bands = []
    for name, run_ids in request.groups.items():
        for key in request.keys:
            histories = [h for run_id in run_ids if len(h := store.get_metric_history(run_id, key))]
            found = plots.band(histories, request.spread, request.axis, request.low, request.high, request.max_points)
            if found is not None:
                bands.append(
                    p.Band(
                        name=name,
                        key=key,
                        runs=found.runs,
                        x=found.x.tolist(),
                        mean=_numbers(found.mean),
                        low=_numbers(found.low),
                        high=_numbers(found.high),
                    )
                )
    return p.Bands(bands=bands)


def _sayable(value: Any) -> Any:
    """Return a figure's value as JSON can carry it; plotly leaves out what is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _cell(value: Any) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    return number(float(value)) if isinstance(value, int | float | np.number) else str(value)


def data_table(columns: list[str], rows: list[list[Any]], most: int) -> p.DataTable:
    return p.DataTable(columns, [[_cell(value) for value in row] for row in rows[:most]], len(rows))


def get_figure(store: Store, request: p.GetFigure) -> p.Figure:
    run_ids = request.run_ids
    if run_ids is None:
        ids = experiment_ids(store, request.experiment)
        run_ids = list(store.run_table(ids, request.filter, max_results=MOST_RUNS, keys=[]).run_ids)
    spec = plots.spec_of(
        store,
        request.kind,
        run_ids[:MOST_RUNS],
        metric=request.metric,
        columns=request.columns,
        color=request.color,
        path=request.path,
    )
    return p.Figure(
        title=spec.title,
        note=spec.note,
        spec=_sayable({"data": spec.data, "layout": spec.layout}),
        table=data_table(spec.table.columns, spec.table.rows, PREVIEW_ROWS),
    )


@lru_cache(maxsize=1)
def plotly_source() -> tuple[str, str]:
    """Return the version of the installed plotly and its plotly.js: gzip in base64."""
    import importlib.util
    from importlib.metadata import version

    found = importlib.util.find_spec("plotly")
    folder = Path(found.origin).parent if found is not None and found.origin else Path()
    file = folder / "package_data" / "plotly.min.js"
    if not file.is_file():
        raise NotFoundError(f"plotly: {file.name} is not where plotly keeps it. `pip install --upgrade plotly`.")
    return version("plotly"), base64.b64encode(gzip.compress(file.read_bytes(), 5)).decode()


def get_plotly(store: Store, request: p.GetPlotly) -> p.PlotlySource:
    return p.PlotlySource(*plotly_source())


def _is_plotly(text: str) -> bool:
    import json

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and isinstance(value.get("data"), list) and isinstance(value.get("layout"), dict)


def _as_text(data: bytes) -> str | None:
    """Return bytes as text if they are some: UTF-8 without a zero byte."""
    if b"\0" in data[:8192]:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # a cut may have gone through a character
        return data[: error.start].decode("utf-8-sig") if error.start > len(data) - 4 else None


def get_artifact(store: Store, request: p.GetArtifact) -> p.ArtifactContent:
    run = store.get_run(request.run_id)
    artifact = run.artifacts.get(request.path)
    if artifact is None:
        raise NotFoundError(f"artifact: the run {run.info.run_name!r} has no file {request.path!r}.")
    suffix = PurePosixPath(artifact.path).suffix.lower()
    media_type = mimetypes.guess_type(artifact.path, strict=False)[0] or "application/octet-stream"
    size = artifact.size_bytes

    def content(kind: Any, **fields: Any) -> p.ArtifactContent:
        return p.ArtifactContent(artifact.path, kind, media_type, size, **fields)

    if request.whole:
        if size > WHOLE_FILE:
            raise InvalidInputError(
                f"artifact: {request.path!r} has {size:,} bytes, more than fits through a page."
                f" It lies at {store.blob_path(artifact.digest)}."
            )
        return content("binary", data=base64.b64encode(store.read_blob(artifact.digest)).decode())
    if suffix in IMAGES:
        if size > PREVIEW_IMAGE:
            return content("binary", cut=True)
        return content("image", data=base64.b64encode(store.read_blob(artifact.digest)).decode())
    if suffix in SUFFIXES and size <= PREVIEW_IMAGE:
        data = store.read_blob(artifact.digest)
        if suffix == ".json" and size <= PREVIEW_IMAGE and _is_plotly(data.decode("utf-8", "replace")):
            return content("plotly", text=data.decode("utf-8", "replace"))
        table = read_table(data, artifact.path)
        if table is not None:
            return content("table", table=data_table(*table, PREVIEW_ROWS), cut=len(table[1]) > PREVIEW_ROWS)
    most = PREVIEW_IMAGE if suffix in {".html", ".htm", ".svg"} else PREVIEW_TEXT
    with store.blob_path(artifact.digest).open("rb") as file:
        data = file.read(most)
    text = _as_text(data)
    if text is None:
        return content("binary", cut=True)
    kind = "html" if suffix in {".html", ".htm"} else "svg" if suffix == ".svg" else "text"
    return content("text" if kind != "text" and size > most else kind, text=text, cut=size > most)
