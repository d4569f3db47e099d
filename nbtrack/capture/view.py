"""The output that a notebook keeps: a picture that is complete by itself, and the data that brings it to life."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nbtrack.entities import VIEW_MIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbtrack.store.base import Store


def store_hint(store: Store, notebook: Path | None = None) -> str:
    """Return where the store lies, seen from the notebook's folder, so that both may move together; or its address."""
    if "://" in store.uri:
        return store.uri
    folder = notebook.parent if notebook is not None else Path.cwd()
    try:
        return Path(os.path.relpath(store.uri, folder)).as_posix()
    except (ValueError, OSError):  # another drive, or no folder at all
        return str(store.uri)


def view_bundle(
    view: Literal["card", "compare", "server"],
    store: Store,
    run_ids: Sequence[str],
    html: str,
    text: str,
    notebook: Path | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one output in three forms: for our JupyterLab extension, for browsers, for terminals."""
    hints = [store_hint(one, notebook) for one in store.parts()]
    live: dict[str, Any] = {"version": 1, "view": view, "store": hints[0], "run_ids": list(run_ids)}
    if len(hints) > 1:
        live["stores"] = hints
    return {VIEW_MIME: {**live, **(more or {})}, "text/html": html, "text/plain": text}
