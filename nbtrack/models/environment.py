"""Which Python and which packages made a model, and how this process differs from that."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which this process differs from the one that logged a model."""

    what: str
    recorded: str
    here: str
    severity: Severity

    def __str__(self) -> str:
        return f"{self.what} {self.recorded} then, {self.here or 'not installed'} here"


def record_environment() -> dict[str, Any]:
    """Return Python, platform, and the version of every imported top-level package that tells one."""
    packages = {}
    for name, module in sorted(sys.modules.copy().items()):
        if "." in name or name.startswith("_") or name in sys.stdlib_module_names:
            continue
        version = getattr(module, "__dict__", {}).get("__version__")
        if isinstance(version, str):
            packages[name] = version
    return {"python": platform.python_version(), "platform": sys.platform, "packages": packages}


def differences(environment: Mapping[str, Any], library: str) -> list[Difference]:
    """Return how this process differs, worst first.

    Parameters
    ----------
    environment
        What :func:`record_environment` returned when the model was logged.
    library
        The import name of the package that made the model: there a change of the minor version counts.
    """
    found = []
    python = str(environment.get("python", ""))
    here = platform.python_version()
    if python and python.split(".")[:2] != here.split(".")[:2]:
        found.append(Difference("Python", python, here, "warning"))
    for name, recorded in environment.get("packages", {}).items():
        module = sys.modules.get(name)
        version = getattr(module, "__version__", None) if module is not None else None
        if not isinstance(version, str) or version == recorded:
            continue
        minor = version.split(".")[:2] != str(recorded).split(".")[:2]
        found.append(Difference(name, str(recorded), version, "warning" if minor and name == library else "note"))
    return sorted(found, key=lambda difference: difference.severity != "warning")
