"""What this machine knows of its model servers: one small record each, in a folder of the user's own.

A server's worker holds a lock on its ``.life`` file until it dies, so a record whose lock is free is stale, whatever
its process id says. The same file carries the counters that a listing shows.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from nbtrack.entities import ServerInfo
from nbtrack.errors import NotFoundError, ServingError

RUNTIME_ENV: Final = "NBTRACK_RUNTIME_DIR"
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_YOUNG_S: Final = 10.0  # a worker this young may not have taken its lock yet
_REMEMBER_S: Final = 600.0  # how long a listing shows a server that crashed for good
_ID = re.compile(r"[0-9a-f]{12}")
_COUNTERS: Final = 8  # unsigned 64-bit numbers at the start of the life file; the first counts requests


@dataclass(frozen=True, slots=True)
class Record:
    """Everything about one server, as its record file holds it. `token` never leaves this file but to the worker."""

    server_id: str
    host: str
    port: int
    model_uri: str  # as it was asked for
    resolved_uri: str  # what that meant then
    model_name: str
    version: int | None
    digest: str
    store_uri: str
    owner: str
    owner_pid: int
    started_at_ms: int
    pid: int = 0
    status: str = "starting"
    error: str = ""
    token: str = field(default="", repr=False)
    follow: str = ""  # a URI whose meaning may change while it runs
    previous: str = ""  # the version that answered before this one and can at once again
    others: tuple[Mapping[str, Any], ...] = ()  # its further models: model_uri, resolved_uri, model_name, version
    options: Mapping[str, Any] = field(default_factory=dict)  # how it was asked to serve
    checks: tuple[Mapping[str, str], ...] = ()  # the rehearsal: name, state ("ok", "note") and text
    example: str = ""  # the body of a request that works, if it is short

    @property
    def url(self) -> str:
        """Where to reach it."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104 - shown, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def info(self, requests: int = 0) -> ServerInfo:
        """Return what others may know of it."""
        return ServerInfo(
            server_id=self.server_id,
            url=self.url,
            port=self.port,
            pid=self.pid,
            model_uri=self.model_uri,
            model_name=self.model_name,
            version=self.version,
            owner=self.owner,
            status=self.status,
            started_at_ms=self.started_at_ms,
            error=self.error,
            requests=requests,
            follow=self.follow,
            held=held(self.server_id),
            previous=self.previous,
            others=tuple(self.others),
            options=self.options,
            checks=tuple(self.checks),
        )


def _default_dir() -> Path:
    if chosen := os.environ.get(RUNTIME_ENV):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nbtrack" / "run"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nbtrack" / "run"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "nbtrack"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbtrack" / "run"


def runtime_dir() -> Path:
    """Return the folder of the records; it is made, for this user only, if it is missing.

    Raises
    ------
    ServingError
        If it cannot be made, or somebody else owns it or may write to it: whoever writes there could make this user
        send data to a server of theirs.
    """
    folder = _default_dir()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ServingError(
            f"serving: the folder {str(folder)!r} for the records of model servers cannot be made ({error.strerror})."
            f" Set {RUNTIME_ENV} to a folder of your own."
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise ServingError(f"serving: {str(folder)!r} is not a folder. Set {RUNTIME_ENV} to a folder of your own.")
    if hasattr(os, "getuid"):
        if found.st_uid != os.getuid():
            raise ServingError(
                f"serving: the folder {str(folder)!r} belongs to another user."
                f" Set {RUNTIME_ENV} to a folder of your own."
            )
        if stat.S_IMODE(found.st_mode) & 0o022:
            raise ServingError(
                f"serving: other users may write to {str(folder)!r}; expected mode 700, got"
                f" {stat.S_IMODE(found.st_mode):o}. Run: chmod 700 {folder}"
            )
    return folder


def record_path(server_id: str) -> Path:
    """Return where the record of a server lies.

    Raises
    ------
    NotFoundError
        If `server_id` has not the form of an id, so none can exist.
    """
    if not _ID.fullmatch(server_id):
        raise NotFoundError(f"model server: there is none with the id {server_id[:60]!r}.")
    return runtime_dir() / f"{server_id}.json"


def life_path(server_id: str) -> Path:
    """Return the file that the worker keeps locked."""
    return record_path(server_id).with_suffix(".life")


def log_path(server_id: str) -> Path:
    """Return the file that takes the worker's output."""
    return record_path(server_id).with_suffix(".log")


def _held_path(server_id: str) -> Path:
    return record_path(server_id).with_suffix(".held")


def held(server_id: str) -> str:
    """Return the URI of the version that a server is to answer with whatever it follows; empty for none."""
    try:
        return _held_path(server_id).read_text(encoding="utf-8")
    except OSError:
        return ""


def hold(server_id: str, model_uri: str) -> None:
    """Make a server answer with one version, or, with an empty `model_uri`, follow again. It looks soon."""
    path = _held_path(server_id)
    if model_uri:
        path.write_text(model_uri, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def new_id() -> str:
    """Return a fresh id."""
    return os.urandom(6).hex()


def write_record(record: Record) -> None:
    """Put a record in place of the one before it; readers never see a part."""
    path = record_path(record.server_id)
    temp = path.with_name(f".{os.urandom(6).hex()}.tmp")
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(record))
    temp.replace(path)


def read_record(server_id: str) -> Record | None:
    """Return a record, or None if there is none that can be read."""
    try:
        return msgspec.json.decode(record_path(server_id).read_bytes(), type=Record)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None


def no_server(server_id: str) -> NotFoundError:
    """Return what is raised where no server has this id."""
    return NotFoundError(
        f"model server: there is none with the id {server_id[:60]!r}; it may have been stopped."
        " nbtrack.serving.list_servers() shows those there are."
    )


def forget(server_id: str) -> None:
    """Remove every file of a server; on Windows those still open stay until a later listing."""
    path = record_path(server_id)
    for suffix in (".json", ".life", ".log", ".log.1", ".held"):
        with suppress(OSError):
            path.with_suffix(suffix).unlink(missing_ok=True)


class Life:
    """The worker's sign of life: a locked file whose first bytes are counters that others can read at any time."""

    def __init__(self, server_id: str) -> None:
        import mmap

        self._fd = os.open(life_path(server_id), os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if not lock(self._fd):
            raise ServingError(f"model server {server_id}: another process holds its lock.")
        os.ftruncate(self._fd, 8 * _COUNTERS)
        self._map = mmap.mmap(self._fd, 8 * _COUNTERS)
        self.counters = memoryview(self._map).cast("Q")


_LOCK_AT: Final = 2**62  # Windows locks are mandatory: lock a byte where no counter will ever be

if sys.platform == "win32":
    import msvcrt

    def lock(fd: int) -> bool:
        os.lseek(fd, _LOCK_AT, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _is_held(fd: int) -> bool:
        return not lock(fd)  # taken, it is given back when the file is closed

else:
    import fcntl

    def lock(fd: int) -> bool:
        for _ in range(50):  # a reader's probe holds it for a moment
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.002)
            else:
                return True
        return False

    def _is_held(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _probe(server_id: str) -> tuple[bool, int]:
    """Return whether the worker of a server lives, and how many requests it has answered."""
    try:
        fd = os.open(life_path(server_id), os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return False, 0
    try:
        requests = int.from_bytes(os.read(fd, 8), sys.byteorder)
        return _is_held(fd), requests
    finally:
        os.close(fd)


def is_locked(server_id: str) -> bool:
    """Return whether the worker of a server lives."""
    return _probe(server_id)[0]


def _told_lately(server_id: str) -> bool:
    """Return whether a server gave up so short a time ago that its owner may not have read why."""
    try:
        return abs(time.time() - record_path(server_id).stat().st_mtime) < _REMEMBER_S
    except OSError:
        return False


def _is_young(record: Record) -> bool:
    return record.status == "starting" and abs(time.time() * 1000 - record.started_at_ms) < _YOUNG_S * 1000


def live_records() -> Iterator[tuple[Record, int]]:
    """Yield the record and the request count of every living server, oldest first; stale ones are removed."""
    found: list[tuple[Record, int]] = []
    for path in runtime_dir().glob("*.json"):
        if not _ID.fullmatch(path.stem):
            continue
        record = read_record(path.stem)
        alive, requests = _probe(path.stem)
        failed = record is not None and record.status == "failed" and _told_lately(path.stem)
        if record is not None and (alive or failed or _is_young(record)):
            found.append((record, requests))
        elif not alive:
            forget(path.stem)
    yield from sorted(found, key=lambda pair: (pair[0].started_at_ms, pair[0].server_id))


def mark(server_id: str, **changes: Any) -> Record | None:
    """Change fields of a record; return it, or None if it is gone."""
    record = read_record(server_id)
    if record is not None:
        record = replace(record, **changes)
        write_record(record)
    return record
