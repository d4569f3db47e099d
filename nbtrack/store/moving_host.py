"""Moves a store to another host, by the system's rsync and ssh, while others go on writing to it.

Files are copied in passes until one finds nothing new; then both sides' checksums of every file are compared.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection
from typing import Final

from nbtrack.errors import IntegrityError, InvalidInputError, MissingLibraryError, StoreError
from nbtrack.store.files import replace
from nbtrack.store.layout import COMMIT_FILE, INDEX, MOVED_FILE, STORE_FILE
from nbtrack.store.lines import seal
from nbtrack.store.moving import QUIET_S, MoveReport, bytes_of, live_runs

_HOST: Final = re.compile(r"(?:[\w.-]+@)?(?:[A-Za-z0-9][\w.-]+|\[[0-9A-Fa-f:]+\]):(?!//)[^:\s].*")
_COPY: Final = ("-rtp", "--exclude=/" + INDEX, "--exclude=/" + MOVED_FILE, "--exclude=*.tmp")
_MOST_PASSES: Final = 50
_MOST_CHECKS: Final = 3
_NOT_THERE: Final = 23  # rsync: some files could not be transferred
_COMMITS: Final = "[0-9]" * 8 + ".json"


def names_host(target: str) -> bool:
    """Whether `target` is ``host:path`` or ``user@host:path``.

    Examples
    --------
    >>> [names_host(one) for one in ("ana@box:/srv/store", "box:store", "/srv/store", "file:/srv", "C:\\\\store")]
    [True, True, False, False, False]
    """
    return _HOST.fullmatch(target) is not None and not target.startswith("file:")


def move_to_host(source: str, target: str, *, wait_s: float = 0.0, seen_as: str | None = None) -> MoveReport:
    """Copy the store in the folder `source` to `target` on another host, and compare every file.

    Parameters
    ----------
    source
        The folder.
    target
        ``user@host:path``; what ssh asks for (keys, a password, the port) is ssh's own affair, as ``RSYNC_RSH`` is.
    wait_s
        For how long to wait for runs that are still being written.
    seen_as
        The folder in which this host sees the new place, such as a mount: a note in `source` leads everybody there.
        Without it whoever has the old folder open goes on writing there, and another move brings that over.

    Raises
    ------
    InvalidInputError
        If `target` holds something else, or `seen_as` is not the new place.
    MissingLibraryError
        If rsync is not installed, here or there.
    StoreError
        If the host cannot be reached, or refuses.
    IntegrityError
        If what lies there is not what was copied.
    """
    target = target.rstrip("/") + "/"
    _check_target(source, target)
    report = MoveReport()
    _copy_all(source, target, report)
    if seen_as is not None:
        if bytes_of(f"{seen_as}/{STORE_FILE}") != bytes_of(f"{source}/{STORE_FILE}"):
            raise InvalidInputError(
                f"store move: {seen_as} is not where this host sees {target}; nobody was led there."
            )
        replace(f"{source}/{MOVED_FILE}", seal({"to": seen_as}), sync=True)
    until = time.monotonic() + wait_s
    while True:
        time.sleep(QUIET_S)
        _copy_all(source, target, report)
        report.live = live_runs(source)
        if not report.live or time.monotonic() > until:
            break
    for _ in range(_MOST_CHECKS):  # what was written since the last pass is no damage
        left = _compare(source, target, report)
        if not left:
            return report
        _copy_all(source, target, report)
    report.live = sorted({*report.live, *left})
    return report


def _check_target(source: str, target: str) -> None:
    """Raise unless the target is empty, not there, or holds this very store."""
    with tempfile.TemporaryDirectory() as place:
        done = _rsync("-t", target + STORE_FILE, place + "/", fails=[_NOT_THERE])
        if done.returncode == 0:
            if bytes_of(f"{place}/{STORE_FILE}") != bytes_of(f"{source}/{STORE_FILE}"):
                raise InvalidInputError(
                    f"store move: expected a folder that is empty, got {target}, which holds another store."
                )
            return
    listed = _rsync("--list-only", target, fails=[_NOT_THERE])
    names = [line.split(maxsplit=4)[-1] for line in listed.stdout.splitlines() if line.strip()]
    if listed.returncode == 0 and any(name != "." for name in names):
        raise InvalidInputError(f"store move: expected a folder that is empty, got {target}, which holds other files.")


def _copy_all(source: str, target: str, report: MoveReport) -> None:
    """Copy what is new or has grown, until there is none; commits that are there already stay what they are."""
    for _ in range(_MOST_PASSES):
        report.passes += 1
        size = count = 0
        for options in (
            ("--ignore-existing", "--include=*/", f"--include={_COMMITS}", "--exclude=*"),
            ("--update", f"--exclude={_COMMITS}"),
        ):
            done = _rsync(*_COPY, "--stats", *options, source + "/", target)
            count += _stat(done.stdout, "regular files transferred")
            size += _stat(done.stdout, "Total transferred file size")
        report.files += count
        report.size_bytes += size
        if not count or live_runs(source):  # a live log has always grown
            return


def _compare(source: str, target: str, report: MoveReport) -> list[str]:
    """Compare the checksums of all files, as both sides read them now; return the runs that went on meanwhile."""
    done = _rsync(*_COPY, "-n", "--checksum", "--out-format=%i %n", source + "/", target)
    left = []
    for line in done.stdout.splitlines():
        flags, _, name = line.partition(" ")
        if not flags.startswith("<f"):
            continue
        base = name.rpartition("/")[2]
        if COMMIT_FILE.fullmatch(base) and "+" not in flags:
            told = f"{name}: another commit has this number there; the one made here stays in {source}."
            report.appended += [] if told in report.appended else [told]
        elif "+" in flags or "s" in flags[3:]:
            left.append(base.partition(".")[0].partition("+")[0].partition("~")[0])
        elif "c" in flags[2:]:
            raise IntegrityError(
                f"store move: {target}{name} does not read as it was written. Nothing was removed here."
            )
    return left


def _stat(text: str, words: str) -> int:
    found = re.search(rf"{re.escape(words)}: ([\d,.]+)", text)
    return int(re.sub(r"\D", "", found[1])) if found else 0


def _rsync(*arguments: str, fails: Collection[int] = ()) -> subprocess.CompletedProcess[str]:
    program = shutil.which("rsync")
    if program is None:
        raise MissingLibraryError(
            "store move: another host is reached by rsync, which is not installed. Install it (apt, dnf, brew or conda"
            " have it), there as well."
        )
    command = [program, "--no-motd", *arguments]
    env = {**os.environ, "LC_ALL": "C"}  # its figures and messages in plain English
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)  # noqa: S603
    if done.returncode == 0 or done.returncode in fails:
        return done
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
    told = "; ".join(line.strip() for line in lines[:2])[:300] or f"exit code {done.returncode}"
    if "rsync: command not found" in done.stderr or "rsync: not found" in done.stderr:
        raise MissingLibraryError(f"store move: rsync is not installed on the other host ({told}).")
    raise StoreError(f"store move: rsync could not do it ({told}). What was copied stays there; move again to go on.")
