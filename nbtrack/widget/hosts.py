"""Where the live view of a cell belongs in the host that shows it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from nbtrack.capture.notebook import is_stand_in, session_name


def live_place() -> Literal["picture", "output", "nowhere"]:
    """Return where a live view can be: over its picture, in an output of its own, or nowhere at all.

    A kernel that nobody looks at (nbclient, papermill, a console) opens no widget: what would be left of it is a heap
    of state in the metadata of the notebook. Started in VS Code's terminal, such a program hands VS Code's variables on
    to its kernel: they alone say nothing where the kernel is the child of a Python program.
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
    named = os.environ.get("VSCODE_PID") or os.environ.get("VSCODE_CWD")
    return "output" if named and not _is_child_of_python() else "nowhere"


def _is_child_of_python() -> bool:
    """Return whether a Python program started this process; False where that cannot be seen."""
    try:
        import psutil  # type: ignore[import-untyped,unused-ignore]  # comes with ipykernel
    except ImportError:
        return False
    try:
        parent = psutil.Process().parent()
        if parent is not None and os.name == "nt" and sys.prefix != sys.base_prefix:
            parent = parent.parent()  # the first is the small program by which a virtual environment starts its Python
        return parent is not None and Path(parent.exe()).name.lower().startswith(("python", "pypy"))
    except (OSError, psutil.Error):
        return False
