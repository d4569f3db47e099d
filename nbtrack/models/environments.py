"""Environments of packages: made once, under a lock, kept, and without a network if that goes."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from nbtrack.errors import NbtrackError
from nbtrack.models.wheel import WHEEL_NAME, this_wheel
from nbtrack.store.liveness import lock

CACHE_ENV: Final = "NBTRACK_CACHE_DIR"
_LOCK_WAIT_S: Final = 900.0
_INSTALL_S: Final = 900.0
_READY: Final = "nbtrack-ready.json"


class _CannotBeMade(Exception):
    """Why an environment cannot be made."""


def cache_folder() -> Path:
    """Return where environments are kept."""
    if chosen := os.environ.get(CACHE_ENV):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nbtrack"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nbtrack"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbtrack"


def make_environment(requirements: Sequence[str], python: str, failure: type[NbtrackError]) -> Path:
    """Return the Python of an environment with `requirements` and this very nbtrack; it is made if it is missing.

    Parameters
    ----------
    requirements
        Requirement lines, such as ``numpy==2.1.0``; what nbtrack needs must be among them.
    python
        A version, such as ``3.12``.
    failure
        What to raise where it cannot be made.
    """
    asked = list(requirements)
    key = sha256(json.dumps([python, asked, sha256(this_wheel()).hexdigest()]).encode()).hexdigest()[:20]
    folder = cache_folder() / "environments" / key
    found = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (folder / _READY).exists():
        return found
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder.with_suffix(".lock"), failure):
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)  # of one that was interrupted
            try:
                _make(folder, found, asked, python)
            except _CannotBeMade as error:
                raise failure(f"environment: {error}") from error
            (folder / _READY).write_text(json.dumps({"python": python, "requirements": asked}), encoding="utf-8")
    return found


@contextlib.contextmanager
def _locked(path: Path, failure: type[NbtrackError]) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    deadline = time.monotonic() + _LOCK_WAIT_S
    try:
        while not lock(fd):
            if time.monotonic() > deadline:
                raise failure(f"environment: another process has been making {path.stem} for too long. Try again.")
        yield
    finally:
        os.close(fd)


def _make(folder: Path, found: Path, asked: Sequence[str], python: str) -> None:
    uv = shutil.which("uv")
    if uv is not None:
        _run([uv, "venv", "--quiet", "--no-python-downloads", "--python", python, str(folder)])
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(found)]
    else:
        own = ".".join(platform.python_version_tuple()[:2]) == python
        base = sys.executable if own else shutil.which(f"python{python}")
        if base is None:
            raise _CannotBeMade(
                f"it asks for Python {python}, and neither that nor uv is installed here."
                " Install uv (pip install uv), or use the Python that runs: env_manager='local'."
            )
        _run([base, "-m", "venv", str(folder)])
        install = [str(found), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    wheel = folder / WHEEL_NAME
    wheel.write_bytes(this_wheel())
    tries = [[*install, "--offline", *asked], [*install, *asked]] if uv is not None else [[*install, *asked]]
    for place, command in enumerate(tries):
        try:
            _run(command)
            break
        except _CannotBeMade:
            if place == len(tries) - 1:
                raise
    _run([*install, "--no-deps", str(wheel)])


def _run(command: Sequence[str]) -> None:
    alone = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX"}
    environment = {name: value for name, value in os.environ.items() if name not in alone}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _CannotBeMade(f"{Path(command[0]).name} did not do its work: {error}") from error
    if done.returncode:
        told = (done.stderr or done.stdout).strip()[-1500:]
        raise _CannotBeMade(
            f"what it asks for cannot be installed here:\n{told}\nUse the packages that are installed:"
            " env_manager='local'."
        )
