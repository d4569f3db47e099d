"""The packages that a project names, by way of ``uv run``, which makes and keeps the environment."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement

from nbtrack._version import __version__
from nbtrack.errors import InvalidInputError, MissingLibraryError

if TYPE_CHECKING:
    from nbtrack.pipelines.projects import Project


def wrapped(command: list[str], project: Project, env_manager: str) -> list[str]:
    """Return `command` as it runs in the project's own environment; raises InvalidInputError where that cannot be."""
    if project.environment is not None and project.environment[0] == "docker_env":
        raise InvalidInputError(f"project {project.name!r}: docker_env is not supported. Use python_env.")
    if env_manager == "local":
        return command
    if not command:
        raise InvalidInputError("run: a notebook runs in the environment of this Python: env_manager='local'.")
    if project.environment is None:
        raise InvalidInputError(
            f"project {project.name!r}: names no python_env or conda_env to make. Use env_manager='local'."
        )
    uv = shutil.which("uv")
    if uv is None:
        raise MissingLibraryError("run: env_manager='uv' needs uv, which is not installed. Run: pip install uv")
    kind, file = project.environment
    python, requirements = _conda(file) if kind == "conda_env" else _python_env(file)
    options = [word for line in [*requirements, *_ourselves()] for word in ("--with", line)]
    wanted = ["--python", python] if python else []
    return [uv, "run", "--quiet", "--isolated", "--no-project", *wanted, *options, "--", *command]


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"{file}: cannot be read ({error.strerror}).") from error
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{file}: is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(found, dict):
        raise InvalidInputError(f"{file}: expected `dependencies:`, got {type(found).__name__}.")
    return found


def _python_env(file: Path) -> tuple[str, list[str]]:
    found = _read(file)
    lines = [str(one) for one in found.get("dependencies") or []]
    return _python(file, found.get("python")), _expanded(file, lines)


def _conda(file: Path) -> tuple[str, list[str]]:
    """Return Python and packages of a conda environment, if pip can install all of them."""
    python, lines = "", []
    for one in _read(file).get("dependencies") or []:
        if isinstance(one, dict):
            lines += [str(line) for line in one.get("pip") or []]
            continue
        name, _, version = str(one).replace("==", "=").partition("=")
        if name == "python":
            python = _python(file, version.partition("=")[0])
        elif name != "pip":
            raise InvalidInputError(
                f"{file}: {one!r} is a package of conda, which uv cannot install. Move it under `pip:` if PyPI has it,"
                " or run with env_manager='local' in that conda environment."
            )
    return python, _expanded(file, lines)


def _python(file: Path, version: Any) -> str:
    text = str(version or "")
    if text and not all(part.isdecimal() for part in text.split(".")):
        raise InvalidInputError(f"{file}: python: expected a version such as 3.11, got {text!r:.40}.")
    return text


def _expanded(file: Path, lines: list[str]) -> list[str]:
    """Return requirement lines, those of ``-r`` files among them; names and versions only, no option and no address."""
    found: list[str] = []
    for raw in lines:
        line = raw.partition(" #")[0].strip()
        if line.startswith("-r"):
            other = file.parent / line[2:].strip()
            try:
                text = other.read_text(encoding="utf-8")
            except OSError as error:
                raise InvalidInputError(f"{file}: {line!r}: cannot be read ({error.strerror}).") from error
            found += _expanded(other, [one for one in text.splitlines() if not one.lstrip().startswith("#")])
        elif line:
            try:
                asked = Requirement(line)
            except InvalidRequirement:
                asked = None
            if asked is None or asked.url:
                raise InvalidInputError(f"{file}: {line!r:.80} is no package and version; expected such as numpy>=2.")
            found.append(line)
    return found


def _ourselves() -> list[str]:
    """Return what to install so that the program can log to this store: this very nbtrack, also a checkout of it."""
    told = metadata.distribution("nbtrack").read_text("direct_url.json")
    url = json.loads(told).get("url", "") if told else ""
    return [url.removeprefix("file://")] if url.startswith("file://") else [f"nbtrack=={__version__}"]
