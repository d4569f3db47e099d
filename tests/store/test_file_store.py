"""The store on plain files: every promise of the contract, and what is about files."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nbtrack.errors import (
    DamageWarning,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    StoreFormatError,
    StoreNotFoundError,
)
from nbtrack.store import FileStore, find_store_uri, open_store
from nbtrack.store.base import Store

from .answers import all_answers, filled
from .contract import StoreContract
from .fire import environment
from .promises.base import make_run


class TestFileStore(StoreContract):
    """A ``FileStore`` keeps every promise."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return FileStore.open(tmp_path / "größe store")

    def fresh(self, store: Store) -> Store:
        return FileStore.open(store.uri)

    def raw_records(self, store: Store, run_id: str) -> list[Any]:
        (log,) = Path(store.uri).glob(f"runs/*/{run_id}.jsonl")
        return [json.loads(line) for line in log.read_bytes().splitlines()]

    def raw_blob(self, store: Store, digest: str) -> bytes:
        return (Path(store.uri) / "blobs" / digest[:2] / digest).read_bytes()

    def harm_blob(self, store: Store, digest: str) -> None:
        path = Path(store.uri) / "blobs" / digest[:2] / digest
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)


# -- the folder as a thing ---------------------------------------------------------------------------------------------
def test_store_moved_copied_and_zipped_answers_the_same(tmp_path: Path) -> None:
    filled(tmp_path / "here")
    before = all_answers(tmp_path / "here")
    assert len(before.found) > 10 and b"weights" in before.found.values()
    assert (before.errors, before.warned) == ({}, [])
    shutil.move(tmp_path / "here", tmp_path / "deep down")
    assert all_answers(tmp_path / "deep down") == before
    archive = shutil.make_archive(str(tmp_path / "store"), "zip", tmp_path / "deep down")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "unzipped")
    assert all_answers(tmp_path / "unzipped") == before
    shutil.copytree(tmp_path / "deep down", tmp_path / "copy", copy_function=shutil.copyfile)
    assert all_answers(tmp_path / "copy") == before


def test_store_files_hold_no_absolute_path_and_no_link(tmp_path: Path) -> None:
    filled(tmp_path / "somewhere-special")
    for path in (tmp_path / "somewhere-special").rglob("*"):
        assert stat.S_IFMT(path.lstat().st_mode) in {stat.S_IFREG, stat.S_IFDIR}, path
        assert path.is_dir() or b"somewhere-special" not in path.read_bytes(), path


def test_store_merged_with_another_by_plain_copying_holds_both(tmp_path: Path) -> None:
    one, two = FileStore.open(tmp_path / "one"), FileStore.open(tmp_path / "two")
    runs = {make_run(one, "a", metrics={"m": 1.0}), make_run(two, "b", metrics={"m": 2.0})}
    one.search_runs()
    two.search_runs()
    shutil.copytree(tmp_path / "two" / "runs", tmp_path / "one" / "runs", dirs_exist_ok=True)
    assert {r.run_id for r in FileStore.open(tmp_path / "one").search_runs()} == runs
    assert {r.run_id for r in one.search_runs()} == runs


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the right to write from a folder, and from root, who does not need it."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


WITHOUT_PRIVILEGE = """
import ctypes, os, sys
if hasattr(os, "geteuid") and os.geteuid() == 0:  # root may write anywhere: give that up
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    none = (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None, use_errno=True).capset(header, none) == 0, os.strerror(ctypes.get_errno())
"""
READ_ONLY_PROGRAM = f"""
import json
from nbtrack.errors import StoreReadOnlyError
from nbtrack.store import FileStore
{WITHOUT_PRIVILEGE}
store = FileStore.open(sys.argv[1])
runs = store.search_runs(view="ALL")
facts = dict(runs=[r.info.run_name for r in runs], writable=store.info()["writable"], errors=[])
facts["points"] = len(store.get_metric_history(next(r.run_id for r in runs if r.info.run_name == "full"), "loss"))
facts["commits"] = len(store.read_commits("clf"))
facts["check"] = [p.what for p in store.check()]
calls = [
    lambda: store.create_run(), lambda: store.create_experiment("x"), lambda: store.put_blob(b"new"),
    lambda: store.append_commit("clf", dict()), lambda: store.append_commit("new", dict()),
    lambda: store.edit_run(runs[0].run_id, tags=dict(a="1")), lambda: store.resume_run(runs[1].run_id),
]
for call in calls:
    try:
        call()
        facts["errors"].append("no error")
    except StoreReadOnlyError as error:
        facts["errors"].append("read-only" if "cannot be written" in str(error) else str(error))
print(json.dumps(facts))
"""


@pytest.mark.parametrize("with_index", [True, False])
def test_store_read_only_reads_and_refuses_to_write(tmp_path: Path, with_index: bool) -> None:
    root = tmp_path / "store"
    filled(root)
    if not with_index:
        shutil.rmtree(root / "index", ignore_errors=True)
    with read_only(root):
        before = sorted((str(p), p.stat().st_mtime_ns) for p in root.rglob("*"))
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", READ_ONLY_PROGRAM, str(root)],
            env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        after = sorted((str(p), p.stat().st_mtime_ns) for p in root.rglob("*"))
    facts = json.loads(done.stdout)
    assert facts["runs"] == ["gone", "trash", "full"]
    assert (facts["points"], facts["commits"], facts["writable"], facts["check"]) == (30, 2, False, [])
    assert facts["errors"] == ["read-only"] * 7
    assert after == before


# -- opening -----------------------------------------------------------------------------------------------------------
def test_open_store_gives_one_object_per_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(tmp_path / "a b")
    assert open_store("a b") is store
    assert open_store(f"file:{tmp_path}/a%20b") is store
    assert open_store(f"file://{tmp_path}/a%20b") is store
    assert open_store("other") is not store
    (tmp_path / "link").symlink_to(tmp_path / "a b")
    assert open_store("link") is store


def test_open_store_without_create_needs_one(tmp_path: Path) -> None:
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(StoreNotFoundError, match="store"):
            open_store(missing, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
def test_open_store_at_a_file_is_refused(tmp_path: Path, create: bool) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for path in (file, file / "below"):
        with pytest.raises(StoreNotFoundError, match=r"notes\.txt"):
            open_store(path, create=create)
    assert file.read_text() == "mine"


def test_open_store_of_a_newer_format_is_refused_untouched(tmp_path: Path) -> None:
    filled(tmp_path / "store")
    note = tmp_path / "store" / "nbtrack.json"
    facts = json.loads(note.read_bytes())
    (version,) = [key for key, value in facts.items() if value == 1 and key != "id"]
    note.chmod(0o644)
    note.write_text(json.dumps({**facts, version: 2}))
    before = sorted((str(p), p.stat().st_mtime_ns) for p in (tmp_path / "store").rglob("*"))
    with pytest.raises(StoreFormatError, match=r"newer nbtrack.*got 2.*Update"):
        FileStore.open(tmp_path / "store")
    with pytest.raises(StoreFormatError, match=r"2"):
        open_store(tmp_path / "store", create=False)
    assert sorted((str(p), p.stat().st_mtime_ns) for p in (tmp_path / "store").rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b'{"format": "x"}', b"\x00" * 50])
def test_open_store_with_a_damaged_note_warns_and_reads_on(tmp_path: Path, content: bytes) -> None:
    filled(tmp_path / "store")
    (tmp_path / "store" / "nbtrack.json").chmod(0o644)
    (tmp_path / "store" / "nbtrack.json").write_bytes(content)
    with pytest.warns(DamageWarning, match=r"nbtrack\.json"):
        store = FileStore.open(tmp_path / "store")
    assert len(store.search_runs(view="ALL")) == 3
    assert [Path(p.path).name for p in store.check()] == ["nbtrack.json"]
    assert [p.repaired for p in store.check(repair=True)] == [True]
    assert list(FileStore.open(tmp_path / "store").check()) == []


def test_open_store_in_a_folder_with_other_files_leaves_them(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine.txt").write_text("mine")
    (tmp_path / "runs" / "2026-01-01").mkdir()
    (tmp_path / "runs" / "2026-01-01" / "notes.jsonl").write_text("{}")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "weights.bin").write_bytes(b"w")
    store = FileStore.open(tmp_path)
    run_id = make_run(store)
    store.append_commit("clf", {"action": "x"})
    assert [r.run_id for r in store.search_runs()] == [run_id]
    assert store.list_models() == ["clf"]
    assert store.gc(dry_run=False).run_ids == ()
    assert (tmp_path / "runs" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "models" / "weights.bin").read_bytes() == b"w"
    assert (tmp_path / "runs" / "2026-01-01" / "notes.jsonl").read_text() == "{}"


def test_find_store_uri_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NBTRACK_TRACKING_URI", raising=False)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert Path(find_store_uri(below)) == below / ".nbtrack"
    (tmp_path / ".nbtrack").mkdir()
    assert Path(find_store_uri(below)) == tmp_path / ".nbtrack"
    (tmp_path / "a" / ".nbtrack").mkdir()
    assert Path(find_store_uri(below)) == tmp_path / "a" / ".nbtrack"
    monkeypatch.chdir(below)
    assert Path(find_store_uri()) == tmp_path / "a" / ".nbtrack"
    monkeypatch.setenv("NBTRACK_TRACKING_URI", "/elsewhere")
    assert find_store_uri() == "/elsewhere"


# -- files -------------------------------------------------------------------------------------------------------------
def test_small_run_is_one_file_of_one_block(tmp_path: Path) -> None:
    store = FileStore.open(tmp_path / "store")
    make_run(store)
    before = {p for p in (tmp_path / "store").rglob("*") if p.is_file()}
    writer = store.create_run(run_name="small")
    for number in range(5):
        writer.log_params({f"param_{number}": number / 7})
    for number in range(5):
        writer.log_metrics({f"metric_{number}": number / 7})
    writer.end()
    (new,) = {p for p in (tmp_path / "store").rglob("*") if p.is_file()} - before
    assert new.stat().st_size <= 4096
    assert new.stat().st_blocks * 512 <= 4096


def test_log_is_readable_by_plain_json_and_ends_in_its_summary(tmp_path: Path) -> None:
    root = tmp_path / "store"
    filled(root)
    logs = list(root.glob("runs/*/*.jsonl"))
    assert len(logs) == 5
    for log in logs:
        data = log.read_bytes()
        assert data.endswith(b"\n")
        records = [json.loads(line) for line in data.splitlines()]
        assert records[0]["run"] == log.name[:21]
        if "~" not in log.name:
            assert records[-1]["end"] == "FINISHED"
    (log,) = [log for log in logs if b'"full"' in log.read_bytes().splitlines()[0]]
    text = log.read_text("utf-8")
    assert '"lr":"0.1"' in text and '"t":"ü"' in text and "model/w.bin" in text


def test_live_log_bytes_per_point_stay_small(tmp_path: Path) -> None:
    store = FileStore.open(tmp_path / "store")
    writer = store.create_run()
    (log,) = (tmp_path / "store").glob(f"runs/*/{writer.run_id}.jsonl")
    before = log.stat().st_size
    for step in range(5000):
        writer.log_metrics({"loss": 1 / (step + 3)})
    assert (log.stat().st_size - before) / 5000 <= 45
    writer.end()


def test_artifact_from_a_link_never_takes_what_lies_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "work").mkdir()
    link = tmp_path / "work" / "weights.bin"
    link.symlink_to(tmp_path / "secret")
    writer = FileStore.open(tmp_path / "store").create_run()
    with pytest.raises(InvalidInputError, match=r"weights\.bin.*link"):
        writer.log_artifact(link, "w.bin")
    writer.end()
    assert not any(b"secret" in p.read_bytes() for p in (tmp_path / "store").rglob("*") if p.is_file())


@pytest.mark.parametrize("what", ["log", "blob", "commit"])
def test_links_inside_the_store_are_not_followed_out_of_it(tmp_path: Path, what: str) -> None:
    root, outside = tmp_path / "store", tmp_path / "outside"
    store = filled(root)
    (run,) = store.search_runs(filter_string="run_name = 'full'")
    digest = store.get_run(run.run_id).artifacts["model/w.bin"].digest
    patterns = {"log": f"runs/*/{run.run_id}.jsonl", "blob": f"blobs/*/{digest}", "commit": "models/clf/00000002.json"}
    (path,) = root.glob(patterns[what])
    outside.mkdir()
    path.rename(outside / "it")
    path.symlink_to(outside / "it")
    before = (outside / "it").read_bytes()
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        other = FileStore.open(root)
        found = other.search_runs(view="ALL")
        commits = other.read_commits("clf")
        other.gc(dry_run=False)
        named = [p for p in other.check(repair=True) if path.name in p.path or path.name in p.what]
        other.rebuild_index()
    if what == "blob":
        with pytest.raises((NotFoundError, IntegrityError), match=digest[:12]):
            other.read_blob(digest)
    assert named
    assert len(commits) == (1 if what == "commit" else 2)
    assert (run.run_id in {r.run_id for r in found}) == (what != "log")
    assert (outside / "it").read_bytes() == before
    assert list(outside.iterdir()) == [outside / "it"]


def test_read_only_folder_refuses_the_program_that_tests_it(tmp_path: Path) -> None:
    """The test above rests on this: taking the right to write must bite for whoever runs the program."""
    program = WITHOUT_PRIVILEGE + "open(sys.argv[1] + '/x', 'w')"
    tmp_path.chmod(0o555)
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False)
    tmp_path.chmod(0o755)
    assert done.returncode == 1 and b"PermissionError" in done.stderr
    assert list(tmp_path.iterdir()) == []
