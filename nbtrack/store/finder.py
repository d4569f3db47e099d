"""Finds the runs of a store by their ids, without the index, and tells the user once of each damage on the way."""

from __future__ import annotations

import os
import warnings

from nbtrack.errors import DamageWarning, IntegrityError, NotFoundError
from nbtrack.names import check_run_id
from nbtrack.store.layout import DAY, LOG_SUFFIX, RUNS, day_of_id
from nbtrack.store.runs import read_run, run_files
from nbtrack.store.state import RunState


class Finder:
    """The runs under `root`."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._warned: set[str] = set()

    def _days(self) -> list[str]:
        try:
            with os.scandir(f"{self.root}/{RUNS}") as entries:
                days = [e.name for e in entries if DAY.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
        except OSError:
            return []
        return sorted(days, reverse=True)

    def folder_of(self, run_id: str) -> str | None:
        """Return the folder with the files of a run, or None. Ids of ours name their day; others are looked for."""
        check_run_id(run_id)
        day = day_of_id(run_id)
        for one in ([day] if day else []) + self._days():
            folder = f"{self.root}/{RUNS}/{one}"
            if os.path.lexists(f"{folder}/{run_id}{LOG_SUFFIX}"):
                return folder
        return None

    def files(self, run_id: str) -> tuple[str, list[str]]:
        """Return the folder of a run and the names of its files; raises NotFoundError."""
        folder = self.folder_of(run_id)
        if folder is None:
            raise self._no_run(run_id)
        return folder, run_files(folder, run_id)

    def get(self, run_id: str, *, details: bool = False) -> tuple[str, RunState]:
        """Return folder and state of a run; raises NotFoundError, IntegrityError."""
        folder, names = self.files(run_id)
        trouble: list[str] = []
        state = read_run(folder, run_id, names, details=details, trouble=trouble)
        if state is None and trouble:
            raise IntegrityError(
                f"run {run_id}: nothing of it can be read: {'; '.join(trouble)}. Restore its files in {folder} from a"
                " backup; `nbtrack store check --repair` saves what is left."
            )
        if state is None:
            raise self._no_run(run_id)
        self.warn(run_id, state.damage)
        return folder, state

    def _no_run(self, run_id: str) -> NotFoundError:
        return NotFoundError(f"run {run_id}: is not in the store {self.root}. search_runs() lists those that are.")

    def warn(self, run_id: str, damage: tuple[str, ...]) -> None:
        """Tell the user of damage, once."""
        for text in damage:
            if (message := f"run {run_id}: {text}") not in self._warned:
                self._warned.add(message)
                warnings.warn(
                    f"{message}. Everything else was read; `nbtrack store check` lists all damage.",
                    DamageWarning,
                    stacklevel=4,
                )
