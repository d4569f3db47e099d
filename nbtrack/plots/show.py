"""One door to every figure: by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

from nbtrack.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects as go

    from nbtrack.plots.spec import Spec
    from nbtrack.store.base import Store

Kind = Literal["curves", "parallel", "scatter", "matrix", "importance", "best", "confusion", "roc", "pr"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)


def spec_of(
    store: Store,
    kind: str,
    run_ids: Sequence[str],
    *,
    metric: str = "",
    columns: Sequence[str] = (),
    color: str = "",
    path: str = "",
) -> Spec:
    """Return a figure about runs as plain data.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    metric
        The metric that it is about; without it the first whose name tells which way is better.
    columns
        Columns by id such as ``param:lr`` or ``metric:loss``; without them those in which the runs differ.
    color
        A column whose values colour the marks.
    path
        The logged table of predictions; without it the first with columns ``y_true`` and ``y_pred`` or ``y_score``.

    Raises
    ------
    InvalidInputError
        If there is no such kind.
    NotFoundError
        If there is no such run, column or metric.
    """
    if kind not in KINDS:
        raise InvalidInputError(f"plot: there is no kind {kind!r}; expected one of {', '.join(KINDS)}.")
    if kind == "curves":
        from nbtrack.plots.metrics import metrics

        return metrics(store, run_ids, [metric] if metric else None)
    if kind in {"confusion", "roc", "pr"}:
        from nbtrack.plots import evaluation
        from nbtrack.plots.tables import read_predictions

        found = read_predictions(store, run_ids, path)
        return evaluation.confusion(found) if kind == "confusion" else evaluation.curves(found, kind)
    from nbtrack.plots import figures
    from nbtrack.plots.columns import RunColumns

    table = RunColumns.read(store, run_ids)
    if kind == "parallel":
        return figures.parallel(table, columns, metric)
    if kind == "scatter":
        return figures.scatter(table, columns, color, metric)
    if kind == "matrix":
        return figures.matrix(table, columns, color, metric)
    return figures.importance(table, metric) if kind == "importance" else figures.best_so_far(table, metric)


def metric_figure(store: Store, run_ids: Sequence[str], keys: Sequence[str] | None = None) -> go.Figure:
    """Return a plotly figure of metrics: curves over steps where there are several, bars where there is one value.

    Parameters
    ----------
    run_ids
        The runs to draw, one colour each.
    keys
        Metric keys; without them, all that any of the runs has.
    """
    from nbtrack.plots.metrics import metrics

    return metrics(store, run_ids, keys).figure()
