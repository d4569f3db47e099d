"""From MLflow's own stores to ours and back: equal values, and models that load and serve on the other side."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

import nbtrack
from nbtrack.bridge import export_mlruns, export_model, import_runs
from nbtrack.store import open_store

from .servers import free_port

X = pd.DataFrame(np.random.default_rng(1).random((40, 3)), columns=["a", "b", "c"])
Y = (X["a"] > 0.5).astype(int)


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Path]:
    """A folder with a real mlflow.db and its artifacts."""
    home = tmp_path / "theirs"
    home.mkdir()
    place = Path.cwd()
    os.chdir(home)
    try:
        mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
        mlflow.set_registry_uri(f"sqlite:///{home / 'mlflow.db'}")
        mlflow.set_experiment("wine")
        with mlflow.start_run(run_name="first", description="a note") as run:
            mlflow.log_params({"alpha": 0.5, "kind": "rf"})
            for step, value in enumerate([0.5, math.nan, 0.25]):
                mlflow.log_metric("loss", value, step=step)
            mlflow.log_text("hello", "notes/a.txt")
            mlflow.log_input(mlflow.data.from_pandas(X, name="reds"), "training")
            mlflow.sklearn.log_model(
                LogisticRegression().fit(X, Y),
                name="model",
                signature=infer_signature(X, Y),
                pip_requirements=["scikit-learn"],
                serialization_format="cloudpickle",
                registered_model_name="clf",
            )
        client = mlflow.MlflowClient()
        client.set_registered_model_alias("clf", "champion", 1)
        client.set_tag(run.info.run_id, "team", "reds")
        client.delete_run(client.create_run("0").info.run_id)
    finally:
        os.chdir(place)
    return home


def test_database_comes_over_with_equal_values_and_its_model_answers(theirs: Path, tmp_path: Path) -> None:
    (wanted,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    predicted = mlflow.pyfunc.load_model("models:/clf/1").predict(X).tolist()
    moved = tmp_path / "moved"
    theirs.rename(moved)
    store = open_store(tmp_path / "store")
    report = import_runs(moved, store)
    assert (report.runs, report.deleted, report.versions, report.aliases, report.logged_models) == (2, 1, 1, 1, 1)
    assert report.repaired != [] and report.problems == []
    run = store.get_run(wanted.info.run_id)
    assert run.data.params == wanted.data.params and run.data.metrics == wanted.data.metrics
    assert (run.info.start_time, run.info.end_time) == (wanted.info.start_time, wanted.info.end_time)
    assert store.get_metric_history(run.run_id, "loss").step.tolist() == [0, 1, 2]
    nbtrack.set_tracking_uri(tmp_path / "store")
    assert (
        nbtrack.load_model("models:/clf@champion", trust=nbtrack.Client().get_model_version("clf", 1).digest)
        .predict(X)
        .tolist()
        == predicted
    )
    mlflow.set_tracking_uri(f"nbtrack://{tmp_path / 'store'}")
    mlflow.set_registry_uri(f"nbtrack://{tmp_path / 'store'}")
    again = mlflow.get_run(wanted.info.run_id)
    assert again.data.tags["mlflow.note.content"] == "a note" and again.data.tags["team"] == "reds"
    assert dict(again.inputs.dataset_inputs[0].dataset) == dict(wanted.inputs.dataset_inputs[0].dataset)
    assert mlflow.pyfunc.load_model("models:/clf/1").predict(X).tolist() == predicted


def test_store_goes_back_as_a_folder_that_mlflow_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    nbtrack.set_tracking_uri(tmp_path / "store")
    nbtrack.set_experiment("wine")
    with nbtrack.start_run(run_name="ours") as run:
        nbtrack.log_params({"alpha": 0.5, "odd=key": "ü", "a": 1, "a/b": 2})
        for value in (0.5, math.inf, -1e-300):
            nbtrack.log_metric("loss", value)
        nbtrack.set_tag("nbtrack.note", "a note")
        nbtrack.log_text("hello", "notes/a.txt")
        nbtrack.sklearn.log_model(LogisticRegression().fit(X, Y), "model", input_example=X.head(2))
    nbtrack.register_model(f"runs:/{run.run_id}/model", "clf")
    nbtrack.promote("clf", 1, "Production")
    nbtrack.set_alias("clf", "champion", 1)
    other = nbtrack.start_run(run_name="gone")
    nbtrack.end_run("FAILED")
    nbtrack.delete_run(other.run_id)
    report = export_mlruns(open_store(tmp_path / "store"), tmp_path / "mlruns")
    assert (report.runs, report.models, report.versions) == (2, 1, 1)
    assert any("odd=key" in one for one in report.problems) and report.left_behind != []
    place = (tmp_path / "mlruns").as_uri()
    mlflow.set_tracking_uri(place)
    mlflow.set_registry_uri(place)
    (found,) = mlflow.search_runs(experiment_names=["wine"], output_format="list")
    assert found.info.run_name == "ours" and found.info.status == "FINISHED"
    assert found.data.params == {"alpha": "0.5", "odd_key": "ü", "a": "1", "a.b_": "2"}
    assert found.data.tags["mlflow.note.content"] == "a note"
    history = mlflow.MlflowClient().get_metric_history(run.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(0, 0.5), (1, math.inf), (2, -1e-300)]
    assert mlflow.artifacts.load_text(f"runs:/{run.run_id}/notes/a.txt") == "hello"
    version = mlflow.MlflowClient().get_model_version_by_alias("clf", "champion")
    assert (version.version, version.current_stage) == (1, "Production")
    wanted = LogisticRegression().fit(X, Y).predict(X).tolist()
    assert mlflow.pyfunc.load_model("models:/clf/1").predict(X).tolist() == wanted
    again = open_store(tmp_path / "again")
    import_runs(tmp_path / "mlruns", again)
    assert again.get_run(run.run_id).data.metrics == open_store(tmp_path / "store").get_run(run.run_id).data.metrics


class Doubler:
    """A model that only nbtrack knows how to load."""

    def predict(self, data: pd.DataFrame) -> np.ndarray:
        return data["a"].to_numpy() * 2


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["sklearn", "pyfunc"])
def test_exported_model_is_served_by_mlflow_with_equal_predictions(tmp_path: Path, kind: str) -> None:
    nbtrack.set_tracking_uri(tmp_path / "store")
    model = LogisticRegression().fit(X, Y) if kind == "sklearn" else Doubler()
    with nbtrack.start_run() as run:
        getattr(nbtrack, kind).log_model(model, "model", input_example=X.head(2))
    folder = export_model(f"runs:/{run.run_id}/model", tmp_path / "exported")
    wanted = np.asarray(model.predict(X)).tolist()
    port = free_port()
    program = Path(sys.executable).with_name("mlflow")
    words = [program, "models", "serve", "-m", folder, "--env-manager", "local", "--port", str(port)]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True, env=environment)
    try:
        until = time.monotonic() + 120
        while True:
            with suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping").read()
                break
            assert time.monotonic() < until and server.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        body = json.dumps({"dataframe_split": X.to_dict("split")}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        answer = json.loads(urllib.request.urlopen(request).read())
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert answer["predictions"] == wanted
