"""Several stores read as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.errors import FilterSyntaxError, InvalidInputError, NotFoundError, StoreNotFoundError, StoreReadOnlyError
from nbtrack.store import open_store, open_stores
from nbtrack.store.base import Store
from nbtrack.wire import answer_json


def fill(folder: Path, runs: list[tuple[str, int, dict[str, Any], dict[str, float]]], experiment: str) -> list[str]:
    store = open_store(folder / ".nbtrack")
    where = store.create_experiment(experiment)
    ids = []
    for name, start, params, metrics in runs:
        run = store.create_run(where, name, start_time_ms=start)
        run.log_params(params)
        run.log_metrics(metrics)
        run.end()
        ids.append(run.run_id)
    return ids


@pytest.fixture
def tuning(tmp_path: Path) -> list[str]:
    runs = [("t1", 1000, {"lr": 0.1}, {"loss": 0.5}), ("t2", 3000, {"lr": 0.02}, {"loss": 0.3})]
    return fill(tmp_path / "tuning", runs, "wine")


@pytest.fixture
def final(tmp_path: Path) -> list[str]:
    runs = [("f1", 2000, {"lr": 0.02, "rows": 9}, {"loss": 0.4}), ("f2", 4000, {}, {"accuracy": 0.9})]
    return fill(tmp_path / "final", runs, "wine")


@pytest.fixture
def both(tmp_path: Path, tuning: list[str], final: list[str]) -> Store:
    return open_stores([tmp_path / "tuning", str(tmp_path / "final" / ".nbtrack")])


def names(store: Store, **asked: Any) -> list[str]:
    table = store.run_table(**asked)
    (column,) = [one for one in table.columns if one.key == "run_name"]
    return list(column.values)


def column(store: Store, key: str, **asked: Any) -> list[Any]:
    (found,) = [one for one in store.run_table(**asked).columns if one.key == key]
    return list(found.values)


def test_runs_of_all_stores_stand_in_one_table_newest_first(both: Store) -> None:
    assert names(both) == ["f2", "t2", "f1", "t1"]
    assert column(both, "store") == ["final", "tuning", "final", "tuning"]
    assert column(both, "lr") == [None, "0.02", "0.02", "0.1"]
    assert column(both, "accuracy") == [0.9, None, None, None]
    kinds = [one.kind for one in both.run_table().columns]
    assert kinds == sorted(kinds, key=["attribute", "param", "metric", "tag"].index)


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        (["metrics.loss"], ["t2", "f1", "t1", "f2"]),
        (["metrics.loss DESC"], ["t1", "f1", "t2", "f2"]),
        (["number(params.lr) DESC", "attributes.start_time"], ["t1", "f1", "t2", "f2"]),
        (["min(metrics.loss)"], ["t2", "f1", "t1", "f2"]),
        (["attributes.run_name"], ["f1", "f2", "t1", "t2"]),
        (["metrics.loss.min DESC"], ["t1", "f1", "t2", "f2"]),
        (["attributes.store DESC", "run_name"], ["t1", "t2", "f1", "f2"]),
        (["experiment_id", "start_time"], ["t1", "f1", "t2", "f2"]),
    ],
)
def test_order_holds_across_the_stores_page_by_page(both: Store, order_by: list[str], expected: list[str]) -> None:
    assert names(both, order_by=order_by) == expected
    pages = [names(both, order_by=order_by, max_results=1, offset=place, keys=[]) for place in range(4)]
    assert pages == [[name] for name in expected]
    assert both.run_table(max_results=1).total == 4


def test_filter_and_experiment_hold_in_all_stores(both: Store, tmp_path: Path) -> None:
    assert names(both, filter_string="params.lr = '0.02'") == ["t2", "f1"]
    assert names(both, experiment_ids=["wine"]) == ["f2", "t2", "f1", "t1"]
    open_store(tmp_path / "final" / ".nbtrack").create_experiment("only here")
    assert names(both, experiment_ids=["only here"]) == []
    assert {one.name for one in both.list_experiments()} == {"Default", "wine", "only here"}


@pytest.mark.parametrize(
    ("filter_string", "expected"),
    [
        ("store = 'final'", ["f2", "f1"]),
        ("attributes.store != 'final' and metrics.loss.min < 0.4", ["t2"]),
        ("not (store in ('final', 'x') or params.lr = '0.1')", ["t2"]),
        ("store like 'tun%' or metrics.accuracy > 0.5", ["f2", "t2", "t1"]),
        ("store not like 'tun%' AND experiment_id = 'wine'", ["f2", "f1"]),
        ("experiment_id in ('nothing')", []),
        ("store is not null and params.rows is null", ["f2", "t2", "t1"]),
        ("params.store = 'final'", []),
    ],
)
def test_filter_knows_the_stores_and_experiments_by_name(both: Store, filter_string: str, expected: list[str]) -> None:
    assert names(both, filter_string=filter_string) == expected
    assert both.run_catalog(filter_string=filter_string).total == len(expected)


def test_filter_that_cannot_be_read_says_so_as_in_one_store(both: Store, tmp_path: Path) -> None:
    with pytest.raises(FilterSyntaxError, match="expected AND, OR or the end"):
        names(both, filter_string="store = 'final' store")
    with pytest.raises(FilterSyntaxError, match="store"):
        names(both, filter_string="shop = 'final'")
    with pytest.raises(FilterSyntaxError, match="'store' is no attribute"):
        names(open_store(tmp_path / "final" / ".nbtrack"), filter_string="store = 'final'")


def test_a_metric_of_that_very_name_comes_before_the_minimum_of_another(tmp_path: Path) -> None:
    fill(tmp_path / "a", [("a1", 1, {}, {"loss": 1.0, "loss.min": 9.0})], "e")
    fill(tmp_path / "b", [("b1", 2, {}, {"loss": 5.0, "loss.min": 3.0})], "e")
    stores = open_stores([tmp_path / "a", tmp_path / "b"])
    assert names(stores, order_by=["metrics.loss.min"]) == ["b1", "a1"]
    assert names(stores, order_by=["min(metrics.loss)"]) == ["a1", "b1"]


def test_groups_views_and_the_report_are_those_of_all_stores(both: Store, tmp_path: Path) -> None:
    def asked(**request: Any) -> Any:
        reply = json.loads(answer_json(both, json.dumps(request).encode()))
        assert reply["ok"], reply
        return reply["answer"]

    groups = asked(op="groups", by="store", metrics=["min(metrics.loss)"])["groups"]
    assert {(one["value"], one["count"], one["metrics"][0]["min"]) for one in groups} == {
        ("final", 2, 0.4),
        ("tuning", 2, 0.3),
    }
    open_store(tmp_path / "final" / ".nbtrack").save_view("theirs", {"a": 2})
    asked(op="save_view", name="ours", view={"a": 1})
    assert [one["name"] for one in asked(op="views")["views"]] == ["ours", "theirs"]
    asked(op="save_view", name="theirs", view=None)
    assert [one.name for one in open_store(tmp_path / "tuning" / ".nbtrack").list_views()] == ["ours"]
    assert [one["name"] for one in asked(op="views")["views"]] == ["ours"]
    page = asked(op="report")
    assert all(name in page["html"] for name in ("t1", "f2", "tuning + final"))


def test_only_what_changed_in_one_of_the_stores_is_told(both: Store, final: list[str]) -> None:
    def asked(**more: Any) -> Any:
        return json.loads(answer_json(both, json.dumps({"op": "runs", **more}).encode()))["answer"]

    before = asked()
    both.edit_run(final[0], run_name="renamed")
    told = asked(since=before["revision"])
    assert (told["changed"], told["run_ids"]) == ({"order": None}, [final[0]])
    assert told["revision"] == both.revision()
    assert both.changes_since("of another store") is None


def test_run_is_answered_and_changed_by_the_store_it_lies_in(
    both: Store, tuning: list[str], final: list[str], tmp_path: Path
) -> None:
    assert both.get_run(final[0]).info.experiment_id == "wine"
    assert both.get_metric_history(tuning[1], "loss").value.tolist() == [0.3]
    reply = json.loads(answer_json(both, json.dumps({"op": "run", "run_id": final[0]}).encode()))
    assert (reply["answer"]["run_name"], reply["answer"]["experiment"]) == ("f1", "wine")
    before = both.revision()
    answer_json(both, json.dumps({"op": "edit_run", "run_id": final[0], "run_name": "renamed"}).encode())
    assert open_store(tmp_path / "final" / ".nbtrack").get_run(final[0]).info.run_name == "renamed"
    assert both.revision() != before
    series = {"op": "series", "run_ids": [tuning[0], final[0]], "keys": ["loss"]}
    found = json.loads(answer_json(both, json.dumps(series).encode()))["answer"]["series"]
    assert [one["value"] for one in found] == [[0.5], [0.4]]
    figure = {"op": "figure", "kind": "scatter", "run_ids": [*tuning, *final]}
    assert json.loads(answer_json(both, json.dumps(figure).encode()))["ok"]
    with pytest.raises(NotFoundError, match="0123456789ab"):
        both.get_run("0123456789ab" + "0" * 9)


def test_nothing_new_is_made_in_several_stores(both: Store) -> None:
    with pytest.raises(StoreReadOnlyError, match="several stores together are only looked at"):
        both.create_run()
    with pytest.raises(StoreReadOnlyError, match="set_tracking_uri"):
        both.create_experiment("x")


def test_compare_shows_several_stores_together(
    tmp_path: Path, tuning: list[str], final: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / "tuning", tmp_path / "final"]
    nbtrack.compare(stores=folders)
    said = capsys.readouterr().out
    assert "tuning" in said
    assert "f1" in said
    with pytest.raises(InvalidInputError, match="got both"):
        nbtrack.compare(stores=folders, store=open_store(tmp_path / "tuning" / ".nbtrack"))
    with pytest.raises(StoreNotFoundError, match="nowhere"):
        nbtrack.compare(stores=[tmp_path / "nowhere"])
    with pytest.raises(InvalidInputError, match="at least one"):
        nbtrack.compare(stores=[])
    assert not (tmp_path / "nowhere").exists()


def test_stores_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    for place in ("a/work", "b/work"):
        open_store(tmp_path / place / ".nbtrack")
    assert open_stores([tmp_path / "a" / "work", tmp_path / "b" / "work"]).name == "a/work + b/work"
