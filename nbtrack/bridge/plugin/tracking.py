"""The tracking store that MLflow gets for ``nbtrack:///path``."""

from __future__ import annotations

from typing import Any

from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.utils.uri import resolve_uri_if_local

from nbtrack.bridge.model_files import ModelFiles
from nbtrack.bridge.plugin.logged_models import LoggedModels
from nbtrack.bridge.plugin.place import open_at
from nbtrack.bridge.plugin.unkept import answers
from nbtrack.bridge.plugin.writers import writers_of

_Unkept: Any = type("_Unkept", (), answers(LoggedModels))


class TrackingStore(LoggedModels, _Unkept, AbstractStore):  # type: ignore[misc]
    """Experiments, runs and logged models of one store of ours, under MLflow's names.

    Parameters
    ----------
    store_uri
        ``nbtrack:///path``.
    artifact_uri
        Where a server wants artifacts that it proxies; in the store unless given.
    """

    def __init__(self, store_uri: str, artifact_uri: str | None = None) -> None:
        super().__init__()
        self.store = open_at(store_uri)
        self.writers = writers_of(self.store)
        elsewhere = artifact_uri is not None and not artifact_uri.startswith("nbtrack:")
        self.artifact_root = resolve_uri_if_local(artifact_uri) if elsewhere else None
        self.models = ModelFiles(self.store.root)

    def __repr__(self) -> str:
        return f"TrackingStore({self.store.root!r})"

    def search_traces(self, *_args: Any, **_options: Any) -> tuple[list[Any], None]:
        """Return none: no trace is ever kept. MLflow's page asks this of every experiment."""
        return [], None
