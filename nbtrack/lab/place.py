"""Which store a notebook uses, seen from the Jupyter server; and which stores the server may open at all."""

from __future__ import annotations

import os
from pathlib import Path

from nbtrack.errors import InvalidInputError, StoreNotFoundError
from nbtrack.store import ENVIRONMENT_VARIABLE, FOLDER_NAME, in_use, to_path
from nbtrack.store.layout import STORE_FILE

_SERVERS = ("http://", "https://")


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
