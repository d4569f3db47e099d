"""Several stores read as one: for a comparison of runs that lie apart, such as tuning here, final trainings there."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from nbtrack.errors import InvalidInputError, NotFoundError, StoreReadOnlyError
from nbtrack.names import natural_key
from nbtrack.reprs.compare import STORE_COLUMN
from nbtrack.store.base import GcPreview, MetricHistory, Problem, Progress, RunColumn, RunTable, RunWriter, Store
from nbtrack.store.joined_query import JoinedFilter, clauses_of, column_of, orders_of
from nbtrack.store.views import RunChanges, SavedView

if TYPE_CHECKING:
    from nbtrack.entities import Experiment, Run, ViewType
    from nbtrack.store.base import ColumnKind
    from nbtrack.store.overview import Overview
    from nbtrack.store.query import Order

_T = TypeVar("_T")


def short_names(stores: Sequence[Store]) -> list[str]:
    """Return what to call stores side by side: the folder that holds each, with as many of its parents as it takes."""
    parts = [[part for part in one.uri.rstrip("/").split("/") if part != ".nbtrack"] or [one.uri] for one in stores]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [one.uri for one in stores]


class JoinedStore(Store):
    """Several stores read as one.

    An experiment is known by its name, which several stores may have; a run lies in one store, which answers what is
    asked or changed of it (:meth:`holding`). Nothing new is made here: that is for a single store.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        different = list({one.uri: one for one in stores}.values())
        if not different:
            raise InvalidInputError("stores: expected at least one, got none. Pass stores or their folders.")
        self.stores = tuple(different)
        self.uri = os.pathsep.join(one.uri for one in different)
        self.names = short_names(different)
        self.name = " + ".join(self.names)
        self._homes: dict[str, Store] = {}

    def _first(self, ask: Callable[[Store], _T]) -> _T:
        """Return the first answer of a store that has what is asked for."""
        last: NotFoundError | None = None
        for one in self.stores:
            try:
                return ask(one)
            except NotFoundError as error:
                last = error
        raise last or AssertionError("there is a store")

    def holding(self, run_id: str) -> Store:
        """Return the store that a run lies in."""
        home = self._homes.get(run_id)
        if home is None:
            home = self._homes[run_id] = self._first(lambda one: (one.get_run(run_id), one)[1])
        return home

    def parts(self) -> tuple[Store, ...]:
        """Return the stores that this one reads."""
        return self.stores

    # -- experiments: known by name ------------------------------------------------------------------------------------
    def list_experiments(self, view: ViewType = "ACTIVE_ONLY") -> list[Experiment]:
        """Return those of all stores, one of each name; its id is its name."""
        found: dict[str, Experiment] = {}
        for one in self.stores:
            for experiment in one.list_experiments(view):
                found.setdefault(experiment.name, replace(experiment, experiment_id=experiment.name))
        return list(found.values())

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return the experiment of this name."""
        known = self.get_experiment_by_name(experiment_id)
        if known is None:
            raise NotFoundError(f"experiment: there is no {experiment_id!r} in {self.name}.")
        return known

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of this name; None if no store has one."""
        return next((one for one in self.list_experiments("ALL") if one.name == name), None)

    # -- runs ----------------------------------------------------------------------------------------------------------
    def get_run(self, run_id: str) -> Run:
        """Return a run of any of the stores."""
        home = self.holding(run_id)
        run = home.get_run(run_id)
        name = home.get_experiment(run.info.experiment_id).name
        return replace(run, info=replace(run.info, experiment_id=name))

    def search_runs(
        self,
        experiment_ids: Sequence[str] | None = None,
        filter_string: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        offset: int = 0,
        view: ViewType = "ACTIVE_ONLY",
    ) -> list[Run]:
        """Return runs of all stores that fit, newest first unless `order_by` says otherwise."""
        table = self.run_table(experiment_ids, filter_string, order_by, max_results, offset, view, keys=[])
        return [self.get_run(run_id) for run_id in table.run_ids]

    def run_table(
        self,
        experiment_ids: Sequence[str] | None = None,
        filter_string: str = "",
        order_by: Sequence[str] = (),
        max_results: int | None = None,
        offset: int = 0,
        view: ViewType = "ACTIVE_ONLY",
        run_ids: Sequence[str] | None = None,
        keys: Sequence[tuple[ColumnKind, str]] | None = None,
    ) -> RunTable:
        """Return the runs of all stores that fit as columns, with the attribute ``store``: what holds each run."""
        orders = orders_of(order_by, self._metrics)
        fits = JoinedFilter(filter_string)
        computed = [key for key in map(column_of, (order.field for order in orders)) if key[1].endswith(")")]
        sorted_by = [column_of(order.field) for order in orders if order.field.kind != "attribute"]
        wanted = None if keys is None else list(dict.fromkeys([*keys, *sorted_by]))
        # A store knows the ids of its experiments, which have another order than their names.
        by_name = any(order.field.key == "experiment_id" for order in orders)
        most = None if max_results is None else offset + max_results
        page: dict[str, Any] = {"order_by": clauses_of(orders), "max_results": None if by_name else most}
        page |= {"view": view, "run_ids": run_ids}
        tables: list[tuple[str, RunTable]] = []
        for name, one in zip(self.names, self.stores, strict=True):
            known = {found.name: found.experiment_id for found in one.list_experiments("ALL")}
            ids = [known[asked] for asked in experiment_ids or () if asked in known]
            if experiment_ids and not ids:
                continue
            within = (ids, fits.within(name, known))
            table = one.run_table(*within, **page, keys=wanted)
            if keys is None and computed:  # what no plain table has
                more = one.run_table(*within, **page, keys=computed)
                table = replace(table, columns=[*table.columns, *(c for c in more.columns if c.kind == "metric")])
            self._homes.update(dict.fromkeys(table.run_ids, one))
            tables.append((name, _with_names(table, known)))
        joined = _joined(tables, self.revision())
        rows = _in_order(joined, orders)[offset:most]
        left_out = set(computed if keys is None else sorted_by) - set(keys or ())
        columns = [
            RunColumn(column.kind, column.key, [column.values[row] for row in rows])
            for column in joined.columns
            if (column.kind, column.key) not in left_out
        ]
        return RunTable([joined.run_ids[row] for row in rows], columns, joined.total, joined.revision)

    def _metrics(self) -> set[str]:
        """Return the keys of all metrics."""
        found = [column for one in self.stores for column in one.run_catalog(view="ALL").columns]
        return {column.key for column in found if column.kind == "metric"}

    def changes_since(self, revision: str) -> RunChanges | None:
        """Return which runs of any store are others than at a revision; None if all must be asked for."""
        parts = revision.split("+")
        if len(parts) != len(self.stores):
            return None
        found: list[RunChanges] = []
        for part, one in zip(parts, self.stores, strict=True):
            changes = one.changes_since(part)
            if changes is None:
                return None
            found.append(changes)
        changed = [run_id for changes in found for run_id in changes.run_ids]
        now = "+".join(changes.revision for changes in found)
        return RunChanges(changed, any(changes.moved for changes in found), now)

    # -- views of the table: kept in the first store -------------------------------------------------------------------
    def list_views(self) -> list[SavedView]:
        """Return the saved views of all stores, of each name that of the first store."""
        found: dict[str, SavedView] = {}
        for one in self.stores:
            for view in one.list_views():
                found.setdefault(view.name, view)
        return sorted(found.values(), key=lambda view: view.name)

    def save_view(self, name: str, view: Mapping[str, Any] | None, user: str = "") -> None:
        """Save a view in the first store; None takes it away wherever it is kept."""
        kept = [one for one in self.stores if any(known.name == name for known in one.list_views())]
        for one in self.stores[:1] if view is not None or not kept else kept:
            one.save_view(name, view, user)

    def get_metric_history(self, run_id: str, key: str) -> MetricHistory:
        """Return every value of one metric of a run."""
        return self.holding(run_id).get_metric_history(run_id, key)

    def get_metric_overview(self, run_id: str, key: str) -> Overview | None:
        """Return some points of a long metric."""
        return self.holding(run_id).get_metric_overview(run_id, key)

    def revision(self) -> str:
        """Return a text that changes whenever one of the stores does."""
        return "+".join(one.revision() for one in self.stores)

    def edit_run(self, run_id: str, **changes: Any) -> None:
        """Change a run, in the store where it lies."""
        self.holding(run_id).edit_run(run_id, **changes)

    # -- files and models: of the first store that has them ------------------------------------------------------------
    def read_blob(self, digest: str) -> bytes:
        """Return the bytes of a blob."""
        return self._first(lambda one: one.read_blob(digest))

    def blob_path(self, digest: str) -> Path:
        """Return where a blob lies."""
        return self._first(lambda one: one.blob_path(digest))

    def list_models(self) -> list[str]:
        """Return the names of the registered models of all stores."""
        return sorted({name for one in self.stores for name in one.list_models()})

    def _home_of(self, model: str) -> Store:
        return next((one for one in self.stores if model in one.list_models()), self.stores[0])

    def read_commits(self, model: str, after: int = 0) -> list[Mapping[str, Any]]:
        """Return the commits of a model, of the first store that has one of this name."""
        return self._home_of(model).read_commits(model, after)

    def append_commit(self, model: str, body: Mapping[str, Any], expect: int | None = None) -> int:
        """Change a model, in the first store that has one of this name."""
        return self._home_of(model).append_commit(model, body, expect)

    def info(self) -> Mapping[str, Any]:
        """Return the facts of all stores together."""
        facts = [one.info() for one in self.stores]
        added = {key: sum(int(one[key]) for one in facts) for key in ("runs", "experiments", "models", "size_bytes")}
        return {**facts[0], **added, "uri": self.uri, "name": self.name, "writable": all(f["writable"] for f in facts)}

    # -- what only a single store does ---------------------------------------------------------------------------------
    def _refuse(self) -> NoReturn:
        raise StoreReadOnlyError(
            f"stores {self.name}: several stores together are only looked at. Do this with one of them, such as"
            f" nbtrack.set_tracking_uri({self.stores[0].uri!r})."
        )

    def create_experiment(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Refuse."""
        self._refuse()

    def edit_experiment(self, *args: Any, **changes: Any) -> Experiment:
        """Refuse."""
        self._refuse()

    def create_run(self, *args: Any, **options: Any) -> RunWriter:
        """Refuse."""
        self._refuse()

    def resume_run(self, run_id: str) -> RunWriter:
        """Refuse."""
        self._refuse()

    def put_blob(self, data: bytes | str | Path) -> tuple[str, int]:
        """Refuse."""
        self._refuse()

    def check(self, repair: bool = False, progress: Progress | None = None) -> Iterator[Problem]:
        """Refuse."""
        self._refuse()

    def gc(self, dry_run: bool = True, older_than_s: float = 0, progress: Progress | None = None) -> GcPreview:
        """Refuse."""
        self._refuse()

    def compact(self, dry_run: bool = True, progress: Progress | None = None) -> GcPreview:
        """Refuse."""
        self._refuse()

    def rebuild_index(self, progress: Progress | None = None) -> int:
        """Refuse."""
        self._refuse()


def _with_names(table: RunTable, experiments: Mapping[str, str]) -> RunTable:
    """Return the table with the names of `experiments`, ids by name, in the place of their ids."""
    names = {key: name for name, key in experiments.items()}
    columns = [
        replace(column, values=[names.get(one, one) for one in column.values])
        if (column.kind, column.key) == ("attribute", "experiment_id")
        else column
        for column in table.columns
    ]
    return replace(table, columns=columns)


def _joined(tables: Sequence[tuple[str, RunTable]], revision: str) -> RunTable:
    """Return tables one below the other."""
    rank = {"attribute": 0, "param": 1, "metric": 2, "tag": 3}
    places: dict[tuple[ColumnKind, str], None] = {}
    for _, table in tables:
        places.update({(column.kind, column.key): None for column in table.columns})
    # attributes keep their order, the others are sorted by key, as in a table of one store
    ordered = sorted(
        places, key=lambda place: (rank[place[0]], natural_key("" if place[0] == "attribute" else place[1]))
    )
    columns = []
    for kind, key in ordered:
        values: list[Any] = []
        for _, table in tables:
            own = next((column for column in table.columns if (column.kind, column.key) == (kind, key)), None)
            values += [None] * len(table.run_ids) if own is None else own.values
        columns.append(RunColumn(kind, key, values))
    ids = [run_id for _, table in tables for run_id in table.run_ids]
    where = [name for name, table in tables for _ in table.run_ids]
    at = sum(column.kind == "attribute" for column in columns)
    columns.insert(at, RunColumn("attribute", STORE_COLUMN, where))
    return RunTable(ids, columns, sum(table.total for _, table in tables), revision)


def _in_order(table: RunTable, orders: Sequence[Order]) -> list[int]:
    """Return the rows in the order asked for; NaN after all numbers, nothing after that; equal ones newest first."""
    columns = {(column.kind, column.key): column.values for column in table.columns}
    started = columns.get(("attribute", "start_time"), [0] * len(table.run_ids))
    rows = sorted(range(len(table.run_ids)), key=lambda row: -(started[row] or 0))
    for order in reversed(orders):
        field = order.field
        values = table.run_ids if field.key == "run_id" else columns.get(column_of(field), [None] * len(rows))
        as_number = field.kind == "metric" or field.aggregate == "number"
        keyed = [_sort_value(value, as_number=as_number) for value in values]
        rows.sort(key=lambda row, keyed=keyed: keyed[row][1], reverse=order.descending)  # type: ignore[misc]
        rows.sort(key=lambda row, keyed=keyed: keyed[row][0])  # type: ignore[misc]
    return rows


def _sort_value(value: Any, *, as_number: bool) -> tuple[int, Any]:
    """Return the class of a value (0: one, 1: NaN, 2: none) and what it sorts by within its class."""
    if value is None:
        return 2, (0, 0.0, "")
    if as_number or not isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return 2, (0, 0.0, "")
        return (1, (0, 0.0, "")) if math.isnan(number) else (0, (0, number, ""))
    return 0, (0, 0.0, value)
