"""The environment that a model was logged in, made again.

Only names and versions of packages are taken from a model, never an address, an option or a path.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from nbtrack.entities import ModelManifest
from nbtrack.errors import InvalidInputError, ServingError
from nbtrack.models.environments import make_environment
from nbtrack.models.wheel import server_needs

ENV_MANAGERS: Final = ("local", "uv")


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
    asked = [*sorted(pinned.values()), *server_needs()]
    return str(make_environment(asked, python_of(manifests[0].environment), ServingError))


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
