"""A store with a run that logged a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.dummy import DummyClassifier

import nbtrack
from nbtrack.store import open_store
from nbtrack.store.base import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    return open_store(tmp_path / "store")


@pytest.fixture
def log(store: Store) -> Callable[..., str]:
    """Logs a small model in a run of its own and returns the model's URI."""

    def log_one(accuracy: float = 0.9, name: str = "model") -> str:
        with nbtrack.start_run() as run:
            nbtrack.log_metric("accuracy", accuracy)
            model = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
            nbtrack.sklearn.log_model(model, name, input_example=[[0.5]])
        return f"runs:/{run.info.run_id}/{name}"

    return log_one


@pytest.fixture
def three(store: Store, log: Callable[..., str]) -> Store:
    """A store whose model "clf" has three versions, all in the stage None."""
    for accuracy in (0.8, 0.85, 0.9):
        nbtrack.register_model(log(accuracy), "clf")
    return store
