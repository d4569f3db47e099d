"""Where the live view of a cell belongs in the host that shows it."""

from __future__ import annotations

import os
import sys
from typing import Literal

from nbtrack.capture.notebook import is_stand_in, session_name


def live_place() -> Literal["picture", "output", "nowhere"]:
    """Return where a live view can be: over its picture, in an output of its own, or nowhere at all.

    A kernel that nobody looks at (nbclient, papermill, a console) opens no widget: what would be left of it is a heap
    of state in the metadata of the notebook.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    names = getattr(shell, "user_ns", {})
    if "__vsc_ipynb_file__" in names or "google.colab" in sys.modules:
        return "output"
    if any(name in names for name in ("PAPERMILL_OUTPUT_PATH", "PAPERMILL_INPUT_PATH")):
        return "nowhere"
    if session := session_name():
        return "output" if is_stand_in(session) else "picture"
    return "output" if os.environ.get("VSCODE_PID") or os.environ.get("VSCODE_CWD") else "nowhere"
