"""Which Python and which packages made a model, and how this process differs from that."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any, Final, Literal

Severity = Literal["note", "warning", "error"]
Rescored = Literal["same", "different", "failed", "unknown"]

_ORDER: Final = {"error": 0, "warning": 1, "note": 2}

_ALWAYS: Final = ("numpy", "pandas")
_NAMED_OTHERWISE: Final = {"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python", "yaml": "pyyaml"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which this process differs from the one that logged a model.

    A ``note`` is a patch release, or a package that the model merely stands on; a ``warning`` another minor version of
    Python or of the model's own library; an ``error`` a package that is missing.
    """

    what: str
    recorded: str
    here: str
    severity: Severity

    def __str__(self) -> str:
        return f"{self.what} {self.recorded} then, {self.here or 'not installed'} here"


@dataclass(frozen=True, slots=True)
class Environment:
    """How this process differs from the one that logged a model, and what that does to its predictions.

    `differences` are listed worst first; `rescored` says what the model answers to its logged input example here:
    the ``same`` as then, something ``different`` (by at most `largest_change`, where the answers are numbers), it
    ``failed``, or ``unknown`` where there is no example or nothing differs enough to ask.
    """

    differences: tuple[Difference, ...]
    rescored: Rescored = "unknown"
    largest_change: float | None = None
    failure: str = ""

    @property
    def severity(self) -> Severity:
        """The verdict. Numbers decide, not version strings: the same answers make a note of every difference."""
        if self.rescored in {"different", "failed"}:
            return "error"
        if self.rescored == "same" or not self.differences:
            return "note"
        return self.differences[0].severity

    def __str__(self) -> str:
        lines = [f"{difference.severity}: {difference}" for difference in self.differences]
        return "\n".join([*lines, self.verdict])

    @property
    def verdict(self) -> str:
        """What the input example says, as a sentence."""
        match self.rescored:
            case "same":
                return "Its predictions for the input example are the same as then."
            case "different":
                by = f" by up to {self.largest_change:.3g}" if self.largest_change is not None else ""
                return f"Its predictions for the input example DIFFER{by}: install the versions it was made with."
            case "failed":
                return f"It fails on its own input example ({self.failure}): install the versions it was made with."
        if not self.differences:
            return "Nothing differs."
        return "It has no input example to compare predictions on; check them yourself."


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
    if python and python != here:
        same = python.split(".")[:2] == here.split(".")[:2]
        found.append(Difference("Python", python, here, "note" if same else "warning"))
    for name, recorded in environment.get("packages", {}).items():
        version = installed_version(str(name))
        if version == recorded:
            continue
        minor = version.split(".")[:2] != str(recorded).split(".")[:2]
        severity: Severity = "warning" if minor and name == package else "note"
        found.append(Difference(str(name), str(recorded), version, severity if version else "error"))
    return sorted(found, key=lambda difference: _ORDER[difference.severity])


def largest_change(before: Any, now: Any) -> float | None:
    """Return by how much numbers differ at most, given as plain JSON values; None where they are no such numbers."""
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        changes = [largest_change(a, b) for a, b in zip(before, now, strict=True)]
        return None if None in changes else max((c for c in changes if c is not None), default=0.0)
    numbers = (int, float)
    if isinstance(before, numbers) and isinstance(now, numbers) and not isinstance(before, bool):
        return abs(float(before) - float(now))
    return 0.0 if before == now else None
