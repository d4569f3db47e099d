"""Every value of a metric, as columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nbtrack.store.base import MetricHistory
from nbtrack.store.lines import from_json_number
from nbtrack.store.log import base_of, iter_records, open_log, pread, read_edit, read_ends

if TYPE_CHECKING:
    pass


def read_history(folder: str, names: Iterable[str], key: str) -> MetricHistory:
    """Return the values of one metric from all files of a run, in the order they were logged."""
    import os

    import numpy as np

    rows: list[tuple[int, int, float]] = []
    for name in sorted(names, key=lambda n: (len(n), n)):
        path = f"{folder}/{name}"
        if "~" in name:
            edit = read_edit(path)
            if edit is not None and key in edit.metrics:
                summary = edit.metrics[key]
                rows.append((0, edit.at, summary[2]))
            continue
        fd, size = open_log(path)
        try:
            ends = read_ends(fd, size)
            base = base_of(ends)
            if base is None:
                continue
            data = ends.data if ends.data is not None else pread(fd, size, 0)
        finally:
            os.close(fd)
        data = data[: data.rfind(b"\n") + 1]
        for record in iter_records(data, lambda _offset, _line: None):
            if type(record) is list and len(record) == 3 and key in record[2]:
                rows.append((record[1], record[0] + base, from_json_number(record[2][key])))
    return MetricHistory(
        key,
        np.array([r[0] for r in rows], np.int64),
        np.array([r[2] for r in rows], np.float64),
        np.array([r[1] for r in rows], np.int64),
    )
