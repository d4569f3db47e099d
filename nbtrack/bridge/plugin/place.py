"""Where a store and its files are, in MLflow's URIs.

::

    nbtrack:///home/ana/wine/.nbtrack                                       the store
    nbtrack:///home/ana/wine/.nbtrack/runs/<run>/artifacts/plots            files of a run
    nbtrack:///home/ana/wine/.nbtrack/models/<logged model>/artifacts       files of a logged model

They are made when asked for, from where the store lies now: a store that was moved gives out new ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote, urlsplit, uses_netloc

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from nbtrack.errors import (
    AlreadyExistsError,
    InvalidInputError,
    NbtrackError,
    NotFoundError,
    RunStateError,
    StoreError,
)
from nbtrack.store import FileStore, find_store_uri, open_store

SCHEME: Final = "nbtrack"
uses_netloc.append(SCHEME)  # or MLflow's own code makes nbtrack:/path of it when it appends to a path
_HERE: Final = "nbtrack:./"  # in what is kept: the store that keeps it
_INSIDE: Final = re.compile(r"(?P<root>.*?)/(?P<kind>runs|models)/(?P<id>[^/]+)/artifacts(?:/(?P<rest>.*))?")
_PROXIED: Final = re.compile(r"[^/]+/(?P<models>models/)?(?P<id>[^/]+)/artifacts(?:/(?P<rest>.*))?")


def root_of(uri: str) -> str:
    """Return the folder that ``nbtrack:///path`` names; without a path, the store nearest to the working directory."""
    parts = urlsplit(uri)
    if parts.scheme != SCHEME or parts.netloc or parts.query or parts.fragment:
        raise MlflowException(
            f"store {uri!r}: expected nbtrack:///path/to/store. Three slashes, then the folder.",
            codes.INVALID_PARAMETER_VALUE,
        )
    return os.path.abspath(os.path.expanduser(unquote(parts.path))) if parts.path.strip("/") else find_store_uri()


def uri_of(root: str) -> str:
    """Return the URI of the store in the folder `root`."""
    return f"{SCHEME}://{quote(root)}"


def open_at(uri: str) -> FileStore:
    """Return the store that a URI names, made if it is missing."""
    with translated():
        return open_store(root_of(uri))


@lru_cache(maxsize=1024)
def _is_store(root: str) -> bool:
    return os.path.isdir(f"{root}/runs")


def split(uri: str) -> tuple[str, str, str, str]:
    """Return ``(folder of the store, "runs" or "models", id, path)`` of an artifact URI; the id is empty for a root."""
    path = root_of(uri)
    start = 0
    while (found := _INSIDE.fullmatch(path, start)) is not None:
        root = path[: found.end("root")]
        if _is_store(root):
            return root, found["kind"], found["id"], found["rest"] or ""
        start = found.end("root") + 1
    return path, "", "", ""


def split_proxied(path: str) -> tuple[str, str, str]:
    """Return ``(kind, id, path)`` of a path as a server proxies it: ``EXPERIMENT/RUN/artifacts/PATH``."""
    found = _PROXIED.fullmatch(path)
    if found is None:
        raise MlflowException(
            f"artifact {path!r}: expected EXPERIMENT/RUN/artifacts/PATH or EXPERIMENT/models/MODEL/artifacts/PATH.",
            codes.INVALID_PARAMETER_VALUE,
        )
    return "models" if found["models"] else "runs", found["id"], found["rest"] or ""


def moveable(uri: str, root: str) -> str:
    """Return a URI as it may be kept in the store in `root`, so that it is right after a move of the store."""
    start = uri_of(root) + "/"
    return _HERE + uri[len(start) :] if uri.startswith(start) else uri


def settled(uri: str, root: str) -> str:
    """The reverse of :func:`moveable`."""
    return f"{uri_of(root)}/{uri[len(_HERE) :]}" if uri.startswith(_HERE) else uri


def missing(what: str) -> MlflowException:
    """Return the exception for something that is not there."""
    return MlflowException(what, codes.RESOURCE_DOES_NOT_EXIST)


def invalid(what: str) -> MlflowException:
    """Return the exception for something that cannot be accepted."""
    return MlflowException(what, codes.INVALID_PARAMETER_VALUE)


def check_max_results(max_results: object, limit: int) -> int:
    """Return `max_results` if it is from 1 to `limit`; raises MlflowException."""
    what = f"Invalid value {max_results} for parameter 'max_results' supplied. It must be"
    if not isinstance(max_results, int) or max_results < 1:
        raise invalid(f"{what} a positive integer, but got {max_results}")
    if max_results > limit:
        raise invalid(f"{what} at most {limit}, but got {max_results}")
    return max_results


_CODES: Final = (
    (NotFoundError, codes.RESOURCE_DOES_NOT_EXIST),
    (AlreadyExistsError, codes.RESOURCE_ALREADY_EXISTS),
    (InvalidInputError, codes.INVALID_PARAMETER_VALUE),
    (RunStateError, codes.INVALID_STATE),
    (StoreError, codes.INTERNAL_ERROR),
    (NbtrackError, codes.INTERNAL_ERROR),
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what nbtrack raises as MLflow's exception, with the code that its clients look at."""
    try:
        yield
    except NbtrackError as error:
        code = next(code for kind, code in _CODES if isinstance(error, kind))
        raise MlflowException(str(error), code) from error
