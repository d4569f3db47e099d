from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nbtrack.cli import cli
from nbtrack.entities import MANIFEST_NAME
from nbtrack.store import Store, open_store

Command = Callable[..., Result]
MANIFEST = {"flavor": "sklearn", "model_class": "sklearn.dummy.DummyClassifier", "files": {}}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store in the working directory, where commands find it unasked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBTRACK_TRACKING_URI", raising=False)
    return open_store(tmp_path / ".nbtrack")


@pytest.fixture
def nbtrack() -> Command:
    """Calls the command line in this process: ``nbtrack("runs", "list")``."""

    def call(*args: object, stdin: str | None = None) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args], input=stdin)

    return call


@pytest.fixture
def asked(nbtrack: Command) -> Callable[..., Any]:
    """Calls a command with ``--json`` and returns the one document it prints."""

    def call(*args: object) -> Any:
        result = nbtrack(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


@pytest.fixture
def process(root: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command line as a user does: in a process of its own."""

    def call(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nbtrack.cli", *(str(arg) for arg in args)],
            cwd=cwd or root,
            env=environment_with(root),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return call


def environment_with(root: Path) -> dict[str, str]:
    """The environment of a process that is to import this checkout, wherever it works."""
    return {**os.environ, "PYTHONPATH": str(root)}


def add_run(store: Store, name: str, **values: Any) -> str:
    """Write one finished run; numbers are metrics, text are params."""
    writer = store.create_run(run_name=name)
    writer.log_params({key: value for key, value in values.items() if isinstance(value, str)})
    writer.log_metrics({key: value for key, value in values.items() if not isinstance(value, str)})
    writer.end()
    return writer.run_id


def add_model_run(store: Store, name: str, **metrics: float) -> str:
    """Write one finished run that logged a model (its manifest, which is all the registry looks at)."""
    writer = store.create_run(run_name=name)
    writer.log_metrics(metrics)
    writer.log_artifact(json.dumps(MANIFEST).encode(), f"model/{MANIFEST_NAME}")
    writer.end()
    return writer.run_id
