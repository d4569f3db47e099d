"""A second model that is asked the same: counted, never returned, and nobody's problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

import nbtrack
from nbtrack.errors import NotFoundError
from nbtrack.serving import ModelServer
from nbtrack.store import open_store
from nbtrack.store.base import Store

from .helpers import ask, log, wait_until

DATA = np.array([[0.0], [1.0], [2.0], [3.0]])


@pytest.fixture
def own_store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / ".nbtrack")
    log(store, DecisionTreeClassifier().fit(DATA, [0, 0, 1, 1]), "clf", DATA)
    log(store, DecisionTreeClassifier().fit(DATA, [0, 1, 1, 1]), "clf", DATA)
    log(store, DummyClassifier().fit(np.zeros((2, 3)), [5, 5]), "clf", np.zeros((1, 3)))
    return store


def counts(server: ModelServer) -> dict[str, Any]:
    return dict(ask(server.port, None, None, method="GET", path="/health").json["shadow"])


def test_shadow_is_counted_and_never_returned(runtime: Path, own_store: Store) -> None:
    with nbtrack.serve("models:/clf/1", store=own_store, shadow="models:/clf/2") as server:
        for _ in range(3):
            reply = ask(server.port, {"inputs": DATA.tolist()})
            assert reply.json == {"predictions": [0, 0, 1, 1]}
            assert reply.headers["x-nbtrack-model"] == "clf/1"
        assert wait_until(lambda: counts(server)["rows"] == 12, 5)
        expected = {"model_uri": "models:/clf/2", "rows": 12, "different": 3, "failed": 0, "skipped": 0}
        assert counts(server) == expected
        compared = ask(server.port, None, None, method="GET", path="/requests").json["compared"]
        assert compared == "3 of 12 rows answered otherwise by the shadow models:/clf/2"
        metrics = ask(server.port, None, None, method="GET", path="/metrics").text
        assert "nbtrack_shadow_different_total 3\n" in metrics


def test_shadow_is_asked_in_every_dialect(runtime: Path, own_store: Store) -> None:
    column = {"name": "input-0", "shape": [4, 1], "datatype": "FP64", "data": [0, 1, 2, 3]}
    split = {"data": DATA.tolist()}
    bodies = [
        ("/v2/models/clf/infer", {"inputs": [column]}, "application/json"),
        ("/v2/models/clf/versions/1/infer", {"inputs": [column]}, "application/json"),
        ("/invocations", {"dataframe_split": split}, "application/json"),
        ("/invocations", split, "application/json"),
        ("/invocations", b"0\n0\n1\n2\n3\n", "text/csv"),
    ]
    with nbtrack.serve("models:/clf/1", store=own_store, shadow="models:/clf/2") as server:
        for count, (path, body, kind) in enumerate(bodies, 1):
            reply = ask(server.port, body, kind, path=path)
            found = reply.json["outputs"][0]["data"] if "outputs" in reply.json else reply.json["predictions"]
            assert found == [0, 0, 1, 1], reply.text
            assert wait_until(lambda count=count: counts(server)["rows"] == 4 * count, 5)  # type: ignore[misc]
        assert (counts(server)["different"], counts(server)["failed"]) == (len(bodies), 0)


def test_shadow_that_cannot_answer_is_nobodys_problem(runtime: Path, own_store: Store) -> None:
    with nbtrack.serve("models:/clf/1", store=own_store, shadow="models:/clf/3") as server:
        assert ask(server.port, {"inputs": DATA.tolist()}).json == {"predictions": [0, 0, 1, 1]}
        assert wait_until(lambda: counts(server)["failed"] == 1, 5)


def test_shadow_makes_a_server_of_its_own(runtime: Path, own_store: Store) -> None:
    with (
        nbtrack.serve("models:/clf/1", store=own_store) as plain,
        nbtrack.serve("models:/clf/1", store=own_store, shadow="models:/clf/2") as shadowed,
    ):
        assert plain.server_id != shadowed.server_id
        assert "shadow" not in ask(plain.port, None, None, method="GET", path="/health").json


def test_shadow_that_does_not_exist_is_told_before_any_process_is_started(runtime: Path, own_store: Store) -> None:
    with pytest.raises(NotFoundError, match="no version 77"):
        nbtrack.serve("models:/clf/1", store=own_store, shadow="models:/clf/77")
    assert not runtime.exists()
