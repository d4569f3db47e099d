"""Where a run says it comes from, in the hosts that can be had here: nbclient and papermill; JupyterLab is driven in
tests/browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nbtrack.store import open_store

CELLS = [("load", "%load_ext nbtrack"), ("tagged", "C = 1.0"), ("model", "%%track\naccuracy = abs(-0.5) * C")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": name, "metadata": {"tags": ["parameters"] if name == "tagged" else []}}
        | {"source": text, "outputs": [], "execution_count": None}
        for name, text in CELLS
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    body = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    made = tmp_path / "study.ipynb"
    made.write_text(json.dumps(body), encoding="utf-8")
    return made


def run_in(folder: Path, *command: str) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "NBTRACK_", "VSCODE_"))}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=bare, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def the_run(folder: Path) -> Any:
    store = open_store(folder / ".nbtrack")
    (run,) = store.search_runs()
    return store.get_run(run.run_id)


def test_nbclient_tells_nothing_and_the_text_of_the_cell_says_it(file: Path) -> None:
    run_in(file.parent, "jupyter", "execute", "--inplace", file.name)
    run = the_run(file.parent)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"accuracy": 0.5})
    assert (run.capture["notebook"], run.capture["cell_id"]) == ("study.ipynb", "model")
    assert run.data.tags["nbtrack.source"] == "study.ipynb"
    saved = json.loads(file.read_text(encoding="utf-8"))
    assert "widgets" not in saved["metadata"]


def test_papermill_with_its_paths_and_without(file: Path) -> None:
    run_in(file.parent, "papermill", "--inject-paths", "-p", "C", "2.0", file.name, "out.ipynb", "--no-progress-bar")
    run = the_run(file.parent)
    assert run.data.metrics == {"accuracy": 1.0}
    assert run.capture["notebook"] == "out.ipynb"
    assert run.data.tags["nbtrack.source"] == "out.ipynb"
    assert run.data.params.get("C") == "2.0"


def test_two_notebooks_with_the_same_cell_leave_the_place_open(file: Path) -> None:
    (file.parent / "copy.ipynb").write_bytes(file.read_bytes())
    run_in(file.parent, "jupyter", "execute", "--inplace", file.name)
    run = the_run(file.parent)
    assert run.info.status == "FINISHED"
    assert run.capture["notebook"] is None
    assert "nbtrack.source" not in run.data.tags
