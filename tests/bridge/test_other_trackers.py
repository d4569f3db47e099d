"""Runs of Weights & Biases, TensorBoard and CSV files. `made/` holds what wandb 0.31 and tensorboard 2.21 wrote."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.bridge import import_runs
from nbtrack.bridge.csv_runs import Columns
from nbtrack.errors import InvalidInputError
from nbtrack.store import open_store

MADE = Path(__file__).parent / "made"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    return open_store(tmp_path / "store")


def named(store: Any) -> dict[str, Any]:
    return {run.info.run_name: store.get_run(run.run_id) for run in store.search_runs()}


def points(store: Any, run: Any, key: str) -> list[tuple[int, float]]:
    history = store.get_metric_history(run.run_id, key)
    return list(zip(history.step.tolist(), history.value.tolist(), strict=True))


def hashes(folder: Path) -> dict[str, str]:
    return {str(file): sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*") if file.is_file()}


# -- Weights & Biases --------------------------------------------------------------------------------------------------
def test_import_wandb_brings_params_curves_tags_and_files(store) -> None:
    before = hashes(MADE)
    dry = import_runs(MADE / "wandb", store, dry_run=True)
    assert not store.search_runs()
    report = import_runs(MADE / "wandb", store)
    assert (report.runs, report.params, report.metric_values, report.artifacts) == (2, 11, 36, 2)
    assert (dry.runs, dry.params, dry.metric_values, dry.artifacts) == (2, 11, 36, 2)
    assert any("texts, tables and pictures" in line for line in report.left_behind)
    runs = named(store)
    first, second = runs["forest-0"], runs["forest-1"]
    assert first.info.status == "FINISHED" and second.info.status == "FAILED"  # exit code 1
    assert store.get_experiment(first.info.experiment_id).name == "wine"
    assert first.data.params == {
        "lr": "0.1",
        "model.depth": "3",
        "model.kind": "tree",
        "layers": "[1, 2]",
        "later": "true",
    }
    assert len(second.data.params["long"]) == 40_000  # a record over several blocks
    assert points(store, first, "loss") == [(step, 1 / (step + 1)) for step in range(5)]
    assert points(store, first, "nested.acc")[-1] == (4, 0.8) and points(store, first, "late") == [(20, 1.0)]
    assert math.isnan(points(store, first, "nan")[2][1])
    assert first.data.metrics["best"] == 0.9 and first.data.metrics["big"] == 1e20
    assert first.data.tags["wandb.tags"] == "demo, x" and first.data.tags["nbtrack.note"] == "a note"
    assert 0 < first.info.start_time < first.info.end_time
    assert store.read_blob(first.artifacts["output.log"].digest) == b"epoch 1\n"
    again = import_runs(MADE / "wandb", store)
    assert (again.runs, again.known) == (0, 2) and hashes(MADE) == before


@pytest.mark.parametrize(
    ("change", "told", "values"),
    [
        (lambda data: data[:1500], "ends in the middle of a record, at byte", 1),
        (lambda data: data[:1500] + bytes([data[1500] ^ 1]) + data[1501:], "a record was changed, at byte", 1),
        (lambda data: data[:40], "left out; it ends in the middle of a record", 0),
        (lambda data: b"", "left out; it is empty", 0),
        (lambda data: b"PK" + data, "left out; it does not begin as a file of W&B's does", 0),
    ],
)
def test_import_wandb_damaged_file_gives_what_came_before_and_says_where(store, tmp_path, change, told, values) -> None:
    whole = next(MADE.glob("wandb/*31-*/*.wandb"))
    (tmp_path / "cut.wandb").write_bytes(change(whole.read_bytes()))
    report = import_runs(tmp_path / "cut.wandb", store)
    assert len(report.problems) == 1 and told in report.problems[0]
    assert report.runs == values and bool(report.metric_values) == bool(values)
    if values:
        assert named(store)["forest-0"].info.status == "KILLED"  # how it ended is not known


# -- TensorBoard -------------------------------------------------------------------------------------------------------
def test_import_tensorboard_brings_scalars_and_hyperparameters(store) -> None:
    before = hashes(MADE)
    report = import_runs(MADE / "tensorboard" / "logs", store)
    assert report.runs == 5 and not report.problems
    runs = named(store)
    assert set(runs) == {"run1", "run1/validation", "run2", "run2/hp", "tensors"}
    losses = points(store, runs["run1"], "loss/train")
    assert losses == [(0, 1.0), (1, 0.5), (2, 0.3333333432674408), (3, 0.25), (4, 0.20000000298023224)]
    assert math.isnan(runs["run1"].data.metrics["acc"])
    assert runs["run2/hp"].data.params == {"lr": "0.1", "opt": "sgd", "flag": "True", "n": "5"}
    assert runs["run2/hp"].data.metrics == {"hparam/final": 0.5}
    assert points(store, runs["tensors"], "loss") == [(0, 0.5), (1, 0.25), (2, 0.1666666716337204)]
    assert runs["tensors"].info.start_time >= 1_700_000_000_000
    assert {key: runs["tensors"].data.metrics[key] for key in ("float_val", "double_val", "i", "d")} == {
        "float_val": 0.25,
        "double_val": 0.25,
        "i": 3.0,
        "d": 3.0,
    }
    assert "1 histograms of run1" in report.left_behind
    assert store.get_experiment(runs["run1"].info.experiment_id).name == "logs"
    again = import_runs(MADE / "tensorboard", open_store(store.uri))
    assert again.known == 0  # another root has other names
    assert import_runs(MADE / "tensorboard" / "logs", store).known == 5 and hashes(MADE) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data[:300], "it ends in the middle of an event, at byte"),
        (lambda data: data[:200] + bytes([data[200] ^ 4]) + data[201:], "an event was changed, at byte"),
    ],
)
def test_import_tensorboard_damaged_file_gives_what_came_before(store, tmp_path, change, told) -> None:
    whole = next(MADE.glob("tensorboard/logs/run1/*tfevents*"))
    (tmp_path / "events.out.tfevents.1").write_bytes(change(whole.read_bytes()))
    report = import_runs(tmp_path, store)
    assert report.runs == 1 and 0 < report.metric_values < 6
    assert len(report.problems) == 1 and told in report.problems[0]


# -- CSV ---------------------------------------------------------------------------------------------------------------
CURVES = """run,epoch,lr,loss,acc,comment
a,0,0.1,0.9,0.5,slow
a,1,0.1,0.4,0.7,slow
b,0,0.2,0.8,,
b,1,0.2,oops,0.9,
b,x,0.2,0.1,0.9,
b,2
"""


def test_import_csv_with_columns_told_makes_curves(store, tmp_path) -> None:
    (tmp_path / "curves.csv").write_text(CURVES)
    columns = Columns(params=("lr",), metrics=("loss", "acc"), run="run", step="epoch")
    report = import_runs(tmp_path / "curves.csv", store, columns=columns)
    assert report.runs == 2
    assert report.problems == [
        "line 7: left out; expected 6 fields, got 2.",
        "line 5: 'loss': left out; expected a number, got 'oops'.",
        "line 6: left out; expected a whole number as the step, got 'x'.",
    ]
    runs = named(store)
    assert points(store, runs["a"], "loss") == [(0, 0.9), (1, 0.4)] and points(store, runs["b"], "acc") == [(1, 0.9)]
    assert runs["a"].data.params == {"lr": "0.1", "comment": "slow"} and runs["b"].data.params == {"lr": "0.2"}
    assert store.get_experiment(runs["a"].info.experiment_id).name == "curves"
    assert import_runs(tmp_path / "curves.csv", store, columns=columns).known == 2


def test_import_csv_of_our_own_runs_needs_no_columns(store, tmp_path) -> None:
    nbtrack.set_tracking_uri(str(tmp_path / "mine"))
    for number in range(3):
        with nbtrack.start_run(run_name=f"run-{number}"):
            nbtrack.log_params({"depth": number, "kind": "tree"})
            nbtrack.log_metric("acc", number / 3)
            nbtrack.set_tag("team", "red")
    nbtrack.search_runs().to_csv(tmp_path / "runs.csv", index=False)
    report = import_runs(tmp_path / "runs.csv", store, experiment="brought over")
    assert report.runs == 3 and not report.problems
    frame = nbtrack.search_runs()
    found = {run.data.params["depth"]: run for run in map(store.get_run, store.run_table(keys=[]).run_ids)}
    assert {key: run.data.metrics["acc"] for key, run in found.items()} == dict(
        zip(frame["params.depth"], frame["metrics.acc"], strict=True)
    )
    assert found["1"].data.tags["team"] == "red" and found["1"].info.start_time == int(
        frame["start_time"][1].timestamp() * 1000
    )
    assert store.get_experiment(found["1"].info.experiment_id).name == "brought over"


def test_import_csv_row_by_row_takes_numbers_as_metrics_and_a_longer_file_adds_the_rest(store, tmp_path) -> None:
    file = tmp_path / "results.csv"
    file.write_text("kind;acc\ntree;0.5\ntree;0.5\n", encoding="utf-8-sig")
    assert import_runs(file, store).runs == 2
    file.write_text("kind;acc\ntree;0.5\ntree;0.5\nforest;0.7\n")
    report = import_runs(file, store)
    assert (report.runs, report.known) == (1, 2)
    assert report.repaired == ["columns taken as params: kind; metrics: acc."]


@pytest.mark.parametrize(
    ("content", "columns", "told"),
    [
        (b"", None, "is empty; expected a first line with the names"),
        (b"a,b\n\xff\xfe,1\n", None, r"is no text in UTF-8 \(byte 4\)"),
        (b"a,a\n1,2\n", None, r"expected columns with different names, got \['a'\]"),
        (b'a,b\n"1,2\n', None, "line 2: is no CSV"),
        (b"a,b\n1,2\n", Columns(metrics=("c",)), "there is no column 'c'; there are 'a', 'b'"),
        (b"a,b\n1,2\n", Columns(metrics=("a",), params=("a",)), "'a' is said to be two things"),
    ],
)
def test_import_csv_that_is_no_table_says_so(store, tmp_path, content, columns, told) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InvalidInputError, match=told):
        import_runs(tmp_path / "x.csv", store, columns=columns)


# -- all ---------------------------------------------------------------------------------------------------------------
def test_import_of_nothing_known_names_what_is(store, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InvalidInputError, match=r"expected an mlruns folder .* or a CSV file, got"):
        import_runs(tmp_path / "notes.txt", store)
    with pytest.raises(InvalidInputError, match="there is no file or folder"):
        import_runs(tmp_path / "nowhere", store)
    with pytest.raises(InvalidInputError, match="columns can be told of a CSV file only"):
        import_runs(MADE / "wandb", store, columns=Columns(run="x"))


def test_nbtrack_import_tells_the_columns_of_a_csv_file_and_counts_first(tmp_path) -> None:
    (tmp_path / "curves.csv").write_text(CURVES)
    shutil.copytree(MADE / "wandb", tmp_path / "wandb")
    command = [sys.executable, "-m", "nbtrack.cli", "import", "--store", str(tmp_path / "s")]
    told = ["--params", "lr, comment", "--metrics", "loss,acc", "--run", "run", "--step", "epoch"]
    dry = subprocess.run(
        [*command, str(tmp_path / "curves.csv"), *told, "--dry-run"], capture_output=True, text=True, check=True
    )
    assert "2 runs of 1 experiment would be imported" in dry.stdout and not (tmp_path / "s").exists()
    assert "columns taken as params: lr, comment; metrics: loss, acc; run: run; step: epoch." in dry.stdout
    for source in ("curves.csv", "wandb"):
        options = told if source.endswith("csv") else []
        done = subprocess.run(
            [*command, str(tmp_path / source), *options, "--json"], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout)["runs"] == 2
