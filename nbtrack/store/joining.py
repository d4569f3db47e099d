"""Writing to a run beside its own writer: what servers and foreign tools do, whose processes share one run.

A run's own log decides its status and has one writer. Whoever else has something to add opens a further log, as a
forked child does; what it says counts, and the status stays what it was.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nbtrack.entities import Status
from nbtrack.store.files import explained, put_new, remove
from nbtrack.store.layout import FORMAT_VERSION, INDEX, LOG_SUFFIX, check_time, new_id
from nbtrack.store.lines import seal

if TYPE_CHECKING:
    from nbtrack.store.file_store import FileStore
    from nbtrack.store.writer import FileRunWriter


def join_run(store: FileStore, run_id: str) -> FileRunWriter:
    """Return a writer for a run that somebody else started, live or ended; its `end` does not end the run.

    Raises
    ------
    NotFoundError
        If there is no such run.
    """
    return store._starter.joined(run_id)


def set_status(store: FileStore, run_id: str, status: Status, end_time_ms: int | None) -> None:
    """Say after the fact how a run ended, and when; with the status RUNNING, that it goes on."""
    folder, _ = store._finder.files(run_id)
    at = store._next_edit_time()
    edit: dict[str, Any] = {"status": status}
    if end_time_ms is not None:
        edit["end"] = check_time("end time", end_time_ms)
    path = f"{folder}/{run_id}~{new_id(at)}{LOG_SUFFIX}"
    with explained(f"run {run_id}", path):
        put_new(path, seal({"t": at, "run": run_id, "v": FORMAT_VERSION, "edit": edit}))


def remove_run(store: FileStore, run_id: str) -> None:
    """Remove all files of a run for good, its first log last; the bytes of its artifacts are left for a gc."""
    folder, _ = store._finder.files(run_id)
    with explained(f"run {run_id}", folder):
        names = [name for name in os.listdir(folder) if name.startswith(run_id)]
        for name in sorted(names, key=lambda n: (n == f"{run_id}{LOG_SUFFIX}", n)):
            remove(f"{folder}/{name}")
        remove(f"{store.root}/{INDEX}/cols/{run_id}")
        remove(f"{store.root}/{INDEX}/cols/{run_id}~few")
