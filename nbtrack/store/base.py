"""The promises every store keeps. ``FileStore`` is the one on plain files; later ones (remote, in memory) pass the
same contract tests.

A store is three ideas: a *log* per run with exactly one writer, *put-if-absent* for whatever several people may
change (edits, commits, blobs), and *derived* data that anybody may delete.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from nbtrack.entities import (
    DEFAULT_EXPERIMENT_ID,
    Artifact,
    DatasetInput,
    Experiment,
    MetricSummary,
    Run,
    Status,
    ViewType,
)
from nbtrack.store.views import TableViews

if TYPE_CHECKING:
    import numpy as np

    from nbtrack.store.overview import Overview

ColumnKind = Literal["attribute", "param", "metric", "tag"]
Progress = Callable[[int, int], None]  # told now and then: done, total


@dataclass(frozen=True, slots=True)
class RunColumn:
    """One column of a :class:`RunTable`: `values` has one entry a run, ``None`` where the run has no such key."""

    kind: ColumnKind
    key: str
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class RunTable:
    """Runs as columns: what a table, a plot or a DataFrame wants.

    `run_ids` gives the row order; `columns` starts with the attributes (``run_name status experiment_id start_time
    end_time user_id lifecycle_stage``), then params, metrics (last value), tags, each sorted by key, p2
    before p10; `total` counts all runs that fit the filter, also those beyond the page.
    """

    run_ids: Sequence[str]
    columns: Sequence[RunColumn]
    total: int
    revision: str


@dataclass(frozen=True, slots=True)
class MetricHistory:
    """All values of one metric of one run, in the order they were logged.

    `step` is int64, `value` float64, `timestamp` int64 (ms since 1970 UTC); each of shape ``(n,)``.
    """

    key: str
    step: np.ndarray[Any, np.dtype[np.int64]]
    value: np.ndarray[Any, np.dtype[np.float64]]
    timestamp: np.ndarray[Any, np.dtype[np.int64]]

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, slots=True)
class Problem:
    """One damaged or odd thing that :meth:`Store.check` found; `repair` says what a repair would do, if it can."""

    path: str
    what: str
    run_id: str | None = None
    repair: str = ""
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class GcPreview:
    """What :meth:`Store.gc` would remove, or did remove."""

    run_ids: tuple[str, ...] = ()
    blobs: int = 0
    size_bytes: int = 0
    paths: tuple[str, ...] = field(default=(), repr=False)


class RunWriter(ABC):
    """The only object that may append to a live run. Safe to call from any thread; a forked child opens its own log.

    Every method returns after the operating system has the bytes: a SIGKILL afterwards loses nothing.
    """

    run_id: str
    first_steps: Mapping[str, int] = MappingProxyType({})  # where metrics that count their own steps begin, if not at 0

    @abstractmethod
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None, timestamp_ms: int | None = None) -> None:
        """Append one value for each key. Without `step`, each key counts on from its own last step, from 0."""

    def log_metric(self, key: str, value: Any, step: int | None = None, timestamp_ms: int | None = None) -> None:
        """Append one value of one metric: the shortest way."""
        self.log_metrics({key: value}, step, timestamp_ms)

    @abstractmethod
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Set params, as text. A param is written once: another value for a known key raises InvalidInputError."""

    def set_early_params(self, params: Mapping[str, Any]) -> None:  # noqa: B027 - a store may do without
        """Set the params that the run has, as text, if it dies without a word; nothing of them outlives its end."""

    @abstractmethod
    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags, as text; later wins."""

    @abstractmethod
    def delete_tag(self, key: str) -> None:
        """Remove a tag."""

    @abstractmethod
    def log_inputs(self, inputs: Sequence[DatasetInput]) -> None:
        """Add data sets that the run reads."""

    @abstractmethod
    def log_artifact(self, data: bytes | str | Path, artifact_path: str) -> Artifact:
        """Store bytes, or the file at a path (never a link's target outside it), under `artifact_path`."""

    @abstractmethod
    def log_capture(self, record: Mapping[str, Any]) -> None:
        """Merge plain JSON values into ``run.capture``, key by key."""

    def summaries(self) -> Mapping[str, MetricSummary]:
        """Each metric that this writer logged, in one line, from memory; empty where a store cannot say it so."""
        return {}

    @abstractmethod
    def set_name(self, run_name: str) -> None:
        """Rename the run."""

    @abstractmethod
    def end(self, status: Status = "FINISHED", end_time_ms: int | None = None) -> None:
        """Seal the log. Calling it again does nothing."""

    @abstractmethod
    def discard(self) -> None:
        """Take a run back that has not ended, as if it had never been started."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether the log is sealed."""


class Store(TableViews):
    """Where runs, models and their files live."""

    uri: str
    name: str

    def holding(self, run_id: str) -> Store:
        """The store that answers what is asked of a run: this one, but where it reads several."""
        return self

    def parts(self) -> tuple[Store, ...]:
        """The stores that this one reads: itself, unless it joins several."""
        return (self,)

    # -- experiments -----------------------------------------------------------------------------------------------
    @abstractmethod
    def create_experiment(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Create an experiment, return its id. Raises AlreadyExistsError if the name is taken (also in the trash)."""

    @abstractmethod
    def list_experiments(self, view: ViewType = "ACTIVE_ONLY") -> list[Experiment]:
        """All experiments, the default one first."""

    @abstractmethod
    def get_experiment(self, experiment_id: str) -> Experiment:
        """One experiment; raises NotFoundError."""

    @abstractmethod
    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """One experiment, or None."""

    @abstractmethod
    def edit_experiment(
        self,
        experiment_id: str,
        *,
        name: str | None = None,
        deleted: bool | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> Experiment:
        """Rename, trash, restore or tag an experiment (a tag of None is removed)."""

    # -- writing runs ----------------------------------------------------------------------------------------------
    @abstractmethod
    def create_run(
        self,
        experiment_id: str = DEFAULT_EXPERIMENT_ID,
        run_name: str | None = None,
        *,
        tags: Mapping[str, Any] | None = None,
        start_time_ms: int | None = None,
        run_id: str | None = None,
    ) -> RunWriter:
        """Start a run. Without a name it gets a readable one of its own."""

    @abstractmethod
    def resume_run(self, run_id: str) -> RunWriter:
        """Go on with a run of this store: a new log, the old ones untouched. Raises RunStateError while it is live."""

    @abstractmethod
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
        """Change a run after the fact, from any process: one small file of its own. A tag of None is removed."""

    # -- reading runs ----------------------------------------------------------------------------------------------
    @abstractmethod
    def get_run(self, run_id: str) -> Run:
        """One run, live or ended, also in the trash; raises NotFoundError."""

    @abstractmethod
    def search_runs(
        self,
        experiment_ids: Sequence[str] | None = None,
        filter_string: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        offset: int = 0,
        view: ViewType = "ACTIVE_ONLY",
    ) -> list[Run]:
        """Runs that fit, newest first unless `order_by` says otherwise. No ids means all experiments.

        Runs found this way hold params, metrics, tags and info; `artifacts` and `capture` may be empty: ask
        :meth:`get_run` for those.
        """

    @abstractmethod
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
        """The same as columns. `run_ids` restricts to these runs; `keys` restricts the columns beside attributes.

        A metric among `keys` may also be an expression: ``min(metrics.loss)``, ``max last count step min_step
        max_step`` likewise, or ``at_max(metrics.loss, metrics.acc)``: the loss at the step at which acc was highest.
        """

    def run_frame(
        self,
        experiment_ids: Sequence[str] | None = None,
        filter_string: str = "",
        order_by: Sequence[str] = (),
        max_results: int | None = None,
        offset: int = 0,
        view: ViewType = "ACTIVE_ONLY",
    ) -> dict[str, Any]:
        """The same as numpy arrays by MLflow's column names: what a DataFrame of very many runs is made of.

        Texts are arrays of objects with None where there is none, or `CodedTexts`; ``metrics.…`` are float64 with NaN;
        ``start_time`` and ``end_time`` are int64 milliseconds, -1 where a run has not ended.
        """
        import numpy as np

        def texts(values: Sequence[Any]) -> np.ndarray[Any, Any]:
            column = np.empty(len(values), dtype=object)
            column[:] = values
            return column

        def times(values: Sequence[Any]) -> np.ndarray[Any, Any]:
            return np.array([-1 if value is None else int(value) for value in values], dtype=np.int64)

        table = self.run_table(experiment_ids, filter_string, order_by, max_results, offset, view)
        known = {column.key: column.values for column in table.columns if column.kind == "attribute"}
        frame = {"run_id": texts(table.run_ids)}
        frame |= {key: texts(known[key]) for key in ("experiment_id", "status")}
        frame["artifact_uri"] = texts([f"runs:/{run_id}" for run_id in table.run_ids])
        frame |= {key: times(known[key]) for key in ("start_time", "end_time")}
        frame["run_name"] = texts(known["run_name"])
        for column in (one for one in table.columns if one.kind == "metric"):
            values = [np.nan if value is None else value for value in column.values]
            frame[f"metrics.{column.key}"] = np.array(values, dtype=np.float64)
        for column in (one for one in table.columns if one.kind in {"param", "tag"}):
            frame[f"{column.kind}s.{column.key}"] = texts(column.values)
        return frame

    @abstractmethod
    def get_metric_history(self, run_id: str, key: str) -> MetricHistory:
        """Every value of one metric; an empty history if the run never logged it. Raises NotFoundError for no run."""

    def get_metric_overview(self, run_id: str, key: str) -> Overview | None:
        """Some points of a long metric, every peak among them; None if all must be asked for. Raises NotFoundError."""
        return None

    @abstractmethod
    def revision(self) -> str:
        """A short text that changes whenever a run, an edit or a commit appears or a live log grows. Cheap to ask."""

    # -- artifacts -------------------------------------------------------------------------------------------------
    @abstractmethod
    def put_blob(self, data: bytes | str | Path) -> tuple[str, int]:
        """Store bytes (or a file's bytes) once by content; return ``(sha256 hex, size in bytes)``."""

    @abstractmethod
    def read_blob(self, digest: str) -> bytes:
        """The bytes of a blob, verified against `digest`. Raises NotFoundError, IntegrityError."""

    @abstractmethod
    def blob_path(self, digest: str) -> Path:
        """Where a blob lies on this machine, for reading only. Raises NotFoundError."""

    def list_artifacts(self, run_id: str, path: str = "") -> list[Artifact]:
        """Files and folders directly under `path` of a run, sorted by name; a folder's size is that of its files."""
        prefix = f"{path.rstrip('/')}/" if path else ""
        found: dict[str, Artifact] = {}
        for name, artifact in self.get_run(run_id).artifacts.items():
            if name == path.rstrip("/"):
                return [artifact]
            if not name.startswith(prefix):
                continue
            head, slash, _ = name[len(prefix) :].partition("/")
            full = prefix + head
            if not slash:
                found[full] = artifact
            else:
                size = found[full].size_bytes if full in found else 0
                found[full] = Artifact(full, "", size + artifact.size_bytes, is_dir=True)
        return [found[name] for name in sorted(found)]

    # -- the registry's commits ------------------------------------------------------------------------------------
    @abstractmethod
    def list_models(self) -> list[str]:
        """Names of all registered models that have at least one commit, sorted."""

    @abstractmethod
    def read_commits(self, model: str, after: int = 0) -> list[Mapping[str, Any]]:
        """The commits of a model with a number above `after`, in order; each holds its ``number``. Empty if none."""

    @abstractmethod
    def append_commit(self, model: str, body: Mapping[str, Any], expect: int | None = None) -> int:
        """Put a commit under the next free number and return it.

        With `expect`, only if the last number is exactly that: otherwise raises ConflictError, and nothing is written.
        """

    # -- care ------------------------------------------------------------------------------------------------------
    @abstractmethod
    def info(self) -> Mapping[str, Any]:
        """Facts for people: ``uri name format_version writable runs experiments models size_bytes``."""

    @abstractmethod
    def check(self, repair: bool = False, progress: Progress | None = None) -> Iterator[Problem]:
        """Find every damaged record; with `repair`, mend what can be mended without losing a good record."""

    @abstractmethod
    def gc(self, dry_run: bool = True, older_than_s: float = 0, progress: Progress | None = None) -> GcPreview:
        """Remove trashed runs and blobs that nothing refers to; with `dry_run`, only say what that would free."""

    @abstractmethod
    def compact(self, dry_run: bool = True, progress: Progress | None = None) -> GcPreview:
        """Keep the metrics of finished runs in less room, without losing a value; say how much that frees."""

    @abstractmethod
    def rebuild_index(self, progress: Progress | None = None) -> int:
        """Throw the index away and build it again from the truth; return the number of runs."""
