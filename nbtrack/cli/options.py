"""Options that many commands share, and how they open the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from nbtrack.store.base import Store

URI_HELP = "URI is runs:/RUN/PATH, or models:/NAME/ and a version, a stage or latest, or models:/NAME@ALIAS."

_F = TypeVar("_F", bound=Callable[..., Any])


def command_settings() -> dict[str, Any]:
    """Return click's settings for every group: ``-h`` is taken by ``--host``, so help is ``--help`` only."""
    return {"help_option_names": ["--help"], "max_content_width": 100}


def store_option(function: _F) -> _F:
    """Add ``--store``: the folder (or file: URI) of the store, as the argument `store_uri`."""
    return click.option(
        "--store",
        "store_uri",
        metavar="PATH",
        envvar="NBTRACK_TRACKING_URI",
        show_envvar=True,
        help="The store's folder. Default: the nearest .nbtrack at or above the working directory.",
    )(function)


def json_option(function: _F) -> _F:
    """Add ``--json``: one JSON document on stdout, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(function)


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Return NAME=VALUE arguments as a dict; raises click.BadParameter."""
    given = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"expected NAME=VALUE, got {text!r}.", param_hint=option)
        given[name] = value
    return given


def open_here(store_uri: str | None) -> Store:
    """Return the store that a command works with; it must exist.

    Raises
    ------
    StoreNotFoundError
        If there is none: a command that reads or mends never leaves an empty store behind.
    """
    from nbtrack.store import open_store

    return open_store(store_uri, create=False)
