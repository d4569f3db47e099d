"""Writes ``tests/store/data/format-1``: a store as this format's first release wrote it, kept to be readable for ever.

Run once for each new format, then never again for that format: what is committed is the point, not this script::

    python tests/store/make_old_store.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from nbtrack.entities import DatasetInput
from nbtrack.store import FileStore, liveness

T0 = 1_700_000_000_000  # 2023-11-14
TARGET = Path(__file__).parent / "data" / "format-1"
WRITER = {"host": "old", "machine": "0" * 12, "boot": "an-earlier-boot", "ns": "1", "pid": 4711, "start": "42"}
CRASHED = """
import os, sys
from nbtrack.store import FileStore, liveness
liveness._identity = (os.getpid(), WRITER)
writer = FileStore.open(sys.argv[1]).create_run(run_name="crashed", run_id="f" * 32, start_time_ms=1_700_000_500_000)
writer.log_params({"lr": 0.5})
for n in range(3):
    writer.log_metrics({"loss": n + 0.5}, timestamp_ms=1_700_000_500_000 + n)
os._exit(9)
"""


def main() -> None:
    """Write one of everything, with fixed ids and times."""
    shutil.rmtree(TARGET, ignore_errors=True)
    liveness._identity = (os.getpid(), dict(WRITER))  # this machine's names are nobody's business
    store = FileStore.open(TARGET)
    wine = store.create_experiment("wine", tags={"team": "röd"})
    store.edit_experiment(store.create_experiment("gone"), deleted=True)
    full = store.create_run(wine, "full ✓", run_id="a" * 32, start_time_ms=T0, tags={"kind": "rf"})
    full.log_params({"lr": 0.1, "text": "größe\n2"})
    for step, value in enumerate((3.0, float("nan"), float("inf"), 1e308, -0.0)):
        full.log_metrics({"loss": value}, step=step * 10 - 20, timestamp_ms=T0 + step)
    full.log_metrics({"acc": 0.1, "f1": 1 / 3}, step=7, timestamp_ms=T0 + 9)
    full.log_inputs([DatasetInput("wine.csv", "training", "abc", "data/wine.csv", {"rows": 178})])
    full.log_artifact(b"weights\n", "model/w.bin")
    full.log_capture({"cell": {"source": "x = 1"}})
    full.end(end_time_ms=T0 + 60_000)
    store.edit_run("a" * 32, tags={"nbtrack.note": "edited later"}, metrics={"late": 2.5})
    resumed = store.create_run("0", "resumed", run_id="b" * 32, start_time_ms=T0 + 100_000)
    resumed.log_metrics({"m": 1.0}, timestamp_ms=T0 + 100_001)
    resumed.end("FAILED", end_time_ms=T0 + 100_002)
    again = store.resume_run("b" * 32)
    again.log_metrics({"m": 2.0}, timestamp_ms=T0 + 100_003)
    again.end()
    long = store.create_run("0", "long", run_id="c" * 32, start_time_ms=T0 + 200_000)
    for step in range(300):
        long.log_metrics({"m": step / 7, "n": -float(step)}, step=step, timestamp_ms=T0 + 200_000 + step)
    long.end(end_time_ms=T0 + 300_000)
    packed = store.create_run("0", "packed", run_id="e" * 32, start_time_ms=T0 + 350_000)
    for step in range(8000):
        packed.log_metrics({"m": step / 8, "n": -float(step)}, step=step, timestamp_ms=T0 + 350_000 + step)
    packed.log_params({"p": "after"})
    packed.end(end_time_ms=T0 + 360_000)
    assert store.compact(dry_run=False).run_ids == ("e" * 32,)
    store.create_run("0", "trashed", run_id="d" * 32, start_time_ms=T0 + 400_000).end(
        "KILLED", end_time_ms=T0 + 400_001
    )
    store.edit_run("d" * 32, deleted=True)
    store.append_commit("clf", {"action": "register", "version": 1, "source": "runs:/" + "a" * 32 + "/model"})
    store.append_commit(
        "clf", {"action": "stage", "changes": [{"version": 1, "from": "None", "to": "Staging"}]}, expect=1
    )
    store.append_commit("Größe", {"action": "register", "version": 1})
    subprocess.run([sys.executable, "-c", CRASHED.replace("WRITER", repr(WRITER)), str(TARGET)], check=False)
    shutil.rmtree(TARGET / "index", ignore_errors=True)
    size = sum(path.stat().st_size for path in TARGET.rglob("*") if path.is_file())
    print(f"{TARGET}: {size:,} bytes")


if __name__ == "__main__":
    main()
