"""A few thousand points of a long metric, every peak among them: what a whole curve is drawn from.

Written beside the columns of a finished log as ``index/cols/<run>~few`` when somebody first looks at the curve;
derived, and may be deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nbtrack.store.layout import INDEX, LOG_SUFFIX

if TYPE_CHECKING:
    import numpy as np

    from nbtrack.store.base import MetricHistory
    from nbtrack.store.cols import Series

FEW: Final = 16_384  # points of an overview
FROM: Final = 4 * FEW  # a shorter metric is read as quickly


@dataclass(frozen=True, slots=True)
class Overview:
    """Some points of a metric in the order they were logged, and how many it has in all."""

    points: MetricHistory
    count: int


def thin(y: np.ndarray[Any, Any], max_points: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the indexes of at most `max_points` points that keep every peak and every valley of a curve.

    The points are cut into even pieces in the order given; of each piece its lowest and its highest value stay, and
    the first and last point of all. NaN is kept where a piece holds nothing else.

    Parameters
    ----------
    y
        Shape ``(n,)``.
    max_points
        At least 4.
    """
    import numpy as np

    n = len(y)
    if n <= max_points:
        return np.arange(n)
    pieces = max(1, (max_points - 2) // 2)
    size = -(-n // pieces)
    whole = n // size
    low_of = y if not (odd := np.isnan(y).any()) else np.where(np.isnan(y), np.inf, y)
    high_of = y if not odd else np.where(np.isnan(y), -np.inf, y)
    base = np.arange(whole) * size
    low = base + low_of[: whole * size].reshape(whole, size).argmin(axis=1)
    high = base + high_of[: whole * size].reshape(whole, size).argmax(axis=1)
    keep = [[0, n - 1], low, high]
    if whole * size < n:
        keep.append([whole * size + low_of[whole * size :].argmin(), whole * size + high_of[whole * size :].argmax()])
    return np.unique(np.concatenate(keep).astype(np.int64))


def read_overview(root: str, folder: str, run_id: str, names: Iterable[str], key: str) -> Overview | None:
    """Return the overview of a metric; None if it is short, still growing, or spread over several files."""
    import numpy as np

    from nbtrack.store.base import MetricHistory
    from nbtrack.store.cols import read_columns, zlib_error
    from nbtrack.store.edits import read_edit
    from nbtrack.store.history import COMPACT_FROM, load_series
    from nbtrack.store.log import base_of, open_log, read_ends

    names = list(names)
    logs = [name for name in names if "~" not in name]
    if len(logs) != 1:
        return None
    path = f"{folder}/{logs[0]}"
    try:
        for name in names:
            if "~" in name and ((edit := read_edit(f"{folder}/{name}")) is None or key in edit.metrics):
                return None
        fd, size = open_log(path)
        try:
            ends = read_ends(fd, size, run_id)
        finally:
            os.close(fd)
        base = base_of(ends, path)
        if base is None or ends.end is None or not (ends.end.get("cols") or ends.size >= COMPACT_FROM):
            return None
        mark = [ends.size, str(ends.end.get("seal", "")), int(ends.end.get("t", 0)), FEW]
        cache = f"{root}/{INDEX}/cols/{logs[0][: -len(LOG_SUFFIX)]}~few"
        few = None
        with suppress(OSError, ValueError, KeyError, TypeError, zlib_error):
            few = read_columns(cache, base, mark, key, places=True)
        if few is None:
            series = load_series(path, run_id, root, None)
            few = None if series is None or series.doubts else _written(series, cache, mark)
    except (OSError, ValueError, KeyError, TypeError, zlib_error):
        return None  # whoever reads the whole metric says what is wrong
    found = [group for group in few.groups if group.keys == (key,)] if few is not None else []
    if few is None or len(found) != 1:
        return None
    group = found[0]
    points = MetricHistory(key, group.step, np.ascontiguousarray(group.values[:, 0]), group.time)
    return Overview(points, int(group.place[-1]) + 1)


def _written(series: Series, cache: str, mark: list[Any]) -> Series:
    """Return the overviews of all long metrics of a log, kept as columns; `place` is that among the metric's points."""
    from nbtrack.store.cols import Group, encode_columns
    from nbtrack.store.cols import Series as Columns
    from nbtrack.store.files import replace

    few = Columns(series.base)
    for key in sorted({key for group in series.groups for key in group.keys}):
        step, value, time = series.of(key)
        if len(step) >= FROM:
            keep = thin(value, FEW)
            few.groups.append(Group((key,), keep, step[keep], time[keep], value[keep].reshape(-1, 1)))
    with suppress(OSError):
        replace(cache, encode_columns(few, mark))
    return few
