"""Experiments and runs of ours through MLflow's own calls."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Dataset, DatasetInput, ExperimentTag, InputTag, Metric, Param, RunStatus, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import SearchUtils

import nbtrack
from nbtrack.bridge.plugin.tracking import TrackingStore


@pytest.fixture
def store(uri: str) -> TrackingStore:
    return TrackingStore(uri)


def new_run(store: TrackingStore, **given: object) -> str:
    fields = {"experiment_id": "0", "user_id": "ana", "start_time": 1000, "tags": [], "run_name": "r", **given}
    return str(store.create_run(**fields).info.run_id)


def code_of(error: pytest.ExceptionInfo[MlflowException]) -> str:
    return str(error.value.error_code)


def test_fluent_calls_write_a_run_that_nbtrack_reads(uri: str, tmp_path: Path) -> None:
    mlflow.set_experiment("wine")
    with mlflow.start_run(run_name="first", description="better than before") as parent:
        mlflow.log_params({"alpha": 0.5, "kind": "rf"})
        mlflow.log_metric("loss", 0.9, step=0)
        mlflow.log_metric("loss", 0.4, step=7)
        mlflow.log_text("hello", "notes/a.txt")
        with mlflow.start_run(nested=True, run_name="child") as child:
            mlflow.set_tag("colour", "red")
    nbtrack.set_tracking_uri(tmp_path / "store")
    run = nbtrack.get_run(parent.info.run_id)
    assert run.info.run_name == "first" and run.info.status == "FINISHED"
    assert nbtrack.get_experiment(run.info.experiment_id).name == "wine"
    assert run.data.params == {"alpha": "0.5", "kind": "rf"} and run.data.metrics == {"loss": 0.4}
    assert run.data.tags["nbtrack.note"] == "better than before"
    assert run.info.user_id == mlflow.get_run(run.run_id).info.user_id != ""
    assert nbtrack.get_run(child.info.run_id).data.tags["nbtrack.parent_run_id"] == run.run_id
    assert list(run.artifacts) == ["notes/a.txt"]
    assert nbtrack.get_metric_history(run.run_id, "loss").step.tolist() == [0, 7]
    shown = mlflow.get_run(run.run_id)
    assert shown.data.tags["mlflow.note.content"] == "better than before"
    assert shown.data.tags["mlflow.runName"] == "first"
    assert not any(key.startswith("nbtrack.") for key in shown.data.tags)


def test_runs_of_nbtrack_are_seen_in_mlflow(uri: str, tmp_path: Path) -> None:
    nbtrack.set_tracking_uri(tmp_path / "store")
    with nbtrack.start_run(run_name="ours") as run:
        nbtrack.log_param("a", 1)
        nbtrack.log_metric("m", math.nan, step=3)
        nbtrack.log_text("x", "deep/er/x.txt")
    (found,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert found.info.run_name == "ours" and found.data.params == {"a": "1"} and math.isnan(found.data.metrics["m"])
    client = mlflow.MlflowClient()
    assert [one.path for one in client.list_artifacts(run.run_id, "deep")] == ["deep/er"]
    assert mlflow.artifacts.load_text(f"runs:/{run.run_id}/deep/er/x.txt") == "x"
    client.set_tag(run.run_id, "mlflow.note.content", "seen")
    client.log_metric(run.run_id, "late", 2.0, step=5)
    again = nbtrack.get_run(run.run_id)
    assert again.data.tags["nbtrack.note"] == "seen" and again.data.metrics["late"] == 2.0
    assert again.info.status == "FINISHED"


def test_run_lives_ends_goes_on_and_ends_again(store: TrackingStore) -> None:
    run_id = new_run(store)
    assert store.get_run(run_id).info.status == "RUNNING" and store.get_run(run_id).info.end_time is None
    store.update_run_info(run_id, RunStatus.FAILED, 5000, None)
    info = store.get_run(run_id).info
    assert (info.status, info.start_time, info.end_time, info.user_id) == ("FAILED", 1000, 5000, "ana")
    store.update_run_info(run_id, RunStatus.RUNNING, None, "renamed")
    assert store.get_run(run_id).info.status == "RUNNING"
    store.log_metric(run_id, Metric("m", 1.0, 1, 0))
    store.update_run_info(run_id, RunStatus.FINISHED, 2**42, None)
    info = store.get_run(run_id).info
    assert (info.status, info.end_time, info.run_name) == ("FINISHED", 2**42, "renamed")
    store.log_batch(run_id, [Metric("m", 2.0, 2, 1)], [Param("p", "1")], [RunTag("t", "v")])
    run = store.get_run(run_id)
    assert run.data.metrics == {"m": 2.0} and run.data.params == {"p": "1"} and run.data.tags["t"] == "v"
    assert run.info.status == "FINISHED"


def test_latest_metric_is_that_of_the_highest_step(store: TrackingStore) -> None:
    run_id = new_run(store)
    points = [(5.0, 10, 3), (7.0, 11, 1), (6.0, 9, 3), (9.0, 10, 3), (-1.0, 1, -4)]
    for value, at, step in [*points, points[0]]:
        store.log_metric(run_id, Metric("m", value, at, step))
    assert store.get_run(run_id).data.metrics["m"] == 9.0
    history = store.get_metric_history(run_id, "m")
    in_time = [(-1.0, 1, -4), (6.0, 9, 3), (5.0, 10, 3), (9.0, 10, 3), (7.0, 11, 1)]
    assert [(one.value, one.timestamp, one.step) for one in history] == in_time
    (found,) = store.search_runs(["0"], "metrics.m > 8", ViewType.ACTIVE_ONLY)
    assert found.data.metrics["m"] == 9.0
    page = store.get_metric_history(run_id, "m", max_results=2)
    assert len(page) == 2
    assert len(store.get_metric_history(run_id, "m", 10, page.token)) == 3


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda s, r: s.log_param(r, Param("p", "2")), "INVALID_PARAMETER_VALUE"),
        (lambda s, r: s.log_metric(r, Metric("m", "text", 1, 0)), "INVALID_PARAMETER_VALUE"),
        (lambda s, r: s.log_metric(r, Metric("../m", 1.0, 1, 0)), "INVALID_PARAMETER_VALUE"),
        (lambda s, r: s.delete_tag(r, "nothing"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda s, r: s.get_run("0" * 32), "RESOURCE_DOES_NOT_EXIST"),
        (lambda s, r: s.get_run("no id at all"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda s, r: s.get_experiment("12345"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda s, r: s.create_experiment("Default"), "RESOURCE_ALREADY_EXISTS"),
        (lambda s, r: s.search_runs(["0"], "metrics.m >> 1", ViewType.ALL), "INVALID_PARAMETER_VALUE"),
    ],
)
def test_wrong_calls_raise_what_mlflow_raises(store: TrackingStore, call: object, code: str) -> None:
    run_id = new_run(store)
    store.log_param(run_id, Param("p", "1"))
    with pytest.raises(MlflowException, match=r".") as error:
        call(store, run_id)
    assert code_of(error) == code
    assert store.get_run(run_id).data.params == {"p": "1"}


def test_run_in_the_trash_takes_nothing_and_comes_back(store: TrackingStore) -> None:
    run_id = new_run(store)
    store.delete_run(run_id)
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        store.log_metric(run_id, Metric("m", 1.0, 1, 0))
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        store.set_tag(run_id, RunTag("a", "b"))
    assert store.search_runs(["0"], "", ViewType.ACTIVE_ONLY) == []
    store.restore_run(run_id)
    store.log_metric(run_id, Metric("m", 1.0, 1, 0))
    assert store.get_run(run_id).data.metrics == {"m": 1.0}
    store.update_run_info(run_id, RunStatus.FINISHED, 9, None)
    store.delete_run(run_id)
    assert store._get_deleted_runs() == [run_id] and store._get_deleted_runs(older_than=10**9) == []
    store._hard_delete_run(run_id)
    with pytest.raises(MlflowException, match="not found"):
        store.get_run(run_id)


def test_experiment_goes_to_the_trash_with_its_runs(store: TrackingStore) -> None:
    one = store.create_experiment("e", tags=[ExperimentTag("k", "v")])
    run_id = new_run(store, experiment_id=one)
    store.delete_experiment(one)
    assert store.get_experiment(one).lifecycle_stage == "deleted"
    assert store.get_run(run_id).info.lifecycle_stage == "deleted"
    with pytest.raises(MlflowException, match="already exists in deleted state"):
        store.create_experiment("e")
    store.restore_experiment(one)
    assert store.get_run(run_id).info.lifecycle_stage == "active"
    store.rename_experiment(one, "f")
    assert store.get_experiment_by_name("f").tags == {"k": "v"} and store.get_experiment_by_name("e") is None
    assert [e.name for e in store.search_experiments(filter_string="name LIKE 'f%'")] == ["f"]
    other = store.create_experiment("elsewhere", "s3://bucket/place")
    assert store.get_experiment(other).tags == {}
    assert store.create_run(other, "u", 1, [], "n").info.artifact_uri.startswith("s3://bucket/place/")


def test_inputs_are_noted_once_and_filter_runs(store: TrackingStore) -> None:
    run_id = new_run(store)
    data = Dataset("wine", "abc", "local", "{}", schema="s", profile="p")
    for _ in range(2):
        store.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "train")])])
    (found,) = store.search_runs(["0"], "dataset.name = 'wine'", ViewType.ACTIVE_ONLY)
    (given,) = found.inputs.dataset_inputs
    assert dict(given.dataset) == dict(data) and given.tags[0].value == "train"
    assert store.search_runs(["0"], "dataset.name = 'beer'", ViewType.ACTIVE_ONLY) == []
    (summary,) = store._search_datasets(["0"])
    assert (summary.name, summary.context) == ("wine", "train")


KEYS = {"metrics": ["acc", "loss", "a b"], "params": ["kind", "lr"], "tags": ["team", "mlflow.user"]}


def random_clause(dice: random.Random) -> str:
    kind = dice.choice(["metrics", "params", "tags", "attributes"])
    if kind == "attributes":
        return dice.choice(
            [
                "attributes.status = 'FINISHED'",
                "attributes.status != 'FAILED'",
                f"attributes.start_time > {dice.choice([1, 2, 3])}",
                "run_name LIKE 'n%'",
                "attributes.user_id = 'ana'",
            ]
        )
    key = dice.choice(KEYS[kind])
    if kind == "metrics":
        return f"metrics.`{key}` {dice.choice(['>', '<', '>=', '=', '!='])} {dice.choice([0, 0.5, 1, -3])}"
    op = dice.choice(["=", "!=", "LIKE", "ILIKE"])
    return f"{kind}.`{key}` {op} '{dice.choice(['rf', 'R%', 'x_', 'its', '%'])}'".replace("it's", "its")


def test_search_answers_as_mlflow_does(store: TrackingStore) -> None:
    dice = random.Random(7)
    values = [0.0, 0.5, 1.0, -3.0, math.nan, math.inf, -math.inf]
    for number in range(60):
        tags = [RunTag("team", dice.choice(["rf", "Rx", "xy"]))] if dice.random() < 0.6 else []
        tags += [RunTag("mlflow.user", dice.choice(["ana", "rf"]))] if dice.random() < 0.6 else []
        run_id = new_run(store, start_time=dice.choice([1, 2, 3]), tags=tags, run_name=dice.choice(["n1", "m2"]))
        metrics = [Metric(key, dice.choice(values), number, 0) for key in KEYS["metrics"] if dice.random() < 0.7]
        params = [Param(key, dice.choice(["rf", "Rx", "xy"])) for key in KEYS["params"] if dice.random() < 0.7]
        store.log_batch(run_id, metrics, params, [])
        if dice.random() < 0.7:
            store.update_run_info(run_id, dice.choice([RunStatus.FINISHED, RunStatus.FAILED]), 50 + number, None)
    everything = [store.get_run(run.info.run_id) for run in store.search_runs(["0"], "", ViewType.ALL)]
    assert len(everything) == 60
    for _ in range(200):
        text = " and ".join(random_clause(dice) for _ in range(dice.choice([0, 1, 1, 2])))
        fields = ["metrics.acc", "metrics.`a b`", "params.kind", "tags.team", "attributes.end_time", "run_name"]
        orders = [f"{field} {dice.choice(['ASC', 'DESC'])}" for field in dice.sample(fields, dice.choice([0, 1, 2]))]
        wanted = SearchUtils.sort(SearchUtils.filter(everything, text), orders)
        page = dice.choice([3, 1000])
        found, token = [], None
        while True:
            some = store.search_runs(["0"], text, ViewType.ALL, page, orders, token)
            found += some
            token = some.token
            if not token:
                break
        assert [r.info.run_id for r in found] == [r.info.run_id for r in wanted], (text, orders)


CHILD = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
for step in range(200):
    client.log_metric(sys.argv[2], f"m{sys.argv[3]}", step / 2, step=step)
client.log_param(sys.argv[2], f"p{sys.argv[3]}", 1)
"""


def test_several_processes_log_to_one_run(uri: str, store: TrackingStore) -> None:
    run_id = new_run(store)
    children = [subprocess.Popen([sys.executable, "-c", CHILD, uri, run_id, str(n)]) for n in range(2)]
    for step in range(200):
        store.log_metric(run_id, Metric("mine", 1.0, step, step))
    assert [child.wait(60) for child in children] == [0, 0]
    store.update_run_info(run_id, RunStatus.FINISHED, int(time.time() * 1000), None)
    run = store.get_run(run_id)
    assert run.data.metrics == {"m0": 99.5, "m1": 99.5, "mine": 1.0} and run.data.params == {"p0": "1", "p1": "1"}
    assert {len(store.get_metric_history(run_id, key)) for key in run.data.metrics} == {200}
    assert run.info.status == "FINISHED" and list(store.store.check()) == []


def test_store_that_was_moved_gives_out_its_new_place(uri: str, tmp_path: Path) -> None:
    with mlflow.start_run() as run:
        mlflow.log_text("hello", "a.txt")
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    mlflow.set_tracking_uri(f"nbtrack://{tmp_path / 'elsewhere'}")
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/a.txt") == "hello"


def test_artifacts_are_found_below_their_run_and_nowhere_else(uri: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_text("x", "a.txt")
        mlflow.log_text("x", "d/b.txt")
    client = mlflow.MlflowClient()
    for whole in (".", "./", None):
        assert [one.path for one in client.list_artifacts(run.info.run_id, whole)] == ["a.txt", "d"]
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="."))
    assert (folder / "d" / "b.txt").read_text() == "x"
    for bad in ("..", "d/../../a.txt"):
        with pytest.raises(MlflowException, match="leads out of the artifacts") as error:
            client.list_artifacts(run.info.run_id, bad)
        assert code_of(error) == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("uri", ["nbtrack://host/path", "nbtrack:///x?y=1"])
def test_uri_that_names_no_folder_is_refused(uri: str) -> None:
    with pytest.raises(MlflowException, match="expected nbtrack:///path/to/store"):
        TrackingStore(uri)
