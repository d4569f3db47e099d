"""``mlflow server`` on a store of ours: what its clients write is in our files."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import mlflow
import pytest

import nbtrack

from .servers import MlflowServer

pytestmark = pytest.mark.timeout(240)


def test_server_runs_on_our_files(tmp_path: Path, uri: str) -> None:
    server = MlflowServer(uri, tmp_path, workers=2)
    server.start()
    address = server.url
    try:
        mlflow.set_tracking_uri(address)
        mlflow.set_registry_uri(address)
        client = mlflow.MlflowClient()
        mlflow.set_experiment("served")
        with mlflow.start_run(run_name="remote") as run:
            for step in range(50):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_param("a", 1)
            mlflow.log_text("hello", "notes/a.txt")
            other = client.create_run(run.info.experiment_id)
        run_id = run.info.run_id
        assert len(client.get_metric_history(run_id, "loss")) == 50
        assert [one.path for one in client.list_artifacts(run_id)] == ["notes"]
        assert mlflow.artifacts.load_text(f"runs:/{run_id}/notes/a.txt") == "hello"
        page = urllib.request.urlopen(f"{address}/").read()
        assert b"<html" in page
        file = urllib.request.urlopen(f"{address}/get-artifact?path=notes/a.txt&run_uuid={run_id}").read()
        assert file == b"hello"
    finally:
        server.kill()
    assert not (tmp_path / "mlartifacts").exists()
    nbtrack.set_tracking_uri(tmp_path / "store")
    mine = nbtrack.get_run(run_id)
    assert mine.info.status == "FINISHED" and mine.info.run_name == "remote"
    assert mine.data.metrics == {"loss": 0.02} and list(mine.artifacts) == ["notes/a.txt"]
    assert nbtrack.get_run(other.info.run_id).info.status == "RUNNING"  # its client may come back to another server
    client = mlflow.MlflowClient(uri)
    client.log_metric(other.info.run_id, "late", 3.0)
    client.set_terminated(other.info.run_id)
    assert nbtrack.get_run(other.info.run_id).data.metrics == {"late": 3.0}
    assert nbtrack.get_run(other.info.run_id).info.status == "FINISHED"
    assert list(nbtrack.tracking.get_store().check()) == []
