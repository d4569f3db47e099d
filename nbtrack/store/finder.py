"""Finds the runs of a store by their ids, without the index, and tells the user once of each damage on the way."""

from __future__ import annotations

import os
import time
import warnings
from bisect import bisect_left
from dataclasses import dataclass

from nbtrack.errors import DamageWarning, IntegrityError, NotFoundError
from nbtrack.names import check_run_id
from nbtrack.store.layout import DAY, LOG_SUFFIX, RUNS, SETTLE_S, day_of_id
from nbtrack.store.runs import read_run
from nbtrack.store.state import RunState


@dataclass(slots=True)
class _Listing:
    """The files of one day, sorted, as they were when its folder last changed."""

    mtime: int
    changed_at: float
    names: list[str] | None = None  # none while the folder may change again within the grain of its clock

    def of_run(self, run_id: str, names: list[str]) -> list[str]:
        first = bisect_left(names, run_id)
        return names[first : bisect_left(names, run_id + "\U0010ffff", first)]


class Finder:
    """The runs under `root`."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._warned: set[str] = set()
        self._listings: dict[str, _Listing] = {}

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
        return folder, self.files_in(folder, run_id)

    def files_in(self, folder: str, run_id: str) -> list[str]:
        """Return the names of the files of a run in the folder of its day. A folder that rests is listed once."""
        try:
            mtime, now = os.stat(folder).st_mtime_ns, time.monotonic()
            known = self._listings.get(folder)
            if known is None or known.mtime != mtime:
                known = self._listings[folder] = _Listing(mtime, now)
            if known.names is not None:
                return known.of_run(run_id, known.names)
            names = [name for name in os.listdir(folder) if name.endswith(LOG_SUFFIX)]
        except OSError:
            return []
        if now - known.changed_at > SETTLE_S:
            known.names = sorted(names)
        return [name for name in names if name.startswith(run_id)]

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
