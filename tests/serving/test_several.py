"""Several models in one process, and two that share the requests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import nbtrack
from nbtrack.errors import InvalidInputError
from nbtrack.serving.served import Split
from nbtrack.store import open_store
from nbtrack.store.base import Store

from .helpers import ask, log, wait_until

ROW = {"inputs": [[1.0, 1.0]]}


def constant(value: float) -> LinearRegression:
    return LinearRegression().fit([[0.0, 0.0], [1.0, 1.0]], [value, value])


@pytest.fixture
def own_store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / ".nbtrack")
    for name, value in (("a", 1.0), ("a", 2.0), ("b", 10.0), ("b", 20.0)):
        log(store, constant(value), name, [[1.0, 1.0]])
    nbtrack.promote("a", 1, "Staging", store=store)
    nbtrack.promote("b", 1, "Staging", store=store)
    return store


def test_each_of_several_models_answers_under_its_name_and_follows_its_own_stage(
    runtime: Path, own_store: Store
) -> None:
    with nbtrack.serve(["models:/a/Staging", "models:/b/Staging"], store=own_store) as server:
        assert ask(server.port, ROW).json == {"predictions": [1.0]}
        reply = ask(server.port, ROW, path="/models/b/invocations")
        assert (reply.json, reply.headers["x-nbtrack-model"]) == ({"predictions": [10.0]}, "b/1")
        assert server.predict([[1.0, 1.0]], model="b").tolist() == [10.0]
        tensor = {"inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [1, 1]}]}
        for name, value in (("a", 1.0), ("b", 10.0)):
            found = ask(server.port, tensor, path=f"/v2/models/{name}/infer").json
            assert (found["model_name"], found["outputs"][0]["data"]) == (name, [value])
            page = ask(server.port, None, None, method="GET", path=f"/models/{name}/")
            assert page.status == 200 and f"<title>{name} 1" in page.text
        nbtrack.promote("b", 2, "Staging", store=own_store)
        assert wait_until(lambda: ask(server.port, ROW, path="/models/b/invocations").json["predictions"] == [20.0], 10)
        assert ask(server.port, ROW).headers["x-nbtrack-model"] == "a/1"
        assert wait_until(lambda: server.info.others[0]["version"] == 2, 5)
        health = ask(server.port, None, None, method="GET", path="/health").json
        assert [(each["model"], each["version"]) for each in health["models"]] == [("a", "1"), ("b", "2")]
        metrics = ask(server.port, None, None, method="GET", path="/metrics").text
        assert 'nbtrack_requests_total{model="a",status="200"}' in metrics
        assert metrics.count("# TYPE nbtrack_latency_seconds histogram") == 1
        unknown = ask(server.port, ROW, path="/models/c/invocations")
        assert unknown.status == 404 and "served are a, b" in unknown.json["message"]


def test_names_that_cannot_be_told_apart_are_refused(runtime: Path, own_store: Store) -> None:
    with pytest.raises(InvalidInputError, match="two models are called 'a'"):
        nbtrack.serve(["models:/a/1", "models:/a/2"], store=own_store)
    with pytest.raises(InvalidInputError, match="split is about two models"):
        nbtrack.serve("models:/a/1", store=own_store, split="90:10")
    for split in ("90", "90:0", "a:b", "1:2:3", "-1:2"):
        with pytest.raises(InvalidInputError, match="two whole numbers"):
            nbtrack.serve(["models:/a/1", "models:/a/2"], store=own_store, split=split)
    with pytest.raises(InvalidInputError, match="empty list"):
        nbtrack.serve([], store=own_store)
    assert not runtime.exists()


def test_split_sends_each_model_its_share_and_counts_where_they_differ(runtime: Path, own_store: Store) -> None:
    with nbtrack.serve(["models:/a/1", "models:/a/2"], store=own_store, split="90:10") as server:
        replies = [ask(server.port, ROW) for _ in range(50)]
        assert Counter(reply.headers["x-nbtrack-model"] for reply in replies) == {"a/1": 45, "a/2": 5}
        assert all(reply.json == {"predictions": [float(reply.headers["x-nbtrack-model"][-1])]} for reply in replies)
        for number in range(20):
            again = {ask(server.port, ROW, headers={"X-Request-Id": f"user {number}"}).text for _ in range(3)}
            assert len(again) == 1

        def counts() -> list[tuple[int, int]]:
            told = ask(server.port, None, None, method="GET", path="/health").json
            assert told["split"] == [90, 10]
            return [(each["shadow"]["rows"], each["shadow"]["different"]) for each in told["models"]]

        assert wait_until(lambda: sum(rows for rows, _ in counts()) == 110, 5)
        assert all(rows == different for rows, different in counts())


def test_split_shares_inferences_that_name_no_version(runtime: Path, own_store: Store) -> None:
    tensor = {"inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [1, 1]}]}
    with nbtrack.serve(["models:/a/1", "models:/a/2"], store=own_store, split="3:1") as server:

        def versions(path: str, count: int) -> Counter[str]:
            replies = [ask(server.port, tensor, path=path).json for _ in range(count)]
            assert all(reply["outputs"][0]["data"] == [float(reply["model_version"])] for reply in replies)
            return Counter(reply["model_version"] for reply in replies)

        assert versions("/v2/models/a/infer", 8) == {"1": 6, "2": 2}
        assert versions("/v2/models/a/versions/2/infer", 4) == {"2": 4}

        def compared() -> str:
            return str(ask(server.port, None, None, method="GET", path="/requests").json["compared"])

        told = "a/1 and a/2 share the requests 3:1; 12 of 12 rows are answered otherwise by the other"
        assert wait_until(lambda: compared() == told, 5), compared()
        metrics = ask(server.port, None, None, method="GET", path="/metrics").text
        lines = [line.rpartition(" ")[0] for line in metrics.splitlines() if not line.startswith("#")]
        assert len(set(lines)) == len(lines)  # Prometheus takes no counter twice
        assert 'nbtrack_requests_total{model="a",version="2",status="200"} 6' in metrics


def test_split_is_even_however_odd_the_weights() -> None:
    rng = np.random.default_rng(0)
    for weights in ((90, 10), (1, 1), (1, 99), (7, 3), (1, 2)):
        split = Split(weights)
        found = [split.choose([]) for _ in range(10 * sum(weights))]
        assert found.count(1) == 10 * weights[1]
        ids = [split.choose([(b"x-request-id", rng.bytes(8))]) for _ in range(4000)]
        assert abs(ids.count(1) / 4000 - weights[1] / sum(weights)) < 0.03
