"""Which notebook runs here. Each host tells it in its own way, some not at all; not knowing is no error."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Names that hosts leave in the user's namespace: VS Code; papermill with --inject-paths.
_VARIABLES: Final = ("__vsc_ipynb_file__", "PAPERMILL_OUTPUT_PATH", "PAPERMILL_INPUT_PATH")
_OURS: Final = "NBTRACK_NOTEBOOK"  # for whoever runs a notebook without a server
_SERVERS: Final = "JPY_SESSION_NAME"


def session_name() -> str:
    """Return the name that a Jupyter server gave to the session of this kernel; "" if no server started it.

    A program that a notebook starts inherits the variable: then it names the notebook of somebody else.
    """
    name = os.environ.get(_SERVERS, "")
    return "" if name and _inherited(_SERVERS, name, os.getppid()) else name


@functools.lru_cache(maxsize=8)
def _inherited(variable: str, value: str, parent: int) -> bool:
    try:
        return f"{variable}={value}".encode() in Path(f"/proc/{parent}/environ").read_bytes().split(b"\0")
    except OSError:  # no such file system, or somebody else's process
        return False


def notebook_path(names: Mapping[str, Any]) -> Path | None:
    """Return the path of the notebook that this kernel runs, or None where nothing says it.

    Parameters
    ----------
    names
        The user's variables.
    """
    told = [*(names.get(name) for name in _VARIABLES), os.environ.get(_OURS), session_name()]
    for text in told:
        if isinstance(text, str) and text.endswith(".ipynb"):
            return Path(unquote(text) if "%20" in text else text).absolute()
    return None
