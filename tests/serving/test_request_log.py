"""The log of requests: sampled, masked, capped, in the store; what it says of drift; and that it stops no request."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import nbtrack
from nbtrack.errors import InvalidInputError
from nbtrack.models.profile import profile_of
from nbtrack.serving import RequestLogging
from nbtrack.serving.drift import Drift
from nbtrack.serving.request_log import RequestLog
from nbtrack.store import open_store
from nbtrack.store.base import Store

from .helpers import ask, wait_until

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {"age": RNG.normal(40, 10, 400), "income": RNG.normal(5, 1, 400), "city": RNG.choice(["Rome", "Oslo"], 400)}
)


@pytest.fixture
def own_store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / ".nbtrack")
    nbtrack.set_tracking_uri(store.uri)
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["city"]), remainder="passthrough")
    model = make_pipeline(encoder, LogisticRegression()).fit(FRAME, FRAME["age"] > 40)
    with nbtrack.start_run():
        nbtrack.log_model(model, "model", input_example=FRAME, registered_model_name="clf")
    return store


def body(frame: pd.DataFrame) -> dict[str, Any]:
    return {"dataframe_split": {"columns": list(frame.columns), "data": frame.to_numpy(dtype=object).tolist()}}


def pieces(store: Store, run_id: str) -> list[dict[str, Any]]:
    run = store.get_run(run_id)
    found = [store.read_blob(a.digest) for path, a in sorted(run.artifacts.items()) if path.startswith("requests/")]
    return [json.loads(line) for piece in found for line in piece.splitlines()]


def health(port: int) -> dict[str, Any]:
    return dict(ask(port, None, None, method="GET", path="/health").json)


def test_requests_go_to_the_store_masked_and_drift_is_seen(runtime: Path, own_store: Store) -> None:
    with nbtrack.serve("models:/clf/1", store=own_store, log_requests=RequestLogging(mask=["income"])) as server:
        moved = FRAME.assign(age=FRAME["age"] + 30, city=["Köln"] * 200 + ["Rome"] * 200)
        for start in range(0, 400, 40):
            assert ask(server.port, body(moved[start : start + 40])).status == 200
        assert ask(server.port, {"inputs": [["x"]]}).status == 400  # a refused one is no row to compare

        def drift() -> dict[str, Any]:
            return dict(ask(server.port, None, None, method="GET", path="/drift").json)

        assert wait_until(lambda: drift()["rows"] == 400, 10)
        verdicts = {each["column"]: each for each in drift()["columns"]}
        assert verdicts["age"]["verdict"] == verdicts["city"]["verdict"] == "drifted"
        assert verdicts["income"]["verdict"] == "steady" and verdicts["income"]["index"] < 0.01
        assert verdicts["city"]["outside"] == 0.5 and verdicts["age"]["outside"] > 0.3
    experiment = own_store.get_experiment_by_name("serving")
    assert experiment is not None
    run = next(iter(own_store.search_runs([experiment.experiment_id])))
    assert run.info.status == "FINISHED" and run.info.run_name == "clf served"
    assert run.data.metrics["drift/age"] > 0.25 > run.data.metrics["drift/income"]
    lines = pieces(own_store, run.info.run_id)
    assert len(lines) == 10 and lines[0]["model"] == "clf/1" and lines[0]["rows"] == 40
    assert lines[0]["columns"] == ["age", "income", "city"] and len(lines[0]["data"]) == 20
    assert {row[1] for line in lines for row in line["data"]} == {"***"}
    assert lines[0]["data"][0][2] == "Köln" and len(lines[0]["predictions"]) == 20


def test_server_that_looks_at_no_requests_says_so(runtime: Path, own_store: Store) -> None:
    with nbtrack.serve("models:/clf/1", store=own_store) as server:
        reply = ask(server.port, None, None, method="GET", path="/drift")
        assert reply.status == 404 and "request log" in reply.json["message"]
        assert "log" not in health(server.port)
    assert own_store.get_experiment_by_name("serving") is None


def test_strange_settings_are_refused() -> None:
    for share in (0, -1, 1.5):
        with pytest.raises(InvalidInputError, match="share of logged requests"):
            RequestLogging(share=share)
    with pytest.raises(InvalidInputError, match="size of the request log"):
        RequestLogging(max_mb=0)


def test_log_keeps_to_its_size_and_drift_is_watched_beyond(tmp_path: Path) -> None:
    store = open_store(tmp_path / ".nbtrack")
    data = RNG.normal(size=(100, 3))
    log = RequestLog(store, "m", 1.0, 5_000)
    log.describe(["a", "b", "c"], json.dumps(profile_of(data)).encode())
    for _ in range(20):
        log.see(data, 100, np.zeros(100), 1.0, "m/1")
    log.finish()
    counts = log.counts
    assert 0 < counts["logged"] < 20 and counts["logged"] + counts["dropped"] == 20
    assert counts["size_bytes"] <= 5_000
    assert log.drift_report()["rows"] == 2000


def test_sample_is_a_share_of_the_requests(tmp_path: Path) -> None:
    log = RequestLog(open_store(tmp_path / ".nbtrack"), "m", 0.2, 10**7)
    for _ in range(1000):
        log.see(np.zeros((1, 1)), 1, np.zeros(1), 1.0, "m/1")
    log.finish()
    assert 130 < log.counts["logged"] < 270


def test_store_that_is_gone_costs_the_log_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(tmp_path / ".nbtrack")
    log = RequestLog(store, "m", 1.0, 10**7)
    (tmp_path / ".nbtrack").rename(tmp_path / "away")
    (tmp_path / ".nbtrack").write_text("no folder")
    for _ in range(2):
        log.see(np.zeros((1, 1)), 1, np.zeros(1), 1.0, "m/1")
        log.finish()
    assert log.counts["dropped"] == 2 and log.counts["error"] != ""
    assert caplog.text.count("serving goes on") == 1
    (tmp_path / ".nbtrack").unlink()
    (tmp_path / "away").rename(tmp_path / ".nbtrack")
    log.see(np.zeros((1, 1)), 1, np.zeros(1), 1.0, "m/1")
    log.finish()
    assert (log.counts["logged"], log.counts["error"]) == (1, "")


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_full_disk_costs_the_log_and_nothing_else(runtime: Path, own_store: Store) -> None:
    import resource

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    nbtrack.set_tracking_uri(own_store.uri)
    with nbtrack.start_run():
        nbtrack.log_model(model, "m", input_example=[[1.0]], registered_model_name="line")
    with nbtrack.serve("models:/line/1", store=own_store, log_requests=True) as server:
        resource.prlimit(server.info.pid, resource.RLIMIT_FSIZE, (1, 1))  # from now on it can write no file
        done = threading.Event()
        for number in range(400):
            assert ask(server.port, {"inputs": [[float(number)]]}).json == {"predictions": [pytest.approx(number)]}
        assert ask(server.port, {"inputs": [["x"]]}).status == 400  # what is refused is told, not logged
        done.set()
        assert wait_until(lambda: health(server.port)["log"]["logged"] == 0, 5)
        server.stop()
    assert server.info.status == "stopped"


def test_drift_forgets_what_was_long_ago() -> None:
    before, after = RNG.normal(size=(5000, 1)), RNG.normal(5, 1, (5000, 1))
    drift = Drift(profile_of(before) or {})
    for _ in range(19):
        drift.see(before)
    assert drift.report()["columns"][0]["verdict"] == "steady"
    for _ in range(60):
        drift.see(after)
    assert drift.rows <= 100_000 and drift.report()["columns"][0]["index"] > 2
    few = Drift(profile_of(before) or {})
    few.see(after[:10])
    assert few.report()["columns"][0]["verdict"] == "too few rows"
    gaps = Drift(profile_of(pd.DataFrame({"x": before[:, 0]})) or {})
    gaps.see(pd.DataFrame({"x": np.where(np.arange(1000) % 2, np.nan, before[:1000, 0])}))
    assert gaps.report()["columns"][0]["missing"] == 0.5 and gaps.report()["columns"][0]["verdict"] == "drifted"
