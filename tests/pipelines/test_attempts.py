"""Reproductions in the background, asked for over the wire as the button does."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.pipelines.attempts import attempt_of
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import answer_json


def ask(store: Store, op: str, **parts: Any) -> dict[str, Any]:
    reply: dict[str, Any] = json.loads(answer_json(store, json.dumps({"op": op, **parts}).encode()))
    return reply.get("answer") or reply["error"]


def wait_until_over(store: Store, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (told := ask(store, "reproduction", run_id=run_id))["state"] == "running":
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    return told


def cell(source: str, this: bool = False) -> dict[str, Any]:
    return {"execution_count": 3, "cell_id": None, "source": source, "reads": [], "writes": [], "this": this}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    return open_store(tmp_path / ".nbtrack")


def sliced_run(store: Store, *sources: str, accuracy: float = 0.5, end: bool = True) -> str:
    run = store.create_run(run_name="forest")
    run.log_metrics({"accuracy": accuracy})
    cells = [cell(source, this=number == len(sources) - 1) for number, source in enumerate(sources)]
    run.log_capture({"slice": {"cells": cells, "complete": True, "missing": []}})
    if end:
        run.end()
    return run.run_id


def test_button_reproduces_in_the_background_and_stamps_the_run(store: Store) -> None:
    run_id = sliced_run(store, "half = 1 / 2", "%%track\naccuracy = half")
    told = ask(store, "reproduce", run_id=run_id)
    assert (told["state"], told["total"]) == ("running", 2)
    assert ask(store, "run", run_id=run_id)["reproducing"] is True
    assert ask(store, "reproduce", run_id=run_id)["state"] == "running", "asked twice, it runs once"
    assert sum(thread.name == "nbtrack-reproduce" for thread in threading.enumerate()) == 1
    told = wait_until_over(store, run_id)
    assert (told["state"], told["done"], told["error"]) == ("done", 2, "")
    run = ask(store, "run", run_id=run_id)
    assert run["reproducing"] is False
    assert run["capture"]["reproduced"]["verdict"] == "Reproduced: 1 value, all exactly the same."
    assert run["tags"]["nbtrack.reproduced"].startswith("yes ")


def test_differing_value_is_told_with_the_run(store: Store) -> None:
    run_id = sliced_run(store, "%%track\naccuracy = 0.75")
    ask(store, "reproduce", run_id=run_id)
    assert wait_until_over(store, run_id)["state"] == "done"
    stamp = ask(store, "run", run_id=run_id)["capture"]["reproduced"]
    assert stamp["differences"] == [["metric", "accuracy", "0.5", "0.75"]]
    assert stamp["verdict"].startswith("Not reproduced: 1 of 1 value differ")


def test_stop_ends_the_kernel_and_leaves_no_stamp(store: Store, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    wait = f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\ntime.sleep(60)"
    run_id = sliced_run(store, wait, "%%track\naccuracy = 0.5")
    ask(store, "reproduce", run_id=run_id)
    deadline = time.monotonic() + 30
    while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    ask(store, "reproduce", run_id=run_id, stop=True)
    assert wait_until_over(store, run_id)["state"] == "stopped"
    assert "reproduced" not in ask(store, "run", run_id=run_id)["capture"]
    with pytest.raises(ProcessLookupError, match="No such process"):
        os.kill(int(pid.read_text()), 0)


def test_refused_without_a_slice_while_running_and_in_a_read_only_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nbtrack.start_run() as bare:
        pass
    bare_told = ask(open_store(nbtrack.get_tracking_uri()), "reproduce", run_id=bare.run_id)
    assert "has no slice" in bare_told["message"]
    running = sliced_run(store, "%%track\naccuracy = 0.5", end=False)
    assert "still runs" in ask(store, "reproduce", run_id=running)["message"]
    run_id = sliced_run(store, "%%track\naccuracy = 0.5")
    monkeypatch.setattr("nbtrack.store.file_store.is_writable", lambda root: False)  # root may write everywhere
    told = ask(store, "reproduce", run_id=run_id)
    assert told["code"] == "read_only"
    assert "stamp=False" in told["message"]
    assert attempt_of(run_id, store) is None
    assert ask(store, "reproduction", run_id=run_id)["state"] == "none"
