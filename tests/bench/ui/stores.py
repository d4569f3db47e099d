"""The stores that the interface is measured over, made quickly: each run as one finished log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nbtrack.store import FileStore, open_store
from nbtrack.store.base import Store
from nbtrack.store.bulk import EndedRun, add_ended_run
from nbtrack.store.layout import new_id

FIRST_MS = 1_795_000_000_000
GROUP = 1000  # runs with the same keys, in a store of very many keys


def _add(store: FileStore, number: int, params: dict[str, str], metrics: dict[str, float]) -> None:
    at = FIRST_MS + number * 1000
    points = {key: [(at, value, 0)] for key, value in metrics.items()}
    add_ended_run(
        store, EndedRun(new_id(at), f"sweep-{number}", "0", "FINISHED", at, at + 900, params=params, metrics=points)
    )


def make_runs(folder: Path, count: int, params: int, metrics: int) -> Store:
    """So many finished runs, all with the same keys."""
    store = open_store(folder)
    assert isinstance(store, FileStore)
    rng = np.random.default_rng(0)
    for number in range(count):
        chosen = {f"p{k}": str(v) for k, v in enumerate(rng.integers(0, 50, params).tolist())}
        _add(store, number, chosen, {f"m{k}/acc": v for k, v in enumerate(rng.random(metrics).tolist())})
    return store


def make_wide(folder: Path, count: int, keys: int) -> Store:
    """So many finished runs of many projects, each with 20 keys of its own: `keys` columns in all."""
    store = open_store(folder)
    assert isinstance(store, FileStore)
    rng = np.random.default_rng(0)
    projects = keys // 20
    for number in range(count):
        first = (number * projects // count) * 10
        params = {f"param_{first + k:03}": str(v) for k, v in enumerate(rng.integers(0, 50, 10).tolist())}
        _add(store, number, params, {f"metric_{first + k:03}": v for k, v in enumerate(rng.random(10).tolist())})
    return store


def make_curves(folder: Path, runs: int, points: int) -> Store:
    """So many runs with one long curve each."""
    store = open_store(folder)
    rng = np.random.default_rng(0)
    for number in range(runs):
        writer = store.create_run("0", f"long-{number}")
        for step, value in enumerate(rng.standard_normal(points).cumsum().tolist()):
            writer.log_metric("loss", value, step)
        writer.end()
    for run_id in store.run_table().run_ids:
        store.get_metric_overview(run_id, "loss")  # as after the first look at a run that ended
    return store


def kept(folder: Path, name: str, make: Callable[[Path], Store]) -> Path:
    """The folder of a store that was made before, or is made now."""
    place = folder / name
    if not (place / "done").exists():
        started = time.perf_counter()
        make(place / "store").revision()  # with its index
        (place / "done").write_text("yes")
        print(f"made {name} in {time.perf_counter() - started:.0f} s", flush=True)
    return place / "store"
