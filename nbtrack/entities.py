"""The records that every room hands around: frozen, typed, without behaviour.

They say what a thing *is*; where it lies on disk is the store's affair, how it looks that of ``reprs``.
Times are milliseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED", "CRASHED"]
AlertLevel = Literal["info", "warn", "error"]
LifecycleStage = Literal["active", "deleted"]
ViewType = Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]

DEFAULT_EXPERIMENT_ID: Final = "0"
DEFAULT_EXPERIMENT_NAME: Final = "Default"

MANIFEST_NAME: Final = "nbtrack-model.json"  # the file that makes a folder of artifacts a model
VIEW_MIME: Final = "application/vnd.nbtrack.view+json"  # an output that the JupyterLab extension brings to life

# Tags that nbtrack itself writes. Everything under "nbtrack." is ours.
TAG_NOTE: Final = "nbtrack.note"
TAG_PARENT: Final = "nbtrack.parent_run_id"
TAG_RESUMED: Final = "nbtrack.resumed_run_id"
TAG_USER: Final = "nbtrack.user"
TAG_CELL: Final = "nbtrack.cell"  # the id of the tracked cell, as the notebook has it
TAG_CODE: Final = "nbtrack.code"  # a short hash of the cell's source below its %%track line, secrets taken out
TAG_ALERTS: Final = "nbtrack.alerts"  # what asked for attention while the run went on, as a JSON list
TAG_SOURCE: Final = "nbtrack.source"  # notebook or script path, relative to the store's parent where possible


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named group of runs; a filter, never a wall."""

    experiment_id: str
    name: str
    lifecycle_stage: LifecycleStage = "active"
    tags: Mapping[str, str] = field(default_factory=dict)
    creation_time: int | None = None
    last_update_time: int | None = None
    artifact_location: str = ""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run is, apart from what it logged."""

    run_id: str
    run_name: str
    experiment_id: str
    status: Status
    start_time: int
    end_time: int | None = None
    lifecycle_stage: LifecycleStage = "active"
    artifact_uri: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A metric of one run in one line; `last` is the value logged last, `step` its step."""

    last: float
    step: int
    timestamp: int
    min: float
    max: float
    count: int


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that asked for attention while a run went on: once with a title, its repeats counted."""

    title: str
    text: str = ""
    level: AlertLevel = "warn"
    at: int = 0
    count: int = 1
    last_at: int = 0


@dataclass(frozen=True, slots=True)
class Metric:
    """One logged value."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter; `value` is text, as MLflow's is."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag; may be overwritten."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file under a run. `digest` is the sha256 of its bytes, in hex."""

    path: str
    digest: str
    size_bytes: int
    is_dir: bool = False

    @property
    def file_size(self) -> int:
        """The size in bytes, under MLflow's name."""
        return self.size_bytes


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """Data that a run read: its `name`, `context` (such as ``"training"``) and `fingerprint`."""

    name: str
    context: str = ""
    digest: str = ""
    source: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunData:
    """What a run logged. `metrics` holds the last value of each key."""

    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What a run read."""

    dataset_inputs: Sequence[DatasetInput] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the store knows it at one moment.

    `summaries` holds min, max and count of each metric; `artifacts` maps each path to its record; `capture` is what
    the notebook gave unasked (cell source, environment, slice, …), as plain JSON values.
    """

    info: RunInfo
    data: RunData
    inputs: RunInputs = RunInputs()
    summaries: Mapping[str, MetricSummary] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    capture: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.info.run_id


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which runs differ, with one value a run (None: it has no such thing).

    `kind` is ``param cell upstream data seed environment git``; `weight` (0 to 1) says how likely it matters; `patches`
    holds, for code, a unified diff from the first run's to each one's.
    """

    kind: str
    key: str
    values: tuple[str | None, ...]
    weight: float
    text: str
    patches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunDiff:
    """Why runs are different, what most likely matters first; `metrics` holds key and values of those that differ."""

    run_ids: tuple[str, ...]
    run_names: tuple[str, ...]
    verdict: str
    metrics: tuple[tuple[str, tuple[float | None, ...]], ...]
    differences: tuple[Difference, ...]
    same: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One input, output or parameter of a model.

    `type` is one of ``boolean integer long float double string datetime object``; `required` is false where the
    training data held nulls.
    """

    name: str | None
    type: str
    required: bool = True
    default: Any = None


@dataclass(frozen=True, slots=True)
class Signature:
    """The schema of a model's inputs, outputs and params, in order."""

    inputs: tuple[Column, ...] = ()
    outputs: tuple[Column, ...] = ()
    params: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """What a saved model says of itself; written as ``nbtrack-model.json`` beside its files.

    `files` maps each relative path to ``(sha256 hex, size in bytes)``; `code_line` is the line of code that it was made
    with, such as ``"1.0"``; `environment` holds ``python``, ``platform``
    and ``packages`` (name -> version).
    """

    flavor: str
    model_class: str
    files: Mapping[str, tuple[str, int]]
    signature: Signature | None = None
    input_example: str | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    created_at_ms: int = 0
    nbtrack_version: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    hmac: str = ""
    code_line: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What ``log_model`` answers: where the model lies and what it says of itself."""

    model_uri: str
    run_id: str | None
    artifact_path: str
    manifest: ModelManifest
    registered_model_version: int | None = None

    @property
    def signature(self) -> Signature | None:
        """The signature of the model, if it has one."""
        return self.manifest.signature


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a registered model, as the commits up to now make it."""

    name: str
    version: int
    current_stage: str = "None"
    aliases: tuple[str, ...] = ()
    run_id: str | None = None
    source: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    flavor: str = ""
    digest: str = ""
    creation_timestamp: int = 0
    last_updated_timestamp: int = 0
    user_id: str = ""
    status: str = "READY"
    deleted: bool = False
    approvals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # person -> stages that he agreed to
    scores: Mapping[str, tuple[str, float]] = field(default_factory=dict)  # metric -> (fingerprint of the data, score)


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model and its versions, newest first.

    `stages` are the stages that its versions move between, lowest first; `gates` maps a stage to the conditions that
    every promotion to it must meet; `decisions` maps an environment to the record of the last ``select_best``.
    """

    name: str
    versions: tuple[ModelVersion, ...] = ()
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    creation_timestamp: int = 0
    last_updated_timestamp: int = 0
    deleted: bool = False
    stages: tuple[str, ...] = ("None", "Staging", "Production", "Archived")
    gates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def latest_versions(self) -> tuple[ModelVersion, ...]:
        """The newest version of each stage, as MLflow lists them."""
        newest: dict[str, ModelVersion] = {}
        for version in self.versions:
            newest.setdefault(version.current_stage, version)
        return tuple(newest.values())


@dataclass(frozen=True, slots=True)
class Commit:
    """One numbered change of a registered model: who, when, what, why.

    `changes` lists what moved, such as ``{"version": 3, "from": "None", "to": "Staging"}``.
    """

    name: str
    number: int
    action: str
    at_ms: int
    user: str
    note: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A model server on this machine, as its state file and its life sign tell.

    `owner` is ``"kernel"``, ``"jupyter"``, ``"process"`` or ``"detached"``; `status` is ``"starting"``,
    ``"ready"``, ``"failed"`` or ``"stopped"``. `follow` is the URI whose meaning it follows, `held` the version that it
    answers with all the same, `previous` the one before; `others` are its further models, `options` how it was asked to
    serve, `checks` what was checked before it listened.
    """

    server_id: str
    url: str
    port: int
    pid: int
    model_uri: str
    model_name: str
    version: int | None
    owner: str
    status: str
    started_at_ms: int
    error: str = ""
    requests: int = 0
    follow: str = ""
    held: str = ""
    previous: str = ""
    others: tuple[Mapping[str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Mapping[str, str], ...] = ()
