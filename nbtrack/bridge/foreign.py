"""What another tracker holds, in neutral records: importers read into these, one writer puts them into a store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbtrack.entities import DatasetInput, Status
from nbtrack.store.bulk import Point


@dataclass(slots=True)
class ImportReport:
    """What an import did, or would do.

    `known` runs and versions were imported earlier; `repaired` says which places were found although they had moved;
    `problems` say what was left out, `left_behind` what a store of ours has no place for, and how much of it.
    """

    experiments: int = 0
    runs: int = 0
    known: int = 0
    deleted: int = 0
    params: int = 0
    metric_values: int = 0
    tags: int = 0
    artifacts: int = 0
    inputs: int = 0
    models: int = 0
    versions: int = 0
    stages: int = 0
    aliases: int = 0
    logged_models: int = 0
    repaired: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ForeignExperiment:
    """An experiment; `key` is what its runs call it by."""

    key: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    deleted: bool = False


@dataclass(slots=True)
class ForeignRun:
    """A run; `artifacts` are pairs of the path in the run and the file that is to be copied."""

    run_id: str
    experiment: str
    name: str
    status: Status
    start_time_ms: int
    end_time_ms: int | None
    deleted: bool = False
    user: str = ""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[Point]] = field(default_factory=dict)
    inputs: list[DatasetInput] = field(default_factory=list)
    artifacts: list[tuple[str, Path]] = field(default_factory=list)
    capture: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class ForeignVersion:
    """A version of a registered model. `source` is what the tracker calls its place, `place` ``(run, path)`` here."""

    number: int
    source: str
    run_id: str | None
    place: tuple[str, str] | None
    stage: str = "None"
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    created_ms: int = 0
    updated_ms: int = 0
    user: str = ""
    model_id: str | None = None
    run_link: str | None = None


@dataclass(slots=True)
class ForeignModel:
    """A registered model."""

    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    created_ms: int = 0
    updated_ms: int = 0
    versions: Sequence[ForeignVersion] = ()


@dataclass(slots=True)
class ForeignLoggedModel:
    """What MLflow 3 calls a logged model; its files are among the artifacts of the run `holder`, under `path`."""

    model_id: str
    experiment: str
    holder: str
    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()


class Source(ABC):
    """Another tracker's data, only ever read. What cannot be read is told in ``report.problems``."""

    def __init__(self) -> None:
        self.report = ImportReport()

    @abstractmethod
    def experiments(self) -> Sequence[ForeignExperiment]:
        """All experiments that have runs or tags."""

    @abstractmethod
    def count(self) -> int:
        """How many runs there are, for the progress bar."""

    @abstractmethod
    def runs(self, known: frozenset[str]) -> Iterator[ForeignRun | None]:
        """Every run; None for one of `known` ids, or one that cannot be read."""

    def logged_models(self) -> Sequence[ForeignLoggedModel]:
        """All logged models."""
        return ()

    def models(self) -> Sequence[ForeignModel]:
        """All registered models."""
        return ()

    def close(self) -> None:
        """Let go of what is open."""
        return
