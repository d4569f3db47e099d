"""Moves a store to another folder, also one on another host's disk, while others go on writing to it.

Files are copied in passes until one finds nothing new. Then a note in the old folder leads everybody who opens it to
the new one; runs that are still being written end where they began, and further passes bring them over. Every copied
file is read back and compared. Nothing is taken away from the old folder: without the note it is the store again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO, Final

from nbtrack.errors import IntegrityError, InvalidInputError
from nbtrack.store.base import Progress
from nbtrack.store.commits import CommitLog, read_commit
from nbtrack.store.files import explained, remove, replace, temp_name
from nbtrack.store.layout import BLOBS, COMMIT_FILE, INDEX, LOG_SUFFIX, MOVED_FILE, RUNS, STORE_FILE
from nbtrack.store.lines import seal, unseal
from nbtrack.store.runs import log_is_live

QUIET_S: Final = 1.0  # who opened the store just before the note was written has begun its run by then
_PIECE: Final = 4 << 20


@dataclass(slots=True)
class MoveReport:
    """What a move did; `live` runs are still being written in the old folder: move again once they have ended."""

    files: int = 0
    size_bytes: int = 0
    passes: int = 0
    live: list[str] = field(default_factory=list)
    appended: list[str] = field(default_factory=list)


def moved_to(root: str) -> str | None:
    """Return where the store that was in `root` is now; None if it is there."""
    try:
        with open(f"{root}/{MOVED_FILE}", "rb") as file:
            record = unseal(file.read())
    except OSError:
        return None
    return None if record is None else str(record.get("to") or "") or None


def move_store(
    source: str, target: str, *, wait_s: float = 0.0, progress: Progress | None = None, redirect: bool = True
) -> MoveReport:
    """Copy the store in the folder `source` to `target`, and lead everybody there.

    Parameters
    ----------
    source, target
        Folders; `target` must be empty or not there, or hold what an earlier move of the same store left.
    wait_s
        For how long to wait for runs that are still being written.
    progress
        Told the number of files copied and of all files, pass by pass.
    redirect
        Whether to leave the note that leads to the new folder.

    Raises
    ------
    InvalidInputError
        If `target` holds something else, or lies inside `source`.
    IntegrityError
        If what was read back is not what was copied: the disk, or the share, is not to be trusted.
    """
    source, target = os.path.realpath(source), os.path.realpath(target)
    _check_places(source, target)
    report = MoveReport()
    with explained("store move", target):
        os.makedirs(target, exist_ok=True)
        while _copy_all(source, target, report, progress):
            pass
        if not redirect:
            report.live = live_runs(source)
            return report
        replace(f"{source}/{MOVED_FILE}", seal({"to": target}), sync=True)
        until = time.monotonic() + wait_s
        while True:
            time.sleep(QUIET_S)
            news = _copy_all(source, target, report, progress)
            report.live = live_runs(source)
            if not news and (not report.live or time.monotonic() > until):
                return report


def _check_places(source: str, target: str) -> None:
    if target == source or target.startswith(source + os.sep) or source.startswith(target + os.sep):
        raise InvalidInputError(f"store move: {target} and {source} must not lie in each other. Choose another folder.")
    if moved_to(target) is not None:
        raise InvalidInputError(f"store move: the store in {target} was itself moved to {moved_to(target)}.")
    with suppress(FileNotFoundError):
        names = os.listdir(target)
        if names and bytes_of(f"{target}/{STORE_FILE}") != bytes_of(f"{source}/{STORE_FILE}"):
            raise InvalidInputError(
                f"store move: expected a folder that is empty or not there, got {target}, which holds"
                f" {'another store' if STORE_FILE in names else 'other files'}."
            )


def bytes_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _files(root: str) -> Iterator[str]:
    """Yield the files of a store, relative to it: first the logs, so that what they name is there to be copied."""
    tops = sorted(os.listdir(root), key=lambda name: (name == BLOBS, name != RUNS, name))
    for top in tops:
        if top in {INDEX, MOVED_FILE} or top.endswith(".tmp"):
            continue
        if os.path.isfile(f"{root}/{top}"):
            yield top
        for folder, folders, names in os.walk(f"{root}/{top}"):
            folders.sort()
            inside = os.path.relpath(folder, root)
            yield from (f"{inside}/{name}" for name in sorted(names) if not name.endswith(".tmp"))


def _copy_all(source: str, target: str, report: MoveReport, progress: Progress | None) -> bool:
    """Copy what is new or has grown; return whether there was any."""
    report.passes += 1
    names = list(_files(source))
    news = False
    for done, name in enumerate(names, start=1):
        news |= _copy(source, target, name, report)
        if progress is not None and (done % 64 == 0 or done == len(names)):
            progress(done, len(names))
    return news


def _copy(source: str, target: str, name: str, report: MoveReport) -> bool:
    old, new = f"{source}/{name}", f"{target}/{name}"
    try:
        size = os.stat(old, follow_symlinks=False).st_size
    except FileNotFoundError:  # gone since it was listed
        return False
    with suppress(FileNotFoundError):
        there = os.stat(new, follow_symlinks=False).st_size
        if COMMIT_FILE.fullmatch(os.path.basename(name)):
            return _settle_commit(source, target, name, report)
        growing = name.endswith(LOG_SUFFIX)  # a log in the new folder may have gone on there
        if there >= size if growing else there == size:
            return False
    os.makedirs(os.path.dirname(new), exist_ok=True)
    temp = temp_name(os.path.dirname(new))
    try:
        with open(old, "rb") as file, open(temp, "xb") as copy:
            size, digest = _copied(file, copy)
            os.fsync(copy.fileno())
        with open(temp, "rb") as file:
            if _copied(file, None)[1] != digest:
                raise IntegrityError(
                    f"store move: {new} does not read as it was written. Nothing was removed from {source}."
                )
        if name.startswith(f"{BLOBS}/"):
            os.chmod(temp, 0o444)
            if digest != os.path.basename(name):
                report.appended.append(f"{name}: its bytes were damaged before the move; it was copied as it is.")
        os.replace(temp, new)
    except FileNotFoundError:  # gone since it was listed
        return False
    finally:
        remove(temp)
    report.files += 1
    report.size_bytes += size
    return True


def _copied(file: BinaryIO, copy: BinaryIO | None) -> tuple[int, str]:
    """Read a file to its end, write it to `copy`; return ``(size, sha256 in hex)``."""
    hasher, size = sha256(), 0
    while piece := file.read(_PIECE):
        hasher.update(piece)
        size += len(piece)
        if copy is not None:
            copy.write(piece)
    return size, hasher.hexdigest()


def _settle_commit(source: str, target: str, name: str, report: MoveReport) -> bool:
    """Put a commit that somebody made in the old folder, after its number was taken in the new one, on top there."""
    if not COMMIT_FILE.fullmatch(os.path.basename(name)) or bytes_of(f"{source}/{name}") == bytes_of(
        f"{target}/{name}"
    ):
        return False
    done = f"{target}/{name}.old"
    if os.path.exists(done):
        return False
    record, _ = read_commit(f"{source}/{name}")
    if record is None:
        return False
    number = CommitLog(os.path.dirname(f"{target}/{name}"), name).append(
        {key: value for key, value in record.items() if key != "number"}
    )
    replace(done, bytes_of(f"{source}/{name}"))
    report.appended.append(f"{name}: was made in the old folder meanwhile, and is commit {number} now.")
    return True


def live_runs(root: str) -> list[str]:
    """Return the runs in the folder that somebody still writes to."""
    found = []
    for folder, _, names in os.walk(f"{root}/{RUNS}"):
        for name in names:
            path = f"{folder}/{name}"
            if name.endswith(LOG_SUFFIX) and "~" not in name and not _is_sealed(path) and log_is_live(path):
                found.append(name.partition(".")[0].partition("+")[0])
    return sorted(set(found))


def _is_sealed(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - 65536, 0))
            return b'\n{"end":"' in file.read()
    except OSError:
        return True
