"""What the README says is tried: its notebook runs, its commands exist, its files lie where it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import nbformat
import pytest
from nbclient import NotebookClient

from nbtrack.cli import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = """
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
import nbtrack
X, y = load_wine(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=3)
"""


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    return sorted({found.strip(" …") for found in re.findall(r"`nbtrack ([^`]*)`", README)})


def test_readme_links_and_pictures_lead_to_files() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)|(?:src|srcset)=\"([^\"]+)\"", README)
    missing = [a or b for a, b in targets if not (ROOT / (a or b)).is_file()]
    assert targets and missing == []


def test_readme_set_up_commands_are_the_ones_of_dev_py_and_ci() -> None:
    first_screen = code_blocks("bash")[0]
    assert "python3 dev.py demo" in first_screen and "python3 dev.py test" in first_screen
    assert "python3 dev.py test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", commands())
def test_readme_command_exists(words: str) -> None:
    group: click.Command = cli
    context = click.Context(cli)
    for word in shlex.split(words):
        if not isinstance(group, click.Group):
            options = {name for param in group.params for name in (*param.opts, *param.secondary_opts)}
            assert not word.startswith("-") or word in options, f"{word} of `nbtrack {words}`"
            continue
        found = group.get_command(context, word)
        assert found is not None, f"{word} of `nbtrack {words}`"
        group = found


@pytest.mark.slow
def test_readme_notebook_runs_and_leaves_the_files_it_names(tmp_path: Path) -> None:
    load, track, rest = code_blocks("python")[0].strip().split("\n\n")
    cells = [
        SETUP,
        load,
        track,
        track.replace("100, 0.5", "1, 0.1"),
        rest,
        "answer = server.predict(X_test[:3]); answer",
    ]
    cells += ["server.stop()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    card = "".join(str(output) for output in notebook.cells[2].outputs)
    for told in ("forest", "n_estimators", "max_features", "accuracy", "RandomForestClassifier"):
        assert told in card
    store = tmp_path / ".nbtrack"
    assert len(list(store.glob("runs/20??-??-??/*.jsonl"))) == 2
    assert len(list(store.glob("models/wine/0000000?.json"))) == 2
    assert list(store.glob("blobs/??/*"))
