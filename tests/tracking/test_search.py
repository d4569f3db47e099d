"""Runs as a DataFrame, experiments, the store that is used."""

from __future__ import annotations

import math
import time

import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import FilterSyntaxError, InvalidInputError, InvalidNameError, NotFoundError, RunStateError


@pytest.fixture
def three(store):
    made = []
    for name, acc, trees in (("a", 0.8, 1), ("b", 0.9, 10), ("c", None, 100)):
        with nbtrack.start_run(run_name=name, tags={"who": name}) as run:
            nbtrack.log_param("trees", trees)
            if acc is not None:
                nbtrack.log_metric("acc", acc)
        made.append(run.run_id)
        time.sleep(0.002)  # runs of the same millisecond have no order
    return made


def test_search_runs_has_mlflows_columns_newest_first(store, three):
    frame = nbtrack.search_runs()
    assert frame["run_id"].tolist() == three[::-1]
    assert list(frame.columns[:7]) == [
        "run_id",
        "run_name",
        "experiment_id",
        "status",
        "artifact_uri",
        "start_time",
        "end_time",
    ]
    assert {"metrics.acc", "params.trees", "tags.who"} <= set(frame.columns)
    assert frame["metrics.acc"].dtype == "float64"
    assert math.isnan(frame["metrics.acc"][0])
    assert frame["params.trees"].tolist() == ["100", "10", "1"]
    assert str(frame["start_time"].dtype) == "datetime64[ms, UTC]"
    assert (frame["end_time"] >= frame["start_time"]).all()
    assert abs(frame["start_time"][0] - pd.Timestamp.now("UTC")) < pd.Timedelta("1min")


def test_search_runs_gives_texts_that_many_runs_share_as_any_others(store, three):
    for run_id in three[:2]:
        store.edit_run(run_id, params={"opt": "adam"})
    frame = nbtrack.search_runs()
    assert frame["params.opt"].isna().tolist() == [True, False, False]
    assert frame["params.opt"][1:].tolist() == ["adam", "adam"]
    assert frame["status"].tolist() == ["FINISHED"] * 3
    assert {str(frame[key].dtype) for key in ("params.opt", "status", "run_id")} == {str(pd.Series(["x"]).dtype)}


def test_search_runs_filters_orders_and_limits(store, three):
    assert nbtrack.search_runs(filter_string="metrics.acc > 0.85")["run_name"].tolist() == ["b"]
    assert nbtrack.search_runs(order_by=["metrics.acc DESC"], max_results=1)["run_name"].tolist() == ["b"]
    assert [run.info.run_name for run in nbtrack.search_runs(output_format="list")] == ["c", "b", "a"]
    with pytest.raises(FilterSyntaxError, match="acc"):
        nbtrack.search_runs(filter_string="acc >")
    with pytest.raises(InvalidInputError, match="expected output_format 'pandas' or 'list', got 'polars'"):
        nbtrack.search_runs(output_format="polars")
    with pytest.raises(InvalidInputError, match="expected run_view_type"):
        nbtrack.search_runs(run_view_type=7)


def test_search_runs_of_empty_store_is_an_empty_frame_with_columns(store):
    frame = nbtrack.search_runs()
    assert len(frame) == 0
    assert "run_id" in frame.columns


def test_search_runs_running_run_has_no_end_time(store):
    with nbtrack.start_run():
        assert pd.isna(nbtrack.search_runs()["end_time"][0])
        assert nbtrack.search_runs()["status"][0] == "RUNNING"


def test_delete_run_moves_to_trash_and_restore_takes_it_out(store, three):
    nbtrack.delete_run(three[0])
    assert nbtrack.search_runs()["run_name"].tolist() == ["c", "b"]
    assert nbtrack.search_runs(run_view_type="DELETED_ONLY")["run_name"].tolist() == ["a"]
    assert len(nbtrack.search_runs(run_view_type=3)) == 3
    nbtrack.restore_run(three[0])
    assert len(nbtrack.search_runs()) == 3


def test_set_experiment_is_where_runs_go_and_what_search_means(store, three):
    experiment = nbtrack.set_experiment("wine")
    with nbtrack.start_run(run_name="d") as run:
        pass
    assert run.info.experiment_id == experiment.experiment_id
    assert nbtrack.search_runs()["run_name"].tolist() == ["d"]
    assert len(nbtrack.search_runs(search_all_experiments=True)) == 4
    assert nbtrack.search_runs(experiment_names=["wine"])["run_name"].tolist() == ["d"]
    assert len(nbtrack.search_runs(experiment_ids=["0"])) == 3
    assert nbtrack.set_experiment("wine").experiment_id == experiment.experiment_id
    assert nbtrack.set_experiment(experiment_id="0").name == "Default"
    with pytest.raises(NotFoundError, match=r"no experiment 'beer'; there are .*'wine'"):
        nbtrack.search_runs(experiment_names=["beer"])
    with pytest.raises(InvalidInputError, match="expected a list of experiments"):
        nbtrack.search_runs(experiment_names="wine")


def test_set_experiment_needs_exactly_one_argument(store):
    with pytest.raises(InvalidInputError, match="Give exactly one"):
        nbtrack.set_experiment()
    with pytest.raises(InvalidNameError, match="experiment name"):
        nbtrack.set_experiment("../x")


def test_set_experiment_in_the_trash_says_so(store):
    experiment = nbtrack.set_experiment("old")
    store.edit_experiment(experiment.experiment_id, deleted=True)
    with pytest.raises(RunStateError, match="'old' is in the trash"):
        nbtrack.set_experiment("old")


def test_experiment_named_by_the_environment_is_used(store, monkeypatch):
    monkeypatch.setenv("NBTRACK_EXPERIMENT_NAME", "from-env")
    with nbtrack.start_run() as run:
        pass
    assert nbtrack.get_experiment(run.info.experiment_id).name == "from-env"
    assert nbtrack.get_experiment_by_name("nothing") is None


def test_nested_run_stays_in_its_parents_experiment(store):
    wine = nbtrack.create_experiment("wine")
    with nbtrack.start_run(experiment_id=wine), nbtrack.start_run(nested=True) as child:
        assert child.info.experiment_id == wine


def test_tracking_uri_is_found_in_the_documented_order(tmp_path, monkeypatch):
    monkeypatch.delenv("NBTRACK_TRACKING_URI", raising=False)
    nbtrack.set_tracking_uri(None)
    inner = tmp_path / "project" / "notebooks"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert nbtrack.get_tracking_uri() == str(inner / ".nbtrack")
    (tmp_path / "project" / ".nbtrack").mkdir()
    assert nbtrack.get_tracking_uri() == str(tmp_path / "project" / ".nbtrack")
    monkeypatch.setenv("NBTRACK_TRACKING_URI", str(tmp_path / "env"))
    assert nbtrack.get_tracking_uri() == str(tmp_path / "env")
    nbtrack.set_tracking_uri("relative")
    monkeypatch.chdir(tmp_path)
    assert nbtrack.get_tracking_uri() == str(inner / "relative")  # a later chdir does not move it
    nbtrack.set_tracking_uri(None)
    with pytest.raises(InvalidInputError, match="tracking URI"):
        nbtrack.set_tracking_uri(" ")
