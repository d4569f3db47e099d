"""Numbered commits: 00000001.json, 00000002.json, … Each is put there only if its number is still free, so that any
number of processes and hosts may write without a lock, and none is ever lost or counted twice."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from nbtrack.errors import ConflictError, DamageWarning
from nbtrack.store.files import explained, link_new, remove, write_temp
from nbtrack.store.layout import COMMIT_FILE, commit_file, model_folder
from nbtrack.store.lines import seal, unseal
from nbtrack.store.log import open_log, pread

_UNFINISHED_S = 5.0  # without hard links a commit may be seen before it is whole


class CommitLog:
    """The commits in one folder."""

    def __init__(self, folder: str, what: str) -> None:
        self.folder = folder
        self.what = what
        self._known: dict[int, dict[str, Any]] = {}
        self._last = 0
        self._guard = threading.Lock()

    def numbers(self) -> list[int]:
        """All numbers that are taken, in order."""
        try:
            names = os.listdir(self.folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(found[1]) for name in names if (found := COMMIT_FILE.fullmatch(name)))

    def last(self) -> int:
        """The highest number that is taken; 0 if none is."""
        number = self._last
        if number and not os.path.exists(self._path(number)):  # the folder was replaced under our feet
            number = 0
            with self._guard:
                self._known.clear()
        if not number:
            number = max(self.numbers(), default=0)
        while os.path.exists(self._path(number + 1)):
            number += 1
        self._last = number
        return number

    def read(self, after: int = 0) -> list[dict[str, Any]]:
        """The good commits above `after`, in order; a damaged one is left out with a warning."""
        found: list[dict[str, Any]] = []
        for number in range(after + 1, self.last() + 1):
            record = self._known.get(number) or self._load(number)
            if record is not None:
                found.append(dict(record))
        return found

    def _load(self, number: int) -> dict[str, Any] | None:
        path = self._path(number)
        try:
            record, age_s = read_commit(path)
            for _ in range(3):
                if age_s > _UNFINISHED_S or self._is_good(record, number):
                    break
                time.sleep(0.01)
                record, age_s = read_commit(path)
        except OSError as error:
            warnings.warn(f"{self.what}: commit {path} cannot be read ({error}).", DamageWarning, stacklevel=4)
            return None
        if not self._is_good(record, number):
            warnings.warn(
                f"{self.what}: commit {path} is damaged and was left out; what it changed is missing here."
                " Restore it from a backup; `nbtrack store check` lists all damage.",
                DamageWarning,
                stacklevel=4,
            )
            return None
        with self._guard:
            self._known[number] = record or {}
        return record

    def _is_good(self, record: dict[str, Any] | None, number: int) -> bool:
        """Return whether a record is whole, and stands where it was written."""
        if record is None or record.get("number") != number:
            return False
        model = record.get("model")
        return model is None or model_folder(str(model)) == os.path.basename(self.folder)

    def append(self, body: Mapping[str, Any], expect: int | None = None) -> int:
        """Put a commit under the next free number; raises ConflictError if the last number is not `expect`."""
        number = (self.last() if expect is None else expect) + 1
        if expect is not None and self.last() != expect:
            raise self._conflict(expect)
        with explained(self.what, self.folder):
            while True:
                temp = write_temp(self.folder, seal({**body, "number": number}), sync=True)
                try:
                    if link_new(temp, self._path(number)):
                        self._last = max(self._last, number)
                        return number
                finally:
                    remove(temp)
                if expect is not None:
                    raise self._conflict(expect)
                number = max(number, self.last()) + 1

    def _conflict(self, expect: int) -> ConflictError:
        return ConflictError(
            f"{self.what}: somebody else changed it meanwhile; expected commit {expect} to be the last, got"
            f" {self.last()}. Look at what changed and try again."
        )

    def _path(self, number: int) -> str:
        return f"{self.folder}/{commit_file(number)}"


def read_commit(path: str) -> tuple[dict[str, Any] | None, float]:
    """Return the record of a commit, None if it is damaged, and its age in seconds; raises OSError."""
    fd, size = open_log(path)
    try:
        age_s = time.time() - os.fstat(fd).st_mtime
        return unseal(pread(fd, size, 0)), age_s
    finally:
        os.close(fd)


def list_models(folder: str, log_of: Callable[[str], CommitLog]) -> list[str]:
    """Return the names of the models that have a good commit under `folder`, sorted."""
    try:
        with os.scandir(folder) as entries:
            paths = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    names = []
    for path in paths:
        for record in CommitLog(path, f"models folder {os.path.basename(path)!r}").read():
            if isinstance(name := record.get("model"), str):
                names.append(name)
                break
    return sorted(names)
