"""Keeps every test away from the user's own files and settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import nbtrack

ROOT = Path(__file__).resolve().parents[1]
# What would reach into a test from outside. NBTRACK_CHROMIUM and NBTRACK_SCREENSHOTS speak to the tests themselves.
FOREIGN = ("NBTRACK_", "JUPYTER", "JPY_", "IPYTHON")
FOR_TESTS = ("NBTRACK_CHROMIUM", "NBTRACK_SCREENSHOTS")
USER_ENVIRONMENT = dict(os.environ)
# Whole files that start many processes or damage thousands of files: for `dev.py test`, not for the quick loop of
# `dev.py check`. Single tests say so themselves with the mark.
SLOW_FILES = {
    "bridge/test_with_mlflow.py",
    "capture/test_corpus.py",
    "capture/test_early.py",
    "capture/test_hosts.py",
    "capture/test_kernel.py",
    "capture/test_live.py",
    "cli/test_demo.py",
    "cli/test_execution.py",
    "cli/test_serving.py",
    "models/test_every_estimator.py",
    "models/test_saving.py",
    "pipelines/test_attempts.py",
    "pipelines/test_cells.py",
    "pipelines/test_notebook.py",
    "pipelines/test_reproduce.py",
    "attacks/test_models.py",
    "registry/test_fire.py",
    "serving/test_attacks.py",
    "serving/test_bulk.py",
    "serving/test_environments.py",
    "serving/test_failed_start.py",
    "serving/test_request_log.py",
    "serving/test_several.py",
    "serving/test_follow.py",
    "serving/test_fuzz.py",
    "serving/test_kernel.py",
    "serving/test_mlflow_model.py",
    "serving/test_supervision.py",
    "store/test_fuzz.py",
    "store/test_moving.py",
    "store/test_under_fire.py",
    "test_readme.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).as_posix() in SLOW_FILES:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def user_environment() -> dict[str, str]:
    """The environment as the user has it: for package managers, whose settings and caches are the user's."""
    return dict(USER_ENVIRONMENT)


@pytest.fixture(scope="session", autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own for the session, and no variable that would name a store, a kernel or a Jupyter folder."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(FOREIGN) and name not in FOR_TESTS:
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("USERPROFILE", str(home))
        patch.setenv("LOCALAPPDATA", str(home / "AppData" / "Local"))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
        patch.setenv("IPYTHONDIR", str(home / "ipython"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")  # else jupyter_core warns
        (home / "run").mkdir(mode=0o700)
        yield home


@pytest.fixture(autouse=True)
def no_chosen_store() -> Iterator[None]:
    """No test finds the store or experiment that an earlier one chose."""
    nbtrack.set_tracking_uri(None)
    yield
    nbtrack.set_tracking_uri(None)


@pytest.fixture
def as_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """A context in which somebody else works, with another key of his own."""

    @contextmanager
    def stranger() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setenv("NBTRACK_DATA_DIR", str(tmp_path / "stranger"))
            yield

    return stranger


@pytest.fixture(scope="session")
def sessions(isolated_environment: Path) -> Iterator[Any]:
    """A warm process that runs notebook sessions, each in a process of its own."""
    from tests.capture.sessions import Server

    one = Server({**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"})
    yield one
    one.close()
