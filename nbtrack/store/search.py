"""Answers searches from the index."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple, TypeVar
from zlib import crc32

import numpy as np

from nbtrack.entities import TAG_USER, Run, RunData, RunInfo, ViewType
from nbtrack.errors import InvalidInputError
from nbtrack.names import natural_key
from nbtrack.store.base import ColumnKind, Progress, RunColumn, RunTable
from nbtrack.store.catalog import RunCatalog, catalog_of_rows
from nbtrack.store.columns import Array, CodedTexts, SnapshotDamagedError, TextColumn, is_logged
from nbtrack.store.index import RunIndex
from nbtrack.store.page import is_worth_it, read_page
from nbtrack.store.page_summaries import PageSummaries, RunSummaries
from nbtrack.store.query import parse_field, parse_filter, parse_order
from nbtrack.store.state import as_status
from nbtrack.store.vector import Vectors
from nbtrack.store.views import RunChanges

ATTRIBUTES: Final = ("run_name", "status", "experiment_id", "start_time", "end_time", "user_id", "lifecycle_stage")
_MOST_TOLD: Final = 64  # revisions
_PAGES_FROM_LOGS: Final = 4  # a process that searches more often is better off with the columns in memory
_VIEWS: Final = {"ACTIVE_ONLY": 0, "DELETED_ONLY": 1, "ALL": None}
_KINDS: Final[tuple[ColumnKind, ...]] = ("param", "metric", "tag")

T = TypeVar("T")


class _Told(NamedTuple):
    """How far the index was when a revision was told, and the last commit of the experiments."""

    epoch: object
    changes: int
    experiments: Any


class Search:
    """The searches of one store. `warn` is told of damage that was found on the way."""

    def __init__(
        self, root: str, commits_changed: Callable[[], Any], warn: Callable[[str, tuple[str, ...]], None]
    ) -> None:
        self.index = RunIndex(root)
        self._commits_changed = commits_changed
        self._warn = warn
        self._values: dict[tuple[bytes, str, int, int], float | None] = {}
        self._pages = 0  # that were read from logs
        self._told: OrderedDict[str, _Told] = OrderedDict()  # revision -> what was then

    def refresh(self, progress: Progress | None = None) -> None:
        """Bring the index up to date."""
        with self.index.lock:
            self.index.refresh(progress)
            damage = list(self.index.damage.items())
        for run_id, texts in damage:
            self._warn(run_id, texts)

    def _answer(self, question: Callable[[], T]) -> T:
        """Ask the index; if its snapshot turns out to be damaged on the way, build it anew and ask again."""
        with self.index.lock:
            self.refresh()
            try:
                return question()
            except SnapshotDamagedError:
                self.index.clear()
                self.refresh()
                return question()

    def rebuild(self, progress: Progress | None = None) -> int:
        """Build the index anew from the logs; return the number of runs."""
        with self.index.lock:
            self.index.clear()
            self.refresh(progress)
            if self.index.unsaved:
                self.index.save()
            return self.count()

    def count(self) -> int:
        """How many runs there are, in the trash or not."""
        return self._answer(self._count)

    def _count(self) -> int:
        table = self.index.table
        return int(np.count_nonzero(table.numbers["alive"].dense(table.rows)))

    def revision(self) -> str:
        """A text that changes with everything that can be seen."""
        return self._answer(self._revision)

    def _revision(self) -> str:
        commits = self._commits_changed()
        known = repr((self.index.fingerprint(), commits)).encode()
        revision = f"{crc32(known):08x}{crc32(known[::-1]):08x}"
        if revision not in self._told:
            self._told[revision] = _Told(self.index.epoch, self.index.changes, commits[0])
            if len(self._told) > _MOST_TOLD:
                self._told.popitem(last=False)
        return revision

    def changes_since(self, revision: str) -> RunChanges | None:
        """Return which runs are others than at a revision; None if that is not known."""

        def look() -> RunChanges | None:
            now, told = self._revision(), self._told.get(revision)
            if told is None or told.epoch is not self.index.epoch or told.experiments != self._told[now].experiments:
                return None
            rows = self.index.changed_since(told.changes)
            if rows is None:
                return None
            ids = self.index.table.ids.take(np.array(rows, np.int64), self.index.table.rows)
            moved = self.index.moved_at > told.changes
            return RunChanges([run_id.decode() for run_id in ids.tolist()], moved, now)

        return self._answer(look)

    # -- selecting -------------------------------------------------------------------------------------------------
    def _select(
        self,
        experiment_ids: Sequence[str] | None,
        filter_string: str,
        order_by: Sequence[str],
        max_results: int | None,
        offset: int,
        view: ViewType,
        run_ids: Sequence[str] | None,
    ) -> tuple[Array, int]:
        """Return the rows of one page, in order, and how many fit in all."""
        if offset < 0 or (max_results is not None and max_results < 0):
            raise InvalidInputError(
                f"search: max_results and offset must not be negative, got {max_results!r} and {offset!r}."
            )
        if view not in _VIEWS:
            raise InvalidInputError(f"search: expected view {' or '.join(_VIEWS)}, got {view!r}.")
        node, orders = parse_filter(filter_string), parse_order(order_by)
        table = self.index.table
        total = table.rows
        if run_ids is not None:
            found = sorted(row for row in map(self.index.row_of, set(run_ids)) if row is not None)
            mask = np.zeros(total, bool)
            mask[found] = True
        else:
            mask = table.numbers["alive"].dense(total) != 0
        if (deleted := _VIEWS[view]) is not None:
            mask &= table.numbers["deleted"].filled(total) == bool(deleted)
        if experiment_ids:
            mask &= self._in_experiments(experiment_ids)
        vectors = Vectors(table, self._value_at)
        if node is not None:
            mask &= vectors.mask(node)
        rows = np.flatnonzero(mask)
        count = len(rows)
        stop = None if max_results is None else offset + max_results
        return vectors.ordered(rows, orders, stop)[offset:], count

    def _in_experiments(self, experiment_ids: Sequence[str]) -> Array:
        column = self.index.table.texts["exp"]
        codes = [code for one in experiment_ids for code in column.texts.codes_of(str(one))]
        return np.isin(column.dense(self.index.table.rows), np.array(codes, np.int32))

    def _value_at(self, row: int, key: str, step: int) -> float | None:
        """Return what a run logged last for a metric at a step."""
        table = self.index.table
        count = int(table.metrics[key].stats.dense(table.rows)["count"][row])
        place = (bytes(table.ids.dense(table.rows)[row]), key, step, count)
        if place not in self._values:
            from nbtrack.store.history import read_history

            folder, names = self.index.files_of(row)
            history = read_history(self.index.root, folder, place[0].decode(), names, key)
            found = np.flatnonzero(history.step == step)
            self._values[place] = float(history.value[found[-1]]) if len(found) else None
        return self._values[place]

    # -- answers ---------------------------------------------------------------------------------------------------
    def runs(
        self,
        experiment_ids: Sequence[str] | None,
        filter_string: str,
        order_by: Sequence[str],
        max_results: int,
        offset: int,
        view: ViewType,
    ) -> list[Run]:
        """Return one page of runs."""
        return self._answer(
            lambda: self._runs(
                self._select(experiment_ids, filter_string, order_by, max_results, offset, view, None)[0]
            )
        )

    def _runs(self, rows: Array) -> list[Run]:
        table = self.index.table
        total = table.rows
        size = len(rows)
        params: list[dict[str, str]] = [{} for _ in range(size)]
        tags: list[dict[str, str]] = [{} for _ in range(size)]
        metrics: list[dict[str, float]] = [{} for _ in range(size)]
        ids = [run_id.decode() for run_id in table.ids.take(rows, total).tolist()]
        if self._pages < _PAGES_FROM_LOGS and is_worth_it(size, total):
            self._pages += 1
            found = read_page(self.index, rows, ids)
            if found is not None:
                return found
        summaries = PageSummaries(self.index, rows, ids)
        for columns, targets in ((table.params, params), (table.tags, tags)):
            for key in sorted(columns, key=natural_key):
                for target, text in zip(targets, columns[key].values(rows, total), strict=True):
                    if text is not None:
                        target[key] = text
        for key in sorted(table.metrics, key=natural_key):
            last = table.metrics[key].last.take(rows, total)
            places = np.flatnonzero(is_logged(last))
            for place, value in zip(places.tolist(), last[places].tolist(), strict=True):
                metrics[place][key] = value
        attributes = {name: self._attribute(name, rows) for name in ATTRIBUTES}
        return [
            Run(
                info=RunInfo(
                    run_id=run_id,
                    run_name=attributes["run_name"][place],
                    experiment_id=attributes["experiment_id"][place],
                    status=as_status(attributes["status"][place]),
                    start_time=attributes["start_time"][place],
                    end_time=attributes["end_time"][place],
                    lifecycle_stage=attributes["lifecycle_stage"][place],
                    artifact_uri=f"runs:/{run_id}",
                    user_id=attributes["user_id"][place],
                ),
                data=RunData(params[place], metrics[place], tags[place]),
                summaries=RunSummaries(summaries, place, metrics[place]),
            )
            for place, run_id in enumerate(ids)
        ]

    def _attribute(self, name: str, rows: Array) -> list[Any]:
        table = self.index.table
        total = table.rows
        match name:
            case "run_name":
                return table.texts["name"].values(rows, total)
            case "status":
                return table.texts["status"].values(rows, total)
            case "experiment_id":
                return table.texts["exp"].values(rows, total)
            case "start_time":
                starts: list[int] = table.numbers["start"].take(rows, total).tolist()
                return starts
            case "end_time":
                return [None if end < 0 else end for end in table.numbers["end"].take(rows, total).tolist()]
            case "lifecycle_stage":
                deleted = table.numbers["deleted"].take(rows, total).tolist()
                return ["deleted" if at else "active" for at in deleted]
        users = table.tags.get(TAG_USER)
        return [""] * len(rows) if users is None else [user or "" for user in users.values(rows, total)]

    def table(
        self,
        experiment_ids: Sequence[str] | None,
        filter_string: str,
        order_by: Sequence[str],
        max_results: int | None,
        offset: int,
        view: ViewType,
        run_ids: Sequence[str] | None,
        keys: Collection[tuple[ColumnKind, str]] | None,
    ) -> RunTable:
        """Return one page of runs as columns."""
        return self._answer(
            lambda: self._table(
                *self._select(experiment_ids, filter_string, order_by, max_results, offset, view, run_ids), keys
            )
        )

    def _table(self, rows: Array, count: int, keys: Collection[tuple[ColumnKind, str]] | None) -> RunTable:
        table = self.index.table
        columns = [RunColumn("attribute", name, self._attribute(name, rows)) for name in ATTRIBUTES]
        for kind, key in self._keys(keys):
            values = self._column(kind, key, rows)
            if values is not None:
                columns.append(RunColumn(kind, key, values))
        for kind, key in keys or ():
            if kind == "metric" and "(" in key and key not in table.metrics:
                columns.append(RunColumn(kind, key, self._computed(key, rows)))
        ids = [run_id.decode() for run_id in table.ids.take(rows, table.rows).tolist()]
        return RunTable(ids, columns, count, self._revision())

    def _keys(self, keys: Collection[tuple[ColumnKind, str]] | None) -> list[tuple[ColumnKind, str]]:
        table = self.index.table
        found: list[tuple[ColumnKind, str]] = []
        known: tuple[Collection[str], ...] = (table.params, table.metrics, table.tags)
        for kind, names in zip(_KINDS, known, strict=True):
            found.extend(
                (kind, name) for name in sorted(names, key=natural_key) if keys is None or (kind, name) in keys
            )
        return found

    def _computed(self, text: str, rows: Array) -> list[Any]:
        """Return the values of an expression such as ``min(metrics.loss)``, None for runs that have none."""
        found = Vectors(self.index.table, self._value_at).numbers(parse_field(text))
        if found is None:
            raise InvalidInputError(f"column {text!r}: expected a number, such as min(metrics.loss).")
        values = found[0][rows]
        has = is_logged(values) if found[1] is None else found[1][rows]
        return [value if there else None for value, there in zip(values.tolist(), has.tolist(), strict=True)]

    def _column(self, kind: ColumnKind, key: str, rows: Array) -> list[Any] | None:
        """Return the values of a key, None if none of the rows has it."""
        table = self.index.table
        if kind == "metric":
            last = table.metrics[key].last.take(rows, table.rows)
            has = is_logged(last)
            if not has.any():
                return None
            values: list[Any] = last.tolist()
            for place in np.flatnonzero(~has).tolist():
                values[place] = None
            return values
        column = (table.params if kind == "param" else table.tags)[key]
        codes = column.take(rows, table.rows)
        return column.texts.some(codes) if (codes >= 0).any() else None

    def catalog(
        self,
        experiment_ids: Sequence[str] | None,
        filter_string: str,
        view: ViewType,
        run_ids: Sequence[str] | None,
    ) -> RunCatalog:
        """Return which columns the runs that fit have."""

        def look() -> RunCatalog:
            rows, count = self._select(experiment_ids, filter_string, (), None, 0, view, run_ids)
            return RunCatalog(catalog_of_rows(self.index.table, rows), count, self._revision())

        return self._answer(look)

    def frame(
        self,
        experiment_ids: Sequence[str] | None,
        filter_string: str,
        order_by: Sequence[str],
        max_results: int | None,
        offset: int,
        view: ViewType,
    ) -> dict[str, Array | CodedTexts]:
        """Return one page of runs as numpy arrays by column name, in MLflow's naming and order."""
        return self._answer(
            lambda: self._frame(
                self._select(experiment_ids, filter_string, order_by, max_results, offset, view, None)[0]
            )
        )

    def _frame(self, rows: Array) -> dict[str, Array | CodedTexts]:
        table = self.index.table
        total = table.rows
        ids = np.array([run_id.decode() for run_id in table.ids.take(rows, total).tolist()], dtype=object)
        frame: dict[str, Array | CodedTexts] = {
            "run_id": ids,
            "experiment_id": _texts(table.texts["exp"], rows, total),
            "status": _texts(table.texts["status"], rows, total),
            "artifact_uri": np.array(["runs:/" + run_id for run_id in ids.tolist()], dtype=object),
            "start_time": table.numbers["start"].take(rows, total),
            "end_time": table.numbers["end"].take(rows, total),
            "run_name": _texts(table.texts["name"], rows, total),
        }
        for key in sorted(table.metrics, key=natural_key):
            last = table.metrics[key].last.take(rows, total)
            if is_logged(last).any():
                frame[f"metrics.{key}"] = last
        for prefix, columns in (("params", table.params), ("tags", table.tags)):
            for key in sorted(columns, key=natural_key):
                if (columns[key].take(rows, total) >= 0).any():
                    frame[f"{prefix}.{key}"] = _texts(columns[key], rows, total)
        return frame


def _texts(column: TextColumn, rows: Array, total: int) -> Array | CodedTexts:
    """Return the texts of some rows: coded where many are alike, which a DataFrame takes over several times as fast."""
    coded = CodedTexts(column.texts.all(), column.take(rows, total))
    return coded if 2 * len(coded.texts) < len(rows) else coded.objects()
