"""The environment that a model was logged in, made again: once, under a lock, kept, and without a network if that goes.

Only names and versions of packages are taken from a model, never an address, an option or a path.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from nbtrack.entities import ModelManifest
from nbtrack.errors import InvalidInputError, ServingError
from nbtrack.serving import records
from nbtrack.serving.wheel import WHEEL_NAME, server_needs, this_wheel

ENV_MANAGERS: Final = ("local", "uv")
CACHE_ENV: Final = "NBTRACK_CACHE_DIR"
_LOCK_WAIT_S: Final = 900.0
_INSTALL_S: Final = 900.0
_READY: Final = "nbtrack-ready.json"


def python_for(manifests: Sequence[ModelManifest], env_manager: str) -> str:
    """Return the Python that is to serve models; empty for the one that runs.

    Raises
    ------
    InvalidInputError
        If there is no such way to make an environment, or the models name different versions of a package.
    ServingError
        If the environment cannot be made.
    """
    if env_manager not in ENV_MANAGERS:
        raise InvalidInputError(f"serve: env_manager must be one of {', '.join(ENV_MANAGERS)}; got {env_manager!r}.")
    if env_manager == "local":
        return ""
    pinned: dict[str, str] = {}
    for manifest in manifests:
        for line in requirements_of(manifest.environment):
            name = Requirement(line).name
            if pinned.setdefault(name, line) != line:
                raise InvalidInputError(
                    f"serve: these models were logged with different versions ({pinned[name]} and {line}); no one"
                    " environment holds both. Serve each by a server of its own."
                )
    return str(make_environment(sorted(pinned.values()), python_of(manifests[0].environment)))


def requirements_of(environment: Mapping[str, Any]) -> list[str]:
    """Return the packages of a recorded environment as requirement lines, such as ``numpy==2.1.0``.

    Raises
    ------
    InvalidInputError
        If a name or a version is none.
    """
    lines = []
    for name, version in sorted(environment.get("packages", {}).items()):
        if str(name).lower() == "nbtrack":
            continue
        try:
            line = f"{name}=={Version(str(version)).public}"  # 2.1+cpu can be had from no index under that name
            asked = Requirement(line)
        except (InvalidVersion, InvalidRequirement):
            asked, line = None, ""
        if asked is None or asked.url or asked.name != name or asked.extras:
            raise InvalidInputError(
                f"model environment: {str(name)[:60]!r} {str(version)[:60]!r} is no package and version. Log it again."
            )
        lines.append(line)
    return lines


def python_of(environment: Mapping[str, Any]) -> str:
    """Return the Python of a recorded environment as ``3.12``; that of this process if none was recorded."""
    parts = str(environment.get("python") or platform.python_version()).split(".")[:2]
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise InvalidInputError("model environment: its Python is no version. Log the model again.")
    return ".".join(parts)


def cache_folder() -> Path:
    """Return where environments are kept."""
    if chosen := os.environ.get(CACHE_ENV):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nbtrack"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nbtrack"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbtrack"


def make_environment(requirements: Sequence[str], python: str) -> Path:
    """Return the Python of an environment with `requirements` and what a server needs; it is made if it is missing."""
    asked = [*requirements, *server_needs()]
    key = sha256(json.dumps([python, asked, sha256(this_wheel()).hexdigest()]).encode()).hexdigest()[:20]
    folder = cache_folder() / "environments" / key
    found = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (folder / _READY).exists():
        return found
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder.with_suffix(".lock")):
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)  # of one that was interrupted
            _make(folder, found, asked, python)
            (folder / _READY).write_text(json.dumps({"python": python, "requirements": asked}), encoding="utf-8")
    return found


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    deadline = time.monotonic() + _LOCK_WAIT_S
    try:
        while not records.lock(fd):
            if time.monotonic() > deadline:
                raise ServingError(f"environment: another process has been making {path.stem} for too long. Try again.")
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
            raise ServingError(
                f"environment: the model was logged with Python {python}, and neither it nor uv is installed here."
                " Install uv (pip install uv), or serve it with the Python that runs: env_manager='local'."
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
        except ServingError:
            if place == len(tries) - 1:
                raise
    _run([*install, "--no-deps", str(wheel)])


def _run(command: Sequence[str]) -> None:
    alone = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX"}
    environment = {name: value for name, value in os.environ.items() if name not in alone}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServingError(f"environment: {Path(command[0]).name} did not do its work: {error}") from error
    if done.returncode:
        told = (done.stderr or done.stdout).strip()[-1500:]
        raise ServingError(
            f"environment: what the model was logged with cannot be installed here:\n{told}\nServe it with the packages"
            " that are installed (env_manager='local'), which checks whether it still answers as then."
        )
