"""The index is derived: deleted, stale, damaged or foreign, every answer stays the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nbtrack.store import FileStore

from .answers import all_answers, filled
from .promises.base import make_run


def harm_index(root: Path, how: str) -> None:
    """Do to the index what happens to files."""
    files = [p for p in (root / "index").rglob("*") if p.is_file()]
    assert files, "no index was written"
    for path in files:
        data = path.read_bytes()
        match how:
            case "deleted":
                path.unlink()
            case "empty":
                path.write_bytes(b"")
            case "truncated":
                path.write_bytes(data[: len(data) * 2 // 3])
            case "noise":
                path.write_bytes(bytes(i * 37 % 256 for i in range(len(data))))
            case "version":
                path.write_bytes(data.replace(b'"format":1', b'"format":9').replace(b'"v":1', b'"v":9'))
            case "zeros":
                path.write_bytes(b"\0" * len(data))
            case "huge header":
                path.write_bytes(b"\xff" * 8 + data[8:])
            case "folder":
                path.unlink()
                path.mkdir()


@pytest.mark.parametrize("how", ["deleted", "empty", "truncated", "noise", "version", "zeros", "huge header", "folder"])
def test_index_harmed_is_rebuilt_equal(tmp_path: Path, how: str) -> None:
    root = tmp_path / "store"
    store = filled(root)
    for number in range(300):
        make_run(
            store, f"crowd {number}", metrics={"m": number}, params={"p": number % 7}, start=1_700_001_000_000 + number
        )
    store.rebuild_index()
    store.search_runs()
    before = all_answers(root)
    harm_index(root, how)
    assert all_answers(root) == before
    assert FileStore.open(root).rebuild_index() == 303
    assert all_answers(root) == before


def test_index_of_yesterday_learns_what_came_since(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = filled(root)
    for number in range(300):
        make_run(store, f"crowd {number}", metrics={"m": number}, start=1_700_001_000_000 + number)
    store.rebuild_index()
    kept = tmp_path / "index of yesterday"
    shutil.copytree(root / "index", kept)
    late = make_run(store, "late", metrics={"new": 1.0}, params={"new": 1}, start=1_700_001_000_150)
    store.edit_run(
        store.search_runs(filter_string="run_name = 'crowd 7'")[0].run_id, tags={"edited": "1"}, deleted=True
    )
    writer = store.create_run(run_name="live")
    writer.log_metrics({"m": 5.5})
    shutil.rmtree(root / "index")
    before = all_answers(root)
    shutil.rmtree(root / "index", ignore_errors=True)
    shutil.copytree(kept, root / "index")
    assert all_answers(root) == before
    assert [r.run_id for r in FileStore.open(root).search_runs(filter_string="metrics.new = 1")] == [late]
    writer.end()


def test_index_of_another_store_does_not_leak_into_this_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        store = FileStore.open(tmp_path / name)
        for number in range(300):
            make_run(store, f"crowd {name} {number}", start=1_700_001_000_000 + number)
        store.rebuild_index()
    before = all_answers(tmp_path / "two")
    shutil.rmtree(tmp_path / "two" / "index")
    shutil.copytree(tmp_path / "one" / "index", tmp_path / "two" / "index")
    assert all_answers(tmp_path / "two") == before


def test_runs_removed_by_hand_are_gone_from_every_answer(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = FileStore.open(root)
    runs = [make_run(store, f"r{n}", metrics={"m": n}, start=1_700_001_000_000 + n) for n in range(300)]
    store.rebuild_index()
    (log,) = root.glob(f"runs/*/{runs[5]}.jsonl")
    log.unlink()
    for reader in (store, FileStore.open(root)):
        assert runs[5] not in {r.run_id for r in reader.search_runs()}
        assert reader.run_table().total == 299
        assert reader.search_runs(filter_string="metrics.m = 5") == []
