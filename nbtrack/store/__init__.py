"""Bytes on disk: the only room that knows a file name. The folder is passed in."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

from nbtrack.errors import StoreError
from nbtrack.store.base import MetricHistory, RunColumn, RunTable, RunWriter, Store
from nbtrack.store.file_store import FileStore
from nbtrack.store.layout import MOVED_FILE, STORE_FILE

__all__ = [
    "FileStore",
    "MetricHistory",
    "RunColumn",
    "RunTable",
    "RunWriter",
    "Store",
    "find_store_uri",
    "in_use",
    "open_store",
    "open_stores",
]

FOLDER_NAME = ".nbtrack"
_ELSEWHERE = {"http": "nbtrack.bridge.remote", "https": "nbtrack.bridge.remote"}  # scheme -> who has an open_remote()
ENVIRONMENT_VARIABLE = "NBTRACK_TRACKING_URI"
_open: WeakValueDictionary[str, FileStore] = WeakValueDictionary()
_recent: OrderedDict[str, FileStore] = OrderedDict()
_guard = Lock()


def find_store_uri(start: Path | None = None) -> str:
    """Return where the store of a folder is: ``NBTRACK_TRACKING_URI``, the nearest ``.nbtrack`` at or above, or here.

    Parameters
    ----------
    start
        The folder to start from; the working directory unless given.
    """
    if start is None and (named := os.environ.get(ENVIRONMENT_VARIABLE)):
        return named
    here = os.path.abspath(os.getcwd() if start is None else start)
    folder = here
    while True:
        candidate = os.path.join(folder, FOLDER_NAME)
        if os.path.isdir(candidate):
            return candidate
        above = os.path.dirname(folder)
        if above == folder:
            return os.path.join(here, FOLDER_NAME)
        folder = above


def to_path(uri: str | Path) -> str:
    """Return the absolute folder that a store URI names; raises StoreError for URIs of other kinds."""
    text = os.fspath(uri)
    if text.startswith("file:"):
        parts = urlsplit(text)
        if parts.netloc not in {"", "localhost"}:
            raise StoreError(
                f"store {text!r}: file URIs with a host are not supported. Mount the folder and use its path."
            )
        text = unquote(parts.path)
        if os.name == "nt" and text[:1] == "/" and text[2:3] == ":":
            text = text[1:]
    elif "://" in text:
        raise StoreError(f"store {text!r}: expected a folder or a file: URI here.")
    if not text or "\0" in text:
        raise StoreError(f"store {text!r}: expected the path of a folder.")
    return os.path.abspath(os.path.expanduser(text))


def _inside(folder: str | os.PathLike[str]) -> str:
    """Return the ``.nbtrack`` in a folder, if there is one, else what was given."""
    inside = os.path.join(os.fspath(folder), FOLDER_NAME)
    return inside if os.path.isdir(inside) else os.fspath(folder)


def open_stores(stores: Sequence[Store | str | os.PathLike[str]]) -> Store:
    """Return several stores as one that reads them all; one alone is returned as it is. None of them is made.

    Parameters
    ----------
    stores
        Stores, what :func:`open_store` takes, or folders with a ``.nbtrack`` inside.

    Raises
    ------
    InvalidInputError
        If there are none.
    StoreNotFoundError
        If one is not there.
    """
    from nbtrack.store.joined import JoinedStore

    opened = [one if isinstance(one, Store) else open_store(_inside(one), create=False) for one in stores]
    return opened[0] if len(opened) == 1 else JoinedStore(opened)


def open_store(uri: str | Path | None = None, create: bool = True) -> FileStore:
    """Return the store at `uri`; the same object for the same folder.

    Parameters
    ----------
    uri
        A folder or a ``file:`` URI, or the address of an MLflow server; found by :func:`find_store_uri` unless given.
    create
        Whether to make the store if there is none.

    Raises
    ------
    StoreNotFoundError
        If the path is a file, or there is no store and `create` is false.
    StoreFormatError
        If a newer nbtrack wrote it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     open_store(folder).list_experiments()[0].name
    'Default'
    """
    text = os.fspath(find_store_uri() if uri is None else uri)
    if (scheme := text.partition("://")[0]) in _ELSEWHERE:
        return _open_elsewhere(scheme, text.rstrip("/"), create)
    path = os.path.realpath(to_path(text))
    if os.path.exists(os.path.join(path, MOVED_FILE)):
        from nbtrack.store.moving import moved_to

        path = moved_to(path) or path
    with _guard:
        store = _open.get(path)
        if store is None or not os.path.exists(os.path.join(path, STORE_FILE)):
            store = FileStore.open(path, create=create)
            _open[path] = store
        _recent[path] = store
        _recent.move_to_end(path)
        while len(_recent) > 16:
            _recent.popitem(last=False)
    return store


def in_use(url: str) -> bool:
    """Return whether a user of this machine has opened the server at `url` before, of his own will."""
    from importlib import import_module

    found: bool = import_module(_ELSEWHERE[url.partition("://")[0]]).in_use(url)
    return found


def _open_elsewhere(scheme: str, url: str, create: bool) -> FileStore:
    """Return the store that stands for a server; who knows how to talk to it is loaded when it is asked for."""
    from importlib import import_module

    with _guard:
        store = _open.get(url)
        if store is None:
            store = _open[url] = import_module(_ELSEWHERE[scheme]).open_remote(url, create)
        _recent[url] = store
        _recent.move_to_end(url)
    return store


def _after_fork() -> None:
    global _guard
    _guard = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
