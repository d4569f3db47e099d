"""What a trial of a sweep costs beyond the trial itself, and whether one is ever lost.

::

    python tests/bench/sweep.py                       # 5,000 trials on 16 processes
    python tests/bench/sweep.py --trials 500 --workers 4
    python tests/bench/sweep.py --dask                # the same on a Dask cluster of 16 worker processes
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbtrack
from nbtrack.pipelines.executors import crew


def nothing(x: int) -> float:
    """Do what any trial does at least."""
    return float(x)


def _processor_time() -> float:
    """Return what this process and those of its children that have ended have used, in seconds."""
    told = os.times()
    return told.user + told.system + told.children_user + told.children_system


@contextmanager
def executor(dask: bool, workers: int) -> Iterator[tuple[Any, Callable[[], float]]]:
    """Give where the trials run, and what says how much processor time all its processes have used."""
    if not dask:
        yield None, _processor_time
        return
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, processes=True)
    with cluster, Client(cluster) as client:
        client.wait_for_workers(workers)
        yield client, lambda: time.process_time() + sum(client.run(time.process_time).values())


def main() -> int:
    """Run the same calls bare and as trials, print what one costs, and count the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--dask", action="store_true")
    options = parser.parse_args()
    values = list(range(options.trials))
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, executor(options.dask, options.workers) as (cluster, used):
        ready = time.perf_counter() - begun
        nbtrack.set_tracking_uri(str(Path(folder) / "store"))
        with crew(cluster, options.workers) as (pool, _):
            list(pool.map(nothing, values[:200]))
            start, cpu = time.perf_counter(), used()
            list(pool.map(nothing, values))
            bare, bare_cpu = time.perf_counter() - start, used() - cpu
        start, cpu = time.perf_counter(), used()
        found = nbtrack.sweep(nothing, {"x": values}, metric="score", executor=cluster, workers=options.workers)
        whole, cpu = time.perf_counter() - start, used() - cpu
        runs = nbtrack.search_runs(max_results=10**6, search_all_experiments=True)
        trials = runs[runs["tags.nbtrack.trial"].notna()]
        lost = set(values) - set(map(int, trials["params.x"]))
        sound = not lost and len(trials) == len(values) and set(trials["status"]) == {"FINISHED"}
    each = (whole - bare) / options.trials * 1e3
    where = f"Dask workers, up after {ready:.0f} s" if options.dask else "processes"
    print(
        f"{options.trials:,} trials, {options.workers} {where}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"bare calls {bare:.2f} s; sweep {whole:.2f} s with its processes' start; {each:.2f} ms a trial beyond it")
    print(
        f"{cpu / options.trials * 1e3:.2f} ms of processor time a trial, in all processes and with their start", end=""
    )
    print(f"; a bare call {bare_cpu / options.trials * 1e3:.2f} ms" if options.dask else "")
    print(f"runs {len(trials):,}, lost {len(lost)}, best {found.best.value if found.best else None}")
    return 0 if sound and each <= 5 else 1


if __name__ == "__main__":
    sys.exit(main())
