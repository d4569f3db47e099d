"""Models that answer: asked at once, and served until Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import nbtrack as package
from nbtrack import registry
from nbtrack.store import Store

from .conftest import Command, environment_with

Process = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def line(store: Store) -> Store:
    """The model ``line`` with one version, in Staging: y = 2 x + z."""
    data = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "z": [0.0, 1.0, 0.0, 1.0]})
    package.set_tracking_uri(store.uri)
    with package.start_run():
        package.sklearn.log_model(
            LinearRegression().fit(data, 2 * data.x + data.z),
            "model",
            input_example=data.head(2),
            registered_model_name="line",
        )
    package.promote("line", 1, "Staging")
    package.set_tracking_uri(None)
    return store


@contextmanager
def serving(root: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "nbtrack.cli", "models", "serve", "-m", "models:/line/Staging", *options],
        env=environment_with(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer_of(curl: str) -> object:
    """Do what a printed curl command says."""
    words = shlex.split(curl)
    assert words[0] == "curl"
    header, body = words[words.index("-H") + 1], words[words.index("-d") + 1]
    request = urllib.request.Request(words[1], body.encode(), dict([header.split(": ")]))
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def test_predict_reads_csv_by_the_name_of_the_file(line: Store, tmp_path: Path, nbtrack: Command) -> None:
    rows = tmp_path / "rows.CSV"
    rows.write_text("x,z\n10,1\n20,0\n")
    result = nbtrack("models", "predict", "-m", "models:/line/Staging", "-i", rows)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["predictions"] == pytest.approx([21, 40])


def test_predict_reads_json_from_standard_input_and_writes_a_file(
    line: Store, tmp_path: Path, nbtrack: Command
) -> None:
    run_id = registry.get_version("line", 1, store=line).run_id
    assert run_id
    body = json.dumps({"dataframe_split": {"columns": ["z", "x"], "data": [[1, 10]]}})
    target = tmp_path / "out.json"
    result = nbtrack("models", "predict", "-m", f"runs:/{run_id[-8:]}/model", "-o", target, stdin=body)
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(target.read_text())["predictions"] == pytest.approx([21])


@pytest.mark.parametrize(
    ("body", "told"),
    [("not json", "JSON"), ('{"dataframe_records": [{"x": 1}]}', "'z'"), ('{"inputs": [["a", 1]]}', "double")],
)
def test_predict_of_data_that_does_not_fit_says_why(line: Store, nbtrack: Command, body: str, told: str) -> None:
    result = nbtrack("models", "predict", "-m", "models:/line/1", "-t", "json", stdin=body)
    assert result.exit_code == 1
    assert told in result.stderr
    assert result.stdout == ""


def test_predict_of_a_missing_stage_says_what_there_is(line: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "predict", "-m", "models:/line/Production", stdin="{}")
    assert result.exit_code == 1
    assert "v1 in Staging" in result.stderr


@pytest.mark.parametrize(
    ("number", "code", "told"), [(signal.SIGINT, 130, "Interrupted.\n"), (signal.SIGTERM, 143, "")], ids=["INT", "TERM"]
)
def test_serve_answers_on_its_port_until_it_is_told_to_end(
    line: Store, root: Path, process: Process, number: signal.Signals, code: int, told: str
) -> None:
    port = free_port()
    with serving(root, "-p", str(port), "-h", "127.0.0.1") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith(f"models:/line/Staging is served at http://127.0.0.1:{port}; Ctrl-C")
        assert child.stdout.readline() == "\n"
        assert answer_of(child.stdout.readline()) == {"predictions": pytest.approx([0, 3])}
        listed = json.loads(process("models", "served", "--json").stdout)["servers"]
        assert [(server["port"], server["status"], server["requests"]) for server in listed] == [(port, "ready", 1)]
        os.kill(child.pid, number)
        assert child.wait(30) == code
        assert child.stderr.read() == told
    assert json.loads(process("models", "served", "--json").stdout)["servers"] == []
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_serve_that_somebody_else_stops_ends_and_says_so(line: Store, root: Path, process: Process) -> None:
    with serving(root, "--json") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        lines = [child.stdout.readline()]
        while lines[-1] not in {"}\n", ""}:
            lines.append(child.stdout.readline())
        info = json.loads("".join(lines))
        assert answer_of(info["curl"]) == {"predictions": pytest.approx([0, 3])}
        assert process("models", "stop", info["server_id"]).stdout == f"{info['server_id']} stopped\n"
        assert child.wait(30) == 1
        assert "its server ended" in child.stderr.read()


def test_serve_on_a_taken_port_says_so(line: Store, process: Process) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = process("models", "serve", "-m", "models:/line/1", "-p", port, "--store", line.uri)
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_of_a_missing_model_names_the_known_ones(line: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "serve", "-m", "models:/lime/Staging")
    assert result.exit_code == 1
    assert "'line'" in result.stderr


def test_serve_for_other_machines_without_a_token_is_refused(line: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "serve", "-m", "models:/line/1", "-h", "0.0.0.0")
    assert result.exit_code == 1
    assert "token" in result.stderr


def test_stop_of_an_unknown_server_says_so(store: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "stop", "0" * 12)
    assert result.exit_code == 1
    assert "there is none with the id" in result.stderr
