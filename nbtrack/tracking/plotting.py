"""Figures of runs, for notebooks: ``nbtrack.plot(runs)`` and ``run.plot()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtrack.errors import InvalidInputError

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from nbtrack.plots import Kind
    from nbtrack.store.base import Store

MOST_RUNS = 10_000


def plot(runs: Any = None, kind: Kind = "curves", *, store: Store | None = None, **options: Any) -> go.Figure:
    """Return a plotly figure about runs: show it, change it, or write it with ``write_html`` or ``write_image``.

    Parameters
    ----------
    runs
        A run, its id, several of either, or a DataFrame of :func:`nbtrack.search_runs`; all runs without it.
    kind
        ``curves`` of metrics, ``parallel`` coordinates, ``scatter`` and scatter ``matrix``, ``importance`` of params,
        ``best`` so far, ``confusion`` matrix, ``roc``, ``pr`` (precision over recall). The last three are drawn from
        a logged table with the columns ``y_true`` and ``y_pred`` or ``y_score``.
    store
        Where the runs are; the current store unless given.
    **options
        `metric`: the metric it is about; `columns`: such as ``["param:lr", "metric:loss"]``; `color`: one such column;
        `path`: the logged table.

    Raises
    ------
    InvalidInputError
        If there is no such kind, or `runs` names no runs.
    NotFoundError
        If there is no such run, column or metric.
    """
    from nbtrack import plots
    from nbtrack.tracking import get_store

    store = store if store is not None else get_store()
    found = list(store.run_table(max_results=MOST_RUNS, keys=[]).run_ids) if runs is None else run_ids_of(runs)
    return plots.spec_of(store, kind, found, **options).figure()


def run_ids_of(runs: Any) -> list[str]:
    """Return the ids of whatever names runs.

    Raises
    ------
    InvalidInputError
        If `runs` is no run, id, DataFrame of runs, or list of runs or ids.
    """
    if isinstance(runs, str):
        return [runs]
    if hasattr(runs, "columns") and "run_id" in runs.columns:
        return [str(run_id) for run_id in runs["run_id"]]
    if hasattr(runs, "run_id"):
        return [str(runs.run_id)]
    try:
        return [one if isinstance(one, str) else str(one.run_id) for one in runs]
    except (TypeError, AttributeError):
        raise InvalidInputError(
            f"runs: expected a run, its id, several of them, or a DataFrame of search_runs, got {type(runs).__name__}."
            " Pass what nbtrack.search_runs() gives."
        ) from None
