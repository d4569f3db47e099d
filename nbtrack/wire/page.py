"""A self-contained page about runs: the same interface, with what it would ask for inside.

It opens from disk, asks nothing of any network, and holds no code: for people who have no Jupyter.
"""

from __future__ import annotations

import html
import os
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import msgspec

from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.reprs.numbers import clean
from nbtrack.store.files import replace as replace_file
from nbtrack.wire import pictures as p
from nbtrack.wire import tables
from nbtrack.wire.listing import list_runs
from nbtrack.wire.messages import GetInfo, GetRun
from nbtrack.wire.picturing import get_artifact, get_series
from nbtrack.wire.promoting import get_history, list_models
from nbtrack.wire.reading import get_info, get_run
from nbtrack.wire.registered import GetHistory, ListModels

if TYPE_CHECKING:
    from nbtrack.store.base import Store
    from nbtrack.wire import messages as m

STATIC: Final = Path(__file__).parents[1] / "widget" / "static"
MOST_RUNS: Final = 1000  # in the table
MOST_DETAILS: Final = 200  # runs that can be opened
MOST_CURVES: Final = 24  # runs whose curves are drawn: as many as the charts take
MOST_POINTS: Final = 400  # of one curve
MOST_KEYS: Final = 12
PICTURES_BYTES: Final = 6 << 20  # of all pictures together
ONE_PICTURE_BYTES: Final = 1 << 20
PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"})
# What a page for readers leaves out of a run: its code, what it printed, and the machine it ran on.
CODE: Final = frozenset(
    {"source", "cell", "slice", "stdout", "stderr", "error", "exception", "git", "packages", "platform", "captured",
     "not_captured", "notebook", "cell_id", "cell_hash", "execution_count"}
)  # fmt: skip
POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)


def _details(store: Store, run_ids: list[str]) -> list[m.RunDetail]:
    found = []
    for run_id in run_ids:
        detail = get_run(store.holding(run_id), GetRun(run_id))
        kept = {key: value for key, value in detail.capture.items() if key not in CODE}
        files = [file for file in detail.artifacts if PurePosixPath(file.path).suffix.lower() in PICTURES]
        found.append(msgspec.structs.replace(detail, capture=kept, artifacts=files))
    return found


def _pictures(store: Store, details: list[m.RunDetail]) -> tuple[list[dict[str, Any]], list[m.RunDetail]]:
    """Return pictures as long as there is room, and the runs with only those files that are inside."""
    room, found, kept = PICTURES_BYTES, [], []
    for detail in details:
        files = []
        for file in detail.artifacts:
            if file.size_bytes <= min(room, ONE_PICTURE_BYTES):
                content = get_artifact(store.holding(detail.run_id), p.GetArtifact(detail.run_id, file.path))
                found.append({"run_id": detail.run_id, **msgspec.to_builtins(content)})
                room -= file.size_bytes
                files.append(file)
        kept.append(msgspec.structs.replace(detail, artifacts=files))
    return found, kept


def _data(store: Store, request: p.MakeReport, title: str) -> dict[str, Any]:
    question = tables.ListRuns(
        run_ids=request.run_ids, experiment=request.experiment, filter=request.filter, limit=MOST_RUNS
    )
    runs = list_runs(store, question)
    keys = [column.key for column in runs.columns if column.kind == "metric"][:MOST_KEYS]
    drawn = p.GetSeries(run_ids=runs.run_ids[:MOST_CURVES], keys=keys, max_points=MOST_POINTS)
    artifacts, details = _pictures(store, _details(store, runs.run_ids[:MOST_DETAILS]))
    models = list_models(store, ListModels())
    info = get_info(store, GetInfo())
    return {
        "title": title,
        "saved_at": int(time.time() * 1000),
        "user": info.user,
        # where the store lies is nobody's affair who only reads the page
        "info": msgspec.structs.replace(info, uri=store.name, writable=False),
        "runs": runs,
        "series": get_series(store, drawn).series if keys else [],
        "details": details,
        "artifacts": artifacts,
        "models": models,
        "histories": [get_history(store, GetHistory(model.name)) for model in models.models],
    }


def _part(name: str) -> str:
    try:
        return (STATIC / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"report: {name} was not built. Install nbtrack again.") from error


def _title(store: Store, request: p.MakeReport) -> str:
    if request.title:
        return clean(request.title)
    where = store.name if len(store.parts()) > 1 else Path(store.uri).parent.name
    about = request.experiment if request.experiment not in {None, "Default"} else where
    return clean(f"{about or store.name}: runs and models")


def report_html(store: Store, request: p.MakeReport) -> str:
    """Return the page as HTML; nothing in it comes from elsewhere, and text of users is only ever text."""
    title = _title(store, request)
    # JSON in a script element: without a "<" nothing in it can end the element
    data = msgspec.json.encode(_data(store, request, title)).decode().replace("<", "\\u003c")
    program = _part("report.js").replace("</script", "<\\/script")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="data:,">\n<title>{html.escape(title)}</title>\n'
        f"<style>body{{margin:0;font-family:system-ui,sans-serif}}\n{_part('widget.css')}</style>\n</head>\n<body>\n"
        '<main id="nbtrack"></main>\n<noscript>This page needs JavaScript to show its tables and charts; everything it'
        " needs is inside it.</noscript>\n"
        f'<script type="application/json" id="nbtrack-data">{data}</script>\n'
        f"<script>{program}</script>\n</body>\n</html>\n"
    )


def make_report(store: Store, request: p.MakeReport) -> p.ReportPage:
    """Answer with the page, for a host that saves it."""
    words = "".join(char if char.isalnum() else "-" for char in _title(store, request)).strip("-")
    name = "-".join(part for part in words.split("-") if part)[:60]
    return p.ReportPage(file_name=f"{name or 'report'}.html", html=report_html(store, request))


def report(
    path: str | os.PathLike[str],
    runs: Any = None,
    *,
    title: str = "",
    experiment: str | None = None,
    filter: str = "",
    store: Store | None = None,
) -> Path:
    """Write one HTML file about runs and models for people who have no Jupyter; return its path.

    It says in plain words which model is in use, how good it is and since when, and holds the table of runs, their
    curves and pictures. It opens from disk without any network, and holds no code and no output of cells.

    Parameters
    ----------
    path
        The file to write, such as ``"report.html"``; one that is there is replaced.
    runs
        Run ids, runs, or a DataFrame of :func:`nbtrack.search_runs`; all that fit without it, at most 1,000.
    title
        The heading; the name of the project's folder unless given.
    experiment
        Only runs of this experiment, by name.
    filter
        Only runs that fit, in the language of :func:`nbtrack.search_runs`.
    store
        Where the runs are; the current store unless given.

    Raises
    ------
    InvalidInputError
        If `runs` names no runs, the filter cannot be read, or `path` is a folder.
    NotFoundError
        If there is no such experiment.
    """
    from nbtrack.tracking import get_store
    from nbtrack.tracking.plotting import run_ids_of

    store = store if store is not None else get_store()
    run_ids = None if runs is None else run_ids_of(runs)
    target = Path(path)
    if target.is_dir():
        raise InvalidInputError(f"report: {str(target)!r} is a folder. Give the path of a file, such as 'report.html'.")
    request = p.MakeReport(title=title, run_ids=run_ids, experiment=experiment, filter=filter)
    page = report_html(store, request)
    replace_file(str(target.absolute()), page.encode())
    return target
