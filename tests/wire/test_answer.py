"""Every request, answered from a real store on disk."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

import nbtrack
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import answer_json


@pytest.fixture
def store(tmp_path: Path) -> Store:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    return open_store(tmp_path / "store")


def ask(store: Store, op: str, **fields: Any) -> Any:
    reply = json.loads(answer_json(store, json.dumps({"op": op, **fields}).encode()))
    assert reply["ok"], reply
    return reply["answer"]


def refused(store: Store, op: str, **fields: Any) -> dict[str, str]:
    reply = json.loads(answer_json(store, json.dumps({"op": op, **fields}).encode()))
    assert not reply["ok"], reply
    error: dict[str, str] = reply["error"]
    assert "Traceback" not in error["message"]
    return error


def logged_run(name: str, c: float, accuracy: float) -> str:
    with nbtrack.start_run(run_name=name) as run:
        nbtrack.log_params({"C": c, "solver": "lbfgs"})
        nbtrack.log_metric("accuracy", accuracy)
        for step in range(5):
            nbtrack.log_metric("loss", 1 / (step + 1), step=step)
        model = LogisticRegression(C=c).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        nbtrack.sklearn.log_model(model, "model", input_example=[[0.5]])
    return str(run.info.run_id)


def test_info_says_what_the_store_is(store: Store) -> None:
    logged_run("a", 1.0, 0.9)
    info = ask(store, "info")
    assert info["runs"] == 1 and info["writable"] is True and info["server"] == nbtrack.__version__


def test_revision_changes_when_a_run_logs(store: Store) -> None:
    before = ask(store, "revision")["revision"]
    assert ask(store, "revision")["revision"] == before
    logged_run("a", 1.0, 0.9)
    assert ask(store, "revision")["revision"] != before


def test_runs_come_as_columns_that_know_what_varies(store: Store) -> None:
    ids = [logged_run("a", 1.0, 0.8), logged_run("b", 10.0, 0.9)]
    runs = ask(store, "runs", order_by=["metrics.accuracy DESC"])
    assert runs["run_ids"] == ids[::-1] and runs["total"] == 2 and len(set(runs["colors"])) == 2
    columns = {(c["kind"], c["key"]): c for c in runs["columns"]}
    assert columns["param", "C"]["values"] == ["10.0", "1.0"]
    assert columns["param", "C"]["varies"] and columns["param", "C"]["numeric"]
    assert not columns["param", "solver"]["varies"] and not columns["param", "solver"]["numeric"]
    assert columns["metric", "accuracy"]["values"] == [0.9, 0.8]
    assert columns["metric", "accuracy"]["better"] == "higher"
    assert columns["metric", "loss"]["better"] == "lower"


def test_runs_filter_and_unknown_experiment(store: Store) -> None:
    logged_run("a", 1.0, 0.8)
    kept = logged_run("b", 10.0, 0.9)
    assert ask(store, "runs", filter="metrics.accuracy > 0.85")["run_ids"] == [kept]
    assert refused(store, "runs", filter="metrics.accuracy >")["code"] == "invalid"
    assert refused(store, "runs", experiment="nowhere")["code"] == "not_found"


def test_numbers_that_json_cannot_say_travel_as_words(store: Store) -> None:
    with nbtrack.start_run(run_name="odd") as run:
        for value in (1.0, math.nan, math.inf, -math.inf):
            nbtrack.log_metric("x", value)
    series = ask(store, "series", run_ids=[run.info.run_id], keys=["x"])["series"][0]
    assert series["value"] == [1.0, "NaN", "Infinity", "-Infinity"]
    assert series["step"] == [0, 1, 2, 3] and series["count"] == 4


def test_run_tells_everything_and_the_change_against_the_run_before(store: Store) -> None:
    first = logged_run("a", 1.0, 0.8)
    second = logged_run("b", 10.0, 0.9)
    run = ask(store, "run", run_id=second)
    metric = next(m for m in run["metrics"] if m["key"] == "accuracy")
    assert (metric["last"], metric["previous"], metric["better"]) == (0.9, 0.8, "higher")
    assert run["previous_run"] == [first, "a"]
    assert run["models"][0]["artifact_path"] == "model" and run["models"][0]["flavor"] == "sklearn"
    assert ask(store, "run", run_id=first)["previous_run"] is None


def test_edit_run_note_name_trash_and_restore(store: Store) -> None:
    run_id = logged_run("a", 1.0, 0.8)
    ask(store, "edit_run", run_id=run_id, run_name="better", tags={"nbtrack.note": "why <b>"})
    run = ask(store, "run", run_id=run_id)
    assert (run["run_name"], run["note"]) == ("better", "why <b>")
    ask(store, "edit_run", run_id=run_id, deleted=True)
    assert ask(store, "runs")["run_ids"] == []
    assert ask(store, "runs", deleted=True)["run_ids"] == [run_id]
    ask(store, "edit_run", run_id=run_id, deleted=False)
    assert ask(store, "runs")["run_ids"] == [run_id]


def test_register_promote_preview_conflict_undo_and_history(store: Store) -> None:
    ids = [logged_run("a", 1.0, 0.8), logged_run("b", 10.0, 0.9)]
    for run_id in ids:
        ask(store, "register", run_id=run_id, name="clf")
    ask(store, "promote", name="clf", version=1, stage="Staging")
    seen = ask(store, "models")["models"][0]["last_commit"]
    preview = ask(store, "promote", name="clf", version=2, stage="Staging", preview=True)
    assert preview["text"] == "v2 → Staging, v1 → None" and preview["last_commit"] == seen
    done = ask(store, "promote", name="clf", version=2, stage="Staging", expect=seen, note="better")
    assert done["changes"] == [
        {"version": 2, "before": "None", "after": "Staging"},
        {"version": 1, "before": "Staging", "after": "None"},
    ]
    error = refused(store, "promote", name="clf", version=1, stage="Staging", expect=seen)
    assert error["code"] == "conflict"
    models = ask(store, "models")
    assert models["stages"] == ["None", "Staging", "Production", "Archived"]
    assert [(v["version"], v["stage"], v["run_name"]) for v in models["models"][0]["versions"]] == [
        (2, "Staging", "b"),
        (1, "None", "a"),
    ]
    assert ask(store, "run", run_id=ids[1])["models"][0]["versions"] == [["clf", 2, "Staging"]]
    ask(store, "undo", name="clf")
    assert [v["stage"] for v in ask(store, "models")["models"][0]["versions"]] == ["None", "Staging"]
    history = ask(store, "history", name="clf")["commits"]
    assert history[1]["text"] == "v2 → Staging, v1 → None" and history[1]["note"] == "better"


def test_register_run_without_a_model_says_what_to_do(store: Store) -> None:
    with nbtrack.start_run(run_name="bare") as run:
        nbtrack.log_metric("x", 1)
    error = refused(store, "register", run_id=run.info.run_id, name="clf")
    assert error["code"] == "invalid" and "logged 0 models" in error["message"]


def test_serve_invoke_and_stop(store: Store) -> None:
    ask(store, "register", run_id=logged_run("a", 1.0, 0.8), name="clf")
    server = ask(store, "serve", model_uri="models:/clf/1")
    try:
        assert server["status"] == "ready" and server["url"].startswith("http://127.0.0.1:")
        reply = ask(store, "invoke", server_id=server["server_id"], body=server["example"])
        assert reply["status"] == 200 and json.loads(reply["body"]) == {"predictions": [0]}
        assert ask(store, "invoke", server_id=server["server_id"], body="{")["status"] == 400
        assert [s["server_id"] for s in ask(store, "servers")["servers"]] == [server["server_id"]]
    finally:
        ask(store, "stop_server", server_id=server["server_id"])
    assert ask(store, "servers")["servers"] == []


def test_serve_missing_model_says_what_is_missing(store: Store) -> None:
    error = refused(store, "serve", model_uri="models:/nobody/Staging")
    assert error["code"] == "not_found" and "nobody" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"op":"nothing"}',
        b'{"op":"run"}',
        b'{"op":"run","run_id":3}',
        b'{"op":"info","x":1}',
        b"\xff",
    ],
)
def test_unreadable_request_is_refused_as_invalid(store: Store, body: bytes) -> None:
    reply = json.loads(answer_json(store, body))
    assert reply["ok"] is False and reply["error"]["code"] == "invalid"


@pytest.mark.parametrize("run_id", ["*", "../x", "0" * 21, "x" * 10_000])
def test_run_unknown_or_malformed_id_is_refused(store: Store, run_id: str) -> None:
    assert refused(store, "run", run_id=run_id)["code"] in {"invalid", "not_found"}


def test_store_that_cannot_be_opened_becomes_the_answer(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no store")
    reply = json.loads(answer_json(lambda: open_store(file), b'{"op":"info"}'))
    assert reply["ok"] is False and str(file) in reply["error"]["message"]
