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


VSC_SESSION = "/srv/work/study-jvsc-0b2f0c5e-1f8e-4a53-9f52-7d9f3d6f1c11a4f7b3f2-03aa-4d2a-8f1e-5b8f6d0a9c22.ipynb"


@pytest.mark.parametrize(
    ("env", "names", "expected", "live"),
    [
        # What each host sets in the environment of a kernel, and in the user's namespace.
        (
            {"VSCODE_PID": "77"},
            {"__vsc_ipynb_file__": "/home/ana/my study.ipynb"},
            "/home/ana/my study.ipynb",
            "output",
        ),
        ({"VSCODE_CWD": "/"}, {"__vsc_ipynb_file__": "/home/ana/a.Interactive"}, None, "output"),
        ({"JPY_SESSION_NAME": VSC_SESSION}, {}, "/srv/work/study.ipynb", "output"),
        (
            {"JPY_SESSION_NAME": VSC_SESSION},
            {"__vsc_ipynb_file__": "c:\\Users\\ana\\study.ipynb"},
            "study.ipynb",
            "output",
        ),
        ({"JPY_SESSION_NAME": "/srv/work/study.ipynb"}, {}, "/srv/work/study.ipynb", "picture"),
        ({"JPY_SESSION_NAME": "my%20study.ipynb"}, {}, "my study.ipynb", "picture"),
        ({"COLAB_RELEASE_TAG": "r1", "JPY_SESSION_NAME": "fileId=1a2B3c4D"}, {"google.colab": True}, None, "output"),
        ({"NBTRACK_NOTEBOOK": "/srv/cron/nightly.ipynb"}, {}, "/srv/cron/nightly.ipynb", "nowhere"),
        ({}, {"__vsc_ipynb_file__": 3, "PAPERMILL_OUTPUT_PATH": None}, None, "output"),
        ({}, {}, None, "nowhere"),
    ],
)
def test_place_is_what_the_host_says(env, names, expected, live, monkeypatch, tmp_path):
    from IPython.core.interactiveshell import InteractiveShell

    from nbtrack.capture import notebook
    from nbtrack.widget.hosts import live_place

    monkeypatch.chdir(tmp_path)
    for name in ("JPY_SESSION_NAME", "NBTRACK_NOTEBOOK", "VSCODE_PID", "VSCODE_CWD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    if names.pop("google.colab", False):
        monkeypatch.setitem(sys.modules, "google.colab", type(sys)("google.colab"))
    shell = InteractiveShell.instance()
    for name, value in names.items():
        monkeypatch.setitem(shell.user_ns, name, value)
    assert notebook.notebook_path(names) == (None if expected is None else tmp_path / expected)
    assert live_place() == live
