"""Opens the logs that runs are written to: those of new runs, and further ones of runs that are there already."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbtrack.errors import AlreadyExistsError, RunStateError
from nbtrack.names import check_key, check_run_id, check_run_name
from nbtrack.store.files import explained
from nbtrack.store.finder import Finder
from nbtrack.store.folder import open_new_log
from nbtrack.store.layout import FORMAT_VERSION, LOG_SUFFIX, RUNS, check_time, day_of, day_of_id, new_id, now_ms
from nbtrack.store.lines import clean_text
from nbtrack.store.run_names import new_run_name
from nbtrack.store.runs import header_of
from nbtrack.store.state import RunState
from nbtrack.store.writer import FileRunWriter


class Starter:
    """Starts runs in the store at `root`; `put_blob` keeps the bytes of their artifacts."""

    def __init__(self, root: str, finder: Finder, put_blob: Callable[[bytes | str | Path], tuple[str, int]]) -> None:
        self.root = root
        self._finder = finder
        self._put_blob = put_blob

    def new(
        self,
        experiment_id: str,
        run_name: str | None,
        tags: Mapping[str, Any] | None,
        start_time_ms: int | None,
        run_id: str | None,
    ) -> FileRunWriter:
        """Start a run; raises AlreadyExistsError if there is one of this id."""
        at = now_ms() if start_time_ms is None else check_time("start time", start_time_ms)
        name = new_run_name() if run_name is None else check_run_name(run_name)
        if run_id is None:
            run_id = new_id(at)
            day = day_of(at)
        else:
            day = day_of_id(check_run_id(run_id)) or day_of(at)
            if self._finder.folder_of(run_id) is not None:
                raise AlreadyExistsError(f"run {run_id}: is in this store already. Use resume_run(), or another id.")
        header: dict[str, Any] = {"t": at, "run": run_id, "v": FORMAT_VERSION, "exp": experiment_id, "name": name}
        if tags:
            header["tags"] = {check_key(key, "tag key"): clean_text(value) for key, value in tags.items()}
        path = f"{self.root}/{RUNS}/{day}/{run_id}{LOG_SUFFIX}"
        with explained(f"run {run_id}", path):
            try:
                fd, size = open_new_log(path, header)
            except FileExistsError:
                raise AlreadyExistsError(f"run {run_id}: is in this store already. Use another id.") from None
        return self._writer(run_id, path, fd, header, size)

    def resumed(self, run_id: str, at: int) -> FileRunWriter:
        """Go on with a run that has ended or whose process died, in a log of its own; raises RunStateError.

        `at` is now, but after each edit of this process, or one of this millisecond would end the run once more.
        """
        folder, before = self._finder.get(run_id)
        if before.status == "RUNNING":
            raise RunStateError(
                f"run {run_id}: is still being written, by process {self._writer_of(folder, run_id)}. End it there, or"
                " start a run of your own."
            )
        if before.deleted:
            raise RunStateError(f"run {run_id}: is in the trash. Restore it first.")
        header = {"t": max(at, (before.end or 0) + 1), "run": run_id, "v": FORMAT_VERSION}
        header |= {"exp": before.exp, "name": before.name}
        with explained(f"run {run_id}", folder):
            path, fd, size = _open_further_log(folder, run_id, header)
        return self._writer(run_id, path, fd, header, size, before)

    def joined(self, run_id: str) -> FileRunWriter:
        """Write to a run that somebody else started, live or ended; see :func:`~nbtrack.store.joining.join_run`."""
        folder, before = self._finder.get(run_id)
        header = {"t": now_ms(), "run": run_id, "v": FORMAT_VERSION, "fork": True}
        with explained(f"run {run_id}", folder):
            path, fd, size = _open_further_log(folder, run_id, header)
        return self._writer(run_id, path, fd, header, size, before)

    def _writer_of(self, folder: str, run_id: str) -> str:
        names = [n for n in self._finder.files_in(folder, run_id) if "~" not in n]
        header = header_of(f"{folder}/{max(names, key=lambda n: (len(n), n))}") or {}
        return f"{header.get('pid', '?')} on {header.get('host', '?')}"

    def _writer(
        self, run_id: str, path: str, fd: int, header: dict[str, Any], size: int, before: RunState | None = None
    ) -> FileRunWriter:
        return FileRunWriter(
            run_id,
            path,
            fd,
            header["t"],
            header,
            size=size,
            put_blob=self._put_blob,
            open_fork_log=_open_fork_log,
            before=before,
        )


def _open_further_log(folder: str, run_id: str, header: dict[str, Any]) -> tuple[str, int, int]:
    """Open a log beside those that a run has already."""
    number = 2
    while True:
        path = f"{folder}/{run_id}+{number:x}{LOG_SUFFIX}"
        try:
            fd, size = open_new_log(path, header)
        except FileExistsError:
            number += 1
            continue
        return path, fd, size


def _open_fork_log(writer: FileRunWriter) -> tuple[str, int, int, int]:
    """Open a log for a forked child that goes on logging to its parent's run."""
    at = now_ms()
    header = {"t": at, "run": writer.run_id, "v": FORMAT_VERSION, "fork": True}
    path, fd, size = _open_further_log(os.path.dirname(writer.path), writer.run_id, header)
    return path, fd, size, at
