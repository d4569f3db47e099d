"""A real jupyter_server with our extension, on a folder with a real store."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_jupyter.jupyter_server import *  # noqa: F403 - its fixtures

from nbtrack.store import open_store


@pytest.fixture
def jp_server_config() -> dict[str, object]:
    return {"ServerApp": {"jpserver_extensions": {"nbtrack": True}}}


@pytest.fixture(autouse=True)
def no_store_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NBTRACK_TRACKING_URI", raising=False)


def make_store(folder: Path, *names: str) -> list[str]:
    """Make a store in `folder` with one finished run for each name; return the ids of the runs."""
    store = open_store(folder / ".nbtrack")
    ids = []
    for i, name in enumerate(names):
        run = store.create_run(run_name=name)
        run.log_params({"n_estimators": i})
        run.log_metrics({"accuracy": 0.5 + i / 10})
        run.end()
        ids.append(run.run_id)
    return ids
