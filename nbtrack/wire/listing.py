"""Answers what the table of runs asks: rows as columns, whole or block by block, groups, and saved views."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Any, Final

import msgspec
import numpy as np

from nbtrack import plots
from nbtrack.entities import ViewType
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.reprs.compare import STORE_COLUMN
from nbtrack.store.base import ColumnKind, RunColumn, RunTable, Store
from nbtrack.store.catalog import ColumnInfo, RunCatalog, is_number
from nbtrack.store.joined_query import named_experiments
from nbtrack.store.query import parse_field
from nbtrack.tracking.directions import better_direction
from nbtrack.tracking.user import user_name
from nbtrack.wire import tables as m
from nbtrack.wire.base import number

MOST_RUNS: Final = 100_000
RARE: Final = 5  # a column that fewer than one run in so many has is rare, as in js/src/rows.ts
MOST_GROUPS: Final = 1000
MOST_CHANGED: Final = 200  # runs; more are told as quickly with all others


def _cells(values: Sequence[Any]) -> list[float | str | None]:
    """Return values as JSON can carry them; a column of many is mostly fit to be told as it is."""
    kinds = set(map(type, values))
    if kinds <= {str, NoneType}:
        return list(values)
    if kinds <= {float, NoneType} and all(map(math.isfinite, (value for value in values if value is not None))):
        return list(values)
    return [value if value is None or isinstance(value, str) else number(float(value)) for value in values]


def _column(column: RunColumn) -> m.Column:
    values = _cells(column.values)
    texts = {value for value in values if isinstance(value, str)} if column.kind != "metric" else set()
    there = len(values) - values.count(None)
    return m.Column(
        kind=column.kind,
        key=column.key,
        values=values,
        varies=bool(values) and values.count(values[0]) < len(values),
        numeric=there > 0 and all(map(is_number, texts)),
        better=_better(column.kind, column.key),
    )


def _better(kind: str, key: str) -> Any:
    if kind != "metric":
        return None
    if key.endswith(")"):  # an expression: as good as the metric in it, a count or a step as neither
        field = parse_field(key)
        return better_direction(field.key) if field.aggregate in {"min", "max", "last", "at_min", "at_max"} else None
    return better_direction(key)


def experiment_ids(store: Store, name: str | None) -> list[str] | None:
    if name is None:
        return None
    experiment = store.get_experiment_by_name(name)
    if experiment is None:
        raise NotFoundError(f"experiment: there is no {name!r} in the store {store.name!r}.")
    return [experiment.experiment_id]


def _as_told(store: Store, text: str) -> str:
    """Return a filter as the store understands it: the table shows experiments by name, and so does a group of them."""
    if "experiment_id" not in text or len(store.parts()) > 1:
        return text
    return named_experiments(text, {one.name: one.experiment_id for one in store.list_experiments("ALL")})


def _view(deleted: bool) -> ViewType:
    return "DELETED_ONLY" if deleted else "ACTIVE_ONLY"


def _keys(columns: Iterable[str], also: Sequence[str] = ()) -> list[tuple[ColumnKind, str]]:
    """Return what `run_table` calls keys: a kind and a key, or a metric's expression as it stands."""
    found: list[tuple[ColumnKind, str]] = []
    for text in columns:
        field = parse_field(text, also)
        found.append((field.kind, text if field.aggregate else field.key))
    return found


def _columns(store: Store, table: RunTable) -> list[m.Column]:
    """Return all columns, with the name of each run's experiment in the place of its id."""
    names = {one.experiment_id: one.name for one in store.list_experiments("ALL")}
    found = []
    for column in table.columns:
        is_id = (column.kind, column.key) == ("attribute", "experiment_id")
        values = [names.get(one, one) for one in column.values] if is_id else column.values
        found.append(_column(RunColumn(column.kind, "experiment" if is_id else column.key, values)))
    return found


def _common_first(catalog: RunCatalog) -> list[ColumnInfo]:
    """Return the columns of each kind as they are, but those that few of the runs have last."""
    kinds = list(dict.fromkeys(column.kind for column in catalog.columns))
    return sorted(catalog.columns, key=lambda one: (kinds.index(one.kind), one.count * RARE < catalog.total))


def _too_many(store: Store, request: m.ListRuns, within: list[str] | None) -> m.Runs | None:
    if not request.max_cells:
        return None
    catalog = store.run_catalog(within, request.filter, _view(request.deleted), request.run_ids)
    width = len(catalog.columns) if request.columns is None else len(request.columns)
    if catalog.total <= request.limit and catalog.total * width <= request.max_cells:
        return None
    columns = [m.Column(c.kind, c.key, [], c.varies, c.numeric, _better(c.kind, c.key)) for c in _common_first(catalog)]
    return m.Runs([], columns, [], catalog.total, catalog.revision, 0, False)


def _changed(store: Store, request: m.ListRuns, within: list[str] | None) -> m.Runs | None:
    """Return only the runs that changed since the answer that is at hand; None if it takes the whole answer."""
    changes = store.changes_since(request.since) if request.since else None
    if changes is None or len(changes.run_ids) > MOST_CHANGED:
        return None
    is_block = request.columns is not None
    question: dict[str, Any] = {"experiment_ids": within, "filter_string": request.filter}
    question["view"] = _view(request.deleted)
    order, total, revisions = None, 0, set()
    if is_block or changes.moved or request.filter or request.order_by:
        page: dict[str, Any] = {**_page(request), "run_ids": request.run_ids}
        shown = store.run_table(**question, **page, order_by=request.order_by, keys=[])
        if not is_block and shown.total > request.limit:
            return None
        order, total = list(shown.run_ids), shown.total
        revisions.add(shown.revision)
    among = request.run_ids if order is None else order
    asked = changes.run_ids if among is None else sorted(set(changes.run_ids) & set(among))
    keys = None if request.columns is None else _keys([*request.columns, *request.also])
    table = store.run_table(**question, run_ids=asked, keys=keys)
    columns = _columns(store, table)
    revisions.add(table.revision)
    if request.columns is None and request.also:
        more = store.run_table(view="ALL", run_ids=table.run_ids, keys=_keys(request.also))
        columns += [_column(column) for column in more.columns if column.kind != "attribute"]
        revisions.add(more.revision)
    if revisions != {changes.revision}:
        return None  # something changed on the way
    return m.Runs(
        run_ids=list(table.run_ids),
        columns=columns,
        colors=[] if order is None else _colors(order, whole=len(order) == total),
        total=total,
        revision=changes.revision,
        offset=_page(request)["offset"],
        whole=order is None or (request.offset <= 0 and len(order) == total),
        changed=m.Changes(order),
    )


def _page(request: m.ListRuns) -> dict[str, int]:
    return {"max_results": max(0, min(request.limit, MOST_RUNS)), "offset": max(0, request.offset)}


def _colors(run_ids: list[str], *, whole: bool) -> list[int]:
    """Return a colour for each run: of a whole table neighbours have different ones."""
    return plots.color_indexes(run_ids) if whole else [plots.color_index(run_id) for run_id in run_ids]


def list_runs(store: Store, request: m.ListRuns) -> m.Runs:
    within = experiment_ids(store, request.experiment)
    request = msgspec.structs.replace(request, filter=_as_told(store, request.filter))
    if (changed := _changed(store, request, within)) is not None:
        return changed
    if (refusal := _too_many(store, request, within)) is not None:
        return refusal
    page = _page(request)
    table = store.run_table(
        experiment_ids=within,
        filter_string=request.filter,
        order_by=request.order_by,
        **page,
        view=_view(request.deleted),
        run_ids=request.run_ids,
        keys=None if request.columns is None else _keys([*request.columns, *request.also]),
    )
    run_ids = list(table.run_ids)
    columns = _columns(store, table)
    if request.columns is None and request.also:
        more = store.run_table(order_by=request.order_by, view="ALL", run_ids=run_ids, keys=_keys(request.also))
        columns += [_column(column) for column in more.columns if column.kind != "attribute"]
    whole = page["offset"] == 0 and table.total == len(run_ids)
    return m.Runs(
        run_ids=run_ids,
        columns=columns,
        colors=_colors(run_ids, whole=whole),
        total=table.total,
        revision=table.revision,
        offset=page["offset"],
        whole=whole,
    )


def get_catalog(store: Store, request: m.GetCatalog) -> m.Catalog:
    catalog = store.run_catalog(
        experiment_ids(store, request.experiment),
        _as_told(store, request.filter),
        _view(request.deleted),
        request.run_ids,
    )
    columns = [
        m.CatalogColumn(one.kind, one.key, one.count, one.varies, one.numeric, _better(one.kind, one.key))
        for one in _common_first(catalog)
    ]
    return m.Catalog(columns=columns, total=catalog.total, revision=catalog.revision)


def _spread(values: np.ndarray[Any, np.dtype[np.float64]]) -> m.Spread:
    there = values[~np.isnan(values)]
    if not len(there):
        return m.Spread(count=0)
    return m.Spread(len(there), number(there.mean()), number(there.min()), number(there.max()))


def group_runs(store: Store, request: m.GroupRuns) -> m.Groups:
    keys = _keys([request.by, *request.metrics], [STORE_COLUMN] if len(store.parts()) > 1 else [])
    if any(kind != "metric" for kind, _ in keys[1:]):
        raise InvalidInputError(f"groups: expected metrics such as metrics.acc, got {request.metrics!r}.")
    table = store.run_table(
        experiment_ids(store, request.experiment),
        _as_told(store, request.filter),
        view=_view(request.deleted),
        keys=keys,
    )
    by = next((c for c in _columns(store, table) if (c.kind, c.key) == _shown_key(keys[0])), None)
    values = [None] * len(table.run_ids) if by is None else by.values
    places: dict[Any, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    metrics = []
    for kind, key in keys[1:]:
        found = next((c.values for c in table.columns if (c.kind, c.key) == (kind, key)), None)
        metrics.append(np.array([np.nan if v is None else v for v in found or [None] * len(values)], np.float64))
    largest = sorted(places.items(), key=lambda item: -len(item[1]))[:MOST_GROUPS]
    groups = [m.Group(value, len(at), [_spread(metric[at]) for metric in metrics]) for value, at in largest]
    return m.Groups(groups=groups, total=len(places), revision=table.revision)


def _shown_key(key: tuple[ColumnKind, str]) -> tuple[ColumnKind, str]:
    return ("attribute", "experiment") if key == ("attribute", "experiment_id") else key


def list_views(store: Store, request: m.ListViews) -> m.Views:
    return m.Views([m.SavedView(v.name, dict(v.view), v.at_ms, v.user) for v in store.list_views()])


def save_view(store: Store, request: m.SaveView) -> m.Views:
    store.save_view(request.name, request.view, user_name())
    return list_views(store, m.ListViews())
