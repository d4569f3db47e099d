"""Writes a store of ours as the folder of runs that MLflow's file store reads: the way back.

MLflow from 3.13 reads such a folder with ``MLFLOW_ALLOW_FILE_STORE=true``, or turns it into a database with
``mlflow migrate-filestore``. Every ``meta.yaml`` is JSON, which is YAML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.bridge.importing import TAG_MODEL_SOURCE
from nbtrack.bridge.mlflow_model import mlflow_files
from nbtrack.entities import TAG_NOTE, TAG_PARENT, TAG_SOURCE, TAG_USER, DatasetInput, ModelVersion, Run
from nbtrack.errors import InvalidInputError, NbtrackError
from nbtrack.models import read_model
from nbtrack.registry import list_models, logged_models

if TYPE_CHECKING:
    from nbtrack.bridge.importing import Progress
    from nbtrack.store.base import Store

_STATUSES: Final = {"RUNNING": 1, "SCHEDULED": 2, "FINISHED": 3, "FAILED": 4, "KILLED": 5, "CRASHED": 4}
_TAGS: Final = {
    TAG_NOTE: "mlflow.note.content",
    TAG_PARENT: "mlflow.parentRunId",
    TAG_USER: "mlflow.user",
    TAG_SOURCE: "mlflow.source.name",
}
_NOT_IN_KEYS: Final = re.compile(r"[^\w\-. :/]")  # what MLflow's names of params, metrics and tags may not hold
_LEFT: Final = (
    "what the notebook gave unasked, other than as the artifact nbtrack/capture.json",
    "the history of stages and aliases: MLflow knows only where they are now",
    "gates, approvals and policies of registered models",
)


@dataclass(slots=True)
class ExportReport:
    """What an export wrote. `problems` say what had to be renamed or was left out."""

    experiments: int = 0
    runs: int = 0
    params: int = 0
    metric_values: int = 0
    tags: int = 0
    artifacts: int = 0
    models: int = 0
    versions: int = 0
    problems: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=lambda: list(_LEFT))


def export_mlruns(store: Store, folder: str | Path, *, progress: Progress | None = None) -> ExportReport:
    """Write all experiments, runs and registered models of a store as an ``mlruns`` folder.

    Parameters
    ----------
    store
        What to write.
    folder
        Where to; it must not exist, or be empty.
    progress
        Called with the number of runs written and of all runs.

    Raises
    ------
    InvalidInputError
        If `folder` holds something.
    """
    root = Path(folder).absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InvalidInputError(f"export: expected a folder that is empty or not there, got {str(folder)!r}.")
    return _Export(store, root).run(progress)


class _Export:
    def __init__(self, store: Store, root: Path) -> None:
        self.store, self.root = store, root
        self.report = ExportReport()
        self.places: dict[str, Path] = {}

    def run(self, progress: Progress | None) -> ExportReport:
        (self.root / ".trash").mkdir(parents=True)
        (self.root / "models").mkdir()
        for one in self.store.list_experiments("ALL"):
            folder = self.root / (".trash" if one.lifecycle_stage == "deleted" else ".") / one.experiment_id
            self.places[one.experiment_id] = folder
            created = one.creation_time or 0
            meta = {
                "artifact_location": (self.root / one.experiment_id).as_uri(),
                "creation_time": created,
                "experiment_id": one.experiment_id,
                "last_update_time": one.last_update_time or created,
                "lifecycle_stage": one.lifecycle_stage,
                "name": one.name,
            }
            _write_meta(folder, meta)
            self._texts(folder / "tags", one.tags, f"experiment {one.name!r}")
            self.report.experiments += 1
        runs = self.store.search_runs(max_results=10**9, view="ALL")
        for done, found in enumerate(runs, start=1):
            try:
                self._run(self.store.get_run(found.run_id))
            except (NbtrackError, OSError) as error:
                self.report.problems.append(f"run {found.run_id}: is not whole; {error}")
            if progress is not None:
                progress(done, len(runs))
        for model in list_models(store=self.store):
            self._model(model.name, model)
        return self.report

    def _run(self, run: Run) -> None:
        info = run.info
        folder = self.places[info.experiment_id] / run.run_id
        name = info.run_name
        meta: dict[str, Any] = {
            "artifact_uri": (self.root / info.experiment_id / run.run_id / "artifacts").as_uri(),
            "deleted_time": None,
            "end_time": info.end_time,
            "entry_point_name": "",
            "experiment_id": info.experiment_id,
            "lifecycle_stage": info.lifecycle_stage,
            "run_id": run.run_id,
            "run_name": name,
            "run_uuid": run.run_id,
            "source_name": "",
            "source_type": 4,
            "source_version": "",
            "start_time": info.start_time,
            "status": _STATUSES[info.status],
            "tags": [],
            "user_id": info.user_id,
        }
        for part in ("metrics", "params", "tags", "artifacts"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        what = f"run {run.run_id}"
        tags = {_TAGS.get(key, key): value for key, value in run.data.tags.items()} | {"mlflow.runName": name}
        self.report.params += self._texts(folder / "params", run.data.params, what)
        self.report.tags += self._texts(folder / "tags", tags, what)
        series = {}
        for key in run.data.metrics:
            found = self.store.get_metric_history(run.run_id, key)
            rows = zip(found.timestamp.tolist(), found.value.tolist(), found.step.tolist(), strict=True)
            series[key] = "".join(f"{at} {value!r} {step}\n" for at, value, step in rows)
            self.report.metric_values += len(found)
        self._texts(folder / "metrics", series, what)
        for given in run.inputs.dataset_inputs:
            self._input(folder, run.run_id, given)
        self._artifacts(run, folder / "artifacts")
        _write_meta(folder, meta)
        self.report.runs += 1

    def _texts(self, folder: Path, texts: Mapping[str, str], what: str) -> int:
        """Write one file a key; a key that MLflow cannot read is written under another one."""
        taken: set[str] = set()
        for key, text in texts.items():
            shown = _NOT_IN_KEYS.sub("_", key).strip("/") or "_"
            shown = "/".join(part if part.strip(".") else "_" for part in shown.split("/") if part)
            while shown in taken or any(one.startswith(f"{shown}/") or shown.startswith(f"{one}/") for one in taken):
                shown = shown.replace("/", ".") + "_"
            if shown != key:
                self.report.problems.append(f"{what}: {folder.name} {key!r} is called {shown!r} there.")
            taken.add(shown)
            path = folder / shown
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        return len(taken)

    def _input(self, folder: Path, run_id: str, given: DatasetInput) -> None:
        from hashlib import sha256

        kept: Mapping[str, Any] = given.profile.get("mlflow") or {}
        key = sha256(f"{given.name}\n{given.digest}".encode()).hexdigest()[:32]
        data = {
            "digest": given.digest or key[:8],
            "name": given.name,
            "profile": kept.get("profile"),
            "schema": kept.get("schema"),
            "source": given.source,
            "source_type": kept.get("source_type") or "local",
        }
        tags = kept.get("tags") or ({"mlflow.data.context": given.context} if given.context else {})
        _write_meta(folder.parent / "datasets" / key, data)
        ends = {"source_type": "DATASET", "source_id": key, "destination_type": "RUN", "destination_id": run_id}
        _write_meta(folder / "inputs" / key, {**ends, "tags": tags})

    def _artifacts(self, run: Run, folder: Path) -> None:
        models = set(logged_models(run))
        for path, artifact in run.artifacts.items():
            _write(folder / path, self.store.read_blob(artifact.digest))
            self.report.artifacts += 1
        if run.capture:
            _write(folder / "nbtrack" / "capture.json", json.dumps(run.capture, indent=1, default=str).encode())
        for path in models:
            try:
                source = read_model(f"runs:/{run.run_id}/{path}", store=self.store)
                for name, data in mlflow_files(source.manifest, source.files):
                    if not (folder / path / name).exists():
                        _write(folder / path / name, data)
            except NbtrackError as error:
                self.report.problems.append(f"model {path!r} of run {run.run_id}: MLflow cannot load it; {error}")

    # -- the registry ----------------------------------------------------------------------------------------------
    def _model(self, name: str, model: Any) -> None:
        if not re.fullmatch(r"[^/:\x00]+", name):
            self.report.problems.append(f"model {name!r}: left out; MLflow has no such names.")
            return
        folder = self.root / "models" / name
        common = {
            "creation_timestamp": model.creation_timestamp,
            "last_updated_timestamp": model.last_updated_timestamp,
        }
        _write_meta(folder, {**common, "description": model.description, "name": name})
        self._texts(folder / "tags", model.tags, f"model {name!r}")
        self._texts(folder / "aliases", {key: str(n) for key, n in model.aliases.items()}, f"model {name!r}")
        self.report.models += 1
        for version in model.versions:
            if not version.deleted:
                self._version(folder, version)

    def _version(self, folder: Path, version: ModelVersion) -> None:
        where = folder / f"version-{version.version}"
        source = version.source
        if source.startswith("runs:/"):
            run_id, _, path = source[len("runs:/") :].partition("/")
            for place in self.places.values():
                if (place / run_id).is_dir():
                    source = (place / run_id / "artifacts" / path).as_uri()
        meta = {
            "creation_timestamp": version.creation_timestamp,
            "current_stage": version.current_stage,
            "description": version.description,
            "last_updated_timestamp": version.last_updated_timestamp,
            "name": version.name,
            "run_id": version.run_id,
            "run_link": None,
            "source": source,
            "status": "READY",
            "status_message": None,
            "storage_location": source,
            "user_id": version.user_id,
            "version": version.version,
        }
        _write_meta(where, meta)
        tags = {key: value for key, value in version.tags.items() if key != TAG_MODEL_SOURCE}
        self._texts(where / "tags", tags, f"model {version.name!r} version {version.version}")
        self.report.versions += 1


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    _write(folder / "meta.yaml", json.dumps(meta, indent=1).encode() + b"\n")
