"""The environment of a model, made again; a model as an image's build context, executed without Docker."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

import nbtrack
from nbtrack.errors import AlreadyExistsError, InvalidInputError, NotFoundError, ServingError
from nbtrack.models import environments as made_environments
from nbtrack.models.environments import make_environment
from nbtrack.models.wheel import WHEEL_NAME, this_wheel
from nbtrack.serving import environments, handover
from nbtrack.store import open_store
from nbtrack.store.base import Store

from .helpers import answers, ask, log, wait_until

needs_uv = pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
TOKEN = "a-secret-of-more-than-16"


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, user_environment: Any) -> Path:
    """A cache of environments of its own, with the user's own settings of package managers."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NBTRACK_CACHE_DIR", str(folder))
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        if name in user_environment:
            monkeypatch.setenv(name, user_environment[name])
    return folder


@pytest.fixture
def own_store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / ".nbtrack")
    log(store, LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), "line", [[1.0]])
    nbtrack.promote("line", 1, "Staging", store=store)
    return store


def test_only_names_and_versions_are_taken_from_a_model() -> None:
    found = environments.requirements_of({"packages": {"numpy": "2.1.0", "torch": "2.3.0+cpu", "nbtrack": "0.1"}})
    assert found == ["numpy==2.1.0", "torch==2.3.0"]
    for name, version in (
        ("numpy", "1.0 --index-url=http://evil"),
        ("numpy", "1; touch x"),
        ("-r /etc/passwd", "1.0"),
        ("x @ file:///etc", "1.0"),
        ("numpy", "$(touch x)"),
        ("numpy[all]", "1.0"),
        ("../evil", "1.0"),
        ("a\nb", "1.0"),
    ):
        with pytest.raises(InvalidInputError, match="is no package and version"):
            environments.requirements_of({"packages": {name: version}})
    assert environments.python_of({"python": "3.12.4"}) == "3.12"
    for python in ("$(x).1", "3", "-c.evil"):
        with pytest.raises(InvalidInputError, match="its Python is no version"):
            environments.python_of({"python": python})


def test_wheel_holds_the_package_and_is_the_same_each_time() -> None:
    this_wheel.cache_clear()
    first = this_wheel()
    this_wheel.cache_clear()
    assert this_wheel() == first
    with zipfile.ZipFile(BytesIO(first)) as archive:
        names = archive.namelist()
        about = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "nbtrack/serving/page.html" in names and "nbtrack/py.typed" in names
    assert not any("__pycache__" in name or "labextension" in name for name in names)
    assert "Requires-Dist: uvicorn" in about and "plotly" not in about


@needs_uv
@pytest.mark.timeout(600)
def test_model_is_served_in_its_own_environment_made_once_and_offline(
    cache: Path, runtime: Path, own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    with nbtrack.serve("models:/line/Staging", store=own_store, env_manager="uv", wait_s=120) as server:
        assert server.predict([[3.0]]).tolist() == pytest.approx([6.0])
        command = psutil.Process(server.info.pid).cmdline()
        assert Path(command[0]).is_relative_to(cache)
        with nbtrack.serve("models:/line/Staging", store=own_store) as local:
            assert local.server_id != server.server_id
    folder = next(path for path in (cache / "environments").iterdir() if path.is_dir())
    told = json.loads((folder / "nbtrack-ready.json").read_text())
    assert any(line.startswith("scikit-learn==") for line in told["requirements"])
    before = folder.stat().st_mtime_ns
    monkeypatch.setenv("UV_OFFLINE", "1")
    started = time.perf_counter()
    python = make_environment(told["requirements"], told["python"], ServingError)
    assert python.is_relative_to(folder) and folder.stat().st_mtime_ns == before
    assert time.perf_counter() - started < 1


@needs_uv
def test_environments_of_several_processes_are_made_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def slowly(folder: Path, found: Path, asked: Any, python: str) -> None:
        folder.mkdir()
        time.sleep(0.2)
        made.append(folder)

    monkeypatch.setattr(made_environments, "_make", slowly)
    asked = (["numpy==2.0.0"], "3.11", ServingError)
    threads = [threading.Thread(target=make_environment, args=asked) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_environment_that_cannot_be_made_says_why(cache: Path, runtime: Path, own_store: Store) -> None:
    with pytest.raises(InvalidInputError, match="env_manager must be one of"):
        nbtrack.serve("models:/line/1", store=own_store, env_manager="conda")
    with pytest.raises(ServingError, match="cannot be installed here"):
        make_environment(
            ["nbtrack-has-no-such-dependency==1.0"], ".".join(map(str, sys.version_info[:2])), ServingError
        )
    assert not list((cache / "environments").glob("*/nbtrack-ready.json"))


class Dockerless:
    """Does what a Dockerfile says, in a folder and a fresh virtual environment."""

    def __init__(self, context: Path, root: Path) -> None:
        self.lines = (context / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
        self.context, self.root = context, root
        self.environment: dict[str, str] = {}
        self.work = root
        self.command: list[str] = []
        self.health: list[str] = []
        self.user = "root"

    def place(self, path: str) -> Path:
        return self.root / path.lstrip("/") if path.startswith("/") else self.work / path

    def build(self, settings: dict[str, str]) -> None:
        for line in self.lines:
            word, _, rest = line.strip().partition(" ")
            if word == "FROM":
                version = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim", rest)
                assert version, rest
                subprocess.run(
                    ["uv", "venv", "-q", "--seed", "--no-python-downloads", "--python", version[1], self.root / "venv"],
                    check=True, env=settings,
                )  # fmt: skip
            elif word == "ENV":
                self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            elif word == "WORKDIR":
                self.work = self.place(rest)
                self.work.mkdir(parents=True)
            elif word == "COPY":
                *sources, target = rest.split()
                for source in sources:
                    found = self.context / source
                    if found.is_dir():
                        shutil.copytree(found, self.place(target))
                    else:
                        shutil.copy(found, self.place(target) / found.name)
            elif word == "RUN":
                self.run(shlex.split(rest), settings)
            elif word == "USER":
                self.user = rest
            elif word == "HEALTHCHECK":
                self.health = json.loads(rest[rest.index("[") :])
            elif word == "CMD":
                self.command = json.loads(rest)

    def run(self, command: list[str], settings: dict[str, str]) -> None:
        environment = {**settings, **self.environment, "PATH": f"{self.root}/venv/bin:/usr/bin:/bin"}
        subprocess.run(command, check=True, cwd=self.work, env=environment, capture_output=True)


@pytest.fixture
def settings(user_environment: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in user_environment.items() if not k.startswith(("NBTRACK_", "PYTHON", "VIRTUAL_ENV"))}


@pytest.fixture
def built(tmp_path: Path, own_store: Store, settings: dict[str, str]) -> Iterator[Dockerless]:
    context = handover.write_context("models:/line/Staging", tmp_path / "context", own_store)
    docker = Dockerless(context, tmp_path / "root")
    docker.root.mkdir()
    docker.build(settings)
    yield docker


@needs_uv
@pytest.mark.timeout(600)
def test_build_context_holds_all_that_it_needs_and_serves(built: Dockerless, settings: dict[str, str]) -> None:
    names = {path.name for path in built.context.iterdir()}
    assert names == {"Dockerfile", ".dockerignore", "requirements.txt", WHEEL_NAME, "model"}
    pins = (built.context / "requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+", pin) for pin in pins) and any(p.startswith("uvloop==") for p in pins)
    assert built.user == "10001:10001" and built.health[0] == "python"
    written = [path for path in built.context.rglob("*") if path.is_file() and path.suffix in {"", ".txt"}]
    text = "\n".join(path.read_text(errors="replace") for path in written)
    assert str(built.root.parent) not in text and os.environ["HOME"] not in text
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    inside = str(built.root / "srv")
    command = [word.replace("/srv", inside).replace("8080", port) for word in built.command]
    command[0] = str(built.root / "venv" / "bin" / "nbtrack")
    home = built.root / "home"
    home.mkdir()
    bare = {**built.environment, "PATH": f"{built.root}/venv/bin:/usr/bin:/bin", "HOME": str(home)}
    bare["NBTRACK_RUNTIME_DIR"] = str(home / "run")
    refused = subprocess.run(command, env=bare, capture_output=True, text=True, cwd=built.work, timeout=60, check=False)
    assert refused.returncode == 1 and "there is no token" in refused.stderr
    child = subprocess.Popen(command, env={**bare, "NBTRACK_SERVE_TOKEN": TOKEN}, cwd=built.work)
    try:
        assert wait_until(lambda: answers(int(port)), 60)
        health = [word.replace("8080", port) for word in built.health]
        subprocess.run(health, env=bare, check=True, timeout=10)
        secret = {"Authorization": f"Bearer {TOKEN}"}
        assert ask(int(port), {"inputs": [[3.0]]}, headers=secret).json["predictions"] == pytest.approx([6.0])
        assert ask(int(port), {"inputs": [[3.0]]}).status == 401
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(15) in {0, 143, -15}
    assert not answers(int(port))


def test_what_is_there_is_not_written_over(tmp_path: Path, own_store: Store) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    with pytest.raises(AlreadyExistsError, match="there is something already"):
        handover.write_context("models:/line/1", tmp_path / "taken", own_store)
    for image in ("x\nRUN evil", "$(x)", "-v"):
        with pytest.raises(InvalidInputError, match="is no name of an image"):
            handover.write_context("models:/line/1", tmp_path / image[:1], own_store, image)


def test_compose_file_serves_every_staging_model(tmp_path: Path, own_store: Store) -> None:
    import yaml

    log(own_store, LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), "LINE", [[1.0]])
    log(own_store, LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), "not staged", [[1.0]])
    nbtrack.promote("LINE", 1, "Staging", store=own_store)
    names = handover.write_compose(tmp_path / "out", own_store)
    assert sorted(names) == ["LINE", "line"]
    found = yaml.safe_load((tmp_path / "out" / "compose.yaml").read_text())["services"]
    assert len(found) == 2 and len({service["ports"][0] for service in found.values()}) == 2
    for service in found.values():
        context = tmp_path / "out" / service["build"]
        assert {p.name for p in context.iterdir()} == {"Dockerfile", ".dockerignore", "requirements.txt", WHEEL_NAME}
        command = json.loads(re.findall(r"^CMD (.*)$", (context / "Dockerfile").read_text(), re.MULTILINE)[0])
        assert command[command.index("-m") + 1] in {f"models:/{name}/Staging" for name in names}
        assert service["volumes"] == [f"${{NBTRACK_STORE:-{own_store.uri}}}:/store:ro"]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert service["user"] == f"{os.getuid()}:{os.getgid()}"
    with pytest.raises(NotFoundError, match="no model has a version in Staging"):
        handover.write_compose(tmp_path / "none", open_store(tmp_path / "empty" / ".nbtrack"))
