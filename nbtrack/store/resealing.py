"""Puts the lines of a log together anew, with checksums that are right for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zlib import crc32

from nbtrack.store.appender import SEAL_BYTES
from nbtrack.store.lines import parse_line, seal, unseal


def resealed(lines: Iterable[bytes], end: bytes | None) -> bytes:
    """Return a log of `lines`, without their old seals, and of a new summary made from the sealed line `end`.

    Without `end` the log stays open: that of a run which nobody ended.
    """
    log = bytearray()
    sealed_to = 0
    refs: list[tuple[int, int, int]] = []
    for line in lines:
        if line.startswith((b'{"seal":', b'{"end":')):
            continue
        record: Any = parse_line(line) if line.startswith(b"{") else None
        if isinstance(record, dict) and record.keys() & {"artifact", "inputs", "capture"}:
            refs.append((len(log), len(line), crc32(line)))
        log += line
        if len(log) - sealed_to > SEAL_BYTES:
            sealed_to = _seal(log, sealed_to)
    summary = None if end is None else unseal(end)
    if summary is None:
        if len(log) > sealed_to:
            _seal(log, sealed_to)
        return bytes(log)
    summary["seal"] = f"{crc32(memoryview(log)[sealed_to:]):08x}"
    summary["n"], summary["bytes"] = len(log) - sealed_to, len(log)
    summary.pop("refs", None)
    if refs:
        summary["refs"] = refs
    return bytes(log) + seal(summary)


def _seal(log: bytearray, start: int) -> int:
    stop = len(log)
    crc = crc32(memoryview(log)[start:stop])
    log += b'{"seal":"%08x","n":%d}\n' % (crc, stop - start)
    return stop
