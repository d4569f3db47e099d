"""Tests that need MLflow. They run in an environment of their own: see ``tests/bridge/test_with_mlflow.py``."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if importlib.util.find_spec("mlflow") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["NBTRACK_EXAMPLES"] = "6"  # each asks a server a dozen times
    pytest.register_assert_rewrite("tests.store.promises", "tests.store.contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "with_mlflow" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("default"))  # MLflow's own warnings are its own affair


@pytest.fixture
def uri(tmp_path: Path) -> Iterator[str]:
    """The URI of a new store, in use for MLflow."""
    import mlflow

    uri = f"nbtrack://{tmp_path / 'store'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    mlflow.set_experiment(experiment_id="0")  # not the one that the test before chose
    yield uri
    while mlflow.active_run() is not None:
        mlflow.end_run("KILLED")
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
