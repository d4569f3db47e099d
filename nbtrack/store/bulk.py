"""Puts runs into a store that are over already, each as one finished log in one write: for imports of very many."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from orjson import dumps

from nbtrack.entities import Artifact, DatasetInput, Status
from nbtrack.errors import AlreadyExistsError
from nbtrack.names import check_artifact_path, check_key, check_run_id, check_run_name
from nbtrack.store.appender import SEAL_BYTES
from nbtrack.store.files import explained, write_all
from nbtrack.store.layout import FORMAT_VERSION, LOG_SUFFIX, RUNS, check_time, day_of, day_of_id, split_run_file
from nbtrack.store.lines import NEWLINE, clean_text, encode_line, to_json_number
from nbtrack.store.state import add_value, new_summary, summary_to_json

if TYPE_CHECKING:
    from nbtrack.store.file_store import FileStore

Point = tuple[int, float, int]  # ms since 1970 UTC, value, step
_FLAGS: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(slots=True)
class EndedRun:
    """A run that is over, with all that it logged; `metrics` holds the points of each key as they were logged."""

    run_id: str
    run_name: str
    experiment_id: str
    status: Status
    start_time_ms: int
    end_time_ms: int
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    artifacts: Sequence[Artifact] = ()
    inputs: Sequence[DatasetInput] = ()
    capture: Mapping[str, Any] = field(default_factory=dict)


def known_runs(store: FileStore) -> set[str]:
    """Return the ids of all runs of a store, from the names of its files alone."""
    found: set[str] = set()
    try:
        days = os.listdir(f"{store.root}/{RUNS}")
    except OSError:
        return found
    for day in days:
        try:
            names = os.listdir(f"{store.root}/{RUNS}/{day}")
        except OSError:
            continue
        for name in names:
            parts = split_run_file(name)
            if parts is not None and not parts[1]:
                found.add(parts[0])
    return found


def add_ended_run(store: FileStore, run: EndedRun) -> None:
    """Put a run into a store.

    Raises
    ------
    AlreadyExistsError
        If there is one of this id.
    InvalidInputError
        If a name or key of it is not acceptable; nothing is written then.
    """
    day = day_of_id(check_run_id(run.run_id)) or day_of(check_time("start time", run.start_time_ms))
    path = f"{store.root}/{RUNS}/{day}/{run.run_id}{LOG_SUFFIX}"
    data = _log_of(run)
    with explained(f"run {run.run_id}", path):
        try:
            fd = _open(path)
        except FileExistsError:
            raise AlreadyExistsError(f"run {run.run_id}: is in this store already.") from None
        try:
            write_all(fd, data)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(fd)


def _open(path: str) -> int:
    try:
        return os.open(path, _FLAGS, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, _FLAGS, 0o666)


@lru_cache(maxsize=8192)
def checked_key(key: str) -> str:
    """Return a key that may name a param, metric or tag; checked once, though ten thousand runs have it."""
    return check_key(key)


def _log_of(run: EndedRun) -> bytes:
    base = run.start_time_ms
    params = {checked_key(key): clean_text(value) for key, value in run.params.items()}
    tags = {checked_key(key): clean_text(value) for key, value in run.tags.items()}
    told = b',"params":%b' % dumps(params) if params else b""  # as JSON, which stands in the log twice
    tagged = b',"tags":%b' % dumps(tags) if tags else b""
    name, experiment = dumps(check_run_name(run.run_name)), dumps(run.experiment_id)
    who = b'"exp":%b,"name":%b' % (experiment, name)
    run_id = run.run_id.encode()
    log = _Log(_sealed(b'{"t":%d,"run":"%b","v":%d,%b%b' % (base, run_id, FORMAT_VERSION, who, tagged)))
    if params:
        log.add(b'{"t":0%b}\n' % told)
    last: dict[str, list[Any]] = {}
    single: dict[tuple[int, int], dict[str, float | str]] = {}
    for key, points in run.metrics.items():
        if len(points) == 1:  # logged together, most likely: one line
            at, value, step = points[0]
            shown = value if isfinite(value) else to_json_number(value)
            single.setdefault((at - base, step), {})[checked_key(key)] = shown
            last[key] = [step, at - base, shown, shown, shown, 1, step, step]
        elif points:
            last[checked_key(key)] = log.add_points(key, points, base)
    for (at, step), values in single.items():
        log.add(dumps((at, step, values), None, NEWLINE))
    for record in _records(run):
        log.add_ref(encode_line({"t": 0, **record}))
    ended = max(run.end_time_ms, 0) - base
    log.parts.append(
        _sealed(
            b'{"end":"%b","t":%d,"seal":"%08x","n":%d,"bytes":%d,"run":"%b","start":%d,%b%b%b,"last":%b%b'
            % (
                run.status.encode(),
                ended,
                log.crc,
                log.size - log.sealed_to,
                log.size,
                run_id,
                base,
                who,
                told,
                tagged,
                dumps(last),
                b',"refs":%b' % dumps(log.refs) if log.refs else b"",
            )
        )
    )
    return b"".join(log.parts)


def _sealed(body: bytes) -> bytes:
    """Return a sealed line of JSON, given without its last bracket."""
    return b'%b,"sum":"%08x"}\n' % (body, crc32(body))


def _records(run: EndedRun) -> Iterator[dict[str, Any]]:
    for artifact in run.artifacts:
        path = check_artifact_path(artifact.path)
        yield {"artifact": path, "sha256": artifact.digest, "size": artifact.size_bytes}
    if run.inputs:
        inputs = []
        for one in run.inputs:
            record = {"name": one.name, "context": one.context, "digest": one.digest, "source": one.source}
            inputs.append({**record, "profile": one.profile} if one.profile else record)
        yield {"inputs": inputs}
    if run.capture:
        yield {"capture": dict(run.capture)}


class _Log:
    """The lines of a log in the making, with the checksums that a writer would put between them."""

    def __init__(self, header: bytes) -> None:
        self.parts = [header]
        self.size = len(header)
        self.crc = crc32(header)
        self.sealed_to = 0
        self.refs: list[tuple[int, int, int]] = []

    def add(self, line: bytes) -> None:
        self.parts.append(line)
        self.size += len(line)
        self.crc = crc32(line, self.crc)
        if self.size - self.sealed_to > SEAL_BYTES:
            text = b'{"seal":"%08x","n":%d}\n' % (self.crc, self.size - self.sealed_to)
            self.sealed_to = self.size  # the next seal covers this one, too
            self.parts.append(text)
            self.size += len(text)
            self.crc = crc32(text)

    def add_ref(self, line: bytes) -> None:
        self.refs.append((self.size, len(line), crc32(line)))
        self.add(line)

    def add_points(self, key: str, points: Sequence[Point], base: int) -> list[Any]:
        summary = new_summary(0)
        for at, value, step in points:
            add_value(summary, step, at, value)
            shown = value if isfinite(value) else to_json_number(value)
            self.add(dumps((at - base, step, {key: shown}), None, NEWLINE))
        return summary_to_json(summary, base)
