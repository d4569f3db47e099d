"""pandm, the quickest peer to log with: ``python pandm_.py OPERATION FOLDER …`` prints JSON."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path
from statistics import median

from clock import clock

os.environ["PANDM_SILENT"] = "1"
os.environ["PANDM_DIR"] = sys.argv[2]


def first(_folder: str) -> None:
    """Log one run in an empty folder."""
    import pandm

    with pandm.init(project="p") as run:
        run.log({"m": 1.0})


def startend(_folder: str, count: str) -> float:
    """Return seconds for one init and finish."""
    import pandm

    taken = []
    for _ in range(int(count)):
        start = clock()
        pandm.init(project="p").finish()
        taken.append(clock() - start)
    return median(taken[3:])


def metric(_folder: str, count: str) -> dict[str, float]:
    """Return seconds per call; they are buffered, so a kill loses what was logged last."""
    import pandm

    run = pandm.init(project="p")
    begin = clock()
    for step in range(int(count)):
        run.log({"loss": 1 / (step + 3)}, step=step)
    mean = (clock() - begin) / int(count)
    run.finish()
    return {"public": mean}


def points(folder: str, count: str, _end: str) -> dict[str, object]:
    """Log one run with many points of one metric."""
    import pandm

    run = pandm.init(project="p")
    before = sum(path.stat().st_size for path in Path(folder).rglob("*"))
    for step in range(int(count)):
        run.log({"loss": 1 / (step + 3)}, step=step)
    run.finish()
    with sqlite3.connect(f"{folder}/pandm.db") as base:
        base.execute("pragma wal_checkpoint(truncate)")
    size = sum(path.stat().st_size for path in Path(folder).rglob("*")) - before
    return {"run_id": run.id, "live": size, "sealed": size}


def history(folder: str, run_id: str, count: str) -> dict[str, float]:
    """Return seconds for all points of a metric as an array, by SQL."""
    import numpy as np

    taken = []
    for _ in range(3):
        start = clock()
        with sqlite3.connect(f"{folder}/pandm.db") as base:
            rows = base.execute("select step, value, ts from metrics where run_id = ? and key = 'loss'", [run_id])
            found = np.array(rows.fetchall())
        taken.append(clock() - start)
    assert len(found) == int(count)
    return {"first": taken[0], "again": median(taken)}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
