"""Which store a notebook uses, seen from the Jupyter server; and which stores the server may open at all."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nbtrack.errors import InvalidInputError, StoreNotFoundError
from nbtrack.store import ENVIRONMENT_VARIABLE, FOLDER_NAME, in_use, to_path
from nbtrack.store.layout import STORE_FILE

_SERVERS = ("http://", "https://")
# A look around for stores is a courtesy: it ends after so many folders, and goes no deeper.
_MOST_FOLDERS: Final = 2000
_MOST_STORES: Final = 100
_DEEPEST: Final = 5
_NO_WORK: Final = frozenset({"node_modules", "site-packages", "__pycache__", "mlruns"})


class OutsideRootError(InvalidInputError):
    """A path leads out of the folder that the Jupyter server shows."""


def notebook_folder(root: Path, notebook: str) -> Path:
    """Return the folder of a notebook given by its path in the Jupyter server.

    Links below `root` are followed, as the server itself does when it opens the notebook.

    Raises
    ------
    OutsideRootError
        If the path leads out of `root`.
    """
    if "\0" in notebook or "\\" in notebook:
        raise OutsideRootError(f"path {notebook!r}: expected a path with / between its parts.")
    # joined as text, for Path("/root") / "/etc" is /etc
    path = Path(os.path.normpath(f"{root}/{notebook.strip('/')}"))
    if not path.is_relative_to(root):
        raise OutsideRootError(
            f"path {notebook!r}: leads out of the folder that this Jupyter server shows. Open a notebook inside it."
        )
    return path if path == root or path.is_dir() else path.parent


def _is_store(folder: Path) -> bool:
    return (folder / STORE_FILE).is_file()


def _named_store(root: Path, folder: Path, hint: str) -> Path | None:
    """Return the store that an output names, None if it is not there (any more).

    The name comes out of a notebook, which may come from anybody: only stores inside the server's root, links resolved,
    and the one the user named in the environment are opened.
    """
    try:
        wanted = (folder / (to_path(hint) if hint.startswith("file:") else hint)).resolve()
    except (OSError, ValueError) as error:
        raise OutsideRootError(f"store {hint!r}: expected the path of a folder.") from error
    environment = os.environ.get(ENVIRONMENT_VARIABLE)
    known = environment is not None and wanted == Path(to_path(environment)).resolve()
    if not known and not wanted.is_relative_to(root.resolve()):
        raise OutsideRootError(
            f"store {hint!r}: lies outside the folder that this Jupyter server shows. Start JupyterLab in a folder"
            f" above it, or name it in {ENVIRONMENT_VARIABLE}."
        )
    return wanted if _is_store(wanted) else None


def _named_server(url: str) -> str:
    """Return the address that an output names, which may be anybody's: only one that is in use here already."""
    if url != os.environ.get(ENVIRONMENT_VARIABLE) and not in_use(url):
        raise OutsideRootError(
            f"store {url!r}: nobody here has used this server yet. Run nbtrack.set_tracking_uri({url!r}) in a notebook,"
            f" or name it in {ENVIRONMENT_VARIABLE}."
        )
    return url


def find_store(root: Path, notebook: str, hint: str | None = None) -> str:
    """Return the folder of the store that a notebook uses, or the address of its team's server.

    Parameters
    ----------
    root
        The folder that the Jupyter server shows.
    notebook
        The notebook's path in the server, ``""`` for none.
    hint
        The store that a saved output names, relative to the notebook's folder.

    Raises
    ------
    OutsideRootError
        If `notebook` or `hint` leads out of `root`.
    StoreNotFoundError
        If there is no store yet.
    """
    root = Path(os.path.normpath(root.absolute()))
    folder = notebook_folder(root, notebook)
    if hint and hint.startswith(_SERVERS):
        return _named_server(hint)
    if hint and (named := _named_store(root, folder, hint)) is not None:
        return str(named)
    if environment := os.environ.get(ENVIRONMENT_VARIABLE):
        return environment if environment.startswith(_SERVERS) else to_path(environment)
    for here in (folder, *folder.parents):
        if _is_store(here / FOLDER_NAME):
            return str(here / FOLDER_NAME)
        if here == root:
            break
    raise StoreNotFoundError(
        f"store: there is none in {folder.name!r} or above. Run a cell that starts with %%track, and there will be."
    )


def find_stores(root: Path, notebook: str, hints: Sequence[str]) -> list[str]:
    """Return several stores that are shown together, each once; an empty hint is the notebook's own.

    One that is not there is left out, for it may come back; raises StoreNotFoundError if none is there.
    """
    found: dict[str, None] = {}
    missing: StoreNotFoundError | None = None
    for hint in hints:
        try:
            found[find_store(root, notebook, hint or None)] = None
        except StoreNotFoundError as error:
            missing = error
    if missing is not None and not found:
        raise missing
    return list(found)


def stores_below(root: Path) -> list[str]:
    """Return the stores in a folder and below it, as paths relative to it, those that lie highest first.

    Hidden folders, links and folders of libraries are passed over, and no more than 2,000 folders are looked into.
    """
    found: list[str] = []
    waiting = deque([(root, 0)])
    looked = 0
    while waiting and looked < _MOST_FOLDERS and len(found) < _MOST_STORES:
        folder, depth = waiting.popleft()
        looked += 1
        if _is_store(folder / FOLDER_NAME):
            found.append((folder / FOLDER_NAME).relative_to(root).as_posix())
        if _is_store(folder):
            found.append(folder.relative_to(root).as_posix())
        elif depth < _DEEPEST:
            waiting.extend((below, depth + 1) for below in _folders_in(folder))
    return found


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))
    except OSError:
        return []  # nobody may look into it: then there is nothing to show
    return [folder / name for name in names if not name.startswith(".") and name not in _NO_WORK]
