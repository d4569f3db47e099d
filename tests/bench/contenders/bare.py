"""The bare operations, what each row costs without a tracker: ``python bare.py OPERATION FOLDER …`` prints JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from statistics import median

from clock import clock

HEADER = b'{"t":1700000000000,"run":"18bcfe568000a1b2c3d4e","v":1,"exp":"0","name":"brisk-otter-417"}\n' + b" " * 200
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND


def first(folder: str) -> None:
    """Write one file."""
    Path(folder).mkdir(parents=True)
    (Path(folder) / "run").write_bytes(HEADER * 3)


def startend(folder: str, count: str) -> float:
    """Return seconds to create a file, lock it, write a first and a last line, and close it."""
    import fcntl

    Path(folder).mkdir(parents=True)
    taken = []
    for number in range(int(count)):
        start = clock()
        fd = os.open(f"{folder}/{number}.jsonl", FLAGS, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(fd, HEADER)
        os.write(fd, HEADER)
        os.close(fd)
        taken.append(clock() - start)
    return median(taken[3:])


def history(folder: str, _run_id: str, count: str) -> dict[str, float]:
    """Return seconds to load three columns of numbers that numpy has saved."""
    import numpy as np

    Path(folder).mkdir(parents=True, exist_ok=True)
    step = np.arange(int(count))
    np.savez(f"{folder}/columns.npz", step=step, value=1 / (step + 3), timestamp=step + 1_700_000_000_000)
    taken = []
    for _ in range(5):
        start = clock()
        with np.load(f"{folder}/columns.npz") as columns:
            found = [columns[key] for key in ("step", "value", "timestamp")]
        taken.append(clock() - start)
    assert len(found[1]) == int(count)
    return {"first": median(taken), "again": median(taken)}


def search(_folder: str, count: str) -> dict[str, float]:
    """Return seconds for two conditions and the best hundred, on numpy arrays that are in memory."""
    import numpy as np

    total = int(count)
    number = np.arange(total)
    acc, kind = number * 7919 % total / total, (number % 10).astype(np.int32)
    taken = []
    for _ in range(7):
        start = clock()
        rows = np.flatnonzero((acc > 0.5) & (kind == 3))
        best = rows[np.argpartition(-acc[rows], 100)[:100]]
        best = best[np.argsort(-acc[best])]
        taken.append(clock() - start)
    assert len(best) == 100
    return {"fresh": median(taken), "open": median(taken)}


def frame(_folder: str, count: str) -> dict[str, float]:
    """Return seconds for a DataFrame of the same columns from arrays that are in memory."""
    import numpy as np
    import pandas as pd

    number = np.arange(int(count))
    numbers = {f"n{i}": number * float(i) for i in range(7)}
    texts = {f"t{i}": (number % (i + 2)).astype(str).astype(object) for i in range(14)}
    taken = []
    for _ in range(5):
        start = clock()
        pd.DataFrame({**numbers, **texts}, copy=False)
        taken.append(clock() - start)
    return {"table": median(taken), "public": median(taken)}


def changed(folder: str) -> dict[str, float]:
    """Return seconds to stat one file and read its end."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    path = f"{folder}/log"
    Path(path).write_bytes(HEADER * 10)
    taken = []
    for _ in range(40):
        start = clock()
        os.stat(path)  # noqa: PTH116 - the bare call is the point
        fd = os.open(path, os.O_RDONLY)
        os.pread(fd, 4096, 100)
        os.close(fd)
        taken.append(clock() - start)
    return {"seen": median(taken)}


def rebuild(folder: str, _count: str) -> float:
    """Return seconds to read and decode the first and last line of every log of nbtrack's own folder."""
    from orjson import loads

    start = clock()
    for day in os.scandir(f"{folder}/runs"):
        for entry in os.scandir(day.path):
            fd = os.open(entry.path, os.O_RDONLY)
            data = os.read(fd, 65536)
            os.close(fd)
            loads(data[: data.index(b"\n")])
            loads(data[data.rindex(b"\n", 0, -1) :])
    return clock() - start


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
