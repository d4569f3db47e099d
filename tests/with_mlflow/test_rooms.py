"""A team's server in every room: a tracked cell, the widget, the panel, the registry, a served model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.linear_model import LogisticRegression

import nbtrack
from nbtrack.bridge.remote import RemoteStore
from nbtrack.capture.view import store_hint
from nbtrack.lab.handlers import Call, reply_to
from nbtrack.lab.place import OutsideRootError
from nbtrack.registry import get_model
from nbtrack.store import open_store
from nbtrack.store.file_store import FileStore
from nbtrack.wire.answer import answer_json

from .servers import MlflowServer, free_port

pytestmark = pytest.mark.timeout(200)
X = np.random.default_rng(1).random((40, 3))
Y = (X[:, 0] > 0.5).astype(int)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("server")
    found = MlflowServer(f"sqlite:///{folder / 'mlflow.db'}", folder)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def store(server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteStore]:
    monkeypatch.setenv("NBTRACK_REMOTE_DIR", str(tmp_path / "mirror"))
    monkeypatch.chdir(tmp_path)
    nbtrack.set_tracking_uri(server.url)
    found = open_store(server.url)
    assert isinstance(found, RemoteStore)
    nbtrack.set_experiment(experiment_id="0")
    mlflow.set_tracking_uri(server.url)
    yield found
    nbtrack.set_tracking_uri(None)
    found.close()
    from nbtrack import store as room

    room._open.clear()
    room._recent.clear()


def asked(store: RemoteStore, kind: str, **more: Any) -> dict[str, Any]:
    reply = json.loads(answer_json(store, json.dumps({"op": kind, **more}).encode()))
    assert reply["ok"], reply
    found: dict[str, Any] = reply["answer"]
    return found


def registered(name: str) -> int:
    with nbtrack.start_run(run_name=name) as run:
        nbtrack.sklearn.log_model(LogisticRegression().fit(X, Y), "model", input_example=X[:2])
    return nbtrack.register_model(f"runs:/{run.run_id}/model", name).version


def test_tracked_cell_is_a_run_of_the_team(store: RemoteStore) -> None:
    shell = InteractiveShell.instance()
    try:
        shell.run_line_magic("load_ext", "nbtrack")
        shell.run_cell("X, Y = [[0.0], [1.0]] * 20, [0, 1] * 20").raise_error()
        shell.run_cell(
            "%%track cell\nfrom sklearn.linear_model import LogisticRegression\nC = 0.5\n"
            "accuracy = LogisticRegression(C=C).fit(X, Y).score(X, Y)\n"
        ).raise_error()
    finally:
        InteractiveShell.clear_instance()
    until = time.monotonic() + 20
    while store.sync() and time.monotonic() < until:  # what can wait is done after the cell
        time.sleep(0.1)
    (theirs,) = mlflow.search_runs(filter_string="attributes.run_name = 'cell'", output_format="list")
    assert theirs.info.status == "FINISHED" and theirs.data.metrics["accuracy"] == 1.0
    assert theirs.data.params["C"] == "0.5"


def test_widget_shows_runs_of_everybody(store: RemoteStore) -> None:
    with mlflow.start_run(run_name="theirs") as run:
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
    with nbtrack.start_run(run_name="ours"):
        nbtrack.log_metric("loss", 0.25)
    store.sync()
    table, theirs = asked(store, "runs", filter="metrics.loss > 0.1"), run.info.run_id
    assert theirs in table["run_ids"] and len(table["run_ids"]) == 2
    (line,) = asked(store, "series", run_ids=[theirs], keys=["loss"])["series"]
    assert line["value"] == [1.0, 0.5, 1 / 3, 0.25, 0.2]
    assert asked(store, "run", run_id=theirs)["run_name"] == "theirs"
    assert asked(store, "info")["uri"] == store.uri


def test_panel_opens_a_server_that_is_in_use_here_and_no_other(
    store: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(place: str | None) -> dict[str, Any]:
        call = Call(request=b'{"op": "info"}', path="", store=place)  # type: ignore[arg-type]
        found: dict[str, Any] = json.loads(reply_to(call, tmp_path))
        return found

    assert store_hint(store) == store.uri
    assert ask(store.uri)["answer"]["uri"] == store.uri
    other = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(OutsideRootError, match="nobody here has used this server"):
        ask(other)
    monkeypatch.setenv("NBTRACK_TRACKING_URI", store.uri)
    assert ask(None)["answer"]["uri"] == store.uri


def test_registry_is_the_teams(store: RemoteStore) -> None:
    first, second = registered("wine"), registered("wine")
    nbtrack.promote("wine", first, "Staging")
    preview = asked(store, "promote", name="wine", version=second, stage="Staging", preview=True)
    assert preview["name"] == "wine"
    asked(store, "promote", name="wine", version=second, stage="Staging")
    nbtrack.set_alias("wine", "best", first)
    client = mlflow.MlflowClient()
    assert [int(v.version) for v in client.get_latest_versions("wine", ["Staging"])] == [second]
    assert int(client.get_model_version_by_alias("wine", "best").version) == first
    client.set_registered_model_alias("wine", "best", str(second))
    client.transition_model_version_stage("wine", str(second), "Production")
    store.sync()
    model = get_model("wine", store=store)
    assert model.aliases == {"best": second}
    assert {v.version: v.current_stage for v in model.versions}[second] == "Production"


def test_machines_that_change_a_model_at_once_lose_no_commit(server: MlflowServer, tmp_path: Path) -> None:
    notes = {f"{machine}-{n}" for machine in range(3) for n in range(3)}
    machines = []
    for number in range(4):
        FileStore.open(tmp_path / f"machine-{number}", create=True)
        machines.append(RemoteStore(server.url, str(tmp_path / f"machine-{number}")))

    def work(machine: int) -> list[int]:
        patch = {"model": {"deleted": False}}
        bodies = [{"action": "edit", "note": f"{machine}-{n}", "patch": patch} for n in range(3)]
        return [machines[machine].append_commit("raced", body) for body in bodies]

    with ThreadPoolExecutor(3) as pool:
        numbers = [number for found in pool.map(work, range(3)) for number in found]
    assert sorted(numbers) == list(range(1, 10))
    for one in machines:
        one.sync()
        one.close()
    histories = [[commit["note"] for commit in one.local_commits("raced")] for one in machines]
    assert all(history == histories[0] for history in histories) and set(histories[0]) == notes


def test_model_is_served_from_the_server(store: RemoteStore, tmp_path: Path) -> None:
    version = registered("clf")
    nbtrack.promote("clf", version, "Staging")
    wanted = LogisticRegression().fit(X, Y).predict(X[:5]).tolist()
    with nbtrack.serve("models:/clf/Staging") as served:
        assert np.asarray(served.predict(X[:5])).tolist() == wanted
    port = free_port()
    words = [sys.executable, "-m", "nbtrack.cli", "models", "serve", "-m", "models:/clf/Staging", "--port", str(port)]
    elsewhere = {"NBTRACK_REMOTE_DIR": str(tmp_path / "other machine"), "NBTRACK_TRACKING_URI": store.uri}
    command = subprocess.Popen(words, env={**os.environ, **elsewhere}, stdout=subprocess.PIPE, text=True)
    try:
        kind = {"Content-Type": "application/json"}
        body = json.dumps({"inputs": X[:5].tolist()}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, kind)
        assert command.stdout is not None and command.stdout.readline()
        assert json.loads(urllib.request.urlopen(request, timeout=60).read())["predictions"] == wanted
    finally:
        command.terminate()
        command.communicate(timeout=30)
