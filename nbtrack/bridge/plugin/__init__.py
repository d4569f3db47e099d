"""nbtrack as a store of MLflow: ``mlflow.set_tracking_uri("nbtrack:///path/to/.nbtrack")``.

MLflow's entry points name the three functions here. MLflow's own code, its autologging, ``mlflow server`` and
``mlflow ui`` then work on a store of ours, and what they write is an ordinary run, artifact or registered model.

What MLflow keeps beside runs and models (traces, assessments, evaluation data sets, prompts' jobs, gateways) has no
place in the store: those calls raise MLflow's own "not implemented".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbtrack.bridge.plugin.artifacts import ArtifactRepository
    from nbtrack.bridge.plugin.registry import RegistryStore
    from nbtrack.bridge.plugin.tracking import TrackingStore

_BACKEND, _DESTINATION = "_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
_DEFAULT_DESTINATION = "./mlartifacts"


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> TrackingStore:
    """Return the store of experiments, runs and logged models at `store_uri`."""
    from nbtrack.bridge.plugin.tracking import TrackingStore

    return TrackingStore(store_uri, artifact_uri)


def registry_store(store_uri: str, tracking_uri: str | None = None) -> RegistryStore:
    """Return the registry at `store_uri`."""
    from nbtrack.bridge.plugin.registry import RegistryStore

    return RegistryStore(store_uri, tracking_uri)


def artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> ArtifactRepository:
    """Return the files under `artifact_uri`, which a run or a logged model of the store gave out."""
    from nbtrack.bridge.plugin.artifacts import ArtifactRepository

    return ArtifactRepository(artifact_uri, tracking_uri, registry_uri)


def _serve_artifacts_from_the_store() -> None:
    """In a worker of ``mlflow server``: let the artifacts that it proxies lie in the store, beside their runs.

    Unless the user says otherwise a server puts them into ``./mlartifacts``, where nobody who opens the store finds
    them. Each worker loads this module before it answers, so this is the moment.
    """
    backend = os.environ.get(_BACKEND, "")
    if backend.startswith("nbtrack:") and os.environ.get(_DESTINATION) == _DEFAULT_DESTINATION:
        os.environ[_DESTINATION] = backend


_serve_artifacts_from_the_store()
