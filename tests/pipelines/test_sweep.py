"""Sweeps on real executors: processes, threads, joblib, a Dask cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.errors import InvalidInputError
from nbtrack.pipelines.trial import Portions


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Path:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    return tmp_path / "store"


def bowl(x: float, y: float) -> float:
    return (x - 2) ** 2 + (y + 1) ** 2


def children(run_id: str) -> Any:
    return nbtrack.search_runs(filter_string=f"tags.`nbtrack.parent_run_id` = '{run_id}'", search_all_experiments=True)


def test_grid_in_processes_tries_every_combination_once_and_finds_the_best() -> None:
    found = nbtrack.sweep(bowl, {"x": [0, 1, 2, 3], "y": [-1, 0, 1]}, direction="lower", workers=2)
    assert found.best is not None
    assert (found.best.params, found.best.value, len(found.trials)) == ({"x": 2, "y": -1}, 0.0, 12)
    runs = children(found.run_id)
    assert sorted(zip(runs["params.x"], runs["params.y"], strict=True)) == sorted(
        (str(x), str(y)) for x in range(4) for y in (-1, 0, 1)
    )
    assert set(runs["status"]) == {"FINISHED"}
    parent = nbtrack.get_run(found.run_id)
    assert parent.data.params == {"method": "grid", "trials": "12", "metric": "objective"}
    assert parent.data.tags["nbtrack.best_run_id"] == found.best.run_id
    curve = nbtrack.get_metric_history(found.run_id, "best_objective").value
    assert len(curve) == 12 and list(curve) == sorted(curve, reverse=True) and curve[-1] == 0.0
    frame = found.to_frame()
    assert frame.index[0] == found.best.number and list(frame.columns) == [
        "run_id", "objective", "error", "params.x", "params.y",
    ]  # fmt: skip
    assert nbtrack.active_run() is None


def test_failing_trial_costs_only_itself() -> None:
    def picky(x: int) -> dict[str, float]:
        if x == 1:
            raise ValueError("not this one")
        return {"accuracy": x / 10, "other": 1.0}

    found = nbtrack.sweep(picky, {"x": [0, 1, 2]}, metric="accuracy", executor="threads")
    assert [trial.value for trial in found.trials] == [0.0, None, 0.2]
    assert found.trials[1].error == "ValueError: not this one"
    assert "3 trials, 1 failed; best accuracy=0.2 with {'x': 2}" in repr(found)
    assert "<b>3 trials</b>, 1 failed · best accuracy 0.2" in found._repr_html_()
    assert sorted(children(found.run_id)["status"]) == ["FAILED", "FINISHED", "FINISHED"]
    assert "not this one" in str(nbtrack.get_run(found.trials[1].run_id).capture["error"])


def test_all_trials_failing_says_so_in_the_result() -> None:
    found = nbtrack.sweep(lambda x: 1 / 0, {"x": [0, 1]}, direction="lower", executor="threads")
    assert found.best is None and {trial.error for trial in found.trials} == {"ZeroDivisionError: division by zero"}


def test_random_draws_are_the_same_for_the_same_seed_and_lie_inside() -> None:
    def seen(seed: int) -> list[Any]:
        space = {"x": (0.0, 1.0), "y": (1, 3), "z": (1e-4, 1e-1, "log"), "k": ["a", "b"]}
        found = nbtrack.sweep(
            lambda x, y, z, k: x, space, direction="lower", method="random", trials=20, seed=seed, executor="threads"
        )
        return [trial.params for trial in found.trials]

    first = seen(1)
    assert first == seen(1) != seen(2)
    assert all(0 <= p["x"] <= 1 and p["y"] in (1, 2, 3) and 1e-4 <= p["z"] <= 1e-1 and p["k"] in "ab" for p in first)
    assert min(p["z"] for p in first) < 1e-3


def test_optuna_suggests_and_learns_and_goes_on_where_it_stopped() -> None:
    found = nbtrack.sweep(
        bowl, {"x": (-5.0, 5.0), "y": (-5.0, 5.0)}, direction="lower", method="optuna", trials=40, executor="threads",
        workers=1,
    )  # fmt: skip
    assert found.best is not None and found.best.value is not None
    assert found.best.value < 2.0
    assert len(children(found.run_id)) == 40


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_parallel_is_an_executor(backend: str) -> None:
    from joblib import Parallel

    found = nbtrack.sweep(
        bowl, {"x": [1, 2], "y": [-1, 0]}, direction="lower", executor=Parallel(n_jobs=2, backend=backend)
    )
    assert found.best is not None and found.best.params == {"x": 2, "y": -1}
    assert len(children(found.run_id)) == 4


def test_any_executor_of_the_users_is_left_open() -> None:
    with ThreadPoolExecutor(3) as pool:
        found = nbtrack.sweep(bowl, {"x": [1], "y": [1]}, direction="lower", executor=pool)
        assert pool.submit(lambda: 5).result() == 5
    assert len(found.trials) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_cluster_of_several_processes_loses_and_doubles_no_trial_though_a_worker_dies(store: Path) -> None:
    from distributed import Client, LocalCluster

    def pid(x: int) -> dict[str, float]:
        time.sleep(0.01)
        return {"score": x, "pid": os.getpid()}

    def kill(worker: int) -> None:
        while len(list(store.glob("runs/*/*.jsonl"))) < 50:
            time.sleep(0.01)
        os.kill(worker, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)

    with (
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None, processes=True) as cluster,
        Client(cluster) as client,
    ):
        killer = threading.Thread(target=kill, args=(next(iter(client.run(os.getpid).values())),))
        killer.start()
        found = nbtrack.sweep(pid, {"x": list(range(150))}, metric="score", executor=client)
        killer.join()
    assert found.best is not None and found.best.params == {"x": 149}
    runs = children(found.run_id)
    runs = runs[runs["status"] != "CRASHED"]
    assert sorted(map(int, runs["params.x"])) == list(range(150))
    assert set(runs["status"]) == {"FINISHED"} and runs["metrics.pid"].nunique() >= 2
    assert os.getpid() not in set(runs["metrics.pid"])


STOPPED = """
import sys, time, nbtrack
def slow(x):
    time.sleep(0.05)
    return x
if __name__ == "__main__":
    nbtrack.set_tracking_uri(sys.argv[1])
    nbtrack.sweep(slow, {"x": list(range(400))}, direction="lower", workers=2, name="stopped", resume=None)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGINT to one process")
def test_stopped_sweep_is_killed_and_resumes_with_what_is_left(tmp_path: Path, store: Path) -> None:
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    with subprocess.Popen(
        [sys.executable, str(script), str(store)], start_new_session=True, stderr=subprocess.PIPE
    ) as child:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            runs = nbtrack.search_runs(search_all_experiments=True)
            if len(runs) and (runs["status"] == "FINISHED").sum() > 20:
                break
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGINT)
        _, told = child.communicate(timeout=30)
    runs = nbtrack.search_runs(search_all_experiments=True)
    (parent,) = runs[runs["tags.nbtrack.sweep"].notna()].to_dict("records")
    assert parent["status"] == "KILLED"
    assert f"the same call with resume='{parent['run_id']}' goes on" in told.decode()
    finished = int((runs["status"] == "FINISHED").sum())
    assert 20 < finished < 400
    calls: list[int] = []
    lock = threading.Lock()

    def quick(x: int) -> int:
        with lock:
            calls.append(x)
        return x

    found = nbtrack.sweep(
        quick, {"x": list(range(400))}, direction="lower", resume=parent["run_id"], executor="threads", name="stopped"
    )
    assert len(found.trials) == 400 and len(calls) == 400 - finished
    assert nbtrack.get_run(parent["run_id"]).info.status == "FINISHED"
    done = children(parent["run_id"])
    assert sorted(map(int, done[done["status"] == "FINISHED"]["params.x"])) == list(range(400))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"space": {}}, r"expected a space such as"),
        ({"space": {"x": []}}, r"'x': expected at least one value"),
        ({"space": {"x": (0, 1)}}, r"'x': a grid needs a list"),
        ({"space": {"x": "abc"}}, r"'x': a grid needs a list"),
        ({"space": {"x": (1, 0)}, "method": "random", "trials": 3}, r"'x': expected \(low, high\) with low < high"),
        ({"space": {"x": (0.0, 1.0, "log")}, "method": "optuna", "trials": 3}, r"with low < high above 0"),
        ({"method": "random"}, r"needs a number of trials"),
        ({"method": "bayes"}, r"expected method grid, random, optuna, got 'bayes'"),
        ({"direction": None}, r"whether a higher or a lower 'objective' is better cannot be told"),
        ({"direction": "up"}, r"direction is 'up'"),
        ({"workers": 0}, r"at least one worker"),
        ({"executor": 5}, r"expected an executor"),
        ({"function": 3}, r"expected a function, got int"),
    ],
)
def test_unusable_arguments_are_refused_and_leave_no_run(arguments: dict[str, Any], told: str) -> None:
    given = {"function": bowl, "space": {"x": [1], "y": [1]}, "direction": "lower", **arguments}
    with pytest.raises(InvalidInputError, match=told):
        nbtrack.sweep(given.pop("function"), given.pop("space"), **given)
    assert len(nbtrack.search_runs(search_all_experiments=True)) == 0


def test_resume_of_another_sweep_is_refused() -> None:
    found = nbtrack.sweep(bowl, {"x": [1], "y": [1]}, direction="lower", executor="threads")
    with pytest.raises(InvalidInputError, match="is a sweep over another space"):
        nbtrack.sweep(bowl, {"x": [2], "y": [1]}, direction="lower", executor="threads", resume=found.run_id)
    with pytest.raises(InvalidInputError, match="is no sweep"):
        nbtrack.sweep(bowl, {"x": [1], "y": [1]}, direction="lower", executor="threads", resume=found.trials[0].run_id)


def test_trial_without_the_metric_says_what_it_has() -> None:
    found = nbtrack.sweep(lambda x: {"loss": x}, {"x": [1]}, metric="accuracy", executor="threads")
    assert "neither returned nor logged the metric 'accuracy'; it has 'loss'" in found.trials[0].error


def test_function_that_cannot_travel_says_what_to_do() -> None:
    lock = threading.Lock()

    def locked(x: int) -> int:
        with lock:
            return x

    with pytest.raises(InvalidInputError, match=r"cannot be sent to another process \(.*lock.*executor='threads'"):
        nbtrack.sweep(locked, {"x": [1]}, direction="lower", workers=1)
    assert nbtrack.sweep(locked, {"x": [1]}, direction="lower", executor="threads").best is not None


def test_quick_trials_go_out_in_portions_and_slow_ones_alone() -> None:
    portions = Portions(4, 400, learns=False)
    assert portions.size() == 1  # nothing is known yet
    portions.see(0.002)
    assert portions.size() == 25  # all that fits into what is left for each of the four, four times over
    portions.give(336)
    assert portions.size() == 4
    portions.see(0.06)
    assert portions.size() == 1
    learning = Portions(4, 400, learns=True)
    learning.see(0.002)
    assert learning.size() == 1


def test_portions_reach_every_trial_and_a_failure_stays_its_own() -> None:
    def odd(x: int) -> float:
        if x % 7 == 0:
            raise ValueError("no sevens")
        return float(x)

    found = nbtrack.sweep(odd, {"x": list(range(200))}, direction="higher", executor="threads", workers=2)
    assert [trial.number for trial in found.trials] == list(range(200))
    assert [trial.params["x"] for trial in found.trials if trial.value is None] == list(range(0, 200, 7))
    assert len(children(found.run_id)) == 200
