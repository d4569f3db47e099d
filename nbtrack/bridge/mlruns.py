"""Reads an MLflow ``mlruns`` folder without MLflow. What is damaged in it is named and left out.

The layout is that of MLflow's file store: ``<experiment>/meta.yaml`` and, for each run, a folder with ``meta.yaml``,
``params/KEY``, ``tags/KEY`` (the value is the file), ``metrics/KEY`` (lines ``timestamp value step``) and
``artifacts/``. Newer ones hold ``<experiment>/models/m-…`` for logged models and ``<experiment>/datasets``;
``models/<name>/version-<n>`` are registered models, and ``.trash`` holds deleted experiments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nbtrack.bridge.foreign import (
    ForeignExperiment,
    ForeignLoggedModel,
    ForeignModel,
    ForeignRun,
    ForeignVersion,
    ImportReport,
    Source,
)
from nbtrack.bridge.importing import Progress, import_source
from nbtrack.bridge.places import files_in
from nbtrack.entities import DatasetInput, Status
from nbtrack.errors import InvalidInputError, MissingLibraryError, NbtrackError
from nbtrack.store.base import Store
from nbtrack.store.bulk import Point
from nbtrack.store.lines import to_json_number

# MLflow writes a status as its number; RUNNING cannot be true of a run that is only read here.
_STATUSES: Final[Mapping[str, Status]] = {
    **{"1": "KILLED", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"},
    **{"RUNNING": "KILLED", "SCHEDULED": "SCHEDULED", "FINISHED": "FINISHED", "FAILED": "FAILED", "KILLED": "KILLED"},
}
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{21}")
_MODEL_ID: Final = re.compile(r"m-[0-9a-f]{32}")


def import_mlruns(
    source: str | Path, store: Store, *, dry_run: bool = False, progress: Progress | None = None
) -> ImportReport:
    """Copy the runs and models of an MLflow folder into a store. A second import adds only what is new.

    Parameters
    ----------
    source
        The ``mlruns`` folder; it may have been moved, absolute paths inside it are not used.
    store
        Where the runs go; they keep their ids, names, times and statuses.
    dry_run
        Only count.
    progress
        Called now and then with the number of runs seen and of all runs.

    Raises
    ------
    InvalidInputError
        If `source` is no such folder.
    """
    return import_source(MlrunsFolder(source), store, dry_run=dry_run, progress=progress)


def is_mlruns(path: Path) -> bool:
    """Return whether a folder looks like MLflow's."""
    return any(not found.is_symlink() for found in path.glob("*/meta.yaml"))


class MlrunsFolder(Source):
    """The folder that MLflow's file store wrote."""

    def __init__(self, root: str | Path) -> None:
        super().__init__()
        self.root = Path(root)
        found = [*sorted(self.root.glob("*/meta.yaml")), *sorted(self.root.glob(".trash/*/meta.yaml"))]
        self._folders = [path.parent for path in found if not path.parent.is_symlink()]
        if not self._folders:
            raise InvalidInputError(
                f"import: expected an mlruns folder, got {str(root)!r}, which holds no EXPERIMENT/meta.yaml. Name"
                " the folder that MLflow wrote its runs to."
            )
        self._logged: list[ForeignLoggedModel] = []

    def experiments(self) -> Sequence[ForeignExperiment]:
        found = []
        for folder in self._folders:
            try:
                meta = read_meta(folder)
            except NbtrackError as error:
                self.report.problems.append(f"{folder.relative_to(self.root)}: {error}")
                meta = {}
            deleted = folder.parent.name == ".trash" or meta.get("lifecycle_stage") == "deleted"
            tags = dict(self._files(folder / "tags"))
            found.append(ForeignExperiment(folder.name, str(meta.get("name") or folder.name), tags, deleted))
        return found

    def _run_folders(self) -> Iterator[Path]:
        for folder in self._folders:
            for path in sorted(folder.iterdir()):
                if path.is_dir() and not path.is_symlink() and _RUN_ID.fullmatch(path.name):
                    yield path

    def count(self) -> int:
        return sum(1 for _ in self._run_folders())

    def runs(self, known: frozenset[str]) -> Iterator[ForeignRun | None]:
        models = self._logged_by_run()
        for folder in self._run_folders():
            if folder.name in known:
                self.report.known += 1
                yield None
                continue
            try:
                yield self._run(folder, models.get(folder.name, []))
            except (NbtrackError, OSError, ValueError) as error:
                self.report.problems.append(f"{folder.relative_to(self.root)}: left out; {error}")
                yield None

    def _run(self, folder: Path, models: list[tuple[Path, ForeignLoggedModel]]) -> ForeignRun:
        meta = read_meta(folder)
        tags = dict(self._files(folder / "tags"))
        name = tags.pop("mlflow.runName", None) or meta.get("run_name") or meta.get("name")
        run = ForeignRun(
            run_id=folder.name,
            experiment=folder.parent.name,
            name=str(name or folder.name[:8]),
            status=_STATUSES.get(str(meta.get("status")), "KILLED"),
            start_time_ms=int(meta.get("start_time") or 0),
            end_time_ms=None if meta.get("end_time") is None else int(meta["end_time"]),
            deleted=meta.get("lifecycle_stage") == "deleted",
            user=str(meta.get("user_id") or ""),
            params=dict(self._files(folder / "params")),
            tags=tags,
            metrics={key: self._points(folder, key, text) for key, text in self._files(folder / "metrics")},
            inputs=self._inputs(folder),
            artifacts=list(files_in(folder / "artifacts", self.report)),
        )
        run.metrics = {key: points for key, points in run.metrics.items() if points}
        for place, model in models:
            run.artifacts += files_in(place / "artifacts", self.report, f"{model.path}/")
            run.capture[f"mlflow_logged_model {model.path}"] = model.model_id
            run.capture[f"mlflow_model_output {model.model_id}"] = {"step": 0}
            run.tags["nbtrack.mlflow.extras"] = "yes"
        return run

    def _files(self, folder: Path) -> Iterator[tuple[str, str]]:
        for key, path in files_in(folder, self.report):
            try:
                yield key, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                self.report.problems.append(f"{path}: left out; it is no text.")

    def _points(self, folder: Path, key: str, text: str) -> list[Point]:
        where = folder / "metrics" / key
        lines = text.split("\n")
        if lines[-1]:  # a line without its end may have lost digits: it is not a value
            self.report.problems.append(f"{where}: the last line was left out; it is torn.")
        found: list[Point] = []
        for line in lines[:-1]:
            parts = line.split()
            try:
                found.append((int(parts[0]), float(parts[1]), int(parts[2]) if len(parts) > 2 else 0))
            except (ValueError, IndexError):
                self.report.problems.append(f"{where}: a line was left out; it is no 'timestamp value step'.")
        return found

    def _inputs(self, folder: Path) -> list[DatasetInput]:
        found = []
        for path in sorted(folder.glob("inputs/*/meta.yaml")):
            try:
                given = read_meta(path.parent)
                data = read_meta(folder.parent / "datasets" / _plain(given.get("source_id")))
            except NbtrackError:  # the input is a model, or its data set is gone
                continue
            tags = {str(key): str(value) for key, value in (given.get("tags") or {}).items()}
            kept = {key: data.get(key) for key in ("source_type", "schema", "profile")} | {"tags": tags}
            context = tags.get("mlflow.data.context", "")
            texts = (str(data.get(key) or "") for key in ("name", "digest", "source"))
            name, digest, source = texts
            found.append(DatasetInput(name, context, digest, source, {"mlflow": kept}))
        return found

    # -- models ----------------------------------------------------------------------------------------------------
    def _logged_by_run(self) -> dict[str, list[tuple[Path, ForeignLoggedModel]]]:
        found: dict[str, list[tuple[Path, ForeignLoggedModel]]] = {}
        for experiment in self._folders:
            for path in sorted(experiment.glob("models/*/meta.yaml")):
                folder = path.parent
                if not _MODEL_ID.fullmatch(folder.name):
                    continue
                try:
                    meta = read_meta(folder)
                except NbtrackError as error:
                    self.report.problems.append(f"{folder.relative_to(self.root)}: left out; {error}")
                    continue
                run = meta.get("source_run_id")
                if not run:
                    self.report.problems.append(f"logged model {folder.name}: left out; no run made it.")
                    continue
                others = found.setdefault(str(run), [])
                others.append((folder, self._model_of(folder, meta, {one.path for _, one in others})))
        self._logged = [model for models in found.values() for _, model in models]
        return found

    def _model_of(self, folder: Path, meta: Mapping[str, Any], taken: set[str]) -> ForeignLoggedModel:
        name = _plain(meta.get("name")) or "model"
        path = name if name not in taken else f"{name}-{folder.name[2:10]}"
        run = str(meta["source_run_id"])
        fields = {
            "model_id": folder.name,
            "name": name,
            "source_run_id": run,
            "model_type": meta.get("model_type"),
            "status": meta.get("status") or 2,
            "created": int(meta.get("creation_timestamp") or 0),
            "params": dict(self._files(folder / "params")),
            "tags": dict(self._files(folder / "tags")),
            "deleted": meta.get("lifecycle_stage") == "deleted",
        }
        metrics = []
        for key, text in self._files(folder / "metrics"):
            for parts in (line.split(" ") for line in text.split("\n")[:-1]):
                if len(parts) not in {4, 6}:
                    continue
                more: list[str | None] = [*parts[4:]] or [None, None]
                metrics.append(
                    {
                        "key": key,
                        "value": to_json_number(float(parts[1])),
                        "timestamp": int(parts[0]),
                        "step": int(parts[2]),
                        "run_id": parts[3],
                        "dataset_name": more[0],
                        "dataset_digest": more[1],
                    }
                )
        return ForeignLoggedModel(folder.name, folder.parents[1].name, run, path, fields, metrics)

    def logged_models(self) -> Sequence[ForeignLoggedModel]:
        return self._logged

    def models(self) -> Sequence[ForeignModel]:
        found = []
        for path in sorted(self.root.glob("models/*/meta.yaml")):
            folder = path.parent
            try:
                meta = read_meta(folder)
            except NbtrackError as error:
                self.report.problems.append(f"{folder.relative_to(self.root)}: left out; {error}")
                continue
            aliases = {key: int(text) for key, text in self._files(folder / "aliases") if text.strip().isdecimal()}
            found.append(
                ForeignModel(
                    name=folder.name,
                    description=str(meta.get("description") or ""),
                    tags=dict(self._files(folder / "tags")),
                    aliases=aliases,
                    created_ms=int(meta.get("creation_timestamp") or 0),
                    updated_ms=int(meta.get("last_updated_timestamp") or 0),
                    versions=list(self._versions(folder)),
                )
            )
        return found

    def _versions(self, folder: Path) -> Iterator[ForeignVersion]:
        numbered = [(int(p.name[8:]), p) for p in folder.glob("version-*") if p.name[8:].isdecimal()]
        for number, path in sorted(numbered):
            try:
                meta = read_meta(path)
            except NbtrackError as error:
                self.report.problems.append(f"{path.relative_to(self.root)}: left out; {error}")
                continue
            stage = str(meta.get("current_stage") or "None")
            if stage == "Deleted_Internal":
                continue
            source, run_id = str(meta.get("source") or ""), meta.get("run_id")
            place, model_id = self._place(source, str(meta.get("storage_location") or ""), run_id)
            yield ForeignVersion(
                number=number,
                source=source,
                run_id=run_id,
                place=place,
                stage=stage,
                description=str(meta.get("description") or ""),
                tags=dict(self._files(path / "tags")),
                created_ms=int(meta.get("creation_timestamp") or 0),
                updated_ms=int(meta.get("last_updated_timestamp") or 0),
                user=str(meta.get("user_id") or ""),
                model_id=model_id,
                run_link=meta.get("run_link"),
            )

    def _place(self, source: str, storage: str, run_id: str | None) -> tuple[tuple[str, str] | None, str | None]:
        for model in self._logged:
            if source == f"models:/{model.model_id}" or f"/{model.model_id}/artifacts" in (storage or source):
                return (model.holder, model.path), model.model_id
        if found := re.match(r"runs:/+([0-9a-f]+)/(.+)", source):
            return (found[1], found[2].strip("/")), None
        if run_id and (found := re.search(rf"/{re.escape(str(run_id))}/artifacts/(.+)", source)):
            return (str(run_id), found[1].strip("/")), None
        return None, None


def _plain(value: object) -> str:
    """Return the text of something that becomes a part of a path; empty if it must not."""
    text = str(value or "")
    return text if re.fullmatch(r"[^/\\\x00]+", text) and text not in {".", ".."} else ""


def read_meta(folder: Path) -> dict[str, Any]:
    """Return what the ``meta.yaml`` of a folder says; raises InvalidInputError."""
    try:
        import yaml
    except ImportError as error:
        raise MissingLibraryError("import: reading mlruns needs PyYAML. Install it: pip install pyyaml") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load((folder / "meta.yaml").read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise InvalidInputError(f"its meta.yaml cannot be read ({type(error).__name__}).") from None
    if not isinstance(found, dict):
        raise InvalidInputError("its meta.yaml is empty or no mapping.")
    return found
