"""A server of a stage: another version takes over without a failed request, or does not and the card says why."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression

import nbtrack
from nbtrack.errors import InvalidInputError
from nbtrack.serving import ModelServer
from nbtrack.store import open_store
from nbtrack.store.base import Store

from .helpers import ask, log, wait_until

ROW = {"inputs": [[1.0, 1.0]]}


def constant(value: float) -> LinearRegression:
    """A model that always answers `value`, and has a compiled predictor."""
    return LinearRegression().fit([[0.0, 0.0], [1.0, 1.0]], [value, value])


@pytest.fixture
def own_store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / ".nbtrack")
    for value in (1.0, 2.0, 3.0):
        log(store, constant(value), "clf", [[1.0, 1.0]])
    nbtrack.promote("clf", 1, "Staging", store=store)
    return store


def answered(server: ModelServer) -> tuple[str, float]:
    reply = ask(server.port, ROW)
    return reply.headers["x-nbtrack-model"], reply.json["predictions"][0]


def test_server_of_a_stage_answers_with_the_version_that_is_promoted(runtime: Path, own_store: Store) -> None:
    with nbtrack.serve("models:/clf/Staging", store=own_store) as server:
        assert answered(server) == ("clf/1", 1.0)
        nbtrack.promote("clf", 2, "Staging", store=own_store)
        assert wait_until(lambda: answered(server) == ("clf/2", 2.0), 10)
        assert wait_until(lambda: server.info.version == 2, 5)
        nbtrack.undo("clf", store=own_store)
        assert wait_until(lambda: answered(server) == ("clf/1", 1.0), 10)
        assert ask(server.port, None, None, method="GET", path="/health").json["version"] == "1"


def test_server_of_a_version_stays_with_it(runtime: Path, own_store: Store) -> None:
    with (
        nbtrack.serve("models:/clf/1", store=own_store) as pinned,
        nbtrack.serve("models:/clf/Staging", store=own_store, follow=False) as once,
        nbtrack.serve("models:/clf/Staging", store=own_store) as following,
    ):
        assert once.server_id == pinned.server_id  # the same version, and neither moves
        assert following.server_id != pinned.server_id
        nbtrack.promote("clf", 2, "Staging", store=own_store)
        assert wait_until(lambda: answered(following)[0] == "clf/2", 10)
        assert answered(pinned) == ("clf/1", 1.0)


def test_swaps_under_load_fail_no_request_and_mix_no_answers(runtime: Path, own_store: Store) -> None:
    wrong: list[Any] = []
    slowest = 0.0
    done = threading.Event()

    def keep_asking(server: ModelServer) -> None:
        nonlocal slowest
        while not done.is_set():
            started = time.perf_counter()
            label, value = answered(server)
            slowest = max(slowest, time.perf_counter() - started)
            if label != f"clf/{value:.0f}":
                wrong.append((label, value))

    with nbtrack.serve("models:/clf/Staging", store=own_store) as server:
        clients = [threading.Thread(target=keep_asking, args=(server,)) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            for version in (2, 3, 1, 2):
                nbtrack.promote("clf", version, "Staging", store=own_store)
                assert wait_until(lambda version=version: answered(server)[0] == f"clf/{version}", 10)  # type: ignore[misc]
        finally:
            done.set()
            for client in clients:
                client.join()
        assert wrong == []
        metrics = ask(server.port, None, None, method="GET", path="/metrics").text
        assert [line for line in metrics.splitlines() if "requests_total{" in line and '"200"' not in line] == []


def test_version_that_cannot_be_loaded_is_not_swapped_in_and_the_card_says_why(runtime: Path, own_store: Store) -> None:
    run = own_store.get_run(str(own_store.read_commits("clf")[1]["patch"]["versions"]["2"]["run_id"]))
    for name in ("model/compiled.npz", "model/model.pkl"):
        blob = own_store.blob_path(run.artifacts[name].digest)
        blob.chmod(0o600)
        blob.write_bytes(b"\0" + blob.read_bytes()[1:])
    with nbtrack.serve("models:/clf/Staging", store=own_store) as server:
        nbtrack.promote("clf", 2, "Staging", store=own_store)
        assert wait_until(lambda: "models:/clf/2 is not served" in server.info.error, 10)
        assert "clf/1 goes on answering" in server.info.error
        assert server.info.error.split(" is not served")[0] in server._repr_mimebundle_()["text/html"]
        assert (server.info.status, answered(server)) == ("ready", ("clf/1", 1.0))
        nbtrack.promote("clf", 3, "Staging", store=own_store)
        assert wait_until(lambda: answered(server) == ("clf/3", 3.0), 10)
        assert wait_until(lambda: server.info.error == "", 5)


def test_server_of_a_stage_that_is_emptied_goes_on_and_says_so(runtime: Path, own_store: Store) -> None:
    with nbtrack.serve("models:/clf/Staging", store=own_store) as server:
        nbtrack.promote("clf", 1, "Archived", store=own_store)
        assert wait_until(lambda: "clf/1 goes on answering" in server.info.error, 10)
        assert answered(server) == ("clf/1", 1.0)


def test_version_with_another_signature_takes_over_with_it(runtime: Path, own_store: Store) -> None:
    log(own_store, DummyClassifier().fit(np.zeros((3, 5)), [7, 7, 7]), "clf", np.zeros((2, 5)))
    with nbtrack.serve("models:/clf/Staging", store=own_store) as server:
        nbtrack.promote("clf", 4, "Staging", store=own_store)
        assert wait_until(lambda: ask(server.port, {"inputs": [[0.0] * 5]}).status == 200, 20)
        refused = ask(server.port, ROW)
        assert (refused.status, refused.json["expected"]) == (400, "5 values")
        assert ask(server.port, refused.json["example"]).json == {"predictions": [7, 7]}


def test_rollback_is_at_once_and_holds_until_the_stage_is_followed_again(runtime: Path, own_store: Store) -> None:
    with nbtrack.serve("models:/clf/Staging", store=own_store) as server:
        with pytest.raises(InvalidInputError, match="no other version"):
            server.rollback()
        nbtrack.promote("clf", 2, "Staging", store=own_store)
        assert wait_until(lambda: server.info.previous == "models:/clf/1", 10)
        server.rollback()
        assert answered(server) == ("clf/1", 1.0)
        assert (server.info.held, server.info.version) == ("models:/clf/1", 1)
        assert wait_until(lambda: "held at clf/1; models:/clf/Staging is not followed" in server.info.error, 5)
        nbtrack.promote("clf", 3, "Staging", store=own_store)
        time.sleep(1.2)
        assert answered(server) == ("clf/1", 1.0)
        server.follow()
        assert wait_until(lambda: answered(server) == ("clf/3", 3.0), 10)
        assert wait_until(lambda: (server.info.held, server.info.error) == ("", ""), 5)


def test_version_that_answers_otherwise_than_when_it_was_logged_is_not_swapped_in(
    runtime: Path, own_store: Store
) -> None:
    log(own_store, lambda rows: [random.random()] * len(rows), "clf", [[1.0, 1.0]])
    with nbtrack.serve("models:/clf/Staging", store=own_store) as server:
        assert [(check["name"], check["state"]) for check in server.info.checks] == [
            ("port", "ok"),
            ("signature", "ok"),
            ("environment", "ok"),
            ("example", "ok"),
        ]
        nbtrack.promote("clf", 4, "Staging", store=own_store)
        assert wait_until(lambda: "as it did when it was logged" in server.info.error, 10)
        assert answered(server) == ("clf/1", 1.0)
