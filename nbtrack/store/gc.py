"""Removes what nobody can want any more: runs in the trash, blobs that nothing refers to, files left by a crash."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from nbtrack.store.base import GcPreview, Progress
from nbtrack.store.files import remove
from nbtrack.store.layout import BLOBS, COMMIT_FILE, DAY, DIGEST, INDEX, MODELS, RUNS, now_ms
from nbtrack.store.log import open_log, pread
from nbtrack.store.runs import read_run
from nbtrack.store.state import RunState

GRACE_S: Final = 3600.0  # bytes that no run names yet may belong to one that is about to
_RUN_IDS: Final = re.compile(rb"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{21})(?![0-9a-f])")
_DIGESTS: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_OF_RUN: Final = re.compile(r"([0-9a-f]{32}|[0-9a-f]{21})(?![0-9a-f])")


@dataclass(slots=True)
class _Plan:
    run_ids: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # in the order in which they must go
    blobs: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, path: str) -> None:
        with suppress(OSError):
            self.size += os.lstat(path).st_size
        self.files.append(path)


def days(root: str) -> list[str]:
    """Return the folders of runs, oldest first."""
    try:
        with os.scandir(f"{root}/{RUNS}") as entries:
            found = [e.path for e in entries if DAY.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(found)


def files_by_run(folder: str) -> dict[str, list[str]]:
    """Return the names of all files in a day's folder by the run they belong to, logs first."""
    found: dict[str, list[str]] = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in sorted(names, key=lambda n: ("~" in n, len(n), n)):
        if run := _OF_RUN.match(name):
            found.setdefault(run[1], []).append(name)
    return found


def mentioned(root: str) -> tuple[set[str], set[str]]:
    """Return the run ids and the digests that any commit of the registry mentions."""
    runs: set[str] = set()
    digests: set[str] = set()
    for folder, _, names in os.walk(f"{root}/{MODELS}"):
        for name in names:
            if COMMIT_FILE.fullmatch(name):
                with suppress(OSError):
                    fd, size = open_log(f"{folder}/{name}")
                    data = pread(fd, size, 0)
                    os.close(fd)
                    runs.update(found.decode() for found in _RUN_IDS.findall(data))
                    digests.update(found.decode() for found in _DIGESTS.findall(data))
    return runs, digests


def collect(root: str, *, dry_run: bool, older_than_s: float, progress: Progress | None) -> GcPreview:
    """Remove, or with `dry_run` only name, what is in the trash for longer than `older_than_s`."""
    began = time.time()
    kept_runs, kept = mentioned(root)
    plan = _Plan()
    limit = now_ms() - older_than_s * 1000
    freed: set[str] = set()
    for folder, run_id, names, state in _runs(root, progress):
        in_trash = state is not None and state.deleted and state.deleted_at <= limit
        if in_trash and state is not None and state.status != "RUNNING" and run_id not in kept_runs:
            plan.run_ids.append(run_id)
            freed.update(digest for digest, _ in state.artifacts.values())
            for name in names:
                plan.add(f"{folder}/{name}")
            plan.files += [f"{root}/{INDEX}/cols/{run_id}", f"{root}/{INDEX}/cols/{run_id}~few"]
        elif state is not None:
            kept.update(digest for digest, _ in state.artifacts.values())
        elif not any(name == f"{run_id}.jsonl" for name in names):  # a former gc was interrupted
            for name in names:
                plan.add(f"{folder}/{name}")
    for path in _left_over(root, began):
        plan.add(path)
    for path, size, changed_at in _blobs(root):
        digest = os.path.basename(path)
        if digest not in kept and (digest in freed or changed_at < began - GRACE_S):
            plan.blobs.append(path)
            plan.size += size
    preview = GcPreview(
        run_ids=tuple(plan.run_ids),
        blobs=len(plan.blobs),
        size_bytes=plan.size,
        paths=tuple(os.path.relpath(path, root) for path in [*plan.files, *plan.blobs] if os.path.lexists(path)),
    )
    if not dry_run:
        for path in plan.files:
            remove(path)
        for path in plan.blobs:
            _remove_blob(path, began)
    return preview


def _runs(root: str, progress: Progress | None) -> Iterator[tuple[str, str, list[str], RunState | None]]:
    folders = [(folder, files_by_run(folder)) for folder in days(root)]
    total = sum(len(runs) for _, runs in folders)
    done = 0
    for folder, runs in folders:
        for run_id, names in runs.items():
            logs = [name for name in names if name.endswith(".jsonl")]
            yield folder, run_id, names, read_run(folder, run_id, logs, details=True)
            done += 1
            if progress is not None and (done % 64 == 0 or done == total):
                progress(done, total)


def _left_over(root: str, now: float) -> Iterator[str]:
    """Yield temporary files that a crash left."""
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(".") and name.endswith(".tmp"):
                path = f"{folder}/{name}"
                with suppress(OSError):
                    if os.lstat(path).st_mtime < now - GRACE_S:
                        yield path


def _blobs(root: str) -> Iterator[tuple[str, int, float]]:
    for folder, _, names in os.walk(f"{root}/{BLOBS}"):
        for name in names:
            if DIGEST.fullmatch(name):
                with suppress(OSError):
                    info = os.lstat(f"{folder}/{name}")
                    yield f"{folder}/{name}", info.st_size, info.st_mtime


def _remove_blob(path: str, began: float) -> None:
    """Remove a blob, unless somebody has just begun to use it: that marks it with the time.

    It is moved away first. Who finds it missing then stores the bytes anew; who found it just before has left a mark.
    """
    aside = f"{path}.gc"
    with suppress(OSError):
        os.rename(path, aside)
        if os.lstat(aside).st_mtime > began:
            os.rename(aside, path)
        else:
            remove(aside)
