"""The command line as a process: how quickly it starts, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nbtrack
from nbtrack.store import open_store

from .conftest import add_run, environment_with

HEAVY = {"numpy", "pandas", "IPython", "plotly", "asyncio", "rich", "sklearn", "msgspec", "uvicorn", "jupyter_client"}
LOADED = "import json, sys\nfrom nbtrack.cli import main\ntry: main()\nfinally: print(json.dumps(sorted(sys.modules)))"

Process = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_start_loads_nothing_heavy(root: Path, option: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, option],
        env=environment_with(root),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert not HEAVY & modules
    assert "nbtrack.cli" in modules


def test_version_loads_no_command(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "--version"],
        env=environment_with(root),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0] == f"nbtrack {nbtrack.__version__}"
    commands = {name for name in json.loads(done.stdout.splitlines()[-1]) if name.startswith("nbtrack.cli.")}
    assert commands <= {"nbtrack.cli.options", "nbtrack.cli.output"}


def test_error_goes_to_stderr_in_one_line_with_exit_code_1(tmp_path: Path, process: Process) -> None:
    add_run(open_store(tmp_path / ".nbtrack"), "forest")
    done = process("runs", "show", "\x1b[31mnope", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Error: run ")
    assert "\x1b" not in done.stderr


def test_wrong_option_ends_with_exit_code_2(process: Process) -> None:
    done = process("runs", "list", "--colour")
    assert done.returncode == 2
    assert "No such option" in done.stderr
    assert done.stdout == ""


def test_damaged_record_is_a_warning_in_one_line_and_the_rest_is_listed(tmp_path: Path, process: Process) -> None:
    store = open_store(tmp_path / ".nbtrack")
    add_run(store, "good")
    add_run(store, "bad")
    for log in (tmp_path / ".nbtrack" / "runs").rglob("*"):
        if log.is_file() and b'"bad"' in log.read_bytes():
            log.write_bytes(b"{" + b"\0" * 50 + b"\n")
    done = process("runs", "list", cwd=tmp_path)
    assert done.returncode == 0
    assert "good" in done.stdout
    assert all(line.startswith("Warning: ") for line in done.stderr.splitlines())
    assert "Traceback" not in done.stderr


def test_output_to_a_closed_pipe_ends_quietly(tmp_path: Path, root: Path) -> None:
    store = open_store(tmp_path / ".nbtrack")
    for number in range(300):
        add_run(store, f"run-{number}", accuracy=number / 300)
    with subprocess.Popen(
        [sys.executable, "-m", "nbtrack.cli", "runs", "list", "-n", "300", "--json"],
        cwd=tmp_path,
        env=environment_with(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(10)
        child.stdout.close()
        told = child.stderr.read().decode()
        child.wait(60)
    assert "Traceback" not in told


def test_fault_of_the_file_system_is_one_line(tmp_path: Path, process: Process) -> None:
    (tmp_path / "file").write_text("hello")
    done = process("demo", "--no-lab", "--dir", tmp_path / "file" / "below")
    assert done.returncode == 1
    assert done.stderr == f"Error: {tmp_path / 'file' / 'below'}: Not a directory\n"
