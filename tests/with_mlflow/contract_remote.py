"""Every promise of a store, asked of a mirror of a real MLflow server, through nothing but the server.

Each of some two hundred promises asks the server many times, and not all are kept yet: this is run by hand, by naming
the file, in an environment with MLflow (see ``tests/bridge/test_with_mlflow.py``) and hypothesis.
"""

from __future__ import annotations

import json
import sqlite3
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

# What MLflow's model does not allow: test -> why.
EXCEPTIONS: dict[str, str] = {}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("server")
    found = MlflowServer(f"sqlite:///{folder / 'mlflow.db'}", folder)
    found.start()
    yield found
    found.kill()


def emptied(server: MlflowServer) -> None:
    """Make the server's database as it was at first."""
    with sqlite3.connect(server.folder / "mlflow.db", timeout=30) as db:
        db.execute("pragma foreign_keys = off")
        for (name,) in db.execute("select name from sqlite_master where type = 'table'").fetchall():
            if name not in _KEPT and not name.startswith("sqlite_"):
                db.execute(f"delete from {name}")
        db.execute("delete from experiments where experiment_id != 0")


def mirror(server: MlflowServer, root: Path) -> RemoteStore:
    FileStore.open(root, create=True)
    return RemoteStore(server.url, str(root))


class TestRemoteStore(StoreContract):
    @pytest.fixture
    def store(self, server: MlflowServer, tmp_path: Path, request: pytest.FixtureRequest) -> RemoteStore:
        why = EXCEPTIONS.get(request.node.originalname)
        if why is not None:
            pytest.skip(why)
        emptied(server)
        self._server, self._folder, self._count = server, tmp_path, 0
        return mirror(server, tmp_path / "mirror")

    def fresh(self, store: Store) -> Store:
        """Another machine's mirror, which knows nothing but what the server tells it."""
        assert isinstance(store, RemoteStore)
        store.sync()
        self._count += 1
        return mirror(self._server, self._folder / f"mirror-{self._count}")

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
