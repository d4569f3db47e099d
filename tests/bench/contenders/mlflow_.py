"""MLflow, one operation a process: ``python mlflow_.py OPERATION FOLDER …`` prints JSON.

``NBTRACK_BENCH_BACKEND`` says ``file`` or ``sqlite``.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import sys
import uuid
from pathlib import Path
from statistics import median
from time import time_ns

from clock import clock

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
BACKEND = os.environ.get("NBTRACK_BENCH_BACKEND", "file")
FILTER = "metrics.acc > 0.5 and params.kind = 'k3'"


def use(folder: str) -> object:
    """Import MLflow and point it at a folder."""
    import mlflow

    logging.disable(logging.WARNING)
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db" if BACKEND == "sqlite" else f"file:{folder}/mlruns")
    return mlflow


def first(folder: str) -> None:
    """Log one run in an empty folder, as a script would."""
    mlflow = use(folder)
    with mlflow.start_run():
        mlflow.log_metric("m", 1.0)


def startend(folder: str, count: str) -> float:
    """Return seconds for one start_run and end_run."""
    mlflow = use(folder)
    taken = []
    for _ in range(int(count)):
        start = clock()
        mlflow.start_run()
        mlflow.end_run()
        taken.append(clock() - start)
    return median(taken[3:])


def metric(folder: str, count: str) -> dict[str, float]:
    """Return seconds per log_metric."""
    mlflow = use(folder)
    taken = []
    with mlflow.start_run():
        for step in range(int(count)):
            start = clock()
            mlflow.log_metric("loss", 1 / (step + 3), step=step)
            taken.append(clock() - start)
    return {"public": median(taken[3:])}


def used(folder: str) -> int:
    """Return the bytes of all files."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def points(folder: str, count: str, _end: str) -> dict[str, object]:
    """Log one run with many points of one metric, in batches; return its id and its bytes."""
    mlflow = use(folder)
    from mlflow.entities import Metric

    client = mlflow.MlflowClient()
    run_id = client.create_run("0").info.run_id
    before = used(folder)
    for start in range(0, int(count), 1000):
        at = time_ns() // 1_000_000
        client.log_batch(run_id, [Metric("loss", 1 / (s + 3), at, s) for s in range(start, start + 1000)])
    client.set_terminated(run_id)
    size = used(folder) - before
    return {"run_id": run_id, "live": size, "sealed": size}


def history(folder: str, run_id: str, count: str) -> dict[str, float]:
    """Return seconds for all points of a metric as an array."""
    import numpy as np

    client = use(folder).MlflowClient()
    start = clock()
    found = client.get_metric_history(run_id, "loss")
    values = np.array([m.value for m in found])
    taken = clock() - start
    assert len(values) == int(count)
    return {"first": taken, "again": taken}


def runs(folder: str, count: str) -> None:
    """Make many finished runs: one by the API, the others as copies of what that left behind (not a timing)."""
    mlflow = use(folder)
    client = mlflow.MlflowClient()
    run = client.create_run("0", start_time=1_700_000_000_000, tags={"team": "t0", "host": "h0", "note": "run 0"})
    for key in ("kind", "lr", "depth", "seed", "opt"):
        client.log_param(run.info.run_id, key, "k0")
    for key in ("acc", "loss", "f1", "auc", "s"):
        for step in range(3):
            client.log_metric(run.info.run_id, key, 0.0, timestamp=1_700_000_000_000 + step, step=step)
    client.set_terminated(run.info.run_id, end_time=1_700_000_060_000)
    copy = _copy_rows if BACKEND == "sqlite" else _copy_folders
    copy(folder, run.info.run_id, int(count))


def _values(number: int, total: int) -> tuple[dict[str, float], dict[str, str]]:
    acc = number * 7919 % total / total
    metrics = {"acc": acc, "loss": 1 - acc, "f1": acc / 2, "auc": acc * 2, "s": float(number)}
    params = {"kind": f"k{number % 10}", "lr": str(acc), "depth": str(number % 12), "seed": str(number), "opt": "adam"}
    return metrics, params


def _copy_rows(folder: str, run_id: str, total: int) -> None:
    with sqlite3.connect(f"{folder}/mlflow.db") as base:
        columns = [row[1] for row in base.execute("pragma table_info(runs)")]
        row = dict(zip(columns, base.execute("select * from runs").fetchone(), strict=True))
        for number in range(1, total):
            new = uuid.uuid4().hex
            at = 1_700_000_000_000 + number
            metrics, params = _values(number, total)
            changed = {**row, "run_uuid": new, "name": f"run-{number}", "start_time": at, "end_time": at + 60_000}
            base.execute(f"insert into runs values ({','.join('?' * len(columns))})", [changed[c] for c in columns])
            for table in ("tags",):
                for key, value in base.execute(
                    f"select key, value from {table} where run_uuid = ?", [run_id]
                ).fetchall():
                    base.execute(f"insert into {table} (key, value, run_uuid) values (?, ?, ?)", [key, value, new])
            for key, text in params.items():
                base.execute("insert into params (key, value, run_uuid) values (?, ?, ?)", [key, text, new])
            for key, value in metrics.items():
                line = "(key, value, timestamp, step, is_nan, run_uuid) values (?, ?, ?, ?, 0, ?)"
                for step in range(3):
                    base.execute(f"insert into metrics {line}", [key, value, at + step, step, new])
                base.execute(f"insert into latest_metrics {line}", [key, value, at + 2, 2, new])


def _copy_folders(folder: str, run_id: str, total: int) -> None:
    home = Path(folder) / "mlruns" / "0"
    template = home / run_id
    meta = (template / "meta.yaml").read_text()
    tags = {path.name: path.read_bytes() for path in (template / "tags").iterdir()}
    for number in range(1, total):
        new = uuid.uuid4().hex
        at = 1_700_000_000_000 + number
        target = home / new
        for part in ("artifacts", "params", "metrics", "tags"):
            (target / part).mkdir(parents=True)
        text = meta.replace(run_id, new).replace("1700000000000", str(at)).replace("1700000060000", str(at + 60_000))
        (target / "meta.yaml").write_text(text)
        for name, data in tags.items():
            (target / "tags" / name).write_bytes(data)
        metrics, params = _values(number, total)
        for key, text in params.items():
            (target / "params" / key).write_text(text)
        for key, value in metrics.items():
            (target / "metrics" / key).write_text("".join(f"{at + step} {value} {step}\n" for step in range(3)))


def search(folder: str, _count: str) -> dict[str, float]:
    """Return seconds to open the store and find the best hundred; and once more in the open store."""
    mlflow = use(folder)
    start = clock()
    client = mlflow.MlflowClient()
    found = client.search_runs(["0"], FILTER, max_results=100, order_by=["metrics.acc DESC"])
    fresh = clock() - start
    start = clock()
    again = client.search_runs(["0"], FILTER, max_results=100, order_by=["metrics.acc DESC"])
    taken = clock() - start
    assert len(found) == len(again) == 100 and found[0].data.metrics["acc"] > 0.99
    return {"fresh": fresh, "open": taken}


def small(folder: str) -> dict[str, float]:
    """Write ten small runs; return how many files one is and how much of the disk it takes."""
    mlflow = use(folder)

    def one() -> None:
        with mlflow.start_run():
            for number in range(5):
                mlflow.log_param(f"param_{number}", number / 7)
            for number in range(5):
                mlflow.log_metric(f"metric_{number}", number / 7)

    one()
    before = _taken(folder)
    for _ in range(10):
        one()
    after = _taken(folder)
    return {"files": (after[0] - before[0]) / 10, "bytes": (after[1] - before[1]) / 10}


def _taken(folder: str) -> tuple[int, int]:
    paths = list(Path(folder).rglob("*"))
    return sum(path.is_file() for path in paths), sum(path.stat().st_blocks * 512 for path in paths)


if __name__ == "__main__":
    sys.argv[2] = str(Path(sys.argv[2]).resolve())
    answer = globals()[sys.argv[1]](*sys.argv[2:])
    shutil.rmtree(Path(sys.argv[2]) / ".tmp", ignore_errors=True)
    print(json.dumps(answer))
