from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import nbtrack
from nbtrack.store import Store
from nbtrack.tracking import get_store, stack


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The current store, empty; every run still open is ended afterwards."""
    for name in ("NBTRACK_TRACKING_URI", "NBTRACK_EXPERIMENT_NAME", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    nbtrack.set_tracking_uri(tmp_path / "store")
    yield get_store()
    for run in stack.open_runs():
        run.end("KILLED")
    nbtrack.set_tracking_uri(None)
