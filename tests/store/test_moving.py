"""Moving a store to another folder while processes write to it: nothing is lost, everything is compared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nbtrack.cli import cli
from nbtrack.errors import InvalidInputError
from nbtrack.store import FileStore, moving, open_store
from nbtrack.store.layout import MOVED_FILE
from nbtrack.store.moving import move_store

from .promises.base import make_run

WRITER = """
import sys, time
from nbtrack.store import open_store
until, count = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < until or count < 5:
    count += 1
    writer = open_store(sys.argv[1]).create_run("0", "r")
    for step in range(20):
        writer.log_metric("m", step / 2)
    writer.log_artifact(writer.run_id.encode(), "a.txt")
    writer.end()
    print(writer.run_id, flush=True)
    time.sleep(0.02)
"""


@pytest.fixture
def nobody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is about to begin a run, so that none has to be waited for."""
    monkeypatch.setattr(moving, "QUIET_S", 0.05)


@pytest.fixture
def source(tmp_path: Path) -> FileStore:
    store = open_store(tmp_path / "old")
    for number in range(5):
        make_run(store, f"r{number}", params={"a": number}, metrics={"m": 0.5})
    store.create_experiment("wine")
    store.append_commit("clf", {"action": "create", "patch": {"model": {"deleted": False}}})
    return store


def contents(root: str) -> dict[str, bytes]:
    files = (path for path in Path(root).rglob("*") if path.is_file() and path.name != MOVED_FILE)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files if "index" not in p.relative_to(root).parts}


@pytest.mark.usefixtures("nobody_writes")
def test_moved_store_is_equal_and_found_from_the_old_place(source: FileStore, tmp_path: Path) -> None:
    before = contents(source.root)
    report = move_store(source.root, str(tmp_path / "new"))
    assert contents(str(tmp_path / "new")) == before == contents(source.root)
    assert report.live == [] and report.files == len(before)
    found = open_store(tmp_path / "old")
    assert found.root == str(tmp_path / "new") and len(found.search_runs()) == 5
    assert found.get_experiment_by_name("wine") is not None and list(found.check()) == []
    (tmp_path / "old" / MOVED_FILE).unlink()
    assert open_store(tmp_path / "old").root == source.root  # the way back


def test_nothing_is_lost_while_processes_write(source: FileStore, tmp_path: Path) -> None:
    words = [sys.executable, "-c", WRITER, source.root, "2"]
    writers = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    written = [writer.stdout.readline().strip() for writer in writers if writer.stdout is not None]
    move_store(source.root, str(tmp_path / "new"), wait_s=30)
    written += [run_id for writer in writers for run_id in writer.communicate(timeout=60)[0].split()]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    move_store(source.root, str(tmp_path / "new"))
    store = FileStore(tmp_path / "new")
    assert len(written) > 10 and {run.run_id for run in store.search_runs(max_results=10**6)} >= set(written)
    for run_id in written:
        assert len(store.get_metric_history(run_id, "m")) == 20
        assert store.read_blob(store.get_run(run_id).artifacts["a.txt"].digest) == run_id.encode()
    assert list(store.check()) == []


@pytest.mark.usefixtures("nobody_writes")
def test_run_that_is_still_written_is_named_and_follows(source: FileStore, tmp_path: Path) -> None:
    writer = source.create_run("0", "live")
    writer.log_metric("m", 1.0)
    assert move_store(source.root, str(tmp_path / "new")).live == [writer.run_id]
    writer.log_metric("m", 2.0)
    writer.end()
    again = move_store(source.root, str(tmp_path / "new"))
    assert again.live == [] and again.files >= 1
    assert len(FileStore(tmp_path / "new").get_metric_history(writer.run_id, "m")) == 2


@pytest.mark.usefixtures("nobody_writes")
def test_commit_made_in_the_old_folder_meanwhile_comes_on_top(source: FileStore, tmp_path: Path) -> None:
    move_store(source.root, str(tmp_path / "new"))
    FileStore(tmp_path / "new").append_commit("clf", {"action": "edit", "note": "new"})
    source.append_commit("clf", {"action": "edit", "note": "old"})
    report = move_store(source.root, str(tmp_path / "new"))
    notes = [commit.get("note") for commit in FileStore(tmp_path / "new").read_commits("clf")]
    assert notes == [None, "new", "old"] and len(report.appended) == 1
    assert move_store(source.root, str(tmp_path / "new")).appended == []


def test_folder_that_holds_something_else_is_refused(source: FileStore, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(InvalidInputError, match="which holds other files"):
        move_store(source.root, str(tmp_path / "other"))
    open_store(tmp_path / "another")
    with pytest.raises(InvalidInputError, match="which holds another store"):
        move_store(source.root, str(tmp_path / "another"))
    with pytest.raises(InvalidInputError, match="must not lie in each other"):
        move_store(source.root, f"{source.root}/inside")
    assert not (tmp_path / "old" / MOVED_FILE).exists()


@pytest.mark.usefixtures("nobody_writes")
def test_command_moves_and_answers_in_json(source: FileStore, tmp_path: Path) -> None:
    words = ["store", "move", str(tmp_path / "new"), "--store", source.root]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0 and "copied to" in done.stdout, done.output
    again = CliRunner().invoke(cli, [*words, "--json"])
    assert json.loads(again.stdout)["files"] == 0
    listed = CliRunner().invoke(cli, ["runs", "list", "--store", source.root, "--json"])
    assert listed.exit_code == 0 and "r4" in listed.stdout
