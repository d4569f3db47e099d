"""Runs as a DataFrame, and single runs by their id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtrack.entities import Run, ViewType
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.names import check_run_id
from nbtrack.tracking import pending
from nbtrack.tracking.location import active_experiment_id, get_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from nbtrack.store.base import MetricHistory, Store

_VIEWS: dict[Any, ViewType] = {1: "ACTIVE_ONLY", 2: "DELETED_ONLY", 3: "ALL"}
_VIEWS |= {name: name for name in _VIEWS.values()}


def get_run(run_id: str) -> Run:
    """Return one run with all it logged and captured; raises NotFoundError."""
    pending.wait(check_run_id(run_id))
    return get_store().get_run(run_id)


def get_metric_history(run_id: str, key: str) -> MetricHistory:
    """Return every value of one metric of a run.

    The answer has a length and the arrays ``step``, ``value`` and ``timestamp``; it is empty if the run never logged
    the metric. Raises NotFoundError if there is no such run.
    """
    pending.wait(check_run_id(run_id))
    return get_store().get_metric_history(run_id, key)


def delete_run(run_id: str) -> None:
    """Move a run to the trash; `restore_run` takes it out again."""
    pending.wait(check_run_id(run_id))
    get_store().edit_run(run_id, deleted=True)


def restore_run(run_id: str) -> None:
    """Take a run out of the trash."""
    get_store().edit_run(check_run_id(run_id), deleted=False)


def _experiment_ids(
    store: Store, ids: Sequence[str] | None, names: Sequence[str] | None, search_all: bool
) -> list[str] | None:
    if search_all:
        if ids or names:
            raise InvalidInputError("search_runs: search_all_experiments excludes experiment_ids and experiment_names.")
        return None
    if ids is None and names is None:
        active = active_experiment_id(store)
        return None if active is None else [active]
    if isinstance(ids, str) or isinstance(names, str):
        raise InvalidInputError(f"search_runs: expected a list of experiments, got the text {ids or names!r}.")
    found = [str(one) for one in ids or ()]
    for name in names or ():
        experiment = store.get_experiment_by_name(name)
        if experiment is None:
            known = ", ".join(repr(e.name) for e in store.list_experiments()[:10])
            raise NotFoundError(f"search_runs: there is no experiment {name!r}; there are {known}.")
        found.append(experiment.experiment_id)
    return found


def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: int | str = "ACTIVE_ONLY",
    max_results: int = 100_000,
    order_by: Sequence[str] | None = None,
    output_format: str = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> pd.DataFrame | list[Run]:
    """Return the runs that fit as a DataFrame, one row a run, newest first unless `order_by` says otherwise.

    Parameters
    ----------
    experiment_ids, experiment_names
        Which experiments; without either, the active one, or all where none was set.
    filter_string
        Such as ``"metrics.accuracy > 0.9 AND params.n_estimators = '100'"``.
    run_view_type
        ``"ACTIVE_ONLY"``, ``"DELETED_ONLY"`` (the trash) or ``"ALL"``; MLflow's numbers 1, 2 and 3 are understood.
    max_results
        At most so many.
    order_by
        Such as ``["metrics.accuracy DESC"]``.
    output_format
        ``"pandas"``, or ``"list"`` for a list of :class:`Run`.
    search_all_experiments
        All experiments, also where one is active.

    Returns
    -------
    DataFrame or list of Run
        Columns ``run_id``, ``run_name``, ``experiment_id``, ``status``, ``artifact_uri``, ``start_time``, ``end_time``
        (UTC), then ``metrics.<key>`` (last values), ``params.<key>`` and ``tags.<key>``.

    Raises
    ------
    FilterSyntaxError
        If `filter_string` or `order_by` cannot be read.
    """
    if output_format not in {"pandas", "list"}:
        raise InvalidInputError(f"search_runs: expected output_format 'pandas' or 'list', got {output_format!r}.")
    if run_view_type not in _VIEWS:
        raise InvalidInputError(
            f"search_runs: expected run_view_type 'ACTIVE_ONLY', 'DELETED_ONLY' or 'ALL', got {run_view_type!r}."
        )
    if isinstance(order_by, str):
        order_by = [order_by]
    pending.wait()
    store = get_store()
    chosen = _experiment_ids(store, experiment_ids, experiment_names, search_all_experiments)
    view = _VIEWS[run_view_type]
    if output_format == "list":
        return store.search_runs(chosen, filter_string, order_by or (), max_results, view=view)
    return _as_frame(store.run_frame(chosen, filter_string, order_by or (), max_results, view=view))


def _as_frame(columns: dict[str, Any]) -> pd.DataFrame:
    """Return columns as a DataFrame without copying them; times become UTC time stamps."""
    import numpy as np
    import pandas as pd

    def times(ms: Any) -> pd.DatetimeIndex:
        stamps = np.where(ms < 0, np.iinfo(np.int64).min, ms)  # the least integer is pandas' "no time"
        return pd.DatetimeIndex(stamps.view("datetime64[ms]")).tz_localize("UTC")

    usual = pd.Series([""]).dtype  # of texts: numpy's of objects before pandas 3

    def texts(values: Any) -> Any:
        if isinstance(values, np.ndarray):
            return values
        if isinstance(usual, np.dtype):
            return values.objects()
        return pd.array(values.texts, dtype=usual).take(values.codes, allow_fill=True)

    first = ("run_id", "run_name", "experiment_id", "status", "artifact_uri")
    data = {key: texts(columns[key]) for key in first}
    data |= {key: times(columns[key]) for key in ("start_time", "end_time")}
    data |= {key: texts(values) for key, values in columns.items() if key not in data}
    return pd.DataFrame(data, copy=False)
