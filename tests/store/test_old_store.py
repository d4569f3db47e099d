"""A store that an earlier release wrote is read for ever, value by value; the test data are never written anew."""

from __future__ import annotations

import math
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from nbtrack.entities import Artifact, DatasetInput
from nbtrack.store import FileStore

DATA = Path(__file__).parent / "data"
T0 = 1_700_000_000_000
FULL, RESUMED, LONG, TRASHED, PACKED, CRASHED = (letter * 32 for letter in "abcdef")


@pytest.fixture(params=sorted(path.name for path in DATA.iterdir()))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """Every old store, as a copy: reading writes an index."""
    shutil.copytree(DATA / request.param, tmp_path / "store", copy_function=shutil.copyfile)
    for log in tmp_path.glob("store/runs/*/*"):
        os.utime(log, (1.7e9, 1.7e9))  # a checkout makes them young, as if their writers might still live
    return FileStore.open(tmp_path / "store", create=False)


def test_old_store_full_run_is_exact(store: FileStore) -> None:
    run = store.get_run(FULL)
    assert (run.info.run_name, run.info.status, run.info.lifecycle_stage) == ("full ✓", "FINISHED", "active")
    assert (run.info.start_time, run.info.end_time) == (T0, T0 + 60_000)
    assert run.data.params == {"lr": "0.1", "text": "größe\n2"}
    assert (run.data.tags["kind"], run.data.tags["nbtrack.note"]) == ("rf", "edited later")
    assert run.data.metrics == {"loss": 0.0, "acc": 0.1, "f1": 1 / 3, "late": 2.5}
    assert math.copysign(1, run.data.metrics["loss"]) == -1
    summary = run.summaries["loss"]
    assert (summary.min, summary.max, summary.count, summary.step, summary.timestamp) == (0.0, math.inf, 5, 20, T0 + 4)
    assert list(run.inputs.dataset_inputs) == [
        DatasetInput("wine.csv", "training", "abc", "data/wine.csv", {"rows": 178})
    ]
    digest = sha256(b"weights\n").hexdigest()
    assert dict(run.artifacts) == {"model/w.bin": Artifact("model/w.bin", digest, 8)}
    assert store.read_blob(digest) == b"weights\n"
    assert run.capture["cell"] == {"source": "x = 1"}


def test_old_store_histories_are_exact(store: FileStore) -> None:
    loss = store.get_metric_history(FULL, "loss")
    assert loss.step.tolist() == [-20, -10, 0, 10, 20]
    assert repr(loss.value.tolist()) == "[3.0, nan, inf, 1e+308, -0.0]"
    assert loss.timestamp.tolist() == [T0 + n for n in range(5)]
    assert store.get_metric_history(FULL, "late").value.tolist() == [2.5]
    long = store.get_metric_history(LONG, "m")
    assert long.value.tolist() == [step / 7 for step in range(300)]
    assert long.step.tolist() == list(range(300))
    assert long.timestamp.tolist() == [T0 + 200_000 + step for step in range(300)]
    assert store.get_metric_history(LONG, "n").value.tolist() == [-float(step) for step in range(300)]
    packed = store.get_metric_history(PACKED, "m")
    assert packed.value.tolist() == [step / 8 for step in range(8000)]
    assert packed.step.tolist() == list(range(8000))
    assert packed.timestamp.tolist() == [T0 + 350_000 + step for step in range(8000)]
    assert store.get_metric_history(PACKED, "n").value.tolist() == [-float(step) for step in range(8000)]
    assert store.get_run(PACKED).data.params == {"p": "after"}
    assert store.get_metric_history(RESUMED, "m").value.tolist() == [1.0, 2.0]


def test_old_store_other_runs_and_search(store: FileStore) -> None:
    assert store.get_run(CRASHED).info.status == "CRASHED"
    assert store.get_run(CRASHED).data.metrics == {"loss": 2.5}
    assert (store.get_run(RESUMED).info.status, store.get_run(RESUMED).data.metrics) == ("FINISHED", {"m": 2.0})
    for _ in range(2):  # without an index, and with the one that this has written
        assert {r.run_id for r in store.search_runs()} == {FULL, RESUMED, LONG, PACKED, CRASHED}
        assert [r.run_id for r in store.search_runs(view="DELETED_ONLY")] == [TRASHED]
        assert [
            r.run_id
            for r in store.search_runs(filter_string="metrics.m > 40 and status = 'FINISHED'", order_by=["run_name"])
        ] == [LONG, PACKED]
        assert [r.run_id for r in store.search_runs(["1"])] == [FULL]
        assert store.rebuild_index() == 6
        store = FileStore.open(store.uri)


def test_old_store_experiments_and_commits_are_exact(store: FileStore) -> None:
    found = {e.experiment_id: (e.name, e.lifecycle_stage, dict(e.tags)) for e in store.list_experiments("ALL")}
    assert found == {
        "0": ("Default", "active", {}),
        "1": ("wine", "active", {"team": "röd"}),
        "2": ("gone", "deleted", {}),
    }
    assert store.list_models() == ["Größe", "clf"]
    one, two = store.read_commits("clf")
    assert (one["number"], one["action"], one["source"]) == (1, "register", f"runs:/{FULL}/model")
    assert (two["number"], two["changes"]) == (2, [{"version": 1, "from": "None", "to": "Staging"}])


def test_old_store_is_sound_and_can_be_written_on(store: FileStore) -> None:
    assert list(store.check()) == []
    writer = store.resume_run(FULL)
    writer.log_metrics({"loss": 0.5})
    writer.end()
    assert store.get_metric_history(FULL, "loss").step.tolist() == [-20, -10, 0, 10, 20, 21]
    assert store.append_commit("clf", {"action": "x"}, expect=2) == 3
    assert store.create_experiment("new") == "4"
