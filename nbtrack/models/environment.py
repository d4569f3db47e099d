"""What a model needs to run: Python, platform, and the packages its code comes from."""

from __future__ import annotations

import platform
import sys
from functools import lru_cache
from importlib import metadata
from typing import Any

_ALWAYS = ("numpy", "pandas")


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    return {name: list(found) for name, found in metadata.packages_distributions().items()}


def current(modules: set[str]) -> dict[str, Any]:
    """Return Python, platform and the versions of the packages that own `modules` (top-level names).

    Only packages that this process has imported are named: what is merely installed had no part in the model.
    """
    packages: dict[str, str] = {}
    for module in sorted({*modules, *_ALWAYS}):
        if module in sys.modules:
            for name in _distributions().get(module, ()):
                packages[name.lower()] = metadata.version(name)
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform}-{platform.machine().lower()}",
        "packages": packages,
    }
