"""Who is dead and who lives: told from facts, on this machine and on others, never from a guess."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from nbtrack.store import FileStore, appender, heartbeat

from .fire import environment, scenario

ELSEWHERE = {"host": "elsewhere", "machine": "0" * 12, "boot": "another-boot", "ns": "1", "pid": 1, "start": "1"}


def header_of_mine(root: Path) -> dict[str, Any]:
    """Return the header that a run of this very process gets."""
    writer = FileStore.open(root).create_run()
    (log,) = root.glob(f"runs/*/{writer.run_id}.jsonl")
    header: dict[str, Any] = json.loads(log.read_bytes().splitlines()[0])
    writer.end()
    return header


def put_log(root: Path, changes: dict[str, Any], age_s: float = 0) -> tuple[str, Path]:
    """Put an unsealed log there as another process would have written it; its checksum is made here, not by nbtrack."""
    run_id = f"{1_700_000_000_000:011x}" + os.urandom(5).hex()
    header = {**header_of_mine(root), "t": 1_700_000_000_000, "run": run_id, **changes}
    del header["sum"]
    body = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
    folder = root / "runs" / "2023-11-14"
    folder.mkdir(exist_ok=True)
    log = folder / f"{run_id}.jsonl"
    log.write_bytes(body + b',"sum":"%08x"}\n' % crc32(body) + b'[5,0,{"m":1.5}]\n')
    os.utime(log, (time.time() - age_s,) * 2)
    return run_id, log


def status(root: Path, run_id: str) -> str:
    """Return the status that a fresh reader sees, the same by search and by id."""
    store = FileStore.open(root)
    found = {r.run_id: r.info.status for r in store.search_runs()}[run_id]
    assert store.get_run(run_id).info.status == found
    assert store.get_run(run_id).data.metrics == {"m": 1.5}
    return found


def test_writer_that_died_here_is_crashed_whatever_its_pid_is_now(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    for changes in (
        {"pid": done.pid, "start": "1"},
        {"pid": os.getpid(), "start": "1"},
        {"pid": 1},
        {"lock": False, "pid": 1},
    ):
        run_id, _ = put_log(tmp_path, changes)
        assert status(tmp_path, run_id) == "CRASHED", changes


def test_writer_before_the_last_boot_is_crashed(tmp_path: Path) -> None:
    run_id, _ = put_log(tmp_path, {"boot": "the-boot-before"})
    assert status(tmp_path, run_id) == "CRASHED"


def test_lock_that_is_free_proves_nothing_through_another_mount(tmp_path: Path) -> None:
    """Each mount of a share by a program of its own (FUSE) may have its own locks."""
    mine, _ = put_log(tmp_path, {})
    assert status(tmp_path, mine) == "CRASHED"
    for changes, age_s, expected in (
        ({"dev": 1}, 7200, "RUNNING"),  # this very process: it lives
        ({"dev": 1, "start": "1"}, 0, "CRASHED"),  # the process table knows that it does not
        ({"dev": 1, "ns": "another"}, 0, "RUNNING"),  # in another container: its heart beats
        ({"dev": 1, "ns": "another"}, 7200, "CRASHED"),
        ({"dev": 1, "boot": "the-boot-before"}, 0, "CRASHED"),
    ):
        run_id, _ = put_log(tmp_path, changes, age_s)
        assert status(tmp_path, run_id) == expected, changes


def test_writer_on_another_host_is_believed_while_its_log_is_young(tmp_path: Path) -> None:
    for lock in (True, False):
        run_id, log = put_log(tmp_path, {**ELSEWHERE, "lock": lock})
        assert status(tmp_path, run_id) == "RUNNING"
        os.utime(log, (time.time() - 7200,) * 2)
        assert status(tmp_path, run_id) == "CRASHED"


def test_writer_on_another_host_with_a_skewed_clock_is_not_declared_dead_by_a_glance(tmp_path: Path) -> None:
    for age_s in (600, -600):
        run_id, _ = put_log(tmp_path, ELSEWHERE, age_s=age_s)
        assert status(tmp_path, run_id) == "RUNNING"


def test_lock_that_is_held_proves_life_even_from_another_host(tmp_path: Path) -> None:
    run_id, log = put_log(tmp_path, {**ELSEWHERE, "lock": True}, age_s=7200)
    code = (
        "import fcntl, sys\nf = open(sys.argv[1])\nfcntl.flock(f, fcntl.LOCK_EX)\nprint('held', flush=True)\ninput()\n"
    )
    command = [sys.executable, "-c", code, str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        assert status(tmp_path, run_id) == "RUNNING"
        holder.stdin.write("\n")
        holder.stdin.flush()
        holder.wait()
    assert status(tmp_path, run_id) == "CRASHED"


def test_stopped_writer_is_not_dead(tmp_path: Path) -> None:
    import signal

    code = (
        "import sys\nfrom nbtrack.store import FileStore\nw = FileStore.open(sys.argv[1]).create_run()\n"
        "w.log_metrics({'m': 1.5})\nprint(w.run_id, flush=True)\ninput()\nw.end()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None and writer.stdin is not None
        run_id = writer.stdout.readline().strip()
        writer.send_signal(signal.SIGSTOP)
        assert status(tmp_path, run_id) == "RUNNING"
        writer.send_signal(signal.SIGCONT)
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.wait() == 0
    assert status(tmp_path, run_id) == "FINISHED"


@pytest.mark.parametrize("reader", ["search", "get"])
def test_live_run_is_never_shown_crashed_to_a_reader_that_looks_all_the_time(tmp_path: Path, reader: str) -> None:
    facts = scenario("watched", tmp_path / "store", reader)
    assert facts["looks"] > 5 and facts["runs"] > 5
    assert facts["wrong"] == []


def test_beat_gives_a_sign_of_life_and_seals_what_was_logged(tmp_path: Path) -> None:
    writer = FileStore.open(tmp_path).create_run()
    for step in range(50):
        writer.log_metric("m", step / 7)
    (log,) = tmp_path.glob(f"runs/*/{writer.run_id}.jsonl")
    os.utime(log, (1.7e9, 1.7e9))
    before = log.read_bytes()
    writer.beat()
    assert time.time() - log.stat().st_mtime < 60
    after = log.read_bytes()
    assert after.startswith(before)
    seal = json.loads(after[len(before) :])
    assert (seal["n"], int(seal["seal"], 16)) == (len(before), crc32(before))
    writer.log_metric("m", 1.0)
    writer.end()
    assert len(FileStore.open(tmp_path).get_metric_history(writer.run_id, "m")) == 51


def test_heart_beats_by_itself_while_a_run_is_open(tmp_path: Path) -> None:
    facts = scenario("beating", tmp_path / "store")
    assert facts["touched"]
    assert facts["threads_at_rest"] <= 1


def test_heart_goes_on_beating_when_a_run_starts_while_it_looks_whose_turn_it_is(tmp_path: Path) -> None:
    store = FileStore.open(tmp_path)
    writers = [store.create_run() for _ in range(3)]

    class LiveRuns:
        """The runs of this process, to which one is added in the middle of the first reading."""

        def __iter__(self) -> Iterator[appender.Appender]:
            for one in appender.live:
                if len(writers) == 3:
                    writers.append(store.create_run())
                yield one

    logs = {writer.run_id: next(tmp_path.glob(f"runs/*/{writer.run_id}.jsonl")) for writer in writers}
    for log in logs.values():
        os.utime(log, (1.7e9, 1.7e9))
    heartbeat.beat_all(LiveRuns())
    assert len(writers) == 4
    assert all(time.time() - log.stat().st_mtime < 60 for log in logs.values())
    for writer in writers:
        writer.end()
