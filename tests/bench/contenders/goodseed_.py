"""GoodSeed, the smallest peer on disk: ``python goodseed_.py OPERATION FOLDER …`` prints JSON."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import sys
from pathlib import Path
from statistics import median

from clock import clock

os.environ["GOODSEED_HOME"] = sys.argv[2]
QUIET = contextlib.redirect_stdout(io.StringIO())


def first(_folder: str) -> None:
    """Log one run in an empty folder."""
    import goodseed

    with goodseed.Run(storage="local") as run:
        run["m"].log(1.0, step=0)


def startend(_folder: str, count: str) -> float:
    """Return seconds for one start and close."""
    import goodseed

    taken = []
    for _ in range(int(count)):
        start = clock()
        goodseed.Run(storage="local").close()
        taken.append(clock() - start)
    return median(taken[3:])


def metric(_folder: str, count: str) -> dict[str, float]:
    """Return seconds per call."""
    import goodseed

    run = goodseed.Run(storage="local")
    begin = clock()
    for step in range(int(count)):
        run["loss"].log(1 / (step + 3), step=step)
    mean = (clock() - begin) / int(count)
    run.close()
    return {"public": mean}


def points(folder: str, count: str, _end: str) -> dict[str, object]:
    """Log one run with many points of one metric."""
    import goodseed

    run = goodseed.Run(storage="local")
    for step in range(int(count)):
        run["loss"].log(1 / (step + 3), step=step)
    run.close()
    (path,) = Path(folder).rglob("*.sqlite")
    size = path.stat().st_size
    return {"run_id": str(path), "live": size, "sealed": size}


def history(_folder: str, run_id: str, count: str) -> dict[str, float]:
    """Return seconds for all points of a metric as an array, by SQL."""
    import numpy as np

    taken = []
    for _ in range(3):
        start = clock()
        with sqlite3.connect(run_id) as base:
            found = np.array(
                base.execute(
                    "select step, y, ts from metric_points join metric_series on id = series_id where path = 'loss'"
                ).fetchall()
            )
        taken.append(clock() - start)
    assert len(found) == int(count)
    return {"first": taken[0], "again": median(taken)}


if __name__ == "__main__":
    with QUIET:
        answer = globals()[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(answer))
