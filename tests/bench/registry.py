"""What models and the registry cost beside the bare operation, and beside MLflow in the same run::

    python tests/bench/registry.py                                  # ours and the bare operation
    python tests/bench/registry.py --mlflow /path/to/its/python     # and MLflow's

Prints one table. Each row is the median of several calls in one process; the ratio is to what cannot be avoided: the
numbered commit that a change must write, or the bare pickling of the same model.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

import nbtrack
from nbtrack import registry
from nbtrack.store import open_store

HERE = Path(__file__).parent


def ms(act: Callable[[int], object], times: int) -> float:
    """Return the median milliseconds of one call."""
    taken = []
    for number in range(times):
        started = time.perf_counter()
        act(number)
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken)


def in_turn(act: Callable[[], object], bare: Callable[[], object], times: int) -> tuple[float, float]:
    """Return the median milliseconds of two things done in turn, so that whatever else is going on slows down both."""
    pairs = [(ms(lambda _: act(), 1), ms(lambda _: bare(), 1)) for _ in range(times)]
    return median(one for one, _ in pairs), median(other for _, other in pairs)


def ours(versions: int) -> list[tuple[str, str, float, float, str]]:
    """Return rows of operation, key of MLflow's figure, milliseconds, bare milliseconds, what is asked."""
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
        gates = ["signature compatible", "input example predicts"]
        return [
            ("register a version", "register", ms(lambda _: nbtrack.register_model(uri, "clf"), 30), bare, "3 ms"),
            ("promote", "promote", ms(lambda n: nbtrack.promote("clf", n + 1, "Production"), 30), bare, "3 ms"),
            (
                "promote past two gates",
                "",
                ms(lambda n: nbtrack.promote("clf", n + 100, "Production", require=gates), 10),
                bare,
                "",
            ),
            (
                "resolve models:/clf/Production",
                "resolve",
                ms(lambda _: registry.resolve("models:/clf/Production"), 50),
                bare,
                "1 ms",
            ),
            ("log_model, forest of 100", "log_model", log, dump, "200 ms"),
            (
                "load_model, the same",
                "load_model",
                *in_turn(lambda: nbtrack.load_model(uri), lambda: pickle.loads(blob), 60),
                "2x",
            ),
        ]


def mlflow(python: str, backends: list[str], versions: int) -> dict[str, dict[str, Any]]:
    """Return MLflow's figures by backend; its own process, its own Python."""
    found = {}
    for backend in backends:
        with tempfile.TemporaryDirectory() as folder:
            script = str(HERE / "contenders" / "registry_mlflow.py")
            command = [python, script, backend, folder, str(versions)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"MLflow on {backend} failed:\n{done.stderr[-2000:]}")
            found[backend] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--mlflow", metavar="PYTHON", help="a Python that has MLflow")
    parser.add_argument(
        "--backends",
        nargs="*",
        choices=("file", "sqlite"),
        default=["sqlite"],
        help="MLflow's; on files it reads every version for each new one, so that 1,000 of them take half an hour",
    )
    options = parser.parse_args()
    peers = mlflow(options.mlflow, options.backends, options.versions) if options.mlflow else {}
    rows = ours(options.versions)
    print(f"{options.versions} versions present" + "".join(f"; MLflow {p['version']} on {n}" for n, p in peers.items()))
    heads = "".join(f"{f'MLflow {name}':>15}{'times':>7}" for name in peers)
    print(f"{'operation':34}{'ours, ms':>10}{'bare, ms':>10}{'ratio':>8}  {'asked':8}{heads}")
    for name, key, taken, floor, asked in rows:
        theirs = "".join(f"{p[key]:15.1f}{p[key] / taken:7.0f}" if key else f"{'':22}" for p in peers.values())
        print(f"{name:34}{taken:10.3f}{floor:10.3f}{taken / floor:8.1f}  {asked:8}{theirs}")
    for name, peer in peers.items():
        print(f"MLflow on {name}, log_model without pinned requirements: {peer['log_model_usual']:.0f} ms")


if __name__ == "__main__":
    main()
