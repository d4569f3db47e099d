"""The rows of the index: one a run, found by its id, set to what its files say."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Final

import numpy as np

from nbtrack.store.columns import MISSING_CODE, MetricColumn, TextColumn
from nbtrack.store.snapshot import Snapshot, Table
from nbtrack.store.state import RunState

_MOST_CHANGES: Final = 10_000  # rows whose last change is remembered


class Rows:
    """The table of an index, where each run is in it, and which rows changed lately."""

    def __init__(self) -> None:
        self.table = Table()
        self.damage: dict[str, tuple[str, ...]] = {}  # run id -> what was left out
        self._snapshot: Snapshot | None = None
        self._sorted_rows = 0  # the first rows, of which the snapshot knows the order by id
        self._order: Any = None
        self._rows: dict[str, int] = {}  # rows that came later
        self._new_rows = 0  # since the snapshot was written
        self.epoch = object()  # of the counts below: they begin anew with the index
        self.changes = 0  # so many changes of rows there were
        self.moved_at = 0  # the last of them that changed which runs there are, or their order
        self._changed_at: dict[int, int] = {}
        self._forgotten = 0

    def _note(self, row: int, *, moved: bool) -> None:
        self.changes += 1
        if len(self._changed_at) >= _MOST_CHANGES:
            self._changed_at.clear()
            self._forgotten = self.changes - 1
        self._changed_at[row] = self.changes
        if moved:
            self.moved_at = self.changes

    def changed_since(self, changes: int) -> list[int] | None:
        """Which rows changed since there were so many changes; None if that is too long ago."""
        if changes < self._forgotten:
            return None
        return [row for row, at in self._changed_at.items() if at > changes]

    def row_of(self, run_id: str) -> int | None:
        """The row of a run, or None."""
        row = self._rows.get(run_id)
        if row is None and self._sorted_rows:
            ids = self.table.ids.dense(self.table.rows)
            if self._order is None:
                assert self._snapshot is not None  # noqa: S101 - rows that are sorted come from a snapshot
                order = self._snapshot.section(self._snapshot.header["order"]).whole()
                self._order = np.frombuffer(order, "<i4")
            key = run_id.encode()
            at = bisect_left(self._order, key, key=ids.__getitem__)
            if at < self._sorted_rows and ids[self._order[at]] == key:
                row = int(self._order[at])
        if row is None or not self.table.numbers["alive"].dense(self.table.rows)[row]:
            return None
        return row

    def _new_row(self, run_id: str, day: str) -> int:
        table = self.table
        row = table.rows
        table.rows += 1
        self._rows[run_id] = row
        table.ids.set(row, run_id.encode())
        table.texts["day"].set_text(row, day)
        table.numbers["alive"].set(row, 1)
        self._new_rows += 1
        return row

    def _drop(self, run_id: str) -> None:
        row = self.row_of(run_id)
        if row is not None:
            self.table.numbers["alive"].set(row, 0)
            self._note(row, moved=True)
            self._rows.pop(run_id, None)
            self.damage.pop(run_id, None)

    def _place_of(self, row: int) -> tuple[int, bool]:
        """What decides where a run stands: its start, and whether it is in the trash."""
        numbers, at = self.table.numbers, np.array([row])
        start, deleted = (int(numbers[name].take(at, self.table.rows)[0]) for name in ("start", "deleted"))
        return start, deleted != 0

    def _put(self, day: str, state: RunState) -> None:
        """Set the row of a run to what its files say."""
        row = self.row_of(state.run_id)
        is_new = row is None
        if row is None:
            row = self._new_row(state.run_id, day)
        table = self.table
        self._note(row, moved=is_new or self._place_of(row) != (state.start, state.deleted))
        table.texts["name"].set_text(row, state.name)
        table.texts["status"].set_text(row, state.status)
        table.texts["exp"].set_text(row, state.exp)
        table.numbers["start"].set(row, state.start)
        table.numbers["end"].set(row, -1 if state.end is None else state.end)
        table.numbers["deleted"].set(row, max(state.deleted_at, 1) if state.deleted else 0)
        for columns, texts in ((table.params, state.params), (table.tags, state.tags)):
            if not is_new:
                for key in columns.keys() - texts.keys():
                    columns[key].set(row, MISSING_CODE)
            for key, text in texts.items():
                column = columns.get(key)
                if column is None:
                    column = columns[key] = TextColumn()
                column.set_text(row, text)
        metrics = table.metrics
        if not is_new:
            for key in metrics.keys() - state.metrics.keys():
                metrics[key].set_summary(row, None)
        for key, summary in state.metrics.items():
            metric = metrics.get(key)
            if metric is None:
                metric = metrics[key] = MetricColumn()
            metric.set_summary(row, summary)
        if state.damage:
            self.damage[state.run_id] = state.damage
        elif self.damage:
            self.damage.pop(state.run_id, None)
