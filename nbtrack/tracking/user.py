"""Who works here."""

from __future__ import annotations

import functools
import getpass
import os


@functools.lru_cache(maxsize=8)
def _system_user(login: str | None) -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else ""


def user_name() -> str:
    """Return the name under which runs are recorded: ``NBTRACK_USER``, the JupyterHub user, or that of the system."""
    for variable in ("NBTRACK_USER", "JUPYTERHUB_USER"):
        if name := os.environ.get(variable, "").strip():
            return name[:100]
    return _system_user(os.environ.get("USER"))
