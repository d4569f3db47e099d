"""The key that tells one's own models from a stranger's."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack import models
from nbtrack.errors import NbtrackWarning
from nbtrack.models import trust
from nbtrack.store.base import Store


def test_key_is_private_and_outside_the_store(store: Store, forest: Any, tmp_path: Path) -> None:
    with nbtrack.start_run():
        nbtrack.log_model(forest)
    key = trust.data_dir() / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and len(key.read_bytes()) == 32
    assert not any(key.read_bytes() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda key: key.chmod(0o644), r"others may read or change it \(mode 644\)"),
        (lambda key: key.write_bytes(b"short"), "it has 5 bytes, expected 32"),
        (lambda key: (key.rename(key.with_name("other")), key.symlink_to("other")), "it is no plain file"),
    ],
)
def test_key_that_proves_nothing_makes_every_model_a_strangers(
    tmp_path: Path, forest: Any, monkeypatch: pytest.MonkeyPatch, change: Any, told: str
) -> None:
    monkeypatch.setenv("NBTRACK_DATA_DIR", str(tmp_path / "data"))
    nbtrack.save_model(forest, tmp_path / "m")
    assert models.read_model(tmp_path / "m").own
    change(tmp_path / "data" / "key")
    with pytest.warns(NbtrackWarning, match=told):
        assert not models.read_model(tmp_path / "m").own


def test_user_without_a_writable_home_still_saves(tmp_path: Path, forest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NBTRACK_DATA_DIR", str(tmp_path / "file" / "data"))
    assert nbtrack.save_model(forest, tmp_path / "m").manifest.hmac == ""
    assert len(nbtrack.load_model(tmp_path / "m").estimators_) == 10


def test_key_made_by_many_processes_at_once_is_one(tmp_path: Path) -> None:
    code = "from nbtrack.models.trust import user_key; print(user_key().hex())"
    environment = os.environ | {"NBTRACK_DATA_DIR": str(tmp_path / "data")}
    racers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(6)
    ]
    assert len({racer.communicate(timeout=60)[0] for racer in racers}) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["key"]
