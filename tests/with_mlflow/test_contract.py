"""Every promise of a store, asked of mirrors of a real MLflow server: what one wrote another one reads.

Each object of a test has a mirror of its own, as another machine would have: whatever it answers came through the
server. Mirrors are out of step by some seconds at most; here they step before each answer.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbtrack.bridge.remote import RemoteStore
from nbtrack.store.base import Store
from nbtrack.store.file_store import FileStore

from ..store.contract import StoreContract
from .servers import MlflowServer

pytestmark = pytest.mark.timeout(300)
_KEPT = {"alembic_version", "experiments", "workspaces"}

# What MLflow's model does not allow: test -> why. A test that passes in spite of it fails, so that this stays true.
_BYTES = "an MLflow server keeps bytes only as artifacts of a run, and a mirror fetches them when they are read"
EXCEPTIONS = {
    "test_info_tells_the_facts": _BYTES,
    "test_check_names_a_harmed_blob": _BYTES,
    "test_gc_previews_then_frees_only_trashed_runs": _BYTES,
    "test_put_blob_bytes_text_and_file_are_the_same_content": _BYTES,
    "test_read_blob_changed_bytes_are_never_given": _BYTES,
    "test_compact_keeps_every_value_bit_for_bit": "what a server has stays as it is: each mirror compacts its own",
    "test_views_are_kept_by_name_and_the_last_one_counts": "MLflow has no saved views: they stay in the mirror",
}


class Member(RemoteStore):
    """A mirror among others: each sends what it has before one of them answers."""

    def __init__(self, server: MlflowServer, root: Path, others: list[Member]) -> None:
        FileStore.open(root, create=True)
        super().__init__(server.url, str(root))
        self._others, self._seen = others, [""]
        others.append(self)

    def _fresh(self) -> None:
        if not self._inside and not self.in_step():
            for one in self._others:
                one.turn()
            self.sync()
            self._seen = self._now()

    def in_step(self) -> bool:
        """Whether nothing changed anywhere since this one looked."""
        return self._seen == self._now()

    def _now(self) -> list[str]:
        return [FileStore.revision(one) for one in self._others]


@pytest.fixture(scope="module")
def server() -> Iterator[MlflowServer]:
    memory = "/dev/shm"  # where there is one: the database waits for the disk thousands of times else
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        folder = Path(name)
        found = MlflowServer(f"sqlite:///{folder / 'mlflow.db'}", folder)
        found.start()
        yield found
        found.kill()


def emptied(server: MlflowServer) -> None:
    """Make the server's database as it was at first."""
    with sqlite3.connect(server.folder / "mlflow.db", timeout=30) as db:
        db.execute("pragma foreign_keys = off")
        db.execute("pragma synchronous = off")
        for (name,) in db.execute("select name from sqlite_master where type = 'table'").fetchall():
            if name not in _KEPT and not name.startswith("sqlite_"):
                db.execute(f"delete from {name}")
        db.execute("delete from experiments where experiment_id != 0")


class TestRemoteStore(StoreContract):
    @pytest.fixture
    def store(self, server: MlflowServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RemoteStore]:
        why = EXCEPTIONS.get(request.node.originalname)
        if why is not None:
            request.applymarker(pytest.mark.xfail(reason=why, strict=True))
        emptied(server)
        self._members: list[Member] = []
        self._server, self._folder = server, tmp_path
        yield Member(server, tmp_path / "mirror", self._members)
        for one in self._members:
            one.close()

    many_runs = 40
    many_points = 3000
    many_changes = 15

    def fresh(self, store: Store) -> Store:
        newest = self._members[-1]
        if len(self._members) > 1 and newest.in_step():
            return Member(self._server, Path(newest.root), self._members)  # another process, on the machine of the last
        return Member(self._server, self._folder / f"mirror-{len(self._members)}", self._members)

    def raw_records(self, store: Store, run_id: str) -> list[Any]:
        assert isinstance(store, RemoteStore)
        (path,) = Path(store.root).glob(f"runs/*/{run_id}.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def raw_blob(self, store: Store, digest: str) -> bytes:
        assert isinstance(store, RemoteStore)
        return Path(store.root, "blobs", digest[:2], digest).read_bytes()

    def harm_blob(self, store: Store, digest: str) -> None:
        assert isinstance(store, RemoteStore)
        path = Path(store.root, "blobs", digest[:2], digest)
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[0] ^= 1
        path.write_bytes(bytes(data))


def test_each_exception_is_of_a_promise() -> None:
    assert {name for name in EXCEPTIONS if not hasattr(StoreContract, name)} == set()
