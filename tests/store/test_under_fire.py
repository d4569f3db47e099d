"""Truth under fire: real processes that are killed, starved of disk, forked and raced.

Short forms, a minute in all; ``tests/bench/fire.py`` runs the long ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from nbtrack.errors import DamageWarning
from nbtrack.store import FileStore

from .fire import environment, scenario, starve
from .verify import judge_storm, raw_lines, read_acks, tear

EACH = 3000  # points that `full_disk` logs


# -- SIGKILL -----------------------------------------------------------------------------------------------------------
def test_sigkill_in_every_write_call_loses_nothing_acknowledged(tmp_path: Path) -> None:
    root, notes = tmp_path / "store", tmp_path / "acks"
    facts = scenario("kill_rounds", root, notes, 60, 4)
    assert facts["kills"] == 240
    torn = tear(root, 3)
    verdict = judge_storm(root, notes)
    assert verdict["acknowledged"] > 300 and verdict["runs"] > 60, verdict
    assert verdict["torn"] >= len(torn) == 3, verdict
    wrong = {name: found for name, found in verdict.items() if isinstance(found, list) and found}
    assert wrong == {}


def crashed_run(root: Path) -> tuple[str, Path]:
    """Leave the log of a run whose process died: ten points, no end."""
    code = (
        "import os, sys\nfrom nbtrack.store import open_store\n"
        "w = open_store(sys.argv[1]).create_run(run_name='dead')\n"
        "for n in range(10):\n    w.log_metrics({'m': n + 0.125})\n"
        "print(w.run_id, flush=True)\nos._exit(9)\n"
    )
    command = [sys.executable, "-c", code, str(root)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    run_id = done.stdout.strip()
    (log,) = root.glob(f"runs/*/{run_id}.jsonl")
    return run_id, log


def test_torn_last_line_at_every_byte_costs_that_line_only(tmp_path: Path) -> None:
    root = tmp_path / "store"
    run_id, log = crashed_run(root)
    whole = log.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last, len(whole)):
        log.write_bytes(whole[:cut])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            store = FileStore.open(root)
            values = store.get_metric_history(run_id, "m").value.tolist()
            run = store.get_run(run_id)
        assert values == [n + 0.125 for n in range(9)], cut
        assert (run.info.status, run.data.metrics) == ("CRASHED", {"m": 8.125})
        assert {w.category for w in caught} <= {DamageWarning}
        problems = list(store.check())
        assert len(problems) == (cut > last), (cut, problems)


def test_torn_last_line_is_told_with_a_warning_and_by_check(tmp_path: Path) -> None:
    root = tmp_path / "store"
    run_id, log = crashed_run(root)
    log.write_bytes(log.read_bytes()[:-5])
    with pytest.warns(DamageWarning, match="(?s)" + run_id + r".*(torn|unfinished|cut)"):
        assert len(FileStore.open(root).get_metric_history(run_id, "m")) == 9
    (problem,) = list(FileStore.open(root).check())
    assert problem.run_id == run_id
    assert log.name in problem.path


def test_resumed_run_is_never_glued_onto_a_torn_line(tmp_path: Path) -> None:
    root = tmp_path / "store"
    run_id, log = crashed_run(root)
    log.write_bytes(log.read_bytes()[:-3])
    torn = log.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        writer = FileStore.open(root).resume_run(run_id)
        writer.log_metrics({"m": 99.0})
        writer.end()
        history = FileStore.open(root).get_metric_history(run_id, "m")
    assert log.read_bytes() == torn
    assert history.value.tolist() == [n + 0.125 for n in range(9)] + [99.0]
    assert history.step.tolist() == list(range(10))


def test_dead_writer_is_shown_crashed_at_once_and_a_live_one_running(tmp_path: Path) -> None:
    root = tmp_path / "store"
    run_id, _ = crashed_run(root)
    live = FileStore.open(root).create_run(run_name="live")
    store = FileStore.open(root)
    status = {r.info.run_name: r.info.status for r in store.search_runs()}
    assert status == {"dead": "CRASHED", "live": "RUNNING"}
    assert store.get_run(run_id).info.end_time is not None
    found = store.search_runs(filter_string="status = 'CRASHED'")
    assert [r.run_id for r in found] == [run_id]
    live.end()


def test_orphaned_child_does_not_keep_a_dead_run_alive(tmp_path: Path) -> None:
    facts = scenario("orphaned", tmp_path / "store")
    assert (facts["alive"], facts["dead"]) == ("RUNNING", "CRASHED")
    assert facts["seconds"] < 2


# -- a full disk -------------------------------------------------------------------------------------------------------
@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Give a folder on a disk of one megabyte where this user may mount one, else a limit on the size of a file."""
    folder.mkdir()
    mounted = False
    if sys.platform == "linux" and os.geteuid() == 0:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield folder, "tmpfs" if mounted else "30000"
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def judge_full_disk(facts: dict[str, object], root: Path, *, complete: bool) -> None:
    """Check that a starved run warned once, went on, and harmed nothing."""
    warned = facts["warned"]
    assert isinstance(warned, list)
    told = [text for text in warned if "room" in text]
    assert len(told) == len(warned) == 1, warned
    assert str(facts["seconds"]) and float(str(facts["seconds"])) < 5
    raw_lines(root)
    run_id = str(facts["run_id"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        history = FileStore.open(root).get_metric_history(run_id, "loss")
        status = FileStore.open(root).get_run(run_id).info.status
    count = EACH if complete else len(history)
    assert count >= 500
    assert_array_equal(history.value, np.arange(count) + 0.5)
    assert_array_equal(history.step, np.arange(count))
    assert status == ("FINISHED" if complete else "CRASHED")


def finished_before(root: Path) -> tuple[str, dict[str, bytes]]:
    """Write a finished run; return its id and the bytes of every file."""
    writer = FileStore.open(root).create_run(run_name="earlier")
    writer.log_artifact(b"weights" * 100, "w.bin")
    writer.log_metrics({"m": 1.0})
    writer.end()
    return writer.run_id, {str(p): p.read_bytes() for p in root.rglob("*") if p.is_file() and "index" not in p.parts}


@pytest.mark.parametrize("frees", ["yes", "no"])
def test_full_disk_warns_once_and_training_goes_on(tmp_path: Path, frees: str) -> None:
    with small_disk(tmp_path / "disk") as (disk, how):
        root = disk / "store"
        run_id, files = finished_before(root)
        facts = starve(root, how, frees)
        judge_full_disk(facts, root, complete=frees == "yes")
        assert {path: Path(path).read_bytes() for path in files} == files
        assert FileStore.open(root).get_run(run_id).data.metrics == {"m": 1.0}


@pytest.mark.parametrize("frees", ["yes", "no"])
@pytest.mark.parametrize("limit", [20_000, 20_001, 20_017])
def test_file_size_limit_warns_once_and_training_goes_on(tmp_path: Path, limit: int, frees: str) -> None:
    root = tmp_path / "store"
    run_id, files = finished_before(root)
    facts = starve(root, limit, frees)
    judge_full_disk(facts, root, complete=frees == "yes")
    assert {path: Path(path).read_bytes() for path in files} == files
    assert FileStore.open(root).get_run(run_id).data.metrics == {"m": 1.0}


# -- many at once ------------------------------------------------------------------------------------------------------
def test_tiny_runs_of_many_processes_are_all_there(tmp_path: Path) -> None:
    root = tmp_path / "store"
    scenario("tiny_runs", root, 16, 40)
    store = FileStore.open(root)
    runs = store.search_runs(max_results=10**6)
    assert len({r.run_id for r in runs}) == len(runs) == 640
    assert {r.info.run_name for r in runs} == {f"{c}/{n}" for c in range(16) for n in range(40)}
    for run in runs:
        child, number = run.info.run_name.split("/")
        assert run.data.params == {"child": child, "number": number}
        assert (run.data.metrics, run.info.status) == ({"m": int(child) * 1000 + int(number)}, "FINISHED")
    assert list(store.check()) == []


def test_first_use_of_an_empty_folder_by_many_processes(tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet"
    scenario("first_use", root, 16)
    store = FileStore.open(root)
    experiments = {e.name: e.experiment_id for e in store.list_experiments()}
    assert set(experiments) == {"Default", *(f"experiment {n}" for n in range(16))}
    assert len(set(experiments.values())) == 17
    runs = {r.info.run_name: r for r in store.search_runs()}
    for number in range(16):
        run = runs.pop(f"run {number}")
        assert run.info.experiment_id == experiments[f"experiment {number}"]
        assert run.data.metrics == {"m": number}
    assert runs == {}
    commits = store.read_commits("shared")
    assert [c["number"] for c in commits] == list(range(1, 17))
    assert sorted(c["who"] for c in commits) == list(range(16))
    leftovers = [path.name for path in root.rglob("*.tmp")]
    assert leftovers == []


def test_registering_and_promoting_by_many_processes_leaves_no_gap_double_or_loss(tmp_path: Path) -> None:
    root, notes = tmp_path / "store", tmp_path / "acks"
    scenario("race_commits", root, notes, 20, 6)
    commits = FileStore.open(root).read_commits("clf")
    assert [c["number"] for c in commits] == list(range(1, 241))
    by_number = {c["number"]: c for c in commits}
    acks = read_acks(notes)[""]
    assert len(acks) == 240
    for op, number, who, *saw in acks:
        commit = by_number.pop(number)
        assert commit["who"] == who
        assert commit["action"] == {"free": "register", "expected": "promote"}[op]
        if saw:
            assert commit["saw"] == saw[0] == number - 1
    assert by_number == {}
    names = sorted(path.name for path in root.glob("models/*/*"))
    assert names == [f"{n:08d}.json" for n in range(1, 241)]
    assert [json.loads(p.read_bytes())["number"] for p in sorted(root.glob("models/*/*"))] == list(range(1, 241))


# -- one process, many hands -------------------------------------------------------------------------------------------
def test_forked_children_log_to_one_run_without_mixing(tmp_path: Path) -> None:
    root = tmp_path / "store"
    facts = scenario("forked_writer", root, 4, 300)
    raw_lines(root)
    store = FileStore.open(root)
    run = store.get_run(facts["run_id"])
    assert facts["status_before_end"] == "RUNNING"
    assert run.info.status == "FAILED"
    for key in ("parent", *(f"child {n}" for n in range(4))):
        history = store.get_metric_history(run.run_id, key)
        assert history.value.tolist() == list(range(300)), key
        assert history.step.tolist() == list(range(300)), key
        assert run.data.metrics[key] == 299
    assert {run.data.tags[f"child {n}"] for n in range(4)} == {"done"}
    assert (run.data.metrics["before"], run.data.metrics["after"]) == (1.0, 1.0)
    assert [r.run_id for r in store.search_runs()] == [run.run_id]
    assert list(store.check()) == []


def test_threads_and_tasks_do_not_mix_lines(tmp_path: Path) -> None:
    root = tmp_path / "store"
    facts = scenario("many_hands", root, 6, 200)
    raw_lines(root)
    store = FileStore.open(root)
    for name, run_id in facts["own"].items():
        assert store.get_run(run_id).info.run_name == name
        assert store.get_metric_history(run_id, "m").value.tolist() == [v for n in range(200) for v in (n, -n)]
        assert store.get_metric_history(facts["shared"], name).value.tolist() == list(range(200))
    together = store.get_metric_history(facts["shared"], "all")
    assert sorted(together.value.tolist()) == sorted(list(range(200)) * 6)
    assert together.step.tolist() == list(range(1200))


def test_interrupts_at_any_moment_leave_log_summary_and_lock_whole(tmp_path: Path) -> None:
    root = tmp_path / "store"
    script = str(Path(__file__).with_name("interrupt.py"))
    facts = json.loads(Path(scenario("interrupted", root, 400, script=script)["file"]).read_text())
    assert not facts["hangs"]
    raw_lines(root)
    store = FileStore.open(root)
    run, history = store.get_run(facts["run_id"]), store.get_metric_history(facts["run_id"], "m")
    found = history.value.tolist()
    assert len(facts["sure"]) > 400
    assert set(facts["sure"]) <= set(found) <= set(facts["sure"]) | set(facts["perhaps"])
    assert found == sorted(set(found))
    perhaps = set(facts["perhaps"])
    for at in np.flatnonzero(np.diff(history.step) != 1):  # a call cut short may have its step used again, no other
        assert history.step[at + 1] == history.step[at] and found[at] in perhaps
    summary = run.summaries["m"]
    assert (summary.last, summary.min, summary.max, summary.count) == (found[-1], min(found), max(found), len(found))
    assert summary.step == history.step[-1]
    assert run.info.status == "FINISHED"
    assert list(store.check()) == []
