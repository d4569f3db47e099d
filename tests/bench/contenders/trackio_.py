"""trackio, the peer whose ideas are nearest to ours: ``python trackio_.py OPERATION FOLDER …`` prints JSON."""

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

os.environ["TRACKIO_DIR"] = sys.argv[2]
QUIET = contextlib.redirect_stdout(io.StringIO())


def first(_folder: str) -> None:
    """Log one run in an empty folder."""
    import trackio

    run = trackio.init(project="p", embed=False)
    run.log({"m": 1.0})
    trackio.finish()


def startend(_folder: str, count: str) -> float:
    """Return seconds for one init and finish."""
    import trackio

    taken = []
    for _ in range(int(count)):
        start = clock()
        trackio.init(project="p", embed=False)
        trackio.finish()
        taken.append(clock() - start)
    return median(taken[3:])


def metric(_folder: str, count: str) -> dict[str, float]:
    """Return seconds per call; a thread writes them later, so a kill loses what was logged last."""
    import trackio

    run = trackio.init(project="p", embed=False)
    begin = clock()
    for step in range(int(count)):
        run.log({"loss": 1 / (step + 3)}, step=step)
    mean = (clock() - begin) / int(count)
    trackio.finish()
    return {"public": mean}


def points(folder: str, count: str, _end: str) -> dict[str, object]:
    """Log one run with many points of one metric."""
    import trackio

    run = trackio.init(project="p", embed=False)
    for step in range(int(count)):
        run.log({"loss": 1 / (step + 3)}, step=step)
    trackio.finish()
    (path,) = Path(folder).glob("p.db")
    with sqlite3.connect(path) as base:
        base.execute("pragma wal_checkpoint(truncate)")
    size = path.stat().st_size
    return {"run_id": str(path), "live": size, "sealed": size}


def history(_folder: str, run_id: str, count: str) -> dict[str, float]:
    """Return seconds for all points of a metric as arrays, by SQL."""
    import numpy as np

    taken = []
    for _ in range(3):
        start = clock()
        with sqlite3.connect(run_id) as base:
            rows = base.execute("select step, timestamp, json_extract(metrics, '$.loss') from metrics").fetchall()
        step, time, value = zip(*rows, strict=True)
        found = np.array(step), np.array(time), np.array(value, float)
        taken.append(clock() - start)
    assert len(found[0]) == int(count)
    return {"first": taken[0], "again": median(taken)}


if __name__ == "__main__":
    with QUIET:
        answer = globals()[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(answer))
