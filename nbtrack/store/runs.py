"""Finds and adds up the files of one run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from nbtrack.store import liveness
from nbtrack.store.layout import LOG_SUFFIX
from nbtrack.store.lines import unseal
from nbtrack.store.log import open_log, pread, read_edit, read_log
from nbtrack.store.state import Digest, RunState, merge, overlapping


def header_of(path: str) -> dict[str, Any] | None:
    """Return the good first line of a log, or None."""
    try:
        fd, size = open_log(path)
    except OSError:
        return None
    try:
        data = pread(fd, min(size, 1 << 16), 0)
        return unseal(data[: data.find(b"\n") + 1])
    finally:
        os.close(fd)


def log_is_live(path: str) -> bool:
    """Return whether somebody still writes to an unsealed log."""
    header = header_of(path)
    return header is not None and liveness.is_alive(header, path)


def read_run(folder: str, run_id: str, names: Iterable[str], *, details: bool = False) -> RunState | None:
    """Return a run from its files; None if none of its logs holds anything yet.

    Parameters
    ----------
    names
        The names of all its files in `folder`: logs and edits.
    """
    logs: dict[str, Digest] = {}
    digests: list[Digest] = []
    damage: list[str] = []
    for name in sorted(names, key=lambda n: (len(n), n)):
        path = f"{folder}/{name}"
        try:
            if "~" in name:
                digest = read_edit(path)
                if digest is None:
                    damage.append(f"{name}: this edit is damaged and was left out")
            else:
                digest = read_log(path, details=details)
                if digest is not None:
                    logs[name] = digest
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            damage.append(f"{name}: cannot be read ({error})")
            continue
        if digest is not None:
            digest.damage = tuple(f"{name}: {text}" for text in digest.damage)
            digests.append(digest)
    if not logs:
        return None
    if overlapping(digests):
        for name, digest in logs.items():
            full = read_log(f"{folder}/{name}", full=True)
            if full is not None:
                full.damage = digest.damage
                digests[digests.index(digest)] = full
                logs[name] = full
    for name, digest in logs.items():
        if not digest.end and digest.session:
            digest.alive = log_is_live(f"{folder}/{name}")
    if any(not d.end and d.session and not d.alive for d in logs.values()):
        _see_late_ends(folder, logs, digests, details)
    state = merge(run_id, digests)
    state.damage += tuple(damage)
    return state


def _see_late_ends(folder: str, logs: dict[str, Digest], digests: list[Digest], details: bool) -> None:
    """Read logs of dead writers once more: one may have been sealed between the first look and the life sign."""
    for name, digest in logs.items():
        if digest.end or digest.alive:
            continue
        again = read_log(f"{folder}/{name}", details=details, full=bool(digest.patches))
        if again is not None:
            again.damage = digest.damage
            digests[digests.index(digest)] = again


def run_files(folder: str, run_id: str) -> list[str]:
    """Return the names of the files of a run in the folder of its day."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [name for name in names if name.startswith(run_id) and name.endswith(LOG_SUFFIX)]
