"""Shows runs in a cell: a picture that is complete by itself, and a live view that hides it where one can live.

A front end prefers a widget to every other form in the same output, also when the widget is long dead. So the output
that a notebook keeps holds none. A Jupyter page mounts the live view over the picture when the kernel tells it of the
view; JupyterLab with nbtrack also does so later, without a kernel, through its server. VS Code and Colab load widgets
only from an output: there the live view is a second one, beside the picture.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nbtrack.entities import VIEW_MIME
from nbtrack.errors import InvalidInputError
from nbtrack.widget.hosts import live_place

if TYPE_CHECKING:
    from nbtrack.store.base import RunTable, Store

MAX_RUNS = 1000
MAX_CURVES = 60  # small curves in the saved picture
MAX_POINTS = 48


def compare(
    runs: Any = None,
    filter: str = "",
    *,
    experiment: str | None = None,
    store: Store | None = None,
    stores: Sequence[Store | str | os.PathLike[str]] | None = None,
) -> None:
    """Show runs side by side in the cell: a table of what differs, the metrics, and each run's card on a click.

    What the notebook saves is a complete picture; the live view is an upgrade of it, and writes nothing into the
    notebook's metadata. Outside of IPython, prints the same as text.

    Parameters
    ----------
    runs
        Run ids, runs, or a DataFrame of :func:`nbtrack.search_runs`; a text that is no run id is taken as `filter`.
        Without it, all runs of the active experiment, or of the store where none was set; later ones join in.
    filter
        Only runs that fit, in the language of :func:`nbtrack.search_runs`, such as ``"metrics.accuracy > 0.9"``.
    experiment
        Only runs of this experiment, by name.
    store
        Where the runs are; the current store unless given.
    stores
        Several stores, or their folders, to show together: a column says where each run lies. Experiments of the same
        name are one.

    Raises
    ------
    InvalidInputError
        If `runs` is nothing of the above, or the filter cannot be read.
    NotFoundError
        If there is no such experiment.
    StoreNotFoundError
        If one of `stores` is not there.

    Examples
    --------
    >>> nbtrack.compare(stores=["tuning/.nbtrack", "final/.nbtrack"])  # doctest: +SKIP
    """
    from nbtrack.store import open_stores
    from nbtrack.tracking import get_store

    if stores is not None:
        if store is not None:
            raise InvalidInputError("compare: expected store or stores, got both. Name all of them in stores.")
        store = open_stores(stores)
    store = store if store is not None else get_store()
    run_ids = _run_ids(runs)
    if isinstance(runs, str) and run_ids is not None and not _is_run(store, runs):
        run_ids, filter = None, f"({runs}) AND ({filter})" if filter else runs
    if run_ids is None and experiment is None and stores is None:
        experiment = _active_experiment(store)
    table = _table(store, run_ids, filter, experiment)
    bundle = _compare_bundle(store, table, run_ids, filter, experiment)
    _show(bundle, store, "compare", run_ids, filter, experiment)


def run_card(run: Any, *, store: Store | None = None) -> None:
    """Show the card of one run in the cell: params, metrics with their change, and what to do with its model.

    Parameters
    ----------
    run
        A run, or its id.
    store
        Where the run is; the current store unless given.

    Raises
    ------
    NotFoundError
        If there is no such run.
    """
    from nbtrack.capture.view import view_bundle
    from nbtrack.reprs import run_card_html, run_card_text
    from nbtrack.tracking import get_store

    store = store if store is not None else get_store()
    (run_id,) = _run_ids([run]) or [""]
    found = store.get_run(run_id)
    bundle = view_bundle("card", store, [run_id], run_card_html(found), run_card_text(found))
    _show(bundle, store, "card", [run_id])


def _run_ids(runs: Any) -> list[str] | None:
    """Return the ids of whatever names runs."""
    if runs is None:
        return None
    if isinstance(runs, str):
        return [runs]
    if hasattr(runs, "columns") and "run_id" in runs.columns:
        return [str(run_id) for run_id in runs["run_id"]]
    if hasattr(runs, "run_id"):
        return [str(runs.run_id)]
    if not isinstance(runs, Iterable):
        raise InvalidInputError(
            f"compare: expected run ids, runs, or a DataFrame of search_runs, got {type(runs).__name__}."
            " Pass what nbtrack.search_runs() gives."
        )
    found = []
    for run in runs:
        if not isinstance(run, str) and not hasattr(run, "run_id"):
            raise InvalidInputError(f"compare: expected a run or its id, got {run!r}. Pass runs or their ids.")
        found.append(run if isinstance(run, str) else str(run.run_id))
    return found


def _is_run(store: Store, text: str) -> bool:
    from nbtrack.errors import NbtrackError

    try:
        store.get_run(text)
    except (NbtrackError, ValueError):
        return False
    return True


def _active_experiment(store: Store) -> str | None:
    from nbtrack.tracking.location import active_experiment_id

    experiment_id = active_experiment_id(store)
    return None if experiment_id is None else store.get_experiment(experiment_id).name


def _table(store: Store, run_ids: list[str] | None, filter: str, experiment: str | None) -> RunTable:
    from nbtrack.errors import NotFoundError

    experiment_ids = None
    if experiment is not None:
        known = store.get_experiment_by_name(experiment)
        if known is None:
            names = ", ".join(repr(one.name) for one in store.list_experiments()[:10])
            raise NotFoundError(f"compare: there is no experiment {experiment!r}. There are: {names}.")
        experiment_ids = [known.experiment_id]
    return store.run_table(experiment_ids, filter_string=filter, max_results=MAX_RUNS, run_ids=run_ids)


def _compare_bundle(
    store: Store, table: RunTable, run_ids: list[str] | None, filter: str, experiment: str | None
) -> dict[str, Any]:
    from nbtrack import plots
    from nbtrack.capture.view import view_bundle
    from nbtrack.reprs import compare_html, compare_text

    colors = [plots.PALETTE[index % len(plots.PALETTE)] for index in plots.color_indexes(table.run_ids)]
    none = _why_none(run_ids, filter)
    html = compare_html(table, curves=_curves(store, table), colors=colors, none=none)
    bundle = view_bundle("compare", store, run_ids or [], html, compare_text(table, none=none))
    # A comparison of "all runs" stays one when the notebook is opened again: it does not freeze on those of today.
    bundle[VIEW_MIME] |= {"run_ids": run_ids, "filter": filter, "experiment": experiment}
    return bundle


def _why_none(run_ids: list[str] | None, filter: str) -> str:
    """Return why there is nothing to compare, if that is not that there are no runs yet."""
    if run_ids is not None and not run_ids:
        return (
            "No runs were given. Pass runs or their ids, such as nbtrack.compare(nbtrack.search_runs(…));"
            " nbtrack.compare() shows all."
        )
    if filter:
        return f"No run fits the filter {filter!r}. nbtrack.compare() shows all."
    return "None of the given runs is there; they may be in the trash." if run_ids else ""


def _curves(store: Store, table: RunTable) -> dict[tuple[str, str], list[float]]:
    """Return the small curves of the saved picture: metrics with several values."""
    from nbtrack import plots

    found: dict[tuple[str, str], list[float]] = {}
    keys = [column for column in table.columns if column.kind == "metric"]
    for row, run_id in enumerate(table.run_ids[:MAX_CURVES]):
        for column in keys:
            if len(found) >= MAX_CURVES:
                return found
            if column.values[row] is None:
                continue
            history = store.get_metric_history(run_id, column.key)
            if len(history) > 1:
                found[run_id, column.key] = plots.thinned(history, MAX_POINTS).value.tolist()
    return found


def _show(
    bundle: dict[str, Any],
    store: Store,
    view: str,
    run_ids: list[str] | None = None,
    filter: str = "",
    experiment: str | None = None,
) -> None:
    """Display the picture, and where somebody can see it, the live view that hides it: never both in one output."""
    if not _in_kernel():
        print(bundle["text/plain"])  # noqa: T201 - what a terminal gets
        return
    from IPython.display import display

    place = live_place()
    if place == "nowhere":
        display(bundle, raw=True)
        return
    from nbtrack.widget.view import WIDGET_MIME, View

    picture = f"nbt-picture-{secrets.token_hex(8)}"
    over = place == "picture"
    widget = View(
        store, view=view, run_ids=run_ids, filter=filter, experiment=experiment, picture=picture, inplace=over
    )
    bundle[VIEW_MIME]["widget"] = widget.model_id
    bundle["text/html"] = f'<div class="{picture}">{bundle["text/html"]}</div>'
    display(bundle, raw=True)
    if not over:
        display({WIDGET_MIME: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}, raw=True)


def _in_kernel() -> bool:
    """Whether something with a comm shows our output: a kernel, not a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
