from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbtrack.store import Store

from .conftest import Command, add_run


def test_info_tells_where_the_store_is_and_what_it_holds(
    store: Store, nbtrack: Command, asked: Callable[..., Any]
) -> None:
    add_run(store, "forest")
    facts = asked("store", "info")
    assert (facts["uri"], facts["runs"], facts["writable"]) == (store.uri, 1, True)
    shown = {line.split()[0]: line.split()[1] for line in nbtrack("store", "info").stdout.splitlines()}
    assert shown["folder"] == store.uri
    assert shown["writable"] == "yes"


def test_info_finds_the_store_from_a_folder_below(store: Store, tmp_path: Path, monkeypatch: Any, asked: Any) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert asked("store", "info")["uri"] == store.uri


def test_check_of_a_sound_store_says_so(store: Store, nbtrack: Command, asked: Callable[..., Any]) -> None:
    add_run(store, "forest")
    assert nbtrack("store", "check").stdout == "Sound: no damage found.\n"
    assert asked("store", "check") == {"store": store.uri, "sound": True, "problems": []}


def test_check_of_a_damaged_store_names_the_record_and_fails(store: Store, tmp_path: Path, nbtrack: Command) -> None:
    run_id = add_run(store, "forest", accuracy=0.5)
    logs = [path for path in (tmp_path / ".nbtrack" / "runs").rglob("*") if path.is_file() and run_id in str(path)]
    content = logs[0].read_bytes().splitlines(keepends=True)
    logs[0].write_bytes(b"".join([content[0], b"\xff\xff{nonsense\n", *content[1:]]))
    result = nbtrack("store", "check")
    assert result.exit_code == 1
    assert run_id in result.stdout
    assert re.search(r"\d damaged records? left\.", result.stdout)
    assert nbtrack("store", "check", "--repair").exit_code == 0
    assert nbtrack("store", "check").exit_code == 0
    assert "accuracy" in nbtrack("runs", "show", run_id).stdout


def test_gc_tells_first_and_removes_with_yes(store: Store, nbtrack: Command, asked: Callable[..., Any]) -> None:
    kept, gone = add_run(store, "kept"), add_run(store, "gone")
    nbtrack("runs", "delete", gone)
    assert "Would remove 1 run" in nbtrack("store", "gc").stdout
    assert asked("runs", "list", "--deleted")["total"] == 1
    assert asked("store", "gc", "--yes")["run_ids"] == [gone]
    assert asked("runs", "list", "--deleted")["total"] == 0
    assert asked("runs", "list")["runs"][0]["run_id"] == kept


def test_index_counts_the_runs(store: Store, nbtrack: Command) -> None:
    add_run(store, "a")
    add_run(store, "b")
    assert nbtrack("store", "index").stdout == "Indexed 2 runs.\n"


def test_compact_tells_first_and_frees_with_yes_and_loses_nothing(
    store: Store, nbtrack: Command, asked: Callable[..., Any]
) -> None:
    assert "Nothing to compact" in nbtrack("store", "compact").stdout
    writer = store.create_run(run_name="long")
    for step in range(8000):
        writer.log_metric("loss", 1 / (step + 1), step)
    writer.end()
    before = store.get_metric_history(writer.run_id, "loss")
    told = nbtrack("store", "compact").stdout
    assert re.search(r"Would compact 1 run, \d+\.\d kB in all", told)
    size = asked("store", "info")["size_bytes"]
    done = asked("store", "compact", "--yes")
    assert done["run_ids"] == [writer.run_id]
    assert size - asked("store", "info")["size_bytes"] >= 0.8 * done["size_bytes"] > 100_000
    after = store.get_metric_history(writer.run_id, "loss")
    assert (after.step == before.step).all() and (after.value == before.value).all()
    assert (after.timestamp == before.timestamp).all()
    assert asked("store", "compact", "--yes")["run_ids"] == []
    assert nbtrack("store", "check").stdout == "Sound: no damage found.\n"
