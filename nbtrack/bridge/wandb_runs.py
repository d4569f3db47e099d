"""Reads the runs that Weights & Biases keeps in files (``*.wandb``), offline ones above all, without its library.

Such a file is a log of blocks of 32 KB, as LevelDB has them, of protocol buffer messages; every piece has a checksum.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from nbtrack.bridge.foreign import ForeignExperiment, ForeignRun, Source
from nbtrack.bridge.places import files_in
from nbtrack.bridge.protobuf import DamagedError, blobs, fields, message, real, text, unpacked, whole, zigzag
from nbtrack.entities import TAG_NOTE
from nbtrack.errors import InvalidInputError

SUFFIX: Final = ".wandb"
_MAGIC: Final = b":W&B\xe1\xbe\x00"
_NO_PROJECT: Final = "uncategorized"  # as W&B calls it
_BLOCK: Final = 32_768
_HEAD: Final = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
# Fields of the message Record, and the words for those that have no place in a store of ours.
_HISTORY, _SUMMARY, _CONFIG, _STATS, _RUN, _EXIT, _ARTIFACT = 2, 3, 5, 7, 17, 18, 8
_LEFT: Final = {_STATS: "samples of system metrics", _ARTIFACT: "artifacts of W&B's own"}


def wandb_files(place: Path) -> list[Path]:
    """Return the run files that a path means: itself, or those in a ``wandb`` folder, a run's folder, or above."""
    if place.is_file():
        return [place] if place.suffix == SUFFIX else []
    found = [path for pattern in ("*", "*/*", "*/*/*") for path in place.glob(pattern + SUFFIX)]
    return sorted(path for path in found if path.is_file() and not path.parent.is_symlink())  # latest-run is a link


class WandbRuns(Source):
    """The runs of W&B in a folder, or one of them.

    Raises
    ------
    InvalidInputError
        If there is none.
    """

    def __init__(self, place: str | Path) -> None:
        super().__init__()
        self.files = wandb_files(Path(place))
        if not self.files:
            raise InvalidInputError(f"import: expected a {SUFFIX} file or a folder with some, got {str(place)!r}.")
        self._left: dict[str, int] = {}

    def experiments(self) -> Sequence[ForeignExperiment]:
        names = dict.fromkeys(_project(file) for file in self.files)
        return [ForeignExperiment(name, name) for name in names]

    def count(self) -> int:
        return len(self.files)

    def runs(self, known: frozenset[str]) -> Iterator[ForeignRun | None]:
        for file in self.files:
            run = None
            try:
                run = self._run(file)
            except (OSError, DamagedError) as error:
                self.report.problems.append(f"{file.name}: left out; {error}")
            if run is not None and run.run_id in known:
                self.report.known += 1
                run = None
            if run is not None:
                run.artifacts = list(files_in(file.parent / "files", self.report))
                self.report.left_behind += [f"{count:,} {words} of {file.name}" for words, count in self._left.items()]
            yield run

    def _run(self, file: Path) -> ForeignRun:
        made = _Made()
        try:
            for record in _records(file):
                for number, value in fields(record):
                    if isinstance(value, bytes):
                        made.take(number, value)
        except DamagedError as error:
            if not made.run:
                raise
            self.report.problems.append(f"{file.name}: {error}; what came before was read.")
        self._left = made.left
        if not made.run:
            raise DamagedError("no run is in it")
        return made.made()


class _Made:
    """One run in the making."""

    def __init__(self) -> None:
        self.run: dict[int, list[int | bytes]] = {}
        self.left: dict[str, int] = {}
        self._config: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._metrics: dict[str, list[tuple[int, float, int]]] = {}
        self._exit: dict[int, list[int | bytes]] | None = None
        self._last_ms = self._last_step = 0

    def take(self, number: int, value: bytes) -> None:
        """Take one field of a record."""
        if number == _RUN:
            self.run = message(value)
            for config in blobs(self.run, 4):
                self._update(self._config, config)
        elif number == _CONFIG:
            self._update(self._config, value)
        elif number == _SUMMARY:
            self._update(self._summary, value)
        elif number == _HISTORY:
            self._history(message(value))
        elif number == _EXIT:
            self._exit = message(value)
        elif number in _LEFT:
            self._leave(_LEFT[number])

    def _leave(self, words: str) -> None:
        self.left[words] = self.left.get(words, 0) + 1

    def _update(self, into: dict[str, Any], data: bytes) -> None:
        found = message(data)
        for item in blobs(found, 1):
            parts = message(item)
            into[_key(parts, 2)] = _json(text(parts, 16))
        for item in blobs(found, 2):
            into.pop(_key(message(item), 2), None)

    def _history(self, found: dict[int, list[int | bytes]]) -> None:
        items = {}
        for item in blobs(found, 1):
            parts = message(item)
            items[_key(parts, 2)] = _value(parts)
        steps = blobs(found, 2)
        step = whole(message(steps[-1]), 1) if steps else int(items.get("_step") or 0)
        at = items.get("_timestamp")
        self._last_ms = int(float(at) * 1000) if isinstance(at, (int, float)) else self._last_ms
        self._last_step = step
        for key, value in _flat(items):
            if key.startswith("_"):
                continue
            if isinstance(value, (int, float)):
                self._metrics.setdefault(key, []).append((self._last_ms, float(value), step))
            else:
                self._leave("texts, tables and pictures among the logged values")

    def made(self) -> ForeignRun:
        """Return the run."""
        run_id, project = text(self.run, 1), text(self.run, 3)
        seconds = message(blobs(self.run, 17)[-1]) if blobs(self.run, 17) else {}
        start_ms = whole(seconds, 1) * 1000 + whole(seconds, 2) // 1_000_000
        ended = self._exit or {}
        runtime_ms = max(whole(ended, 2), 0) * 1000
        summary = {key: value for key, value in _flat(self._summary) if not key.startswith("_")}
        for key, value in summary.items():
            if key not in self._metrics and isinstance(value, (int, float)):
                self._metrics[key] = [(max(self._last_ms, start_ms), float(value), self._last_step)]
        tags = {"wandb.run_id": run_id, "wandb.group": text(self.run, 6), "wandb.job_type": text(self.run, 7)}
        tags |= {"wandb.sweep_id": text(self.run, 12), "wandb.host": text(self.run, 13), TAG_NOTE: text(self.run, 9)}
        tags["wandb.tags"] = ", ".join(tag.decode("utf-8", "replace") for tag in blobs(self.run, 10))
        texts = {key: value for key, value in summary.items() if isinstance(value, str)}
        return ForeignRun(
            run_id=sha256(f"wandb {text(self.run, 2)} {project} {run_id} {start_ms}".encode()).hexdigest()[:32],
            experiment=project or _NO_PROJECT,
            name=text(self.run, 8) or run_id,
            status="KILLED" if self._exit is None else "FINISHED" if whole(ended, 1) == 0 else "FAILED",
            start_time_ms=start_ms,
            end_time_ms=max(self._last_ms, start_ms + runtime_ms),
            params={key: _shown(value) for key, value in _flat(self._config) if not key.startswith("_wandb")},
            tags={key: value for key, value in tags.items() if value},
            metrics=self._metrics,
            capture={"wandb_summary": texts} if texts else {},
        )


def _records(file: Path) -> Iterator[bytes]:
    """Yield the messages of a file; raises DamagedError where it is cut off or was changed."""
    data = file.read_bytes()
    if data[: len(_MAGIC)] != _MAGIC:
        raise DamagedError("it does not begin as a file of W&B's does" if data else "it is empty")
    at, parts = len(_MAGIC), list[bytes]()
    while at < len(data):
        room = _BLOCK - at % _BLOCK
        if room < _HEAD.size:
            at += room
            continue
        if at + _HEAD.size > len(data):
            raise DamagedError(f"it ends in the middle of a record, at byte {at:,}")
        crc, size, kind = _HEAD.unpack_from(data, at)
        piece = data[at + _HEAD.size : at + _HEAD.size + size]
        if len(piece) < size:
            raise DamagedError(f"it ends in the middle of a record, at byte {at:,}")
        if zlib.crc32(data[at + _HEAD.size - 1 : at + _HEAD.size + size]) != crc:
            raise DamagedError(f"a record was changed, at byte {at:,}")
        at += _HEAD.size + size
        if kind in {_FULL, _FIRST}:
            parts = []
        parts.append(piece)
        if kind in {_FULL, _LAST}:
            yield b"".join(parts)


def _project(file: Path) -> str:
    """Return the project of a run file, as far as it can be read."""
    try:
        for record in _records(file):
            for number, value in fields(record):
                if number == _RUN and isinstance(value, bytes):
                    return text(message(value), 3) or _NO_PROJECT
    except (OSError, DamagedError):  # reading the run says so
        pass
    return _NO_PROJECT


def _key(parts: dict[int, list[int | bytes]], nested: int) -> str:
    """Return the name of an item: its key, or the parts of a nested one."""
    return text(parts, 1) or ".".join(one.decode("utf-8", "replace") for one in blobs(parts, nested))


def _value(parts: dict[int, list[int | bytes]]) -> Any:
    """Return what an item of the history holds: typed, as later versions write it, or in JSON."""
    if 16 in parts or 8 in parts:
        return _json(text(parts, 16) or text(parts, 8))
    if 6 in parts:
        return real(parts, 6)
    if 5 in parts:
        raw = parts[5][-1]
        return zigzag(raw) if isinstance(raw, int) else unpacked(raw)
    if 4 in parts:
        return bool(whole(parts, 4))
    return text(parts, 7) if 7 in parts else None


def _json(told: str) -> Any:
    try:
        return json.loads(told)
    except ValueError:
        return told


def _flat(items: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what is inside of nested dicts under its dotted name; what W&B marks as a type of its own stays whole."""
    for key, value in items.items():
        if isinstance(value, dict) and value and "_type" not in value:
            yield from _flat(value, f"{before}{key}.")
        elif value is not None:
            yield f"{before}{key}", value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
