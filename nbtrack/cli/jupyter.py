"""A JupyterLab of this Python as a child process: started, waited for, stopped."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import quote

from nbtrack.errors import NotebookError
from nbtrack.pipelines.execution import environment
from nbtrack.reprs.numbers import clean

START_TIMEOUT_S: Final = 90
STOP_TIMEOUT_S: Final = 10


class JupyterLab:
    """A JupyterLab that serves one folder on a free port of this machine with a random token; use it with ``with``."""

    def __init__(self, folder: Path, notebook: str) -> None:
        self._token = secrets.token_hex(24)
        self._notebook = notebook
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in stop()
        self._settings = tempfile.TemporaryDirectory(prefix="nbtrack-lab-")
        options = [
            "--no-browser",
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.port=0",
            f"--ServerApp.root_dir={folder}",
            # A demo asks nothing of the network.
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.append("--allow-root")  # in a container there is nobody else
        # Ctrl-C is for us alone: Jupyter would ask whether it is meant.
        windows_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=folder,
            env={
                **environment(),
                "JUPYTER_TOKEN": self._token,
                "JUPYTER_PREFER_ENV_PATH": "1",
                "JUPYTER_CONFIG_PATH": _without_questions(Path(self._settings.name)),
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            creationflags=windows_group,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_ready(self) -> str:
        """Return the address that opens the notebook, as soon as the server answers there.

        Raises
        ------
        NotebookError
            If it stops, or does not answer within 90 s; the message has its last words.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise NotebookError(f"JupyterLab: it stopped with exit code {self._process.returncode}. {self._tail()}")
            base = self._announced()
            if base is not None and _answers(f"{base}api?token={self._token}"):
                return f"{base}lab/tree/{quote(self._notebook)}?token={self._token}"
            time.sleep(0.1)
        raise NotebookError(f"JupyterLab: no answer within {START_TIMEOUT_S} s. {self._tail()}")

    def wait(self) -> int:
        """Wait until it ends by itself, as its "Shut Down" menu makes it; return its exit code."""
        while True:
            try:
                return self._process.wait(timeout=1)  # short waits, so that Windows sees Ctrl-C
            except subprocess.TimeoutExpired:
                continue

    def stop(self) -> None:
        """End it and the kernels it started; does nothing if it has ended."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
        self._settings.cleanup()

    def _announced(self) -> str | None:
        """Return the address that the server with our token has written down, once it has."""
        from jupyter_core.paths import jupyter_runtime_dir

        for path in Path(jupyter_runtime_dir()).glob("jpserver-*.json"):
            with suppress(OSError, ValueError):  # being written, or gone
                info = json.loads(path.read_text(encoding="utf-8"))
                if info.get("token") == self._token:
                    return str(info["url"])
        return None

    def _tail(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return "Its last words: " + clean(" | ".join(lines[-5:]), 1000)


def _without_questions(folder: Path) -> str:
    """Return a configuration path by which JupyterLab does not ask about its news; what the user chose counts more."""
    settings = folder / "labconfig"
    settings.mkdir()
    quiet = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (settings / "default_setting_overrides.json").write_text(json.dumps(quiet), encoding="utf-8")
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_CONFIG_PATH", "")]))


def _answers(url: str) -> bool:
    from urllib.request import ProxyHandler, build_opener

    with suppress(OSError, ValueError), build_opener(ProxyHandler({})).open(url, timeout=5) as reply:  # never a proxy
        return bool(reply.status == 200)
    return False
