"""The ways over from other trackers and back: imports that need none of them, and MLflow's code on stores of ours."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from nbtrack.bridge.foreign import ImportReport

if TYPE_CHECKING:
    from pathlib import Path

    from nbtrack.bridge.csv_runs import Columns
    from nbtrack.bridge.exporting import ExportReport
    from nbtrack.bridge.foreign import Source
    from nbtrack.bridge.importing import Progress
    from nbtrack.store.base import Store

__all__ = ["ImportReport", "export_mlruns", "export_model", "import_mlruns", "import_runs", "open_source"]


def open_source(path: str | Path, columns: Columns | None = None) -> Source:
    """Return a reader of whatever tracker wrote the file or folder `path`; `columns` tells those of a CSV file.

    Raises
    ------
    InvalidInputError
        If it is of none that is known.
    """
    from pathlib import Path

    from nbtrack.bridge.mlflow_db import MlflowDatabase, is_database
    from nbtrack.bridge.mlruns import MlrunsFolder, is_mlruns
    from nbtrack.bridge.wandb_runs import WandbRuns, wandb_files
    from nbtrack.errors import InvalidInputError

    place = Path(path)
    if not place.exists():
        raise InvalidInputError(f"import: there is no file or folder {str(path)!r}.")
    if place.suffix.lower() in {".csv", ".tsv"}:
        from nbtrack.bridge.csv_runs import CsvRuns

        return CsvRuns(place, columns)
    if columns is not None:
        raise InvalidInputError(f"import {place}: columns can be told of a CSV file only.")
    if place.is_dir() and (place / "mlflow.db").is_file():
        place /= "mlflow.db"
    if is_database(place):
        return MlflowDatabase(place)
    if place.is_dir():
        for folder in (place, place / "mlruns"):
            if is_mlruns(folder) or next(folder.glob(".trash/*/meta.yaml"), None):
                return MlrunsFolder(folder)
    if wandb_files(place):
        return WandbRuns(place)
    from nbtrack.bridge.tensorboard_logs import TensorboardLogs, has_events

    if has_events(place):
        return TensorboardLogs(place)
    raise InvalidInputError(
        "import: expected an mlruns folder (which holds EXPERIMENT/meta.yaml), an mlflow.db, runs of Weights & Biases"
        f" (*.wandb), TensorBoard's logs (*tfevents*) or a CSV file, got {str(path)!r}."
    )


def import_runs(
    path: str | Path,
    store: Store,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    columns: Columns | None = None,
    experiment: str | None = None,
) -> ImportReport:
    """Copy what another tracker wrote into a store; what kind it is shows in the files.

    Parameters
    ----------
    path
        An ``mlruns`` folder, an ``mlflow.db``, or a folder that holds one of them; runs of Weights & Biases
        (``*.wandb``, or their folder); a folder of TensorBoard's event files; a CSV file.
    store
        Where it goes. Runs keep their ids, names, times and statuses; a second import adds only what is new.
    dry_run
        Only count.
    progress
        Called now and then with the number of runs seen and of all runs.
    columns
        Which column of a CSV file is what.
    experiment
        The experiment for all runs; if not given, what they were in.

    Raises
    ------
    InvalidInputError
        If it is of no kind that is known.
    """
    from nbtrack.bridge.importing import import_source

    with closing(open_source(path, columns)) as source:
        return import_source(source, store, dry_run=dry_run, progress=progress, experiment=experiment)


def import_mlruns(
    path: str | Path, store: Store, *, dry_run: bool = False, progress: Progress | None = None
) -> ImportReport:
    """Copy the runs and models of an ``mlruns`` folder into a store: see :func:`import_runs`."""
    from nbtrack.bridge.mlruns import import_mlruns as run

    return run(path, store, dry_run=dry_run, progress=progress)


def export_mlruns(store: Store, folder: str | Path, *, progress: Progress | None = None) -> ExportReport:
    """Write a store as the folder of runs that MLflow reads: see :func:`nbtrack.bridge.exporting.export_mlruns`."""
    from nbtrack.bridge.exporting import export_mlruns as run

    return run(store, folder, progress=progress)


def export_model(model_uri: str, folder: str | Path, *, store: Store | None = None) -> Path:
    """Write a model in MLflow's format: see :func:`nbtrack.bridge.mlflow_model.export_model`."""
    from nbtrack.bridge.mlflow_model import export_model as run

    return run(model_uri, folder, store=store)
