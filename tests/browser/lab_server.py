"""A JupyterLab of its own for tests: a process with a home, a token and a folder that it shows."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

START_TIMEOUT_S = 90


@dataclass
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    root: Path
    env: dict[str, str] = field(repr=False)

    def sessions(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}api/sessions?token={self.token}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def end_sessions(self) -> None:
        for session in self.sessions():
            where = f"{self.url}api/sessions/{session['id']}?token={self.token}"
            with suppress(OSError):
                urllib.request.urlopen(urllib.request.Request(where, method="DELETE"), timeout=10).close()


def lab_environment(home: Path) -> dict[str, str]:
    """The environment of a user who has just installed nbtrack."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "JPY_", "NBTRACK_"))}
    for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
        env[f"JUPYTER_{name}"] = str(home / name.lower())
    env |= {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    (home / "run").mkdir(mode=0o700)
    config = home / "config_dir"
    config.mkdir()
    quiet = {
        "news_url": None,
        "check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "extension_manager": "readonly",
        "expose_app_in_browser": True,
    }
    (config / "jupyter_lab_config.json").write_text(json.dumps({"LabApp": quiet}), encoding="utf-8")
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": False}), encoding="utf-8"
    )
    return env


def wait_for_lab(process: subprocess.Popen[bytes], env: dict[str, str], token: str, log: Path) -> str:
    """Return the address of the server once it answers; fail with its log if it does not."""
    written = Path(env["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{process.pid}.json"
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, ValueError, KeyError):
            url = str(json.loads(written.read_text(encoding="utf-8"))["url"])
            with urllib.request.urlopen(f"{url}api?token={token}", timeout=5):
                return url
        time.sleep(0.05)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}")


@contextmanager
def running_lab(home: Path, root: Path, env: dict[str, str]) -> Iterator[Lab]:
    """A JupyterLab that shows the folder `root`, in the environment `env` of the home folder `home`."""
    token, log = secrets.token_hex(16), home / "lab.log"
    options = ["--ip=127.0.0.1", "--port=0", "--no-browser", f"--ServerApp.root_dir={root}", "--allow-root"]
    options.append("--ServerApp.base_url=/user/ada/")  # as behind a hub or a proxy: nothing may assume the root
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env={**env, "JUPYTER_TOKEN": token},
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Lab(wait_for_lab(process, env, token, log), token, root, env)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
