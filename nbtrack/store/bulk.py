"""Puts runs into a store that are over already, each as one finished log in one write: for imports of very many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from queue import Queue
from threading import Thread
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
_BATCH_BYTES: Final = 1 << 17
_good_keys: set[str] = set()
_MAX_KEYS: Final = 8192
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
    """Return the ids of all runs of a store, from their files; an empty one is what is left of a killed import."""
    found: set[str] = set()
    try:
        days = os.listdir(f"{store.root}/{RUNS}")
    except OSError:
        return found
    for day in days:
        try:
            with os.scandir(f"{store.root}/{RUNS}/{day}") as entries:
                for entry in entries:
                    parts = split_run_file(entry.name)
                    if parts is not None and not parts[1] and entry.stat(follow_symlinks=False).st_size:
                        found.add(parts[0])
        except OSError:
            continue
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
    _put(_path_of(store, run), _log_of(run))


class EndedRuns:
    """Puts very many runs into a store, from a thread of its own while the caller reads on.

    Making a file keeps the system busy for longer than all that is done in Python for it. To be used in a ``with``
    statement, at whose end all is written.

    Parameters
    ----------
    store
        Where they go.
    """

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self._batch: list[tuple[str, bytes, EndedRun, Callable[[], None] | None]] = []
        self._size = 0
        self._queue: Queue[list[tuple[str, bytes, EndedRun, Callable[[], None] | None]] | None] = Queue(4)
        self._thread = Thread(target=self._work, name="nbtrack-import", daemon=True)
        self.failed: list[tuple[EndedRun, Exception]] = []

    def __enter__(self) -> EndedRuns:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._queue.put(self._batch)
        self._queue.put(None)
        self._thread.join()

    def add(self, run: EndedRun, then: Callable[[], None] | None = None) -> None:
        """Have a run written, and `then` called; what goes wrong with that is in `failed` at the end.

        Raises
        ------
        InvalidInputError
            If a name or key of it is not acceptable; it is left out then.
        """
        data = _log_of(run)
        self._batch.append((_path_of(self._store, run), data, run, then))
        self._size += len(data)
        if self._size > _BATCH_BYTES:
            self._queue.put(self._batch)
            self._batch, self._size = [], 0

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            for path, data, run, then in batch:
                try:
                    _put(path, data)
                    if then is not None:
                        then()
                except Exception as error:  # whatever it is: it is this run's, the next may do
                    self.failed.append((run, error))


def _path_of(store: FileStore, run: EndedRun) -> str:
    day = day_of_id(check_run_id(run.run_id)) or day_of(check_time("start time", run.start_time_ms))
    return f"{store.root}/{RUNS}/{day}/{run.run_id}{LOG_SUFFIX}"


def _put(path: str, data: bytes) -> None:
    try:
        fd = os.open(path, _FLAGS, 0o666)
    except OSError as error:
        fd = _open_otherwise(path, error)
    try:
        written = os.write(fd, data)
        if written != len(data):
            write_all(fd, memoryview(data)[written:])
    except BaseException as error:
        os.unlink(path)
        if isinstance(error, OSError):
            with explained(f"run {_run_in(path)}", path):
                raise
        raise
    finally:
        os.close(fd)


def _open_otherwise(path: str, error: OSError) -> int:
    """Open a log whose folder is not there yet, or which a killed import has left empty."""
    with explained(f"run {_run_in(path)}", path):
        if isinstance(error, FileNotFoundError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return os.open(path, _FLAGS, 0o666)
        if not isinstance(error, FileExistsError):
            raise error
        if os.lstat(path).st_size:
            raise AlreadyExistsError(f"run {_run_in(path)}: is in this store already.") from None
        return os.open(path, _FLAGS & ~(os.O_CREAT | os.O_EXCL))


def _run_in(path: str) -> str:
    return os.path.basename(path).removesuffix(LOG_SUFFIX)


def are_good_keys(keys: Mapping[str, Any]) -> bool:
    """Return whether all are known to be good keys of params, metrics and tags, without looking at each of them."""
    return _good_keys.issuperset(keys)


def checked_key(key: str) -> str:
    """Return a key that may name a param, metric or tag; checked once, though ten thousand runs have it."""
    if key not in _good_keys:
        if len(_good_keys) >= _MAX_KEYS:
            _good_keys.clear()
        _good_keys.add(check_key(key))
    return key


def _clean_texts(texts: Mapping[str, str]) -> Mapping[str, str]:
    """Return texts by good keys as a log may hold them: most often just what was given."""
    try:
        if are_good_keys(texts) and "".join(texts.values()).isascii():
            return texts
    except TypeError:  # not all of them are text
        pass
    return {checked_key(key): clean_text(value) for key, value in texts.items()}


def _log_of(run: EndedRun) -> bytes:
    base = run.start_time_ms
    params, tags = _clean_texts(run.params), _clean_texts(run.tags)
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
    if not are_good_keys(run.metrics):
        for key in run.metrics:
            checked_key(key)
    for key, points in run.metrics.items():
        if len(points) == 1:  # logged together, most likely: one line
            at, value, step = points[0]
            shown = value if isfinite(value) else to_json_number(value)
            at -= base
            if (at, step) in single:
                single[at, step][key] = shown
            else:
                single[at, step] = {key: shown}
            last[key] = [step, at, shown, shown, shown, 1, step, step]
        elif points:
            last[key] = log.add_points(key, points, base)
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
