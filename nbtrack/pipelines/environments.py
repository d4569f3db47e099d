"""The packages that a project names, in an environment that is made once and kept."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement

from nbtrack.errors import InvalidInputError, MissingLibraryError, PipelineError
from nbtrack.models.environments import make_environment
from nbtrack.models.wheel import all_needs

if TYPE_CHECKING:
    from nbtrack.pipelines.projects import Project


def wrapped(command: list[str], project: Project, env_manager: str) -> list[str]:
    """Return `command` as it runs in the project's own environment; raises InvalidInputError where that cannot be."""
    if project.environment is not None and project.environment[0] == "docker_env":
        raise InvalidInputError(f"project {project.name!r}: docker_env is not supported. Use python_env.")
    if project.environment is not None and not project.environment[1].is_file():
        kind, file = project.environment
        raise InvalidInputError(
            f"project {project.name!r}: {kind} names {file}, which is not there. Write it, or leave {kind} out."
        )
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
    python, requirements = asked_for(project.environment)
    own = ".".join(platform.python_version_tuple()[:2])
    made = make_environment([*requirements, *all_needs()], python or own, PipelineError)
    return [uv, "run", "--quiet", "--no-project", "--python", str(made), "--", *command]


def asked_for(environment: tuple[str, Path]) -> tuple[str, list[str]]:
    """Return the version of Python, if it is named, and the requirement lines of a ``python_env`` or ``conda_env``."""
    kind, file = environment
    return _conda(file) if kind == "conda_env" else _python_env(file)


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
