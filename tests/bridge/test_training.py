"""What made a run as a folder of its own, trained again by the steps that its Makefile and Dockerfile name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nbtrack
from nbtrack.bridge.training import export_training
from nbtrack.errors import AlreadyExistsError, InvalidInputError
from nbtrack.store import open_store
from tests.capture.sessions import Server

CELLS = [
    "import json\nfrom sklearn.datasets import load_wine\nfrom sklearn.linear_model import LogisticRegression",
    "unused = 'this cell is not needed'",
    "X, y = load_wine(return_X_y=True)",
    "%%track wine\ntoken = 'ghp_" + "a1B2" * 9 + "'\nmodel = LogisticRegression(C=0.3, max_iter=5000).fit(X, y)\n"
    "accuracy = model.score(X, y)\nopen('out.json', 'w').write(json.dumps(accuracy))",
]


@pytest.fixture
def run_id(sessions: Server, tmp_path: Path) -> str:
    folder = tmp_path / "work"
    folder.mkdir()
    found: str = sessions.ask(what="notebook", folder=str(folder), cells=CELLS)["run_id"]
    return found


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_exported_folder_trains_again_in_an_empty_environment(
    run_id: str, tmp_path: Path, user_environment: dict[str, str]
) -> None:
    store = open_store(tmp_path / "work" / ".nbtrack")
    folder = export_training(run_id, tmp_path / "out", store)
    assert sorted(path.name for path in folder.iterdir()) == ["Dockerfile", "Makefile", "requirements.txt", "train.py"]
    written = "".join(path.read_text() for path in folder.iterdir())
    assert "this cell is not needed" not in written and "ghp_a1B2" not in written
    assert str(tmp_path) not in written and str(Path.home()) not in written
    assert re.search(r"^scikit-learn==\d", (folder / "requirements.txt").read_text(), re.MULTILINE)
    command = ["make", "-C", str(folder), "train", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=user_environment)
    assert done.returncode == 0, done.stdout + done.stderr
    accuracy = float((folder / "out.json").read_text())
    assert accuracy == store.get_run(run_id).data.metrics["accuracy"]
    dockerfile = (folder / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (.*) \./$", dockerfile, re.MULTILINE) for name in line.split()}
    assert copied == {"requirements.txt", "train.py"} and "USER train" in dockerfile
    version = ".".join(map(str, sys.version_info[:3]))
    assert f"FROM python:{version}-slim" in dockerfile


def test_folder_that_is_not_empty_and_run_without_a_slice_are_refused(tmp_path: Path) -> None:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    with nbtrack.start_run() as run:
        nbtrack.log_metric("m", 1)
    with pytest.raises(InvalidInputError, match="no tracked cell made it"):
        export_training(run.run_id, tmp_path / "out", open_store(tmp_path / "store"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_nothing_there_is_overwritten(run_id: str, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    with pytest.raises(AlreadyExistsError, match="there is something already"):
        export_training(run_id, tmp_path / "full", open_store(tmp_path / "work" / ".nbtrack"))
