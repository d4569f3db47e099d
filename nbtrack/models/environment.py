"""What a model needs to run: Python, platform, and the packages its code comes from."""

from __future__ import annotations

import platform
import sys
from functools import lru_cache
from importlib import metadata
from typing import Any

_ALWAYS = ("numpy", "pandas")
_OTHERWISE_NAMED = {"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python", "yaml": "pyyaml"}


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    """All modules of this environment and who brings them; reads every package's file list, so it is asked last."""
    return {name: list(found) for name, found in metadata.packages_distributions().items()}


@lru_cache(maxsize=256)
def _version(module: str) -> tuple[str, str] | None:
    name = _OTHERWISE_NAMED.get(module, module)
    try:
        return name, metadata.version(name)
    except metadata.PackageNotFoundError:
        owners = _distributions().get(module)
        return (owners[0].lower(), metadata.version(owners[0])) if owners else None


def current(modules: set[str]) -> dict[str, Any]:
    """Return Python, platform and the versions of the packages that own `modules` (top-level names).

    Only packages that this process has imported are named: what is merely installed had no part in the model.
    """
    loaded = sorted(module for module in {*modules, *_ALWAYS} if module in sys.modules and module != "__main__")
    packages = dict(filter(None, map(_version, loaded)))
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform}-{platform.machine().lower()}",
        "packages": packages,
    }
