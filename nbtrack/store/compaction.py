"""Moves the metric lines of finished logs into compact columns beside them: some three bytes a value instead of forty.

The log keeps its first line, everything that is no metric, and its summary, which from then on names the columns. They
are written, read back and compared before the log is replaced, whole; a crash in between leaves it as it was.
"""

from __future__ import annotations

import os

import numpy as np

from nbtrack.store.base import GcPreview, Progress
from nbtrack.store.cols import decode_columns, encode_columns
from nbtrack.store.files import explained, replace
from nbtrack.store.gc import days
from nbtrack.store.history import COMPACT_FROM, parse_log
from nbtrack.store.layout import COLS_SUFFIX, LOG_SUFFIX, split_run_file
from nbtrack.store.lines import seal
from nbtrack.store.log import base_of, open_log, pread, read_ends, run_of
from nbtrack.store.resealing import resealed


def compact(root: str, *, dry_run: bool, progress: Progress | None) -> GcPreview:
    """Compact every finished log that is large enough; return which, and how many bytes that frees."""
    paths = []
    for folder in days(root):
        with os.scandir(folder) as entries:
            for entry in entries:
                parts = split_run_file(entry.name)
                if parts is not None and parts[1] != "~" and entry.stat(follow_symlinks=False).st_size >= COMPACT_FROM:
                    paths.append(entry.path)
    freed, run_ids, done_paths = 0, [], []
    for done, path in enumerate(sorted(paths), 1):
        saved = compact_log(path, dry_run=dry_run)
        if saved > 0:
            freed += saved
            run_ids.append((split_run_file(os.path.basename(path)) or ("",))[0])
            done_paths.append(os.path.relpath(path, root))
        if progress is not None:
            progress(done, len(paths))
    return GcPreview(tuple(dict.fromkeys(run_ids)), 0, freed, tuple(done_paths))


def compact_log(path: str, *, dry_run: bool) -> int:
    """Compact one log; return how many bytes that frees, 0 if it is not finished, compact already, or damaged."""
    try:
        fd, size = open_log(path)
    except OSError:
        return 0
    try:
        ends = read_ends(fd, size, run_of(path))
        data = pread(fd, size, 0)
    finally:
        os.close(fd)
    base = base_of(ends, path)
    if base is None or ends.header is None or ends.end is None or ends.end.get("cols"):
        return 0
    series = parse_log(data, base)
    if series.doubts or not series.groups:
        return 0
    mark = [size, str(ends.end["seal"]), int(ends.end["t"])]
    columns = encode_columns(series, mark)
    again = decode_columns(columns, base, mark)
    for old, new in zip(series.groups, again.groups, strict=True):
        same = [
            np.array_equal(getattr(old, name), getattr(new, name), equal_nan=name == "values")
            for name in ("place", "step", "time", "values")
        ]
        if old.keys != new.keys or not all(same):
            raise AssertionError(f"{path}: the columns do not give back what the log holds; nothing was changed")
    lines = [line for line in data.splitlines(keepends=True) if line.startswith(b"{")]
    log = resealed(lines, seal({**ends.end, "cols": mark}))
    if not dry_run:
        with explained("compact", path):
            replace(path[: -len(LOG_SUFFIX)] + COLS_SUFFIX, columns, sync=True)
            replace(path, log, sync=True)
    return size - len(log) - len(columns)
