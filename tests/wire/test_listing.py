"""What the table of runs asks: whole, block by block, grouped, and its saved views."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import answer_json


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Twelve runs: `lr` counts in steps of 3, `kind` takes turns, loss falls, then rises by one."""
    store = open_store(tmp_path / ".nbtrack")
    experiment = store.create_experiment("wine")
    for i in range(12):
        run = store.create_run(experiment, run_name=f"r{i}", start_time_ms=1_700_000_000_000 + i)
        run.log_params({"lr": i * 3, "kind": "ab"[i % 2]})
        run.log_metrics({"loss": i}, step=0)
        run.log_metrics({"loss": i + 1.0}, step=1)
        run.end()
    return store


def ask(store: Store, op: str, **fields: Any) -> Any:
    reply = json.loads(answer_json(store, json.dumps({"op": op, **fields}).encode()))
    assert reply["ok"], reply
    return reply["answer"]


def column(runs: Any, key: str) -> Any:
    (found,) = [one["values"] for one in runs["columns"] if one["key"] == key]
    return found


def test_runs_name_their_experiment(store: Store) -> None:
    runs = ask(store, "runs")
    assert set(column(runs, "experiment")) == {"wine"}
    assert not [one for one in runs["columns"] if one["key"] == "experiment_id"]
    assert runs["whole"]


def test_runs_also_tell_what_is_computed_and_which_way_it_gets_better(store: Store) -> None:
    runs = ask(store, "runs", also=["min(metrics.loss)", "step(metrics.loss)"])
    assert column(runs, "min(metrics.loss)") == [float(i) for i in range(11, -1, -1)]
    better = {one["key"]: one["better"] for one in runs["columns"] if one["kind"] == "metric"}
    assert better == {"loss": "lower", "min(metrics.loss)": "lower", "step(metrics.loss)": None}


def test_a_block_holds_only_the_columns_asked_for_in_the_order_asked_for(store: Store) -> None:
    block = ask(store, "runs", columns=["params.lr"], order_by=["number(params.lr) ASC"], limit=3, offset=3)
    assert column(block, "lr") == ["9", "12", "15"]
    assert {one["key"] for one in block["columns"] if one["kind"] != "attribute"} == {"lr"}
    assert (block["offset"], block["total"], block["whole"]) == (3, 12, False)


@pytest.mark.parametrize("limits", [{"limit": 11, "max_cells": 1000}, {"max_cells": 35}])
def test_a_table_too_large_for_one_answer_comes_as_columns_without_rows(store: Store, limits: dict[str, int]) -> None:
    runs = ask(store, "runs", **limits)
    assert (runs["run_ids"], runs["total"], runs["whole"]) == ([], 12, False)
    assert [(one["key"], one["values"], one["varies"], one["numeric"]) for one in runs["columns"]] == [
        ("kind", [], True, False), ("lr", [], True, True), ("loss", [], True, True),
    ]  # fmt: skip
    assert ask(store, "runs", max_cells=36)["whole"]


def test_a_run_keeps_its_colour_in_whichever_block_it_comes(store: Store) -> None:
    first, second = ask(store, "runs", columns=[], limit=8), ask(store, "runs", columns=[], limit=8, offset=4)
    colors = [dict(zip(block["run_ids"], block["colors"], strict=True)) for block in (first, second)]
    shared = colors[0].keys() & colors[1].keys()
    assert len(shared) == 4
    assert all(colors[0][run] == colors[1][run] for run in shared)


def test_catalog_tells_the_columns_of_the_runs_that_fit(store: Store) -> None:
    catalog = ask(store, "catalog", filter="params.kind = 'a'")
    assert catalog["total"] == 6
    known = {one["key"]: (one["count"], one["varies"], one["numeric"], one["better"]) for one in catalog["columns"]}
    assert known == {"kind": (6, False, False, None), "lr": (6, True, True, None), "loss": (6, True, True, "lower")}


def test_groups_tell_mean_and_range_of_each_metric_and_who_has_none(store: Store) -> None:
    alone = store.create_run(run_name="alone")
    alone.end()
    groups = ask(store, "groups", by="params.kind", metrics=["metrics.loss"])
    told = [(one["value"], one["count"], one["metrics"][0]) for one in groups["groups"]]
    assert told[0] == ("b", 6, {"count": 6, "mean": 7.0, "min": 2.0, "max": 12.0})
    assert told[2] == (None, 1, {"count": 0, "mean": None, "min": None, "max": None})
    by_experiment = ask(store, "groups", by="experiment_id", metrics=[])
    assert {one["value"]: one["count"] for one in by_experiment["groups"]} == {"wine": 12, "Default": 1}


def test_groups_of_what_is_no_metric_are_refused(store: Store) -> None:
    body = json.dumps({"op": "groups", "by": "params.kind", "metrics": ["params.lr"]})
    reply = json.loads(answer_json(store, body.encode()))
    assert reply["error"]["code"] == "invalid"
    assert "expected metrics such as metrics.acc" in reply["error"]["message"]


def test_views_are_saved_under_the_users_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBTRACK_USER", "ada")
    views = ask(store, "save_view", name="best", view={"version": 1, "sort": []})["views"]
    assert [(one["name"], one["view"], one["user"]) for one in views] == [("best", {"version": 1, "sort": []}, "ada")]
    assert ask(store, "views")["views"] == views
    assert ask(store, "save_view", name="best", view=None)["views"] == []


def test_columns_that_few_runs_have_are_told_last(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    for number in range(12):
        run = store.create_run("0")
        run.log_metrics({"loss": float(number), **({"aaa": 1.0} if number == 3 else {})})
        run.log_params({"lr": number})
        run.end()
    reply = json.loads(answer_json(store, b'{"op": "catalog"}'))["answer"]
    assert [one["key"] for one in reply["columns"] if one["kind"] in {"param", "metric"}] == ["lr", "loss", "aaa"]
    refused = json.loads(answer_json(store, b'{"op": "runs", "max_cells": 5}'))["answer"]
    assert [one["key"] for one in refused["columns"] if one["kind"] == "metric"] == ["loss", "aaa"]


def test_a_group_of_experiments_can_be_narrowed_to_by_the_name_that_it_shows(store: Store) -> None:
    store.create_run("0").end()
    groups = ask(store, op="groups", by="experiment_id", metrics=[])["groups"]
    assert [(one["value"], one["count"]) for one in groups] == [("wine", 12), ("Default", 1)]
    for text in ("experiment_id = 'wine'", "(experiment_id='wine') AND (params.kind = 'a' OR params.kind = 'b')"):
        assert ask(store, op="runs", filter=text)["total"] == 12
        assert ask(store, op="catalog", filter=text)["total"] == 12
    wine = store.get_experiment_by_name("wine")
    assert wine is not None
    assert ask(store, op="runs", filter=f"experiment_id != '{wine.experiment_id}'")["total"] == 1
    assert ask(store, op="runs", filter="experiment_id = '0'")["total"] == 1
