"""The store on plain files: a folder that can be moved, copied, mounted read-only and read with ``grep``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from nbtrack.entities import DEFAULT_EXPERIMENT_ID, Artifact, Experiment, Run, Status, ViewType
from nbtrack.errors import RunStateError, StoreReadOnlyError
from nbtrack.names import check_key, check_model_name
from nbtrack.store.base import ColumnKind, GcPreview, MetricHistory, Problem, Progress, RunTable, Store
from nbtrack.store.blobs import Blobs
from nbtrack.store.catalog import RunCatalog
from nbtrack.store.commits import CommitLog, list_models
from nbtrack.store.edits import edit_record
from nbtrack.store.experiments import Experiments
from nbtrack.store.files import explained, put_new
from nbtrack.store.finder import Finder
from nbtrack.store.folder import is_writable, make_store, read_format, tree_size
from nbtrack.store.layout import (
    BLOBS,
    EXPERIMENTS,
    FORMAT_VERSION,
    LOG_SUFFIX,
    MODELS,
    RUNS,
    STORE_FILE,
    VIEWS,
    model_folder,
    new_id,
    now_ms,
)
from nbtrack.store.lines import seal
from nbtrack.store.starting import Starter
from nbtrack.store.state import to_run
from nbtrack.store.views import RunChanges, Views
from nbtrack.store.writer import FileRunWriter

if TYPE_CHECKING:
    from nbtrack.store.overview import Overview
    from nbtrack.store.search import Search


_all: WeakSet[FileStore] = WeakSet()


class FileStore(Store):
    """A store in the folder `root`, which must hold a ``nbtrack.json`` (see :func:`~nbtrack.store.open_store`)."""

    def __init__(self, root: str | Path) -> None:
        self.root = os.path.abspath(os.fspath(root))
        self.uri = self.root
        folder = os.path.dirname(self.root) if os.path.basename(self.root).startswith(".") else self.root
        self.name = os.path.basename(folder) or folder
        self.format_version = read_format(self.root)
        self._experiments = Experiments(f"{self.root}/{EXPERIMENTS}")
        self._blobs = Blobs(f"{self.root}/{BLOBS}")
        self._models: dict[str, CommitLog] = {}
        self._folders: dict[str, CommitLog] = {}
        self._finder = Finder(self.root)
        self._starter = Starter(self.root, self._finder, self._blobs.put)
        self._searcher: Search | None = None
        self._guard = Lock()
        self._last_edit = 0
        _all.add(self)

    @classmethod
    def open(cls, root: str | Path, create: bool = True) -> FileStore:
        """Return the store at `root`, made if it is missing and `create` is true."""
        root = os.path.abspath(os.fspath(root))
        if create and not os.path.exists(f"{root}/{STORE_FILE}"):
            if not os.path.isdir(f"{root}/{RUNS}"):
                make_store(root)
            else:
                with suppress(StoreReadOnlyError):
                    make_store(root)
        return cls(root)

    def __repr__(self) -> str:
        return f"FileStore({self.root!r})"

    def after_fork(self) -> None:
        """In a forked child: take no lock over that some thread of the parent may hold for ever."""
        self._guard = Lock()
        self._searcher = None
        self._models, self._folders = {}, {}
        self._experiments = Experiments(f"{self.root}/{EXPERIMENTS}")

    # -- experiments -----------------------------------------------------------------------------------------------
    def create_experiment(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        return self._experiments.create(name, tags)

    def list_experiments(self, view: ViewType = "ACTIVE_ONLY") -> list[Experiment]:
        return self._experiments.list(view)

    def get_experiment(self, experiment_id: str) -> Experiment:
        return self._experiments.get(experiment_id)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        return self._experiments.by_name(name)

    def edit_experiment(
        self,
        experiment_id: str,
        *,
        name: str | None = None,
        deleted: bool | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> Experiment:
        return self._experiments.edit(experiment_id, name, deleted, tags)

    # -- writing runs ----------------------------------------------------------------------------------------------
    def create_run(
        self,
        experiment_id: str = DEFAULT_EXPERIMENT_ID,
        run_name: str | None = None,
        *,
        tags: Mapping[str, Any] | None = None,
        start_time_ms: int | None = None,
        run_id: str | None = None,
    ) -> FileRunWriter:
        if experiment_id != DEFAULT_EXPERIMENT_ID and self.get_experiment(experiment_id).lifecycle_stage == "deleted":
            raise RunStateError(
                f"experiment {experiment_id!r}: is in the trash. Restore it, or choose another experiment."
            )
        return self._starter.new(str(experiment_id), run_name, tags, start_time_ms, run_id)

    def resume_run(self, run_id: str) -> FileRunWriter:
        return self._starter.resumed(run_id, self._next_edit_time())

    def edit_run(
        self,
        run_id: str,
        *,
        run_name: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        deleted: bool | None = None,
        status: Status | None = None,
        artifacts: Sequence[Artifact] = (),
        capture: Mapping[str, Any] | None = None,
    ) -> None:
        folder, state = self._finder.get(run_id)
        edit = edit_record(
            state,
            run_name=run_name,
            tags=tags,
            params=params,
            metrics=metrics,
            deleted=deleted,
            status=status,
            artifacts=artifacts,
            capture=capture,
        )
        if not edit:
            return
        at = self._next_edit_time()
        path = f"{folder}/{run_id}~{new_id(at)}{LOG_SUFFIX}"
        with explained(f"run {run_id}", path):
            put_new(path, seal({"t": at, "run": run_id, "v": FORMAT_VERSION, "edit": edit}))

    def _next_edit_time(self) -> int:
        """Now, but never twice the same: of two edits in one millisecond the later one wins."""
        with self._guard:
            self._last_edit = max(now_ms(), self._last_edit + 1)
            return self._last_edit

    @property
    def _search(self) -> Search:
        """The index of this store, with numpy, loaded when somebody searches."""
        if self._searcher is None:
            with self._guard:
                if self._searcher is None:
                    from nbtrack.store.search import Search

                    self._searcher = Search(self.root, self._commits_changed, self._finder.warn)
        return self._searcher

    def _commits_changed(self) -> tuple[Any, ...]:
        """What changes with every commit of the registry and of the experiments."""
        found: list[Any] = [self._experiments.log.last()]
        with suppress(OSError), os.scandir(f"{self.root}/{MODELS}") as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir(follow_symlinks=False):
                    log = self._folders.get(entry.name)
                    if log is None:
                        log = self._folders[entry.name] = CommitLog(entry.path, f"models folder {entry.name!r}")
                    found.append((entry.name, log.last()))
        return tuple(found)

    # -- reading runs ----------------------------------------------------------------------------------------------
    def get_run(self, run_id: str) -> Run:
        return to_run(self._finder.get(run_id, details=True)[1])

    def search_runs(
        self,
        experiment_ids: Sequence[str] | None = None,
        filter_string: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        offset: int = 0,
        view: ViewType = "ACTIVE_ONLY",
    ) -> list[Run]:
        return self._search.runs(experiment_ids, filter_string, order_by, max_results, offset, view)

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
        return self._search.table(experiment_ids, filter_string, order_by, max_results, offset, view, run_ids, keys)

    def run_frame(
        self,
        experiment_ids: Sequence[str] | None = None,
        filter_string: str = "",
        order_by: Sequence[str] = (),
        max_results: int | None = None,
        offset: int = 0,
        view: ViewType = "ACTIVE_ONLY",
    ) -> dict[str, Any]:
        return self._search.frame(experiment_ids, filter_string, order_by, max_results, offset, view)

    def _catalog(self, *asked: Any) -> RunCatalog:
        return self._search.catalog(*asked)

    def changes_since(self, revision: str) -> RunChanges | None:
        return self._search.changes_since(revision)

    def _views(self) -> Views:
        return Views(f"{self.root}/{VIEWS}")

    def get_metric_history(self, run_id: str, key: str) -> MetricHistory:
        folder, names = self._finder.files(run_id)
        from nbtrack.store.history import read_history

        return read_history(self.root, folder, run_id, names, check_key(key, "metric key"))

    def get_metric_overview(self, run_id: str, key: str) -> Overview | None:
        from nbtrack.store.overview import read_overview

        folder, names = self._finder.files(run_id)
        return read_overview(self.root, folder, run_id, names, check_key(key, "metric key"))

    def revision(self) -> str:
        return self._search.revision()

    # -- artifacts -------------------------------------------------------------------------------------------------
    def put_blob(self, data: bytes | str | Path) -> tuple[str, int]:
        return self._blobs.put(data)

    def read_blob(self, digest: str) -> bytes:
        return self._blobs.read(digest)

    def blob_path(self, digest: str) -> Path:
        return self._blobs.existing_path(digest)

    # -- the registry's commits ------------------------------------------------------------------------------------
    def _model(self, name: str) -> CommitLog:
        log = self._models.get(name)
        if log is None:
            folder = f"{self.root}/{MODELS}/{model_folder(check_model_name(name))}"
            log = self._models[name] = CommitLog(folder, f"model {name!r}")
        return log

    def list_models(self) -> list[str]:
        return list_models(f"{self.root}/{MODELS}", self._model)

    def read_commits(self, model: str, after: int = 0) -> list[Mapping[str, Any]]:
        return list(self._model(model).read(after))

    def append_commit(self, model: str, body: Mapping[str, Any], expect: int | None = None) -> int:
        return self._model(model).append({**body, "model": model}, expect)

    # -- care ------------------------------------------------------------------------------------------------------
    def info(self) -> Mapping[str, Any]:
        return {
            "uri": self.uri,
            "name": self.name,
            "format_version": self.format_version,
            "writable": is_writable(self.root),
            "runs": self._search.count(),
            "experiments": len(self.list_experiments("ALL")),
            "models": len(self.list_models()),
            "size_bytes": tree_size(self.root),
        }

    def check(self, repair: bool = False, progress: Progress | None = None) -> Iterator[Problem]:
        from nbtrack.store.check import Checker

        checker = Checker(self.root, repair=repair, progress=progress)
        with explained("store check", self.root):
            yield from checker.run()
        if checker.logs_changed:
            self.rebuild_index()

    def gc(self, dry_run: bool = True, older_than_s: float = 0, progress: Progress | None = None) -> GcPreview:
        from nbtrack.store.gc import collect

        with explained("store gc", self.root):
            return collect(self.root, dry_run=dry_run, older_than_s=older_than_s, progress=progress)

    def compact(self, dry_run: bool = True, progress: Progress | None = None) -> GcPreview:
        from nbtrack.store.compaction import compact

        return compact(self.root, dry_run=dry_run, progress=progress)

    def rebuild_index(self, progress: Progress | None = None) -> int:
        return self._search.rebuild(progress)


def _after_fork() -> None:
    for store in list(_all):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
