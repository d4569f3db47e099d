"""The records of servers: private, never stale for long, and honest about who lives. And their logs: kept small."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nbtrack.errors import NotFoundError, ServingError
from nbtrack.serving import get_server, list_servers, logfile, records
from nbtrack.serving.records import Life, Record


def record(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "server_id": records.new_id(),
        "host": "127.0.0.1",
        "port": 1,
        "model_uri": "models:/m/1",
        "resolved_uri": "models:/m/1",
        "model_name": "m",
        "version": 1,
        "digest": "",
        "store_uri": "/s",
        "owner": "process",
        "owner_pid": 1,
        "started_at_ms": 0,
        "status": "ready",
    }
    return Record(**(fields | changes))


def test_runtime_dir_is_made_for_this_user_only(runtime: Path) -> None:
    assert records.runtime_dir() == runtime
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    written = record(token="secret-secret-secret")
    records.write_record(written)
    assert stat.S_IMODE(records.record_path(written.server_id).stat().st_mode) == 0o600
    assert "secret-secret-secret" not in repr(written)


def test_runtime_dir_that_others_may_write_to_is_refused(runtime: Path) -> None:
    runtime.mkdir()
    runtime.chmod(0o777)
    with pytest.raises(ServingError, match=r"other users may write .* mode 700, got 777"):
        list_servers()


def test_runtime_dir_that_is_a_link_or_a_file_is_refused(runtime: Path, tmp_path: Path) -> None:
    runtime.symlink_to(tmp_path)
    with pytest.raises(ServingError, match="is not a folder"):
        list_servers()
    runtime.unlink()
    runtime.write_text("")
    with pytest.raises(ServingError, match="cannot be made"):
        list_servers()


def test_runtime_dir_without_a_runtime_folder_of_the_system_is_in_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NBTRACK_RUNTIME_DIR")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert records.runtime_dir().is_relative_to(tmp_path) or sys.platform != "linux"


def test_record_of_a_dead_worker_is_removed_at_the_next_listing(runtime: Path) -> None:
    dead = record(pid=os.getpid())  # the number is that of a living process; the lock says better
    records.write_record(dead)
    records.life_path(dead.server_id).touch()
    records.log_path(dead.server_id).touch()
    assert list_servers() == []
    assert list(runtime.iterdir()) == []


def test_record_of_a_living_worker_is_listed_with_its_counter(runtime: Path) -> None:
    living = record()
    records.write_record(living)
    code = (
        "import sys, time; from nbtrack.serving.records import Life; life = Life(sys.argv[1]);"
        " life.counters[0] = 7; print('locked', flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, living.server_id], stdout=subprocess.PIPE)
    try:
        assert worker.stdout is not None
        worker.stdout.readline()
        (info,) = list_servers()
        assert (info.server_id, info.requests, info.url) == (living.server_id, 7, "http://127.0.0.1:1")
        with pytest.raises(ServingError, match="another process holds its lock"):
            Life(living.server_id)
    finally:
        worker.kill()
        worker.communicate()
    assert list_servers() == []


def test_record_of_a_worker_that_is_being_started_is_kept_for_a_while(runtime: Path) -> None:
    young = record(status="starting", started_at_ms=time.time_ns() // 1_000_000)
    old = record(status="starting", started_at_ms=time.time_ns() // 1_000_000 - 60_000)
    records.write_record(young)
    records.write_record(old)
    assert [info.server_id for info in list_servers()] == [young.server_id]


def test_record_of_a_server_that_gave_up_tells_why_for_a_while(runtime: Path) -> None:
    failed = record(status="failed", error="it crashed (SIGSEGV)")
    records.write_record(failed)
    assert [info.error for info in list_servers()] == ["it crashed (SIGSEGV)"]
    long_ago = time.time() - 3600
    os.utime(records.record_path(failed.server_id), (long_ago, long_ago))
    assert list_servers() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"server_id": 5}', "null", "\0"])
def test_record_that_cannot_be_read_is_left_out_and_removed(runtime: Path, text: str) -> None:
    server_id = records.new_id()
    records.runtime_dir()
    (runtime / f"{server_id}.json").write_text(text)
    assert list_servers() == []
    assert list(runtime.iterdir()) == []


def test_record_of_a_newer_version_is_read_without_what_is_unknown(runtime: Path) -> None:
    failed = record(status="failed", error="why")
    records.write_record(failed)
    path = records.record_path(failed.server_id)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"future": 1}))
    assert records.read_record(failed.server_id) == failed


@pytest.mark.parametrize("server_id", ["", "*", "..", "../../etc/passwd", "a" * 10_000, "0123456789aB", "\0"])
def test_server_with_an_id_that_is_none_is_not_found(runtime: Path, server_id: str) -> None:
    canary = runtime.parent / "canary.json"
    canary.write_text("{}")
    with pytest.raises(NotFoundError, match="there is none with the id"):
        get_server(server_id)
    assert canary.exists()


def test_log_that_grows_too_large_is_started_over_and_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    fd = logfile.open_log(path)
    try:
        os.write(fd, b"old line\n" * 1000 + b"last line\n")
        assert not logfile.rotate(path, max_bytes=1_000_000)
        assert logfile.rotate(path, max_bytes=1000)
        os.write(fd, b"new line\n")  # who had it open goes on writing to it
    finally:
        os.close(fd)
    assert path.read_bytes() == b"new line\n"
    assert path.with_suffix(".log.1").read_bytes().endswith(b"last line\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_tail_of_a_log_shows_its_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("".join(f"line {i}\n" for i in range(100)), encoding="utf-8")
    assert logfile.tail(path, 2) == "line 98\nline 99"
    assert logfile.tail(tmp_path / "none.log") == ""
