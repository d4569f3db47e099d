"""What a trial of a sweep costs beyond the trial itself, and whether one is ever lost.

::

    python tests/bench/sweep.py                       # 5,000 trials on 16 processes
    python tests/bench/sweep.py --trials 500 --workers 4
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import nbtrack
from nbtrack.pipelines.executors import crew


def nothing(x: int) -> float:
    """Do what any trial does at least."""
    return float(x)


def _processor_time() -> float:
    """Return what this process and those of its children that have ended have used, in seconds."""
    told = os.times()
    return told.user + told.system + told.children_user + told.children_system


def main() -> int:
    """Run the same calls bare and as trials, print what one costs, and count the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=16)
    options = parser.parse_args()
    values = list(range(options.trials))
    with tempfile.TemporaryDirectory() as folder:
        nbtrack.set_tracking_uri(str(Path(folder) / "store"))
        with crew(None, options.workers) as (pool, _):
            list(pool.map(nothing, values[:200]))
            start = time.perf_counter()
            list(pool.map(nothing, values))
            bare = time.perf_counter() - start
        start, cpu = time.perf_counter(), _processor_time()
        found = nbtrack.sweep(nothing, {"x": values}, metric="score", workers=options.workers)
        whole, cpu = time.perf_counter() - start, _processor_time() - cpu
        runs = nbtrack.search_runs(max_results=10**6, search_all_experiments=True)
        trials = runs[runs["tags.nbtrack.trial"].notna()]
        lost = set(values) - set(map(int, trials["params.x"]))
        sound = not lost and len(trials) == len(values) and set(trials["status"]) == {"FINISHED"}
    each = (whole - bare) / options.trials * 1e3
    print(
        f"{options.trials:,} trials, {options.workers} processes, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"bare calls {bare:.2f} s; sweep {whole:.2f} s with its processes' start; {each:.2f} ms a trial beyond it")
    print(f"{cpu / options.trials * 1e3:.2f} ms of processor time a trial, in all processes and with their start")
    print(f"runs {len(trials):,}, lost {len(lost)}, best {found.best.value if found.best else None}")
    return 0 if sound and each <= 5 else 1


if __name__ == "__main__":
    sys.exit(main())
