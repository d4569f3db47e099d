"""Reads the log of a run.

::

    {"t":1763712345678,"run":"…","v":1,"exp":"0","name":"…", …,"sum":"…"}       header, sealed
    [1520,7,{"loss":0.31,"acc":0.9}]                                            ms since the header, step, metrics
    {"t":1521,"params":{"lr":"0.1"}}                                            a patch; tags, artifact, capture, …
    {"t":1522,"early":{"lr":"0.1"}}                                             params until the run ends
    {"seal":"9ae0b7f1","n":32801}                                               crc32 of the n bytes before this line
    {"end":"FINISHED","t":2000,"seal":…,"n":…,"bytes":…,"last":{…}, …,"sum":"…"}  what the run came to, sealed

Bytes after the last newline are a line that is being written, or that never will be: they are ignored. The first and
the last line of a finished log are all that a list of runs needs.
"""

from __future__ import annotations

import os
from calendar import timegm
from collections.abc import Callable, Iterator
from stat import S_ISREG
from typing import Any, Final, NamedTuple
from zlib import crc32

from orjson import JSONDecodeError, loads

from nbtrack.store.layout import split_run_file
from nbtrack.store.lines import fits, from_json_number, parse_line, unseal
from nbtrack.store.state import (
    Digest,
    add_value,
    apply_patch,
    new_summary,
    summary_from_json,
    summary_to_json,
)

PIECE: Final = 256 << 10  # what parsing a larger piece takes in between is new memory each time
_LONGEST: Final = 4 << 20  # of a first line
_WHOLE: Final = 64 << 10  # a log up to this size is read in one go
OPEN_FLAGS: Final = (  # links are not followed, and a pipe that lies about does not block
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


class Ends(NamedTuple):
    """First and last line of a log, as far as they are good."""

    header: dict[str, Any] | None
    end: dict[str, Any] | None
    size: int
    header_size: int
    data: bytes | None  # the whole log, if it is small
    damage: tuple[str, ...] = ()


def open_log(path: str) -> tuple[int, int]:
    """Return ``(file descriptor, size)`` of a regular file; raises OSError, also for links and devices."""
    fd = os.open(path, OPEN_FLAGS)
    info = os.fstat(fd)
    if not S_ISREG(info.st_mode):
        os.close(fd)
        raise OSError(f"not a regular file: {path}")
    return fd, info.st_size


def pread(fd: int, size: int, offset: int) -> bytes:
    """Return up to `size` bytes from `offset`, fewer only at the end of the file."""
    if hasattr(os, "pread"):
        data = os.pread(fd, size, offset)
        while len(data) < size and (more := os.pread(fd, size - len(data), offset + len(data))):
            data += more
        return data
    os.lseek(fd, offset, os.SEEK_SET)
    data = b""
    while len(data) < size and (more := os.read(fd, size - len(data))):
        data += more
    return data


def run_of(path: str) -> str:
    """Return the run id that the name of a log or an edit begins with."""
    parts = split_run_file(os.path.basename(path))
    return parts[0] if parts is not None else ""


def read_ends(fd: int, size: int, run_id: str) -> Ends:
    """Return the first and the last line of an open log, if they are of that run."""
    if size <= _WHOLE:
        head = tail = data = pread(fd, size, 0)
        size = len(data)
    else:
        data = None
        head, tail = pread(fd, 4096, 0), pread(fd, _WHOLE, size - _WHOLE)
    stop = head.find(b"\n") + 1
    if not stop and data is None:
        head = pread(fd, _LONGEST, 0)
        stop = head.find(b"\n") + 1
    damage: list[str] = []
    header = unseal(head[:stop]) if stop else None
    if size and (header is None or header.get("run") != run_id):
        damage.append("the first line is damaged" if header is None else "the first line is of another run")
        header = None
    end = None
    if tail.endswith(b"\n"):
        start = tail.rfind(b"\n", 0, -1) + 1
        while not start and len(tail) < size:  # a summary longer than what was read
            tail = pread(fd, min(size, 8 * len(tail)), size - min(size, 8 * len(tail)))
            start = tail.rfind(b"\n", 0, -1) + 1
        if tail.startswith(b'{"end":', start):
            end = unseal(tail[start:])
            if end is None or end.get("run") != run_id:
                damage.append("the last line is damaged" if end is None else "the last line is of another run")
                end = None
    if end is None and (found := tail.rfind(b'\n{"end":"') + 1):
        after = tail.find(b"\n", found) + 1
        end = unseal(tail[found:after])
        if end is not None and end.get("run") == run_id and after:
            damage.append(f"{len(tail) - after:,} bytes follow the last line and were left out")
            size -= len(tail) - after
            data = None if data is None else data[:size]
        else:
            end = None
    return Ends(header, end, size, stop, data, tuple(damage))


def base_of(ends: Ends, path: str) -> int | None:
    """Return the time from which a log counts, in ms since 1970 UTC; None if nothing was written yet.

    If both ends are damaged it is the time in the run's id, or else the log's day.
    """
    if ends.header is not None:
        return int(ends.header["t"])
    if ends.end is not None:
        return int(ends.end["start"])
    if not ends.size or not ends.damage:
        return None
    run_id = run_of(path)
    if len(run_id) == 21:
        return int(run_id[:11], 16)
    year, month, day = map(int, os.path.basename(os.path.dirname(path)).split("-"))
    return timegm((year, month, day, 0, 0, 0)) * 1000


def digest_of_end(ends: Ends, base: int) -> Digest:
    """Return what a sealed log comes to, from its last line; raises ValueError, KeyError, TypeError if it is odd."""
    end = ends.end
    if end is None:
        raise ValueError("the log is not sealed")
    digest = Digest(base, base + int(end["t"]))
    digest.session = not end.get("fork")
    digest.end = str(end["end"])
    digest.name, digest.exp = end.get("name", ""), end.get("exp", "")
    digest.params, digest.tags = end.get("params") or {}, end.get("tags") or {}
    digest.metrics = {key: summary_from_json(row, base) for key, row in (end.get("last") or {}).items()}
    digest.damage = ends.damage
    return digest


class LogFold:
    """A log that is read as it grows: each :meth:`feed` folds the lines that came since."""

    def __init__(self, base: int, header: dict[str, Any] | None) -> None:
        self.base = base
        self.offset = 0
        self.seen = 0  # the size of the file when it was read last
        self.bad_lines = 0
        self.digest = Digest(base)
        if header is not None:
            self.digest.session = not header.get("fork")
            self.digest.exp = header.get("exp", "")
            self._patch(base, {"name": header.get("name"), "tags": header.get("tags") or {}})
        else:
            self.digest.session = True

    def feed(self, data: bytes) -> None:
        """Fold bytes that follow those fed before; what comes after the last newline is left for the next time."""
        stop = data.rfind(b"\n") + 1
        if not stop:
            return
        self.offset += stop
        for record in iter_records(data[:stop], self._bad):
            if type(record) is list:
                self._values(record)
            elif isinstance(record, dict):
                self._record(record)

    def _bad(self, _offset: int, _line: bytes) -> None:
        self.bad_lines += 1

    def _values(self, record: list[Any]) -> None:
        try:
            at, step, values = record
            if not (fits(at) and fits(step)):
                raise ValueError("no line of metrics")
            at += self.base
            metrics = self.digest.metrics
            for key, value in values.items():
                number = value if type(value) is float else from_json_number(value)
                summary = metrics.get(key)
                if summary is None:
                    summary = metrics[key] = new_summary(step)
                add_value(summary, step, at, number)
            self.digest.until = max(self.digest.until, at)
        except (ValueError, TypeError, AttributeError):
            self.bad_lines += 1

    def _record(self, record: dict[str, Any]) -> None:
        if "seal" in record or "run" in record:
            return
        try:
            self._patch(self.base + int(record.get("t", 0)), record)
        except (ValueError, TypeError, AttributeError, KeyError):
            self.bad_lines += 1

    def _patch(self, at: int, patch: dict[str, Any]) -> None:
        apply_patch(self.digest, patch)
        self.digest.patches.append((at, patch))
        self.digest.until = max(self.digest.until, at)

    def save(self) -> dict[str, Any]:
        """Return this fold as plain JSON values, without captures."""
        digest = self.result()
        metrics = {key: summary_to_json(summary, self.base) for key, summary in digest.metrics.items()}
        patches = [[at, {k: v for k, v in patch.items() if k != "capture"}] for at, patch in digest.patches]
        about = [self.base, self.offset, self.seen, self.bad_lines, digest.until, digest.session, digest.exp]
        return {"about": about, "metrics": metrics, "patches": patches}

    @classmethod
    def load(cls, saved: dict[str, Any]) -> LogFold:
        """The reverse of :meth:`save`."""
        base, offset, seen, bad_lines, until, session, exp = saved["about"]
        fold = cls(base, None)
        fold.offset, fold.seen, fold.bad_lines = offset, seen, bad_lines
        digest = fold.digest
        digest.session, digest.exp = session, exp
        for at, patch in saved["patches"]:
            fold._patch(at, patch)
        digest.until = until
        digest.metrics = {key: summary_from_json(row, base) for key, row in saved["metrics"].items()}
        return fold

    def result(self) -> Digest:
        """Return the digest so far."""
        return self.digest


def iter_records(data: bytes, bad: Callable[[int, bytes], None]) -> Iterator[Any]:
    """Yield the value of each line in whole lines of a log; `bad` is told offset and bytes of those that are none."""
    if len(data) <= PIECE:
        yield from _piece(data, 0, bad)
        return
    start = 0
    while start < len(data):
        stop = data.find(b"\n", min(start + PIECE, len(data)) - 1) + 1 or len(data)
        yield from _piece(data[start:stop], start, bad)
        start = stop


def _piece(data: bytes, offset: int, bad: Callable[[int, bytes], None]) -> Iterator[Any]:
    try:
        yield from loads(b"[%b]" % data.rstrip(b"\n").replace(b"\n", b","))
        return
    except JSONDecodeError:
        pass
    at = 0
    for line in data.split(b"\n"):
        if line:
            record = parse_line(line)
            if record is None:
                bad(offset + at, line)
            else:
                yield record
        at += len(line) + 1


def read_log(
    path: str, *, details: bool = False, full: bool = False, folds: dict[str, LogFold | None] | None = None
) -> Digest | None:
    """Return what the log at `path` says; None if it holds nothing yet. Raises OSError.

    Parameters
    ----------
    details
        Whether artifacts, inputs and captures are wanted, too.
    full
        Whether each patch is wanted with its time.
    folds
        Where the folds of logs that are not sealed are kept by path, so that the next time only what is new is read.
    """
    fd, size = open_log(path)
    try:
        ends = read_ends(fd, size, run_of(path))
        base = base_of(ends, path)
        if base is None:
            if folds is not None and ends.end is None:
                folds[path] = None
            return None
        if ends.end is not None and folds is not None:
            folds.pop(path, None)
        if ends.end is not None and not full:
            digest = digest_of_end(ends, base)
            if details:
                _add_details(fd, ends, digest)
            return digest
        fold = (folds.get(path) if folds is not None else None) or LogFold(base, ends.header)
        if folds is not None and ends.end is None:
            folds[path] = fold
        fold_file(fd, ends.size, fold, ends.data)
        digest = fold.result()
        if ends.end is not None:
            digest.until, digest.end = base + int(ends.end["t"]), str(ends.end["end"])
            digest.session = not ends.end.get("fork")
            digest.metrics = digest_of_end(ends, base).metrics
        digest.damage = ends.damage
        digest.torn = ends.size - fold.offset if ends.end is None else 0
        if fold.bad_lines:
            digest.damage += (f"{fold.bad_lines} unreadable line{'s' if fold.bad_lines > 1 else ''} left out",)
        return digest
    finally:
        os.close(fd)


def fold_file(fd: int, size: int, fold: LogFold, data: bytes | None = None) -> None:
    """Feed a fold everything between its offset and `size`."""
    fold.seen = size
    if data is not None and not fold.offset:
        fold.feed(data)
        return
    while fold.offset < size:
        before = fold.offset
        want = PIECE
        fold.feed(pread(fd, min(want, size - before), before))
        while fold.offset == before and before + want < size:  # one line longer than a piece
            want *= 4
            fold.feed(pread(fd, min(want, size - before), before))
        if fold.offset == before:
            return


def _add_details(fd: int, ends: Ends, digest: Digest) -> None:
    """Add artifacts, inputs and captures: the last line says where theirs are, and what their bytes come to."""
    for offset, length, crc in (ends.end or {}).get("refs", ()):
        line = ends.data[offset : offset + length] if ends.data is not None else pread(fd, length, offset)
        record = parse_line(line) if crc32(line) == crc else None
        if isinstance(record, dict):
            apply_patch(
                digest, {k: record[k] for k in ("artifact", "sha256", "size", "inputs", "capture") if k in record}
            )
        else:
            digest.damage += (f"the line at byte {offset:,} is damaged and was left out",)


def seal_of(fd: int, start: int, stop: int) -> tuple[str, int]:
    """Return ``(crc32 in hex, number of bytes)`` of a stretch of a file."""
    crc, at = 0, start
    while at < stop:
        data = pread(fd, min(PIECE, stop - at), at)
        if not data:
            break
        crc = crc32(data, crc)
        at += len(data)
    return f"{crc:08x}", at - start


def recount(fd: int, size: int, base: int) -> tuple[Digest, list[tuple[int, int, int]]]:
    """Return what a log says, and the places of artifacts, inputs and captures, read from a log's own lines."""
    fold = LogFold(base, None)
    refs: list[tuple[int, int, int]] = []
    offset = 0
    for line in pread(fd, size, 0).splitlines(keepends=True):
        record = parse_line(line)
        if isinstance(record, dict) and record.keys() & {"artifact", "inputs", "capture"}:
            refs.append((offset, len(line), crc32(line)))
        fold.feed(line)
        offset += len(line)
    return fold.digest, refs
