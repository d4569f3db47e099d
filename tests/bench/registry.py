"""What models and the registry cost beside the bare operation: ``python tests/bench/registry.py [VERSIONS]``.

Prints one table. Each row is the median of several calls in this process; the ratio is to what cannot be avoided: the
numbered commit that a change must write, or the bare pickling of the same model.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

import nbtrack
from nbtrack import registry
from nbtrack.store import open_store


def ms(act: Callable[[int], object], times: int) -> float:
    """Return the median milliseconds of one call."""
    taken = []
    for number in range(times):
        started = time.perf_counter()
        act(number)
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken)


def main() -> None:
    """Measure and print."""
    versions = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    data, target = load_breast_cancer(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(100, random_state=0).fit(data, target)
    blob = pickle.dumps(forest, protocol=5)
    with tempfile.TemporaryDirectory() as folder:
        nbtrack.set_tracking_uri(folder)
        store = open_store(folder)
        with nbtrack.start_run():
            uri = nbtrack.sklearn.log_model(forest, "model", input_example=data.head()).model_uri
            dump = ms(lambda _: pickle.dumps(forest, protocol=5), 9)
            log = ms(lambda n: nbtrack.sklearn.log_model(forest, f"model-{n}", input_example=data.head()), 9)
        bare = ms(lambda _: store.append_commit("bare", {"action": "create", "patch": {}}), 50)
        for _ in range(versions):
            nbtrack.register_model(uri, "clf")
        rows = [
            ("register a version", ms(lambda _: nbtrack.register_model(uri, "clf"), 30), bare, "3 ms"),
            ("promote", ms(lambda n: nbtrack.promote("clf", n + 1, "Production"), 30), bare, "3 ms"),
            (
                "resolve models:/clf/Production",
                ms(lambda _: registry.resolve("models:/clf/Production"), 50),
                bare,
                "1 ms",
            ),
            ("log_model, forest of 100", log, dump, "200 ms"),
            (
                "load_model, the same",
                ms(lambda _: nbtrack.load_model(uri), 20),
                ms(lambda _: pickle.loads(blob), 20),
                "2x",
            ),
        ]
    print(f"{versions} versions present")
    print(f"{'operation':34}{'ours, ms':>10}{'bare, ms':>10}{'ratio':>8}  asked")
    for name, ours, floor, asked in rows:
        print(f"{name:34}{ours:10.3f}{floor:10.3f}{ours / floor:8.1f}  {asked}")


if __name__ == "__main__":
    main()
