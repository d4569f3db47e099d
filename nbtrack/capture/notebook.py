"""Which notebook runs here. Each host tells it in its own way, some not at all; not knowing is no error."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Names that hosts leave in the user's namespace: VS Code; papermill with --inject-paths.
_VARIABLES: Final = ("__vsc_ipynb_file__", "PAPERMILL_OUTPUT_PATH", "PAPERMILL_INPUT_PATH")
# Environment variables: ours, for whoever runs a notebook without a server; Jupyter Server's.
_ENVIRONMENT: Final = ("NBTRACK_NOTEBOOK", "JPY_SESSION_NAME")


def notebook_path(names: Mapping[str, Any]) -> Path | None:
    """Return the path of the notebook that this kernel runs, or None where nothing says it.

    Parameters
    ----------
    names
        The user's variables.
    """
    told = [names.get(name) for name in _VARIABLES] + [os.environ.get(name) for name in _ENVIRONMENT]
    for text in told:
        if isinstance(text, str) and text.endswith(".ipynb"):
            return Path(unquote(text) if "%20" in text else text).absolute()
    return None
