"""What our store answers MLflow, where MLflow's own database has nothing to stand beside it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.abstract_store import AbstractStore

from nbtrack.bridge.plugin.tracking import TrackingStore


def test_places_of_artifacts_are_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given, wanted in (
        ("files", f"{tmp_path}/files"),
        ("file:files?a=b", f"file://{tmp_path}/files?a=b"),
        ("s3://bucket/x", "s3://bucket/x"),
    ):
        store = TrackingStore(f"nbtrack://{tmp_path / 'store'}", given)
        root, _, query = wanted.partition("?")
        at = store.create_experiment(f"below {given}")
        assert store.get_experiment(at).artifact_location == f"{root}/{at}" + (f"?{query}" if query else "")
        named = store.create_experiment(f"at {given}", artifact_location=given)
        assert store.get_experiment(named).artifact_location == wanted


def test_time_of_a_metric_may_be_a_fraction(tmp_path: Path) -> None:
    store = TrackingStore(f"nbtrack://{tmp_path / 'store'}")
    run_id = store.create_run("0", "u", 1, [], "r").info.run_id
    store.log_metric(run_id, Metric("m", 1.0, 1700000000123.75, 0))
    assert [one.timestamp for one in store.get_metric_history(run_id, "m")] == [1700000000123]
    with pytest.raises(MlflowException, match=r"step: expected a whole number of at most 63 bits, got 1\.5"):
        store.log_metric(run_id, Metric("m", 1.0, 1, 1.5))


def test_metric_of_a_model_that_is_not_there_is_not_logged_at_all(tmp_path: Path) -> None:
    store = TrackingStore(f"nbtrack://{tmp_path / 'store'}")
    run_id = store.create_run("0", "u", 1, [], "r").info.run_id
    for call in (lambda one: store.log_metric(run_id, one), lambda one: store.log_batch(run_id, [one], [], [])):
        with pytest.raises(MlflowException, match="Logged model with ID 'm-1' not found"):
            call(Metric("m", 1.0, 1, 0, model_id="m-1"))
    assert store.get_run(run_id).data.metrics == {}


def test_latest_value_is_right_when_threads_log_out_of_order(tmp_path: Path) -> None:
    store = TrackingStore(f"nbtrack://{tmp_path / 'store'}")
    run_id = store.create_run("0", "u", 1, [], "r").info.run_id

    def log(steps: range) -> None:
        for step in steps:
            store.log_metric(run_id, Metric("m", float(step), step, step))

    threads = [threading.Thread(target=log, args=(range(first, 400, 8),)) for first in reversed(range(8))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get_run(run_id).data.metrics == {"m": 399.0}
    assert len(store.get_metric_history(run_id, "m")) == 400


def test_what_is_not_kept_has_an_answer(tmp_path: Path) -> None:
    store = TrackingStore(f"nbtrack://{tmp_path / 'store'}")
    assert store.search_traces(experiment_ids=["0"]) == ([], None)
    assert store.delete_traces("0", trace_ids=["tr-1"]) == 0
    for empty in (store.batch_get_traces(["tr-1"]), store.search_datasets(["0"]), store.list_scorers("0")):
        assert empty == [] and empty.token is None
    with pytest.raises(MlflowException, match="'tr-1' not found") as missing:
        store.get_trace_info("tr-1")
    assert missing.value.get_http_status_code() == 404
    with pytest.raises(MlflowException, match="has no place for this") as refused:
        store.set_trace_tag("tr-1", "a", "b")
    assert refused.value.get_http_status_code() == 501 and isinstance(refused.value, NotImplementedError)
    asked = [name for name in dir(AbstractStore) if not name.startswith("_") and callable(getattr(AbstractStore, name))]
    unanswered = [name for name in asked if getattr(TrackingStore, name) is getattr(AbstractStore, name)]
    assert len(unanswered) < 40, unanswered  # the rest is MLflow's own code over calls that are answered
