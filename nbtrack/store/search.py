"""Answers searches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from nbtrack.entities import Run, ViewType
from nbtrack.store.base import ColumnKind, RunColumn, RunTable
from nbtrack.store.layout import EXPERIMENTS, MODELS, RUNS, split_run_file
from nbtrack.store.query import parse_filter, parse_order
from nbtrack.store.runs import read_run
from nbtrack.store.scan import attribute_of, matches, ordered
from nbtrack.store.state import LAST, RunState, to_run

if TYPE_CHECKING:
    from nbtrack.store.file_store import FileStore

TABLE_ATTRIBUTES = ("run_name", "status", "experiment_id", "start_time", "end_time", "user_id", "lifecycle_stage")


class Search:
    def __init__(self, store: FileStore) -> None:
        self.store = store

    def states(self) -> list[RunState]:
        found = []
        for day in self.store._days():
            folder = f"{self.store.root}/{RUNS}/{day}"
            groups: dict[str, list[str]] = {}
            for name in os.listdir(folder):
                parts = split_run_file(name)
                if parts:
                    groups.setdefault(parts[0], []).append(name)
            for run_id, names in groups.items():
                state = read_run(folder, run_id, names)
                if state is not None:
                    found.append(state)
        return found

    def count(self) -> int:
        return len(self.states())

    def _select(
        self,
        experiment_ids: Sequence[str] | None,
        filter_string: str,
        order_by: Sequence[str],
        view: ViewType,
        run_ids: Sequence[str] | None = None,
    ) -> list[RunState]:
        node, orders = parse_filter(filter_string), parse_order(order_by)
        states = self.states()
        keys = {key for s in states for key in s.metrics}
        wanted = [
            s
            for s in states
            if (view == "ALL" or s.deleted == (view == "DELETED_ONLY"))
            and (not experiment_ids or s.exp in experiment_ids)
            and (run_ids is None or s.run_id in run_ids)
            and matches(node, s, keys)
        ]
        return ordered(wanted, orders, keys)

    def runs(
        self,
        experiment_ids: Sequence[str] | None,
        filter_string: str,
        order_by: Sequence[str],
        max_results: int,
        offset: int,
        view: ViewType,
    ) -> list[Run]:
        found = self._select(experiment_ids, filter_string, order_by, view)
        return [to_run(s) for s in found[offset : offset + max_results]]

    def table(
        self,
        experiment_ids: Sequence[str] | None,
        filter_string: str,
        order_by: Sequence[str],
        max_results: int | None,
        offset: int,
        view: ViewType,
        run_ids: Sequence[str] | None,
        keys: Sequence[tuple[ColumnKind, str]] | None,
    ) -> RunTable:
        found = self._select(experiment_ids, filter_string, order_by, view, run_ids)
        page = found[offset:] if max_results is None else found[offset : offset + max_results]
        columns = [RunColumn("attribute", key, [attribute_of(s, key) for s in page]) for key in TABLE_ATTRIBUTES]
        getters: dict[ColumnKind, Any] = {
            "param": lambda s: s.params,
            "metric": lambda s: {k: v[LAST] for k, v in s.metrics.items()},
            "tag": lambda s: s.tags,
        }
        for kind, getter in getters.items():
            maps = [getter(s) for s in page]
            for key in sorted({key for one in maps for key in one}):
                if keys is None or (kind, key) in keys:
                    columns.append(RunColumn(kind, key, [one.get(key) for one in maps]))
        return RunTable([s.run_id for s in page], columns, len(found), self.revision())

    def revision(self) -> str:
        root = self.store.root
        parts: list[Any] = []
        for top in (EXPERIMENTS, MODELS, RUNS):
            stack = [f"{root}/{top}"]
            while stack:
                path = stack.pop()
                try:
                    parts.append((path, os.stat(path).st_mtime_ns, os.stat(path).st_size))
                    if os.path.isdir(path):
                        stack.extend(f"{path}/{name}" for name in os.listdir(path))
                except OSError:
                    continue
        return f"{crc32(repr(sorted(parts)).encode()):08x}"
