"""A run is found by its id: in a folder at rest without a listing, and never from a listing that is out of date."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from nbtrack.store import FileStore, finder

from .promises.base import make_run

SETTLE_S = 0.2


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were listed, with a short time to settle."""
    folders: list[str] = []
    bare = os.listdir

    def listdir(folder: Any) -> list[str]:
        folders.append(str(folder))
        return bare(folder)

    monkeypatch.setattr(finder.os, "listdir", listdir)
    monkeypatch.setattr(finder, "SETTLE_S", SETTLE_S)
    return folders


def settle(store: FileStore, run_id: str) -> None:
    store.get_run(run_id)
    time.sleep(1.5 * SETTLE_S)
    store.get_run(run_id)


def test_folder_at_rest_is_listed_once(tmp_path: Path, listed: list[str]) -> None:
    store = FileStore.open(tmp_path / "store")
    ids = [make_run(store, f"r{number}") for number in range(3)]
    settle(store, ids[0])
    listed.clear()
    assert [store.get_run(run_id).info.run_name for run_id in ids] == ["r0", "r1", "r2"]
    assert listed == []


def test_change_by_somebody_else_is_seen_at_once(tmp_path: Path, listed: list[str]) -> None:
    store, other = (FileStore.open(tmp_path / "store") for _ in range(2))
    run_id = make_run(store, "r", tags={"a": "1"})
    settle(store, run_id)
    for value in ("2", "3"):
        other.edit_run(run_id, tags={"a": value})
        assert store.get_run(run_id).data.tags["a"] == value
        assert store.get_run(make_run(other, value)).info.run_name == value
        settle(store, run_id)
    listed.clear()
    store.get_run(run_id)
    assert listed == []
