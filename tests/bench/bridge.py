"""Both ways between MLflow and nbtrack, side by side in one process: run in an environment that has MLflow.

    python tests/bench/bridge.py [RUNS]

Prints what an import of an ``mlflow.db`` takes beside MLflow's own search of it, and what ``mlflow.log_metric`` takes
on a store of ours beside MLflow's file store. On a busy machine only the ratios mean something.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import time
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow

from nbtrack.bridge import import_runs
from nbtrack.store import open_store


def fill(database: Path, count: int) -> None:
    """Put runs of five params, five metrics and four tags into the tables that MLflow made."""
    with sqlite3.connect(database) as db:
        runs, params, metrics, tags = [], [], [], []
        for number in range(count):
            run, at = uuid.uuid4().hex, 1_700_000_000_000 + number * 1000
            runs.append(
                (run, f"run-{number}", "LOCAL", "ana", "FINISHED", at, at + 500, "active", f"/gone/{run}/artifacts")
            )
            params += [(f"p{n}", str(number * n), run) for n in range(5)]
            metrics += [(f"m{n}", number / (n + 1), at, run, 0, 0) for n in range(5)]
            tags += [(key, "text", run) for key in ("mlflow.user", "mlflow.source.name", "mlflow.source.type", "team")]
        columns = "run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri"
        db.executemany(f"insert into runs ({columns}, experiment_id) values (?,?,?,?,?,?,?,?,?,0)", runs)
        db.executemany("insert into params (key, value, run_uuid) values (?,?,?)", params)
        for table in ("metrics", "latest_metrics"):
            db.executemany(
                f"insert into {table} (key, value, timestamp, run_uuid, step, is_nan) values (?,?,?,?,?,?)", metrics
            )
        db.executemany("insert into tags (key, value, run_uuid) values (?,?,?)", tags)


def bare(folder: Path, count: int) -> float:
    """Time making as many files of the same size, with nothing else around it: no import can be quicker.

    On ext4 that takes up to twenty times as long where many files were deleted within the last minutes (it passes over
    their inodes one by one, for each new file), so it is timed before and after the import.
    """
    names, data = [f"{uuid.uuid4().hex}.jsonl" for _ in range(count)], b"x" * 930
    folder.mkdir()
    place = os.open(folder, os.O_RDONLY)
    started = time.perf_counter()
    for name in names:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=place)
        os.write(fd, data)
        os.close(fd)
    took = time.perf_counter() - started
    os.close(place)
    return took


def importing(folder: Path, count: int) -> None:
    """Time an import beside a search."""
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.search_experiments()
    fill(folder / "mlflow.db", count)
    started, cpu = time.perf_counter(), time.process_time()
    found = len(mlflow.search_runs(search_all_experiments=True, max_results=50_000))
    theirs, their_cpu = time.perf_counter() - started, time.process_time() - cpu
    before = bare(folder / "bare", count)
    started, cpu = time.perf_counter(), os.times()
    report = import_runs(folder / "mlflow.db", open_store(folder / "store"))
    ours, used = time.perf_counter() - started, os.times()
    after = bare(folder / "bare again", count)
    user, system = used.user - cpu.user, used.system - cpu.system
    assert report.runs == found == count
    print(f"{count:,} runs: MLflow's search {theirs:.2f} s, import {ours:.2f} s: {theirs / ours:.1f} times as fast")
    print(
        f"   by processor time {their_cpu / (user + system):.1f} times: {their_cpu:.2f} s to {user:.2f} s of our own",
        end="",
    )
    print(f" and {system:.2f} s of the system")
    print(f"   making as many files, bare: {before:.2f} s before, {after:.2f} s after it")
    started, cpu = time.perf_counter(), time.process_time()
    import_runs(folder / "mlflow.db", open_store(folder / "counted"), dry_run=True)
    read, read_cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"   reading all without writing: {read:.2f} s, {theirs / read:.1f} times ({their_cpu / read_cpu:.1f})")


def logging(folder: Path) -> None:
    """Time one call of log_metric on each store."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    medians = {}
    for name, uri in (("nbtrack", f"nbtrack://{folder / 'plugin'}"), ("file store", (folder / "mlruns").as_uri())):
        mlflow.set_tracking_uri(uri)
        times = []
        with mlflow.start_run(experiment_id="0"):
            for step in range(1000):
                started = time.perf_counter()
                mlflow.log_metric("m", step / 2, step=step)
                times.append(time.perf_counter() - started)
        medians[name] = statistics.median(times) * 1e6
    print(", ".join(f"log_metric on {name}: {value:.0f} us" for name, value in medians.items()))


if __name__ == "__main__":
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with TemporaryDirectory() as place:
        importing(Path(place), int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
        logging(Path(place))
