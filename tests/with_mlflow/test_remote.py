"""A team's real MLflow server as the store: on sqlite and on PostgreSQL, killed and started again during a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import nbtrack
from nbtrack.bridge.remote import RemoteStore, open_remote
from nbtrack.errors import CaptureWarning, ConflictError, StoreError
from nbtrack.registry import get_model
from nbtrack.reprs.alerts import alerts_of
from nbtrack.store import open_store

from .servers import MlflowServer, free_port

pytestmark = pytest.mark.timeout(400)
X = np.random.default_rng(1).random((40, 3))
Y = (X[:, 0] > 0.5).astype(int)


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, where they are installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URI of a database on a PostgreSQL server of this test's own."""
    bin_ = programs()
    if bin_ is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="nbtrack-postgres-"))  # pytest's own folders are closed to other users
    data, port = folder / "data", free_port()
    user = []
    if not os.geteuid():  # it refuses to run as root
        runuser = shutil.which("runuser", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if runuser is None:
            pytest.skip("PostgreSQL does not run as root, and runuser is not installed")
        user = [runuser, "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")

    def run(*words: str | Path) -> None:
        subprocess.run([*user, *map(str, words)], check=True, capture_output=True, cwd=folder)

    run(bin_ / "initdb", "-D", data, "-A", "trust", "-U", "tester")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run(bin_ / "pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start")
    try:
        run(bin_ / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "tester", "mlflow")
        yield f"postgresql+psycopg2://tester@127.0.0.1:{port}/mlflow"
    finally:
        run(bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("server")
    backend = f"sqlite:///{folder / 'mlflow.db'}"
    if request.param == "postgres":
        pytest.importorskip("psycopg2")
        backend = request.getfixturevalue("postgres")
    found = MlflowServer(backend, folder)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def store(server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteStore]:
    monkeypatch.setenv("NBTRACK_REMOTE_DIR", str(tmp_path / "mirror"))
    nbtrack.set_tracking_uri(server.url)
    found = open_store(server.url)
    assert isinstance(found, RemoteStore)
    nbtrack.set_experiment(experiment_id="0")  # not the one that the test before chose
    mlflow.set_tracking_uri(server.url)
    yield found
    nbtrack.set_tracking_uri(None)
    from nbtrack import store as room

    room._open.clear()
    room._recent.clear()


def other_machine(store: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteStore:
    """A mirror that knows nothing but what the server tells it."""
    monkeypatch.setenv("NBTRACK_REMOTE_DIR", str(tmp_path / "other"))
    return open_remote(store.uri)


def test_run_and_model_are_there_for_the_whole_team(
    store: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbtrack.set_experiment("wine")
    with nbtrack.start_run(run_name="ours") as run:
        nbtrack.log_params({"alpha": 0.5})
        for value in (0.5, float("nan"), 0.25):
            nbtrack.log_metric("loss", value)
        nbtrack.set_tag("nbtrack.note", "a note")
        for n in range(20):
            nbtrack.alert(f'loss "{n}" is high', '"' * 1000)
        nbtrack.log_text("hello", "notes/a.txt")
        nbtrack.sklearn.log_model(LogisticRegression().fit(X, Y), "model", input_example=X[:2])
    version = nbtrack.register_model(f"runs:/{run.run_id}/model", "clf")
    nbtrack.promote("clf", version.version, "Production")
    assert store.sync() == 0
    mlflow.set_tracking_uri(store.uri)
    (theirs,) = mlflow.search_runs(experiment_names=["wine"], output_format="list")
    assert theirs.info.run_name == "ours" and theirs.info.status == "FINISHED"
    assert theirs.data.params == {"alpha": "0.5"} and theirs.data.metrics == {"loss": 0.25}
    assert theirs.data.tags["mlflow.note.content"] == "a note"
    assert [one.count for one in alerts_of(theirs.data.tags)] == [1] * 12 + [8]
    assert len(mlflow.MlflowClient().get_metric_history(theirs.info.run_id, "loss")) == 3
    assert mlflow.artifacts.load_text(f"runs:/{theirs.info.run_id}/notes/a.txt") == "hello"
    mlflow.MlflowClient().set_tag(theirs.info.run_id, "seen", "by them")
    other = other_machine(store, tmp_path, monkeypatch)
    found = other.get_run(run.run_id)
    assert found.data.params == {"alpha": "0.5"} and found.data.tags["nbtrack.note"] == "a note"
    assert alerts_of(found.data.tags) == alerts_of(run.data.tags)
    assert other.get_metric_history(run.run_id, "loss").step.tolist() == [0, 1, 2]
    assert other.read_blob(found.artifacts["notes/a.txt"].digest) == b"hello"
    assert [v.current_stage for v in get_model("clf", store=other).versions] == ["Production"]
    wanted = LogisticRegression().fit(X, Y).predict(X).tolist()
    assert nbtrack.models.load_bundle("models:/clf/Production", store=other).predict(X).tolist() == wanted
    store.sync()
    assert store.get_run(run.run_id).data.tags["seen"] == "by them"
    with pytest.raises(ConflictError, match="somebody else changed it"):
        other.append_commit("clf", {"action": "edit", "patch": {"model": {"description": "x"}}}, expect=1)


def test_runs_of_mlflow_users_are_seen_with_histories_and_files(store: RemoteStore, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(store.uri)
    mlflow.set_experiment("theirs")
    with mlflow.start_run(run_name="r", description="a note") as run:
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_text("hello", "notes/a.txt")
    store.sync()
    (found,) = store.search_runs(filter_string="run_name = 'r'")
    assert found.data.metrics["loss"] == 1 / 3 and found.data.tags["nbtrack.note"] == "a note"
    whole = store.get_run(run.info.run_id)
    assert store.get_metric_history(run.info.run_id, "loss").value.tolist() == [1.0, 0.5, 1 / 3]
    assert store.read_blob(whole.artifacts["notes/a.txt"].digest) == b"hello"


def test_server_killed_during_a_run_loses_nothing_and_doubles_nothing(store: RemoteStore, server: MlflowServer) -> None:
    with nbtrack.start_run(run_name="through it") as run:
        for step in range(2000):
            nbtrack.log_metric("loss", step / 2, step=step)
        store.turn()
        server.kill()
        with pytest.warns(CaptureWarning, match="does not answer"):
            for step in range(2000, 4000):
                nbtrack.log_metric("loss", step / 2, step=step)
            store.turn()
    with nbtrack.start_run(run_name="while it was away") as second:
        nbtrack.log_param("a", 1)
    assert store.waiting == 2 and len(store.get_metric_history(run.run_id, "loss")) == 4000
    server.start()
    assert store.sync() == 0
    for _ in range(2):  # what was sent is not sent again, also not by a process that begins anew
        again = RemoteStore(store.uri, store.root)
        again.sync()
    sent = store.sent.get(run.run_id)
    assert sent is not None
    query = {"run_id": sent.remote, "metric_key": "loss", "max_results": 25_000}
    points = store.rest.get("metrics/get-history", query)["metrics"]
    assert [float(point["value"]) for point in sorted(points, key=lambda p: p["step"])] == [n / 2 for n in range(4000)]
    names = [run["info"]["run_name"] for run in store.rest.pages("runs/search", "runs", {"experiment_ids": ["0"]})]
    assert names.count("through it") == 1 and names.count("while it was away") == 1
    assert store.get_run(second.run_id).data.params == {"a": "1"} and list(store.check()) == []


def test_answer_lost_while_a_run_is_created_makes_no_second_one(store: RemoteStore) -> None:
    with nbtrack.start_run(run_name="once") as run:
        nbtrack.log_param("a", 1)
    store.sync()
    sent = store.sent.get(run.run_id)
    assert sent is not None
    sent.remote, sent.creating, sent.at, sent.open = "", True, {}, True  # as after a kill before the answer was noted
    store.sent.put(sent)
    RemoteStore(store.uri, store.root).sync()
    names = [run["info"]["run_name"] for run in store.rest.pages("runs/search", "runs", {"experiment_ids": ["0"]})]
    assert names.count("once") == 1


def test_what_the_server_refuses_stays_here_and_is_named(store: RemoteStore) -> None:
    with pytest.warns(CaptureWarning, match="not all of it is on the server"):
        with nbtrack.start_run() as run:
            nbtrack.log_params({"odd=key": 1, "good": 2})
        store.sync()
    mlflow.set_tracking_uri(store.uri)
    sent = store.sent.get(run.run_id)
    assert sent is not None and any("odd=key" in text for text in sent.refused)
    assert mlflow.get_run(sent.remote).data.params == {"good": "2"}
    assert store.get_run(run.run_id).data.params == {"odd=key": "1", "good": "2"}


def test_url_without_a_server_keeps_runs_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBTRACK_REMOTE_DIR", str(tmp_path / "mirror"))
    store = open_remote(f"http://127.0.0.1:{free_port()}")
    with pytest.warns(CaptureWarning, match="does not answer"):
        writer = store.create_run("0", "r")
        writer.log_metric("m", 1.0)
        writer.end()
        assert [run.run_id for run in store.search_runs()] == [writer.run_id]
    assert store.waiting == 1
    with pytest.raises(StoreError, match="does not answer"):
        store.sync()
    with pytest.raises(StoreError, match="expected the address of an MLflow server"):
        open_remote("http:///nothing")
    with suppress(StoreError):
        store.append_commit("clf", {"action": "create", "patch": {"model": {"deleted": False}}})
    assert store.local_models() == []
