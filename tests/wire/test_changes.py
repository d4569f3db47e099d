"""What changed in a table, put into the table at hand by the interface, gives what the store tells in whole."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nbtrack.store import open_store
from nbtrack.store.base import RunWriter, Store
from nbtrack.wire import answer_json

JS = Path(__file__).parents[2] / "js"


def ask(store: Store, **question: Any) -> dict[str, Any]:
    asked = {"op": "runs", "limit": 60, "max_cells": 50_000, **question}
    reply = json.loads(answer_json(store, json.dumps(asked).encode()))
    assert reply["ok"], reply
    answer: dict[str, Any] = reply["answer"]
    return answer


BLOCK: dict[str, Any] = {
    "columns": ["params.lr", "metrics.loss", "tags.t", "max(metrics.acc)"],
    "limit": 8,
    "offset": 2,
    "max_cells": 0,
}


class Notebook:
    """Does to a store what people do, at random."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store, self.rng, self.live = store, random.Random(seed), list[RunWriter]()
        self.ended: list[str] = []

    def start(self) -> None:
        experiment = self.rng.choice(["0", "0", self.other])
        run = self.store.create_run(experiment, self.rng.choice(["a", "b", "7", "nan"]))
        run.log_params({"lr": self.rng.choice([0.1, 0.2, "auto"]), self.rng.choice("xyz"): self.rng.randrange(3)})
        self.live.append(run)

    @property
    def other(self) -> str:
        found = self.store.get_experiment_by_name("other")
        return found.experiment_id if found is not None else self.store.create_experiment("other")

    def log(self) -> None:
        if self.live:
            value = self.rng.choice([self.rng.random(), 1.0, float("nan"), float("inf")])
            self.rng.choice(self.live).log_metrics({self.rng.choice(["loss", "acc", "a metric"]): value})

    def tag(self) -> None:
        if self.ended:
            value = self.rng.choice(["5", "x", None, "nan", "1_000", "FINE"])
            self.store.edit_run(self.rng.choice(self.ended), tags={self.rng.choice(["t", "nbtrack.note"]): value})

    def rename(self) -> None:
        if self.ended:
            self.store.edit_run(self.rng.choice(self.ended), run_name=self.rng.choice(["new", "8", "it"]))

    def trash(self) -> None:
        if self.ended:
            self.store.edit_run(self.rng.choice(self.ended), deleted=self.rng.random() < 0.6)

    def end(self) -> None:
        if self.live:
            run = self.live.pop(self.rng.randrange(len(self.live)))
            run.end(self.rng.choice(["FINISHED", "FAILED", "KILLED"]))
            self.ended.append(run.run_id)

    def act(self) -> None:
        acts = [self.start, self.log, self.log, self.log, self.tag, self.rename, self.trash, self.end]
        for _ in range(self.rng.randrange(1, 4)):
            self.rng.choice(acts)()


@pytest.mark.parametrize(
    ("question", "also"),
    [
        ({}, []),
        ({"filter": "metrics.loss < 0.7"}, []),
        ({"also": ["min(metrics.loss)", "max(metrics.acc)"]}, ["min(metrics.loss)", "max(metrics.acc)"]),
        ({"experiment": "other"}, []),
        ({"deleted": True}, []),
        (BLOCK, BLOCK["columns"]),
        ({**BLOCK, "order_by": ["metrics.loss DESC"], "offset": 0}, BLOCK["columns"]),
    ],
)
def test_changes_make_the_whole_table(question: dict[str, Any], also: list[str], tmp_path: Path) -> None:
    store = open_store(tmp_path)
    notebook = Notebook(store, seed=len(str(question)))
    cases, whole_again = [], 0
    _ = notebook.other
    before = ask(store, **question)
    for _ in range(80):
        notebook.act()
        change, whole = ask(store, **question, since=before["revision"]), ask(store, **question)
        if change["changed"] is None:
            whole_again += 1
            assert {**change, "revision": ""} == {**whole, "revision": ""}
        else:
            assert len(json.dumps(change)) <= len(json.dumps(whole)) + 40 * len(whole["run_ids"]) + 60
            cases.append({"before": before, "change": change, "whole": whole, "also": also})
        before = whole
    for run in notebook.live:
        run.end()
    assert whole_again <= 5
    script = JS / "tests" / "merge.mjs"
    done = subprocess.run(["node", script], input=json.dumps(cases), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 30  # else tags and names became numbers too often to learn anything


def test_nothing_is_sent_where_nothing_changed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for name in ("a", "b"):
        store.create_run("0", name).end()
    whole = ask(store)
    store.append_commit("m", {"note": "another revision, no other run"})
    change = ask(store, since=whole["revision"])
    assert change["revision"] != whole["revision"]
    assert (change["run_ids"], change["changed"]) == ([], {"order": None})


def test_the_whole_table_comes_where_the_revision_is_not_known_or_names_changed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run = store.create_run("0", "a")
    run.end()
    assert ask(store, since="0123456789abcdef")["changed"] is None
    before = ask(store)
    store.edit_experiment("0", name="renamed")  # what every row shows, and no run knows
    after = ask(store, since=before["revision"])
    assert after["changed"] is None
    shown = next(column for column in after["columns"] if column["key"] == "experiment")
    assert shown["values"] == ["renamed"]
    before = ask(store)
    store.rebuild_index()
    store.edit_run(run.run_id, run_name="b")
    assert ask(store, since=before["revision"])["changed"] is None
