"""Looks at every file of a store, names each damaged record, and mends what can be mended.

Nothing good is thrown away: what a repair replaces stays beside it under a name that ends in ``.damaged``.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from nbtrack.store import liveness
from nbtrack.store.base import Problem, Progress
from nbtrack.store.commits import CommitLog, read_commit
from nbtrack.store.edits import read_edit
from nbtrack.store.files import remove, replace
from nbtrack.store.folder import store_record
from nbtrack.store.gc import GRACE_S, days
from nbtrack.store.history import broken_segments
from nbtrack.store.layout import (
    BLOBS,
    COLS_SUFFIX,
    DIGEST,
    EXPERIMENTS,
    INDEX,
    LOG_SUFFIX,
    MODELS,
    STORE_FILE,
    VIEWS,
    commit_file,
    split_run_file,
)
from nbtrack.store.lines import parse_line, seal, unseal
from nbtrack.store.log import Ends, open_log, pread, read_ends, run_of
from nbtrack.store.resealing import resealed

_YOUNG_S: Final = 60.0
_ASIDE: Final = ".damaged"


@dataclass(slots=True)
class _Log:
    """One log as it was found."""

    path: str
    data: bytes
    ends: Ends
    dead: bool
    young: bool


class Checker:
    """One walk through a store."""

    def __init__(self, root: str, *, repair: bool, progress: Progress | None) -> None:
        self.root = root
        self.repair = repair
        self.progress = progress
        self.logs_changed = False
        self._done = 0
        self._total = 0
        self._wanted_blobs: dict[str, tuple[str, str]] = {}  # digest -> run, path of the artifact

    def run(self) -> Iterator[Problem]:
        """Yield each problem as it is found."""
        folders = days(self.root)
        names = {folder: sorted(os.listdir(folder)) for folder in folders}
        blobs = list(self._blob_paths())
        self._total = sum(map(len, names.values())) + len(blobs)
        yield from self._store_file()
        for folder in folders:
            for name in names[folder]:
                yield from self._run_file(folder, name)
                self._step()
        for commits in self._commit_folders():
            yield from self._commits(commits)
        yield from self._blobs(blobs)
        yield from self._index()

    def _step(self) -> None:
        self._done += 1
        if self.progress is not None and (self._done % 64 == 0 or self._done == self._total):
            self.progress(self._done, self._total)

    def _problem(self, path: str, what: str, repair: str = "", run_id: str | None = None) -> Problem:
        return Problem(os.path.relpath(path, self.root), what, run_id, repair, bool(repair) and self.repair)

    def _aside(self, path: str) -> None:
        """Keep what is to be replaced under another name."""
        number = 1
        while os.path.lexists(target := f"{path}{_ASIDE}{number if number > 1 else ''}"):
            number += 1
        os.replace(path, target)

    # -- the store's own file --------------------------------------------------------------------------------------
    def _store_file(self) -> Iterator[Problem]:
        path = f"{self.root}/{STORE_FILE}"
        try:
            fd, size = open_log(path)
            good = unseal(pread(fd, min(size, 1 << 16), 0)) is not None
            os.close(fd)
        except OSError:
            good = False
        if not good:
            if self.repair:
                replace(path, store_record())
            yield self._problem(path, "is missing or damaged", "write it anew")

    # -- runs ------------------------------------------------------------------------------------------------------
    def _run_file(self, folder: str, name: str) -> Iterator[Problem]:
        path = f"{folder}/{name}"
        parts = split_run_file(name)
        if parts is None:
            yield from self._stray(path, name)
            return
        run_id, kind, _ = parts
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                yield self._problem(path, "is no regular file; it was not followed", run_id=run_id)
                return
            if kind == "~":
                yield from self._edit(path, run_id)
            else:
                yield from self._log(path, run_id)
        except OSError as error:
            yield self._problem(path, f"cannot be read ({error.strerror})", run_id=run_id)

    def _stray(self, path: str, name: str) -> Iterator[Problem]:
        if name.endswith((_ASIDE, COLS_SUFFIX)) or _ASIDE in name:
            return
        with suppress(OSError):
            if name.endswith(".tmp") and os.lstat(path).st_mtime > time.time() - GRACE_S:
                return
            what = "was left by a crash" if name.endswith(".tmp") else "does not belong to a store"
            if name.endswith(".tmp") and self.repair:
                remove(path)
            yield self._problem(path, what, "remove it" if name.endswith(".tmp") else "")

    def _edit(self, path: str, run_id: str) -> Iterator[Problem]:
        try:
            good = read_edit(path) is not None
        except (ValueError, TypeError, KeyError, AttributeError):
            good = False
        if not good:
            if self.repair:
                self._aside(path)
                self.logs_changed = True
            yield self._problem(path, "this edit is damaged and was left out", "put it aside", run_id)

    def _read(self, path: str) -> _Log:
        fd, size = open_log(path)
        try:
            ends = read_ends(fd, size, run_of(path))
            data = pread(fd, ends.size, 0)
            young = os.fstat(fd).st_mtime > time.time() - _YOUNG_S
        finally:
            os.close(fd)
        dead = ends.end is None and (ends.header is None or not liveness.is_alive(ends.header, path))
        return _Log(path, data, ends, dead, young)

    def _log(self, path: str, run_id: str) -> Iterator[Problem]:
        log = self._read(path)
        if not log.data:
            if log.young:
                return
            if self.repair:
                remove(path)
            yield self._problem(path, "is empty: its writer died at once", "remove it", run_id)
            return
        found = list(self._damage(log))
        mendable = log.ends.end is not None or (log.dead and not log.young) or (log.dead and self._surely_dead(log))
        if found and mendable and self.repair:
            self._mend(log, run_id)
        repair = "write it anew from its good lines" if mendable else ""
        for what in found:
            yield self._problem(path, what, repair, run_id)
        yield from self._columns(log, run_id)
        for line in log.data.split(b"\n"):
            if line.startswith(b'{"t":') and b'"sha256":' in line and isinstance(record := parse_line(line), dict):
                self._wanted_blobs[str(record.get("sha256"))] = (run_id, str(record.get("artifact")))

    @staticmethod
    def _surely_dead(log: _Log) -> bool:
        return log.ends.header is not None and liveness.verdict(log.ends.header, log.path) == (False, True)

    def _damage(self, log: _Log) -> Iterator[str]:
        yield from log.ends.damage
        offset = 0
        lines = log.data.split(b"\n")
        for number, line in enumerate(lines[:-1]):
            first_or_last = number == 0 or (number == len(lines) - 2 and line.startswith(b'{"end":'))
            if not first_or_last and (not line or parse_line(line) is None):
                yield f"line {number + 1} at byte {offset:,} cannot be read"
            offset += len(line) + 1
        if lines[-1] and (log.dead or log.ends.end is not None):
            yield f"the last line, at byte {offset:,}, is torn: its writer died while writing it"
        for start, stop in broken_segments(log.data):
            yield f"bytes {start:,} to {stop:,} are not as they were written"
        end = log.ends.end
        if end is not None and "cols" not in end:
            size = log.data.rfind(b"\n", 0, -1) + 1
            if end.get("bytes") != size:
                yield f"{end.get('bytes'):,} bytes were written before the last line, {size:,} are there"

    def _mend(self, log: _Log, run_id: str) -> None:
        """Write a log anew from its good lines; the old one stays beside it."""
        good = [line for line in log.data.splitlines(keepends=True) if line.endswith(b"\n")]
        good = [line for line in good[1:] if parse_line(line) is not None and not line.startswith(b'{"run":')]
        end = log.ends.end
        header = log.ends.header
        if header is None and end is not None:
            header = {"t": end["start"], "run": run_id, "v": 1, "exp": end.get("exp"), "name": end.get("name")}
        elif header is None:
            header = {"t": int(run_id[:11], 16), "run": run_id, "v": 1, "exp": "0", "name": "unknown"}
        text = resealed([seal(header), *good], None if end is None else seal(end))
        self._aside(log.path)
        replace(log.path, text)
        self.logs_changed = True

    def _columns(self, log: _Log, run_id: str) -> Iterator[Problem]:
        end = log.ends.end
        if end is None or not end.get("cols"):
            return
        from nbtrack.store.cols import read_columns, zlib_error

        path = log.path[: -len(LOG_SUFFIX)] + COLS_SUFFIX
        try:
            read_columns(path, 0, end["cols"])
        except (OSError, ValueError, KeyError, TypeError, zlib_error) as error:
            yield self._problem(path, f"the metrics of this run cannot be read ({error})", run_id=run_id)

    # -- commits ---------------------------------------------------------------------------------------------------
    def _commit_folders(self) -> Iterator[str]:
        yield f"{self.root}/{EXPERIMENTS}"
        yield f"{self.root}/{VIEWS}"
        with suppress(OSError), os.scandir(f"{self.root}/{MODELS}") as entries:
            yield from sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))

    def _commits(self, folder: str) -> Iterator[Problem]:
        numbers = CommitLog(folder, "commits").numbers()
        for expected, number in enumerate(numbers, 1):
            path = f"{folder}/{commit_file(number)}"
            if number != expected and numbers[expected - 2 : expected - 1] != [number - 1]:
                yield self._problem(path, "the commit before it is missing")
            try:
                record, _ = read_commit(path)
            except OSError as error:
                yield self._problem(path, f"cannot be read ({error.strerror})")
                continue
            if record is None or record.get("number") != number:
                yield self._problem(path, "this commit is damaged and was left out; restore it from a backup")

    # -- blobs -----------------------------------------------------------------------------------------------------
    def _blob_paths(self) -> Iterator[str]:
        for folder, _, names in os.walk(f"{self.root}/{BLOBS}"):
            for name in names:
                if DIGEST.fullmatch(name):
                    yield f"{folder}/{name}"

    def _blobs(self, paths: list[str]) -> Iterator[Problem]:
        from hashlib import sha256

        for path in paths:
            digest = os.path.basename(path)
            run_id, artifact = self._wanted_blobs.pop(digest, (None, ""))
            hasher = sha256()
            try:
                fd, size = open_log(path)
                try:
                    for at in range(0, size, 1 << 20):
                        hasher.update(pread(fd, min(1 << 20, size - at), at))
                finally:
                    os.close(fd)
            except OSError as error:
                yield self._problem(path, f"cannot be read ({error.strerror})", run_id=run_id)
                self._step()
                continue
            if hasher.hexdigest() != digest:
                if self.repair:
                    self._aside(path)
                of = f" of artifact {artifact!r}" if artifact else ""
                yield self._problem(path, f"the bytes{of} have changed", "put them aside", run_id)
            self._step()
        for digest, (run_id, artifact) in self._wanted_blobs.items():
            path = f"{self.root}/{BLOBS}/{digest[:2]}/{digest}"
            yield self._problem(path, f"the bytes of artifact {artifact!r} are missing", run_id=run_id)

    # -- derived ---------------------------------------------------------------------------------------------------
    def _index(self) -> Iterator[Problem]:
        from nbtrack.store.snapshot import verify_snapshot

        path = f"{self.root}/{INDEX}/snapshot"
        if os.path.lexists(path) and (what := verify_snapshot(path)):
            if self.repair:
                remove(path)
                self.logs_changed = True
            yield self._problem(path, f"the index is unusable ({what})", "build it anew")
