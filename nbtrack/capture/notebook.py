"""Which notebook runs here. Each host tells it in its own way, some not at all; not knowing is no error."""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Names that hosts leave in the user's namespace: VS Code; papermill with --inject-paths.
_VARIABLES: Final = ("__vsc_ipynb_file__", "PAPERMILL_OUTPUT_PATH", "PAPERMILL_INPUT_PATH")
MAX_NOTEBOOKS: Final = 100
MAX_NOTEBOOK_BYTES: Final = 20_000_000
# What VS Code puts into the name under which it shows a notebook to a server.
_STAND_IN: Final = re.compile(r"-jvsc-[0-9a-f-]{8,}(?=\.ipynb$)")
_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]")
_OURS: Final = "NBTRACK_NOTEBOOK"  # for whoever runs a notebook without a server
_SERVERS: Final = "JPY_SESSION_NAME"


def session_name() -> str:
    """Return the name that a Jupyter server gave to the session of this kernel; "" if no server started it.

    A program that a notebook starts inherits the variable: then it names the notebook of somebody else.
    """
    name = os.environ.get(_SERVERS, "")
    return "" if name and _inherited(_SERVERS, name, os.getppid()) else name


def is_stand_in(session: str) -> bool:
    """Return whether this is the name of a session that VS Code asked a server for."""
    return _STAND_IN.search(session) is not None


@functools.lru_cache(maxsize=8)
def _inherited(variable: str, value: str, parent: int) -> bool:
    try:
        return f"{variable}={value}".encode() in Path(f"/proc/{parent}/environ").read_bytes().split(b"\0")
    except OSError:  # no such file system, or somebody else's process
        return False


def find_by_content(where: Path, source: str) -> tuple[Path, str | None] | None:
    """Return the one notebook that holds a cell of exactly this text, and the id of the one such cell in it.

    The last resort, for a host that tells a kernel neither: nbclient, and papermill without ``--inject-paths``.

    Parameters
    ----------
    where
        The notebook, or the folder to look in (not below it).
    source
        The text of the cell as the kernel got it.

    Returns
    -------
    tuple or None
        Path and cell id (None if two cells of it have this text); None if no notebook holds it, or several do.
    """
    wanted = source.rstrip("\n")
    found: list[tuple[Path, str | None]] = []
    for path in [where] if where.is_file() else sorted(where.glob("*.ipynb"))[:MAX_NOTEBOOKS]:
        if path.stat().st_size > MAX_NOTEBOOK_BYTES:
            continue
        try:
            cells = json.loads(path.read_bytes()).get("cells", [])
        except (ValueError, AttributeError, OSError):  # half written, or no notebook
            continue
        texts = [(cell.get("id"), cell.get("source", "")) for cell in cells if isinstance(cell, dict)]
        same = [cell_id for cell_id, text in texts if "".join(text).rstrip("\n") == wanted]
        if same:
            found.append((path, same[0] if len(same) == 1 and isinstance(same[0], str) else None))
    return found[0] if len(found) == 1 else None


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
            path = _STAND_IN.sub("", unquote(text) if "%20" in text else text)
            if os.name != "nt" and _WINDOWS.match(path):  # the editor runs elsewhere: its folders are not ours
                path = PureWindowsPath(path).name
            return Path(path).absolute()
    return None
