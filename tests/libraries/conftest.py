"""The real libraries, at whatever version is installed; `dev.py test` installs them all and lets no test be skipped."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.entities import Run
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.tracking import get_store

os.environ["KERAS_BACKEND"] = "torch"  # before anybody imports Keras
REQUIRED = os.environ.get("NBTRACK_LIBRARIES") == "required"  # read before the tests' own environment is in place


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.slow)


def library(name: str) -> Any:
    """Import a library; without it the test module is skipped, or fails where all of them must be there."""
    if REQUIRED:
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install 'nbtrack[libraries]' brings it")


def curve(run: Run, key: str) -> tuple[list[int], list[float]]:
    """Return the steps and the values of a metric."""
    history = get_store().get_metric_history(run.run_id, key)
    return history.step.tolist(), history.value.tolist()


def said(run: Run, name: str) -> list[str]:
    """Return what the record says that a library's autolog captured."""
    return [one for one in run.capture["captured"] if one.startswith(f"{name}:")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    return open_store(tmp_path / "store")


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """A context in which somebody else works, with another key of his own."""

    @contextmanager
    def context() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setenv("NBTRACK_DATA_DIR", str(tmp_path / "stranger"))
            yield

    return context
