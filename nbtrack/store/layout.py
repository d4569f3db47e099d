"""The names of everything in a store folder. All of them are relative: the folder may be moved, copied and mounted.

::

    nbtrack.json                      what this folder is, and in which format
    runs/2026-11-21/<run>.jsonl       the log of a run: one writer, append only, sealed at its end
    runs/2026-11-21/<run>+2.jsonl     a further log: the run resumed, or its forked child
    runs/2026-11-21/<run>~<id>.jsonl  an edit by anybody after the fact: written whole, once
    runs/2026-11-21/<run>.cols        the metrics of a finished run, moved out of its log into compact columns
    experiments/00000001.json         numbered commits: experiments
    models/<name>/00000001.json       numbered commits: the registry
    views/00000001.json               numbered commits: saved views of the run table
    blobs/ab/<sha256>                 bytes of artifacts
    index/                            derived; delete at will
    moved-to.json                     where this store is now, if it was moved

All files of a run lie together, in the folder of the UTC day on which it started.
"""

from __future__ import annotations

import os
import re
import threading
from functools import lru_cache
from time import gmtime, time_ns
from typing import Final

from nbtrack.errors import InvalidInputError
from nbtrack.names import to_filename

FORMAT_VERSION: Final = 1
STORE_FILE: Final = "nbtrack.json"
MOVED_FILE: Final = "moved-to.json"
RUNS, EXPERIMENTS, MODELS, VIEWS = "runs", "experiments", "models", "views"
BLOBS, INDEX = "blobs", "index"
LOG_SUFFIX: Final = ".jsonl"
COLS_SUFFIX: Final = ".cols"
SETTLE_S: Final = 2.0  # a folder whose time stands still for that long has not changed since

DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
RUN_FILE: Final = re.compile(r"([0-9a-f]{21}|[0-9a-f]{32})(?:([+~])([0-9a-f]{1,21}))?\.jsonl")
COMMIT_FILE: Final = re.compile(r"([0-9]{8,12})\.json")
_MAX_NUMBER: Final = 16**10 - 1
_MAX_MS: Final = 16**11 - 1  # what eleven hex digits hold: the year 2527


def now_ms() -> int:
    """Return milliseconds since 1970 UTC."""
    return time_ns() // 1_000_000


_id_lock = threading.Lock()
_last_id = (0, 0)  # the milliseconds and the random number of this process's newest id


def new_id(at_ms: int | None = None) -> str:
    """Return a fresh id: 11 hex digits of milliseconds, so that ids sort by time, and 10 random ones.

    Ids that this process makes within one millisecond sort in the order in which they were made.
    """
    global _last_id
    ms = now_ms() if at_ms is None else at_ms
    number = int.from_bytes(os.urandom(5), "big") >> 2  # of 40 bits, room for 500 further ones above it
    with _id_lock:
        last_ms, last = _last_id
        if ms == last_ms and last < _MAX_NUMBER - (1 << 31):
            number = last + 1 + (number & 0x7FFFFFFF)
        _last_id = (ms, number)
    return f"{ms:011x}{number:010x}"


def day_of(at_ms: int) -> str:
    """Return the UTC day of a time, such as ``"2026-11-21"``."""
    return _day(at_ms // 86_400_000)


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    year, month, day = gmtime(number * 86_400)[:3]
    return f"{year:04d}-{month:02d}-{day:02d}"


def day_of_id(run_id: str) -> str | None:
    """Return the day that an id of ours names; None for ids of other origin."""
    return day_of(int(run_id[:11], 16)) if len(run_id) == 21 else None


def check_time(what: str, at_ms: int) -> int:
    """Return `at_ms` if the store can hold it; raises InvalidInputError."""
    if isinstance(at_ms, bool) or not isinstance(at_ms, int) or not 0 <= at_ms <= _MAX_MS:
        raise InvalidInputError(
            f"{what}: expected whole milliseconds since 1970 UTC between 0 and {_MAX_MS}, got {at_ms!r}."
        )
    return at_ms


def split_run_file(name: str) -> tuple[str, str, str] | None:
    """Return ``(run id, kind, number or edit id)`` of a file of a run; the kind is ``""``, ``"+"`` or ``"~"``."""
    found = RUN_FILE.fullmatch(name)
    return (found[1], found[2] or "", found[3] or "") if found else None


def model_folder(name: str) -> str:
    """Return the folder name of a registered model.

    Names that differ only in case get different folders on file systems that ignore case, too.

    Examples
    --------
    >>> model_folder("clf-model"), model_folder("Clf")
    ('clf-model', 'Clf%~96908514')
    """
    safe = to_filename(name)
    if name == name.lower() or "%~" in safe:
        return safe
    from hashlib import sha256

    return f"{safe}%~{sha256(name.encode()).hexdigest()[:8]}"


def commit_file(number: int) -> str:
    """Return the file name of a numbered commit."""
    return f"{number:08d}.json"
