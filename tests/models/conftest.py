"""Wine, and models fitted on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

import nbtrack
from nbtrack.store import open_store
from nbtrack.store.base import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    return open_store(tmp_path / "store")


@pytest.fixture(scope="session")
def wine() -> tuple[Any, Any]:
    """13 columns of doubles as a DataFrame, and three classes."""
    frame, target = load_wine(return_X_y=True, as_frame=True)
    return frame, target


@pytest.fixture(scope="session")
def forest(wine: tuple[Any, Any]) -> RandomForestClassifier:
    return RandomForestClassifier(10, random_state=0).fit(*wine)
