"""A real ``mlflow server`` for tests: started on a database, killed, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """An ``mlflow server`` in `folder` on the database `backend`."""

    def __init__(self, backend: str, folder: Path, workers: int = 1) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        program = Path(sys.executable).with_name("mlflow")
        self._words = [program, "server", "--backend-store-uri", backend, "--port", str(self.port)]
        self._words += ["--workers", str(workers)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        try:
            self._start()
        except BaseException:
            self.kill()
            raise

    def _start(self) -> None:
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                self._words, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, env=environment
            )
        until = time.monotonic() + 120
        while True:
            with suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{self.url}/health").read()
                return
            alive = self._process.poll() is None
            assert time.monotonic() < until and alive, (self.folder / "server.log").read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill it and its family, at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
