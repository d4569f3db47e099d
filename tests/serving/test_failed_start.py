"""A server that does not get ready, for those who show it: how far its rehearsal came, and why it failed."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

import nbtrack
from nbtrack.errors import NotFoundError, ServingError
from nbtrack.serving import list_servers, stop_server
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import messages, serving

from .helpers import log

VARIABLE = "NBTRACK_TEST_PICKY"


@pytest.fixture
def own_store(tmp_path: Path) -> Store:
    return open_store(tmp_path / ".nbtrack")


@pytest.fixture
def picky(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model that answers nowhere but here and now."""

    class Picky(FunctionTransformer):  # type: ignore[misc]
        def predict(self, data: Any) -> Any:
            import os

            import numpy as np

            return np.asarray(data) * float(os.environ[VARIABLE])

    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "1")
        return log(own_store, Picky().fit([[1.0]]), "picky", [[1.0]])


def test_start_that_failed_is_told_by_its_rehearsal_until_it_is_removed(
    runtime: Path, own_store: Store, picky: str
) -> None:
    for _ in range(2):  # the second attempt takes the place of the first
        server = serving.serve(own_store, messages.Serve(model_uri=picky), owner="process")
        assert server.status == "failed"
        assert [(check.name, check.state) for check in server.checks] == [
            ("port", "ok"),
            ("signature", "ok"),
            ("environment", "ok"),
            ("example", "failed"),
        ]
        assert server.checks[-1].text.startswith("the model does not answer the input example")
        assert VARIABLE in server.checks[-1].text
        assert [info.server_id for info in list_servers(own_store)] == [server.server_id]
    stop_server(server.server_id)
    assert list_servers(own_store) == []
    with pytest.raises(NotFoundError, match="there is none with the id"):
        stop_server(server.server_id)
    with pytest.raises(ServingError, match=r"Checked before: port, signature, environment\."):
        nbtrack.serve(picky, store=own_store)
    assert list(runtime.iterdir()) == []


def test_port_that_is_taken_fails_the_first_step(runtime: Path, own_store: Store) -> None:
    uri = log(own_store, LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), "line", [[1.0]])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = nbtrack.serve(uri, port=port, store=own_store, keep_failed=True)
        assert server.info.status == "failed"
        (check,) = server.info.checks
        assert (check["name"], check["state"]) == ("port", "failed")
        assert f"port {port} is taken by another program" in check["text"]
    server.stop()
    with nbtrack.serve(uri, port=port, store=own_store, keep_failed=True) as again:
        assert again.info.status == "ready"
