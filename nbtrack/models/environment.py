"""Which Python and which packages made a model, and how this process differs from that."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any, Final, Literal

Severity = Literal["note", "warning"]

_ALWAYS: Final = ("numpy", "pandas")
_NAMED_OTHERWISE: Final = {"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python", "yaml": "pyyaml"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which this process differs from the one that logged a model."""

    what: str
    recorded: str
    here: str
    severity: Severity

    def __str__(self) -> str:
        return f"{self.what} {self.recorded} then, {self.here or 'not installed'} here"


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    """Who brings which module; reads the file list of every package, so it is asked last."""
    return metadata.packages_distributions()


@lru_cache(maxsize=256)
def _distribution_of(module: str) -> str | None:
    name = _NAMED_OTHERWISE.get(module, module)
    if installed_version(name):
        return name
    owners = _distributions().get(module)
    return owners[0].lower() if owners else None


@lru_cache(maxsize=256)
def installed_version(distribution: str) -> str:
    """Return the version of a package as ``pip`` names it; empty if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def record_environment(modules: Iterable[str]) -> dict[str, Any]:
    """Return Python, platform, and the packages that a model needs, as ``pip`` names them.

    Parameters
    ----------
    modules
        The top-level modules that the model's code comes from. Of these, and of numpy and pandas, those count that this
        process has imported: what is merely installed had no part in the model.
    """
    used = sorted({*modules, *_ALWAYS} & sys.modules.keys() - {"__main__", "builtins"})
    names = {name for module in used if (name := _distribution_of(module)) is not None}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform}-{platform.machine().lower()}",
        "packages": {name: installed_version(name) for name in sorted(names)},
    }


def differences(environment: Mapping[str, Any], package: str) -> list[Difference]:
    """Return how this process differs, worst first.

    Parameters
    ----------
    environment
        What :func:`record_environment` returned when the model was logged.
    package
        The one that made the model: there a change of the minor version counts.
    """
    found = []
    python, here = str(environment.get("python", "")), platform.python_version()
    if python and python.split(".")[:2] != here.split(".")[:2]:
        found.append(Difference("Python", python, here, "warning"))
    for name, recorded in environment.get("packages", {}).items():
        version = installed_version(str(name))
        if version == recorded:
            continue
        minor = version.split(".")[:2] != str(recorded).split(".")[:2]
        found.append(Difference(str(name), str(recorded), version, "warning" if minor and name == package else "note"))
    return sorted(found, key=lambda difference: difference.severity != "warning")
