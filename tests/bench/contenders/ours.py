"""nbtrack, one operation a process: ``python ours.py OPERATION FOLDER …`` prints JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from clock import clock

FILTER = "metrics.acc > 0.5 and params.kind = 'k3'"
ORDER = ["metrics.acc DESC"]


def first(folder: str) -> None:
    """Log one run in an empty folder, as a script would."""
    import nbtrack

    nbtrack.set_tracking_uri(folder)
    with nbtrack.start_run():
        nbtrack.log_metric("m", 1.0)


def startend(folder: str, count: str) -> float:
    """Return seconds for one start_run and end_run."""
    import nbtrack

    nbtrack.set_tracking_uri(folder)
    taken = []
    for _ in range(int(count)):
        start = clock()
        nbtrack.start_run()
        nbtrack.end_run()
        taken.append(clock() - start)
    return median(taken[3:])


def metric(folder: str, count: str) -> dict[str, float]:
    """Return seconds per call: the public function, the store's writer, and the bare write of the same bytes.

    The three take turns in small groups, so that whatever else the machine does falls on all of them; the medians of
    the groups are compared.
    """
    import nbtrack
    from nbtrack.store import FileStore

    nbtrack.set_tracking_uri(folder)
    store = FileStore.open(folder)
    writer = store.create_run(run_name="writer")
    nbtrack.start_run(run_name="public")
    log, own_log = nbtrack.log_metric, writer.log_metric
    path = Path(folder) / "bare"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    write, group = os.write, 500
    taken: dict[str, list[float]] = {"public": [], "writer": [], "bare": []}
    for start in range(0, int(count), group):
        steps = range(start, start + group)
        lines = [b'[%d,%d,{"loss":%.17g}]\n' % (start * 3 // 1000, step, 1 / (step + 3)) for step in steps]
        values = [1 / (step + 3) for step in steps]
        begin = clock() * 1e9
        for line in lines:
            write(fd, line)
        bare = clock() * 1e9
        for step, value in zip(steps, values, strict=True):
            log("loss", value, step=step)
        public = clock() * 1e9
        for step, value in zip(steps, values, strict=True):
            own_log("loss", value, step)
        own = clock() * 1e9
        for name, span in (("bare", bare - begin), ("public", public - bare), ("writer", own - public)):
            taken[name].append(span / group / 1e9)
    nbtrack.end_run()
    writer.end()
    path.unlink()
    return {name: median(spans) for name, spans in taken.items()}


def points(folder: str, count: str, end: str) -> dict[str, object]:
    """Log one run with many points of one metric; return its id and the bytes its files take, live or sealed."""
    from nbtrack.store import FileStore

    store = FileStore.open(folder)
    writer = store.create_run(run_name=f"{count} points")
    for step in range(int(count)):
        writer.log_metrics({"loss": 1 / (step + 3)}, step)
    live = sum(path.stat().st_size for path in Path(folder).glob(f"runs/*/{writer.run_id}*"))
    if end == "no":
        os._exit(print(json.dumps({"run_id": writer.run_id, "live": live}), flush=True) or 0)
    start = clock()
    writer.end()
    taken = clock() - start
    return {"run_id": writer.run_id, "live": live, "end_s": taken}


def compact(folder: str, run_id: str) -> dict[str, float]:
    """Compact the metrics of a finished run; return the seconds that took and the bytes it takes from then on."""
    from nbtrack.store import FileStore

    store = FileStore.open(folder)
    start = clock()
    store.compact(dry_run=False)
    taken = clock() - start
    return {"s": taken, "sealed": sum(path.stat().st_size for path in Path(folder).glob(f"runs/*/{run_id}*"))}


def history(folder: str, run_id: str, count: str) -> dict[str, float]:
    """Return seconds for all points of a metric as arrays: the first time in this process, and again."""
    import numpy as np

    from nbtrack.store import FileStore

    store = FileStore.open(folder)
    taken = []
    for _ in range(4):
        start = clock()
        found = store.get_metric_history(run_id, "loss")
        taken.append(clock() - start)
    assert len(found) == int(count) and np.array_equal(found.value, 1 / (np.arange(int(count)) + 3))
    return {"first": taken[0], "again": median(taken[1:])}


def runs(folder: str, count: str) -> None:
    """Write many small finished runs, over 366 days."""
    from nbtrack.store import FileStore

    store = FileStore.open(folder)
    day, total = 86_400_000, int(count)
    for number in range(total):
        at = 1_700_000_000_000 + number * 366 * day // total
        tags = {"team": f"t{number % 7}", "host": f"h{number % 20}", "note": f"run {number}"}
        writer = store.create_run(run_name=f"run-{number}", tags=tags, start_time_ms=at)
        shuffled = number * 7919 % total / total
        writer.log_params(
            {"kind": f"k{number % 10}", "lr": shuffled, "depth": number % 12, "seed": number, "opt": "adam"}
        )
        for step in range(3):
            values = {
                "acc": shuffled,
                "loss": 1 - shuffled,
                "f1": shuffled / 2,
                "auc": shuffled * 2,
                "s": float(number),
            }
            writer.log_metrics(values, step, at + step)
        writer.end(end_time_ms=at + 60_000)
    for path in Path(folder).glob("runs/*"):  # as if each day had been written on that day
        at_s = 1.7e9 - 86_400 + sum(1 for _ in path.iterdir()) / 1e3
        os.utime(path, (at_s, at_s))
    os.utime(f"{folder}/runs", (at_s, at_s))


def search(folder: str, count: str) -> dict[str, float]:
    """Return seconds to open the store and find the best hundred; and once more in the open store.

    What searching imports is apart: MLflow's own import, which is not part of a search either, brings everything.
    """
    import numpy  # noqa: F401  a notebook has it

    from nbtrack.store import FileStore

    start = clock()
    import nbtrack.store.search  # noqa: F401

    loading = clock() - start
    start = clock()
    store = FileStore.open(folder)
    found = store.search_runs(filter_string=FILTER, order_by=ORDER, max_results=100)
    fresh = clock() - start
    taken = []
    for _ in range(7):
        start = clock()
        again = store.search_runs(filter_string=FILTER, order_by=ORDER, max_results=100)
        taken.append(clock() - start)
    assert len(found) == len(again) == 100
    values = [run.data.metrics["acc"] for run in found]
    assert values == sorted(values, reverse=True) and values[0] >= 1 - 12 / int(count)
    return {"fresh": fresh, "open": median(taken), "loading": loading}


def frame(folder: str, count: str) -> dict[str, float]:
    """Return seconds for all runs as a DataFrame, by the store alone and by ``nbtrack.search_runs``."""
    import pandas as pd

    import nbtrack
    from nbtrack.store import FileStore

    store = FileStore.open(folder)
    store.search_runs(filter_string=FILTER, order_by=ORDER, max_results=100)
    taken: dict[str, list[float]] = {"table": [], "public": []}
    nbtrack.set_tracking_uri(folder)
    nbtrack.search_runs(max_results=1, search_all_experiments=True)
    for _ in range(5):
        start = clock()
        table = store.run_table()
        columns = {f"{c.kind}.{c.key}": c.values for c in table.columns}
        own = pd.DataFrame({"run_id": table.run_ids, **columns}, copy=False)
        taken["table"].append(clock() - start)
        start = clock()
        public = nbtrack.search_runs(max_results=10**7, search_all_experiments=True)
        taken["public"].append(clock() - start)
    assert len(own) == len(public) == int(count)
    assert sorted(public["metrics.s"].tolist()) == list(range(int(count)))
    return {name: median(spans) for name, spans in taken.items()}


def changed(folder: str) -> dict[str, float]:
    """Return seconds until a search in an open store knows what another process has just logged."""
    from nbtrack.store import FileStore

    command = [sys.executable, __file__, "ticks", folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        run_id = writer.stdout.readline().strip()
        store = FileStore.open(folder)
        store.search_runs(filter_string=FILTER, max_results=100)
        taken = []
        for tick in range(40):
            writer.stdin.write(f"{tick}\n")
            writer.stdin.flush()
            writer.stdout.readline()
            start = clock()
            found = store.search_runs(filter_string=f"metrics.tick = {tick}")
            taken.append(clock() - start)
            assert [run.run_id for run in found] == [run_id], tick
        writer.stdin.close()
    for log in Path(folder).glob(f"runs/*/{run_id}*"):
        log.unlink()
    return {"seen": median(taken[3:])}


def ticks(folder: str) -> None:
    """Log a value for each line of standard input."""
    from nbtrack.store import FileStore

    writer = FileStore.open(folder).create_run(run_name="ticking")
    print(writer.run_id, flush=True)
    for line in sys.stdin:
        writer.log_metrics({"tick": float(line)})
        print("done", flush=True)
    os._exit(0)


def rebuild(folder: str, count: str) -> float:
    """Return seconds to build the index from the logs."""
    from nbtrack.store import FileStore

    store = FileStore.open(folder)
    start = clock()
    assert store.rebuild_index() == int(count)
    return clock() - start


def small(folder: str) -> dict[str, float]:
    """Write ten small runs; return how many files one is and how much of the disk it takes."""
    from nbtrack.store import FileStore

    store = FileStore.open(folder)
    store.create_run().end()
    before = {path for path in Path(folder).rglob("*") if path.is_file()}
    for _ in range(10):
        writer = store.create_run(run_name="small")
        for number in range(5):
            writer.log_params({f"param_{number}": number / 7})
        for number in range(5):
            writer.log_metrics({f"metric_{number}": number / 7})
        writer.end()
    new = {path for path in Path(folder).rglob("*") if path.is_file()} - before
    return {"files": len(new) / 10, "bytes": sum(path.stat().st_blocks * 512 for path in new) / 10}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
