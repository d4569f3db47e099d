"""One page of runs straight from their logs.

A new process that wants a hundred runs of a hundred thousand would read nearly all of the index for it, because a page
has some values of every column. The last lines of a hundred logs are less, and say the same.
"""

from __future__ import annotations

from typing import Final

from nbtrack.entities import Run
from nbtrack.store.columns import Array
from nbtrack.store.index import RunIndex
from nbtrack.store.layout import LOG_SUFFIX, RUNS
from nbtrack.store.runs import read_sealed
from nbtrack.store.state import to_run

MAX_RUNS: Final = 256
_WORTH: Final = 64  # so many runs in the index for each one on the page


def is_worth_it(runs: int, total: int) -> bool:
    """Return whether the logs of some runs are likely to be read sooner than the columns of all."""
    return runs <= MAX_RUNS and runs * _WORTH < total


def read_page(index: RunIndex, rows: Array, ids: list[str]) -> list[Run] | None:
    """Return the runs of some rows; None if one of them is more than one sealed log, or cannot be read just now."""
    found: list[Run] = []
    for run_id, day in zip(ids, index.table.texts["day"].values(rows, index.table.rows), strict=True):
        if day is None or not index.is_one_sealed_log(run_id, day):
            return None
        state = read_sealed(f"{index.root}/{RUNS}/{day}/{run_id}{LOG_SUFFIX}", run_id)
        if state is None:
            return None
        found.append(to_run(state))
    return found
