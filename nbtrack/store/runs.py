"""Finds and adds up the files of one run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final

from nbtrack.store import liveness
from nbtrack.store.edits import read_edit
from nbtrack.store.lines import unseal
from nbtrack.store.log import OPEN_FLAGS, LogFold, open_log, pread, read_log
from nbtrack.store.state import Digest, RunState, merge, overlapping, summary_from_json

_TAIL: Final = 16 << 10


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


def read_sealed(path: str, run_id: str, most: int = 1 << 62) -> RunState | None:
    """Return a run with one sealed log from its last line, without captures, inputs and artifacts.

    None if the log is larger than `most`, or if it takes more than its end to know the run.
    """
    try:
        fd = os.open(path, OPEN_FLAGS)
        try:
            size = os.lseek(fd, 0, os.SEEK_END)
            data = pread(fd, min(size, _TAIL), max(size - _TAIL, 0)) if size < most else b""
        finally:
            os.close(fd)
    except OSError:
        return None
    at = data.rfind(b"\n", 0, -1) + 1
    if not data.startswith(b'{"end":', at) or not data.endswith(b"\n") or not (at or size == len(data)):
        return None
    end = unseal(data[at:])
    if end is None or end.get("run") != run_id:
        return None
    state = RunState(run_id)
    try:
        start = end["start"]
        state.name, state.exp, state.status = end.get("name", ""), end["exp"], end["end"]
        state.start, state.end = start, start + end["t"]
        state.params = end.get("params") or {}
        state.tags = {key: value for key, value in (end.get("tags") or {}).items() if value is not None}
        state.metrics = {key: summary_from_json(row, start) for key, row in end["last"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return state


def log_is_live(path: str) -> bool:
    """Return whether somebody still writes to an unsealed log."""
    header = header_of(path)
    return header is not None and liveness.is_alive(header, path)


def read_run(
    folder: str,
    run_id: str,
    names: Iterable[str],
    *,
    details: bool = False,
    folds: dict[str, LogFold | None] | None = None,
    trouble: list[str] | None = None,
) -> RunState | None:
    """Return a run from its files; None if none of its logs holds anything yet.

    Parameters
    ----------
    names
        The names of all its files in `folder`: logs and edits.
    details
        Whether artifacts, inputs and captures are wanted, too.
    folds
        Where to keep the folds of logs that are not sealed, by path.
    trouble
        Where to say why there is no run although there are files.
    """
    logs: dict[str, Digest] = {}
    edits: list[Digest] = []
    damage: list[str] = []
    for name in sorted(names, key=lambda n: (len(n), n)):
        path = f"{folder}/{name}"
        try:
            digest = read_edit(path) if "~" in name else read_log(path, details=details, folds=folds)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            damage.append(f"{name}: cannot be read ({error})")
            continue
        if digest is None:
            if "~" in name:
                damage.append(f"{name}: this edit is damaged and was left out")
        elif "~" in name:
            edits.append(digest)
        else:
            logs[path] = digest
    if not logs:
        if trouble is not None:
            trouble.extend(damage)
        return None
    if overlapping([*logs.values(), *edits]):
        logs = {path: digest if digest.patches else _in_full(path, digest) for path, digest in logs.items()}
    for path, digest in logs.items():
        if not digest.end and digest.session:
            digest.alive = log_is_live(path)
            if not digest.alive:  # it may have been sealed between the first look and the life sign
                again = read_log(path, details=details, full=bool(edits), folds=folds)
                if again is not None:
                    logs[path] = again
    state = merge(run_id, [*logs.values(), *edits])
    for path, digest in logs.items():
        texts = list(digest.damage)
        if digest.torn and not digest.alive and not log_is_live(path):
            texts.append(f"its last line is torn and was left out, {digest.torn} bytes: the writer died")
        damage.extend(f"{os.path.basename(path)}: {text}" for text in texts)
    state.damage = tuple(damage)
    return state


def _in_full(path: str, digest: Digest) -> Digest:
    full = read_log(path, full=True)
    return digest if full is None else full
