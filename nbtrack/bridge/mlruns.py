"""Imports an MLflow ``mlruns`` folder. The source is only read; what is damaged in it is named and left out.

The layout is that of MLflow's file store: ``<experiment>/meta.yaml`` and, for each run, a folder with ``meta.yaml``,
``params/KEY``, ``tags/KEY`` (the value is the file), ``metrics/KEY`` (lines ``timestamp value step``) and
``artifacts/``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.entities import TAG_NOTE, TAG_PARENT, Status
from nbtrack.errors import InvalidInputError, MissingLibraryError, NbtrackError, NotFoundError
from nbtrack.names import check_run_id

if TYPE_CHECKING:
    from nbtrack.store.base import RunWriter, Store

# MLflow writes a status as its number; RUNNING cannot be true of a run that is only read here.
_STATUSES: Final[Mapping[str, Status]] = {
    **{"1": "KILLED", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"},
    **{"RUNNING": "KILLED", "SCHEDULED": "SCHEDULED", "FINISHED": "FINISHED", "FAILED": "FAILED", "KILLED": "KILLED"},
}
_TAGS: Final = {"mlflow.note.content": TAG_NOTE, "mlflow.parentRunId": TAG_PARENT}


@dataclass(slots=True)
class ImportReport:
    """What an import did, or would do. `known` runs were imported earlier; `problems` say what was left out."""

    experiments: int = 0
    runs: int = 0
    known: int = 0
    params: int = 0
    metric_values: int = 0
    tags: int = 0
    artifacts: int = 0
    problems: list[str] = field(default_factory=list)


def import_mlruns(
    source: str | Path, store: Store, *, dry_run: bool = False, progress: Callable[[int, int], None] | None = None
) -> ImportReport:
    """Copy the runs of an MLflow folder into a store. A second import adds only what is new.

    Parameters
    ----------
    source
        The ``mlruns`` folder; it may have been moved, absolute paths inside it are not used.
    store
        Where the runs go; they keep their ids, names, times and statuses.
    dry_run
        Only count.
    progress
        Called with the number of runs seen and of all runs.

    Raises
    ------
    InvalidInputError
        If `source` is no such folder.
    """
    root = Path(source)
    experiments = [path.parent for path in sorted(root.glob("*/meta.yaml")) if not path.is_symlink()]
    if not experiments:
        raise InvalidInputError(
            f"import: expected an mlruns folder, got {str(source)!r}, which holds no EXPERIMENT/meta.yaml. Name"
            " the folder that MLflow wrote its runs to."
        )
    report = ImportReport()
    folders = [(experiment, run) for experiment in experiments for run in _run_folders(experiment)]
    ids: dict[Path, str] = {}
    for done, (experiment, run) in enumerate(folders, start=1):
        try:
            if experiment not in ids:
                ids[experiment] = _experiment(experiment, store, report, dry_run)
            _import_run(run, ids[experiment], store, report, dry_run)
        except (NbtrackError, OSError, ValueError) as error:
            report.problems.append(f"{run.relative_to(root)}: left out; {error}")
        if progress is not None:
            progress(done, len(folders))
    return report


def _run_folders(experiment: Path) -> Iterator[Path]:
    for path in sorted(experiment.iterdir()):
        if path.is_dir() and not path.is_symlink() and re.fullmatch(r"[0-9a-f]{32}", path.name):
            yield path


def _meta(folder: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingLibraryError("import: reading mlruns needs PyYAML. Install it: pip install pyyaml") from error
    try:
        found = yaml.safe_load((folder / "meta.yaml").read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, FileNotFoundError) as error:
        raise InvalidInputError(f"its meta.yaml cannot be read ({type(error).__name__}).") from None
    if not isinstance(found, dict):
        raise InvalidInputError("its meta.yaml is empty or no mapping.")
    return found


def _experiment(folder: Path, store: Store, report: ImportReport, dry_run: bool) -> str:
    name = str(_meta(folder).get("name") or folder.name)
    report.experiments += 1
    known = store.get_experiment_by_name(name)
    if known is not None:
        return known.experiment_id
    return "" if dry_run else store.create_experiment(name)


def _import_run(folder: Path, experiment_id: str, store: Store, report: ImportReport, dry_run: bool) -> None:
    run_id = check_run_id(folder.name)
    meta = _meta(folder)
    try:
        store.get_run(run_id)
    except NotFoundError:
        pass
    else:
        report.known += 1
        return
    params = dict(_files(folder / "params", report))
    tags = dict(_files(folder / "tags", report))
    metrics = {key: list(_points(key, text, folder, report)) for key, text in _files(folder / "metrics", report)}
    artifacts = list(_regular(folder / "artifacts", report))
    report.runs += 1
    report.params += len(params)
    report.tags += len(tags)
    report.metric_values += sum(map(len, metrics.values()))
    report.artifacts += len(artifacts)
    if dry_run:
        return
    named = tags.pop("mlflow.runName", None) or meta.get("run_name") or meta.get("name")
    writer = store.create_run(
        experiment_id,
        str(named) if named else None,
        tags={_TAGS.get(key, key): value for key, value in tags.items()},
        start_time_ms=int(meta["start_time"]) if meta.get("start_time") is not None else None,
        run_id=run_id,
    )
    _fill(writer, params, metrics, artifacts)
    status = _STATUSES.get(str(meta.get("status")), "KILLED")
    writer.end(status, int(meta["end_time"]) if meta.get("end_time") is not None else None)
    if meta.get("lifecycle_stage") == "deleted":
        store.edit_run(run_id, deleted=True)


def _fill(
    writer: RunWriter,
    params: Mapping[str, str],
    metrics: Mapping[str, list[tuple[int, float, int]]],
    artifacts: list[tuple[str, Path]],
) -> None:
    if params:
        writer.log_params(params)
    for key, points in metrics.items():
        for timestamp, value, step in points:
            writer.log_metrics({key: value}, step=step, timestamp_ms=timestamp)
    for path, file in artifacts:
        writer.log_artifact(file, path)


def _regular(folder: Path, report: ImportReport) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder with their relative POSIX paths; links are named and left out."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            report.problems.append(f"{path}: left out; it is a link.")
        elif path.is_file() and folder.resolve() in path.resolve().parents:
            yield path.relative_to(folder).as_posix(), path


def _files(folder: Path, report: ImportReport) -> Iterator[tuple[str, str]]:
    for key, path in _regular(folder, report):
        try:
            yield key, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            report.problems.append(f"{path}: left out; it is no text.")


def _points(key: str, text: str, folder: Path, report: ImportReport) -> Iterator[tuple[int, float, int]]:
    lines = text.split("\n")
    torn = bool(lines[-1])  # a line without its end may have lost digits: it is not a value
    for line in lines[:-1]:
        parts = line.split()
        try:
            yield int(parts[0]), float(parts[1]), int(parts[2]) if len(parts) > 2 else 0
        except (ValueError, IndexError):
            report.problems.append(f"{folder / 'metrics' / key}: a line was left out; it is no 'timestamp value step'.")
    if torn:
        report.problems.append(f"{folder / 'metrics' / key}: the last line was left out; it is torn.")
