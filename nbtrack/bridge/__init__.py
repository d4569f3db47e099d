"""The ways over from other trackers and back: imports that need none of them, and MLflow's code on stores of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtrack.bridge.foreign import ImportReport

if TYPE_CHECKING:
    from pathlib import Path

    from nbtrack.bridge.exporting import ExportReport
    from nbtrack.bridge.foreign import Source
    from nbtrack.bridge.importing import Progress
    from nbtrack.store.base import Store

__all__ = ["ImportReport", "export_mlruns", "export_model", "import_mlruns", "import_runs", "open_source"]


def open_source(path: str | Path) -> Source:
    """Return a reader of whatever tracker wrote the file or folder `path`.

    Raises
    ------
    InvalidInputError
        If it is of none that is known.
    """
    from pathlib import Path

    from nbtrack.bridge.mlflow_db import MlflowDatabase, is_database
    from nbtrack.bridge.mlruns import MlrunsFolder

    place = Path(path)
    if place.is_dir() and (place / "mlflow.db").is_file():
        place /= "mlflow.db"
    if is_database(place):
        return MlflowDatabase(place)
    if not next(place.glob("*/meta.yaml"), None) and (place / "mlruns").is_dir():
        place /= "mlruns"
    return MlrunsFolder(place)


def import_runs(
    path: str | Path, store: Store, *, dry_run: bool = False, progress: Progress | None = None
) -> ImportReport:
    """Copy what another tracker wrote into a store; what kind it is shows in the files.

    Parameters
    ----------
    path
        An ``mlruns`` folder, an ``mlflow.db``, or a folder that holds one of them.
    store
        Where it goes. Runs keep their ids, names, times and statuses; a second import adds only what is new.
    dry_run
        Only count.
    progress
        Called now and then with the number of runs seen and of all runs.
    """
    from nbtrack.bridge.importing import import_source

    return import_source(open_source(path), store, dry_run=dry_run, progress=progress)


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
