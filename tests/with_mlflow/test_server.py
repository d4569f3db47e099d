"""``mlflow server`` on a store of ours: what its clients write is in our files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
import pytest

import nbtrack

pytestmark = pytest.mark.timeout(240)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(backend: str, port: int, cwd: Path, *more: str) -> Iterator[str]:
    """An ``mlflow server`` of two workers, up; its whole family is gone afterwards."""
    program = Path(sys.executable).with_name("mlflow")
    words = [program, "server", "--backend-store-uri", backend, "--port", str(port), "--workers", "2", *more]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (cwd / "server.log").open("w") as log:
        server = subprocess.Popen(words, cwd=cwd, stdout=log, stderr=log, start_new_session=True, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while True:
            with suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{address}/health").read()
                break
            assert time.monotonic() < until and server.poll() is None, (cwd / "server.log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_server_runs_on_our_files(tmp_path: Path, uri: str) -> None:
    port = free_port()
    with running(uri, port, tmp_path) as address:
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
