"""Reads TensorBoard's event files without TensorBoard: scalars and hyperparameters.

An event file is a chain of protocol buffer messages, each with its length and two checksums (CRC-32C).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nbtrack.bridge.foreign import ForeignExperiment, ForeignRun, Source
from nbtrack.bridge.protobuf import DamagedError, blobs, message, real, text, unpacked, whole
from nbtrack.errors import InvalidInputError

PATTERN: Final = "*tfevents*"
_MOST_CHECKED: Final = 1 << 16  # bytes; scalars are some dozens, pictures are left out anyway
# Of a tensor: its type -> the format of its content, and the field that has its values instead.
_TENSORS: Final = {1: ("<f", 5), 2: ("<d", 6), 3: ("<i", None), 9: ("<q", None)}
_LEFT: Final = {4: "images", 5: "histograms", 6: "sounds", 8: "texts, histograms and other tensors"}


def has_events(place: Path) -> bool:
    """Whether a path is an event file, or a folder with some at any depth."""
    if place.is_file():
        return "tfevents" in place.name
    return next((path for path in place.rglob(PATTERN) if path.is_file()), None) is not None


class TensorboardLogs(Source):
    """The runs of a log folder: each folder with event files is one, as TensorBoard has it.

    Raises
    ------
    InvalidInputError
        If there is no event file.
    """

    def __init__(self, place: str | Path) -> None:
        super().__init__()
        root = Path(place)
        files = [root] if root.is_file() else [path for path in root.rglob(PATTERN) if path.is_file()]
        self._root = root.parent if root.is_file() else root
        self._name = self._root.resolve().name or "tensorboard"
        self._folders: dict[Path, list[Path]] = {}
        for file in sorted(files):
            if not file.is_symlink():
                self._folders.setdefault(file.parent, []).append(file)
        if not self._folders:
            raise InvalidInputError(f"import: expected a folder with TensorBoard's event files, got {str(place)!r}.")

    def experiments(self) -> Sequence[ForeignExperiment]:
        return [ForeignExperiment(self._name, self._name)]

    def count(self) -> int:
        return len(self._folders)

    def runs(self, known: frozenset[str]) -> Iterator[ForeignRun | None]:
        root = self._name
        for folder, files in self._folders.items():
            inside = folder.relative_to(self._root).as_posix()
            name = root if inside == "." else inside
            run_id = sha256(f"tensorboard {name} {files[0].name}".encode()).hexdigest()[:32]
            if run_id in known:
                self.report.known += 1
                yield None
                continue
            made = _Made()
            for file in files:
                try:
                    for event in _events(file):
                        made.take(event)
                except (OSError, DamagedError) as error:
                    self.report.problems.append(f"{file.relative_to(self._root)}: {error}; what came before was read.")
            if made.first_ms is None:
                self.report.problems.append(f"{name}: left out; its event files hold nothing.")
                yield None
                continue
            self.report.left_behind += [f"{count:,} {words} of {name}" for words, count in made.left.items()]
            yield ForeignRun(
                run_id=run_id,
                experiment=root,
                name=name,
                status="FINISHED",
                start_time_ms=made.first_ms,
                end_time_ms=made.last_ms,
                params=made.params,
                tags={"tensorboard.run": name},
                metrics=made.metrics,
            )


class _Made:
    """One run in the making."""

    def __init__(self) -> None:
        self.metrics: dict[str, list[tuple[int, float, int]]] = {}
        self.params: dict[str, str] = {}
        self.left: dict[str, int] = {}
        self.first_ms: int | None = None
        self.last_ms = 0

    def take(self, data: bytes) -> None:
        """Take one event."""
        event = message(data)
        at = int((real(event, 1) or 0.0) * 1000)
        self.first_ms = at if self.first_ms is None else min(self.first_ms, at)
        self.last_ms = max(self.last_ms, at)
        for summary in blobs(event, 5):
            for raw in blobs(message(summary), 1):
                self._value(message(raw), at, whole(event, 2))

    def _value(self, found: dict[int, list[int | bytes]], at: int, step: int) -> None:
        if self._plugin(found):
            return
        value = real(found, 2) if 2 in found else None
        if value is None and (tensors := blobs(found, 8)):
            value = _scalar(tensors[-1])
        if value is not None:
            self.metrics.setdefault(text(found, 1), []).append((at, value, step))
            return
        for number, words in _LEFT.items():
            if number in found:
                self.left[words] = self.left.get(words, 0) + 1

    def _plugin(self, found: dict[int, list[int | bytes]]) -> bool:
        """Take hyperparameters; return whether these were some."""
        for metadata in blobs(found, 9):
            for raw in blobs(message(metadata), 1):
                plugin = message(raw)
                if text(plugin, 1) != "hparams":
                    continue
                for content in blobs(plugin, 2):
                    for start in blobs(message(content), 3):
                        self._hparams(message(start))
                return True
        return False

    def _hparams(self, start: dict[int, list[int | bytes]]) -> None:
        for entry in blobs(start, 1):
            parts = message(entry)
            for raw in blobs(parts, 2):
                value = message(raw)
                if 3 in value:
                    shown = text(value, 3)
                elif 4 in value:
                    shown = str(bool(whole(value, 4)))
                else:
                    number = real(value, 2)
                    shown = "" if number is None else repr(number).removesuffix(".0")
                self.params[text(parts, 1)] = shown


def _scalar(raw: bytes) -> float | None:
    """Return the only value of a tensor of numbers; None for any other tensor."""
    tensor = message(raw)
    form, field = _TENSORS.get(whole(tensor, 1), ("", None))
    if form and (content := blobs(tensor, 4)):
        return float(struct.unpack(form, content[-1])[0]) if len(content[-1]) == struct.calcsize(form) else None
    values = blobs(tensor, field) if field is not None else []
    return unpacked(values[0]) if len(values) == 1 and len(values[0]) == struct.calcsize(form) else None


def _events(file: Path) -> Iterator[bytes]:
    """Yield the messages of a file; raises DamagedError where it is cut off or was changed."""
    data = file.read_bytes()
    places: list[tuple[int, int]] = []
    at, damage = 0, ""
    while at < len(data):
        if at + 12 > len(data):
            damage = f"it ends in the middle of an event, at byte {at:,}"
            break
        (size,) = struct.unpack_from("<Q", data, at)
        if at + 16 + size > len(data):
            damage = f"it ends in the middle of an event, at byte {at:,}"
            break
        places.append((at, int(size)))
        at += 16 + int(size)
    heads = _masked(data, [place for place, _ in places], [8] * len(places))
    bodies = _masked(data, [place + 12 for place, _ in places], [size for _, size in places])
    for (place, size), head, body in zip(places, heads, bodies, strict=True):
        stored_head, stored = (
            struct.unpack_from("<I", data, place + 8)[0],
            struct.unpack_from("<I", data, place + 12 + size)[0],
        )
        if head != stored_head or (size <= _MOST_CHECKED and body != stored):
            raise DamagedError(f"an event was changed, at byte {place:,}")
        yield data[place + 12 : place + 12 + size]
    if damage:
        raise DamagedError(damage)


@cache
def _table() -> NDArray[np.uint32]:
    """Return the table of CRC-32C (Castagnoli), as RFC 3720 defines it."""
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> 1) ^ np.uint32(0x82F63B78), values >> 1)
    return values


def _masked(data: bytes, starts: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Return the checksum of each piece of `data`, masked as event files have it; all pieces at once, byte by byte."""
    table, raw = _table(), np.frombuffer(data, np.uint8)
    where, size = np.asarray(starts, np.int64), np.asarray(sizes, np.int64)
    crc = np.full(len(where), 0xFFFFFFFF, np.uint32)
    checked = np.flatnonzero(size <= _MOST_CHECKED)
    order = checked[np.argsort(-size[checked], kind="stable")]
    longest = int(size[order[0]]) if len(order) else 0
    lengths = -size[order]
    for offset in range(longest):
        still = order[: int(np.searchsorted(lengths, -offset))]  # those with more than `offset` bytes
        crc[still] = table[(crc[still] ^ raw[where[still] + offset]) & 0xFF] ^ (crc[still] >> np.uint32(8))
    crc ^= np.uint32(0xFFFFFFFF)
    return [int(one) for one in ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)]
