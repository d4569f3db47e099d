"""Notebooks executed on a real kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nbtrack.errors import NotebookError
from nbtrack.pipelines.execution import Cell, Execution, execute_notebook

from .conftest import environment_with


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.started_cells: list[Cell] = []
        self.finished_cells: list[Cell] = []

    def started(self, cell: Cell) -> None:
        self.started_cells.append(cell)

    def finished(self, cell: Cell, seconds: float) -> None:
        assert seconds > 0
        self.finished_cells.append(cell)


def notebook_of(*sources: str) -> nbformat.NotebookNode:
    cells = [new_code_cell(source, metadata={"tags": ["x", f"step-{i}"]}) for i, source in enumerate(sources, 1)]
    return new_notebook(cells=[new_markdown_cell("Words."), *cells])


def execution_of(folder: Path, *sources: str) -> Execution:
    return Execution(notebook_of(*sources), folder, ("step-1", "step-2"), Heard())


def test_notebook_runs_on_this_python_in_its_folder_whatever_the_user_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/no/such/python"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("NBTRACK_TRACKING_URI", str(tmp_path / "elsewhere"))
    execution = execution_of(
        tmp_path,
        "import os, sys\nprint('hello')",
        "summary = {'python': sys.executable, 'cwd': os.getcwd(), 'uri': os.environ.get('NBTRACK_TRACKING_URI')}",
    )
    assert execute_notebook(execution) == {"python": sys.executable, "cwd": str(tmp_path), "uri": None}
    assert execution.notebook.cells[1].outputs[0].text == "hello\n"
    assert len(execution.notebook.cells) == 3
    assert isinstance(execution.watcher, Heard)
    assert execution.watcher.finished_cells == [Cell(1, 2, "step-1"), Cell(2, 2, "step-2")]


def test_failing_cell_is_named_with_its_step_and_reason_and_keeps_its_output(tmp_path: Path) -> None:
    execution = execution_of(tmp_path, "print('before')", "raise ValueError('no \\x1b[31mwine\\x1b[0m')", "1 / 0")
    with pytest.raises(
        NotebookError, match=r"cell 2 of 3 \(step 'step-2'\) failed with ValueError: no .*wine"
    ) as caught:
        execute_notebook(execution)
    assert "\x1b" not in str(caught.value)
    assert execution.notebook.cells[2].outputs[0].ename == "ValueError"
    assert execution.notebook.cells[1].outputs[0].text == "before\n"
    assert execution.notebook.cells[3].outputs == []


def test_dying_kernel_is_told_with_its_last_words(tmp_path: Path) -> None:
    execution = execution_of(tmp_path, "import os\nos.write(2, b'out of wine\\n')\nos._exit(9)")
    with pytest.raises(NotebookError, match=r"cell 1 of 1 .*the kernel died \(out of wine\)\.$"):
        execute_notebook(execution)


@pytest.mark.parametrize("source", ["pass", "summary = 'text'", "summary = {1: object}; del summary"])
def test_notebook_without_a_summary_is_refused(tmp_path: Path, source: str) -> None:
    execution = execution_of(tmp_path, source)
    with pytest.raises(NotebookError, match="'summary'"):
        execute_notebook(execution)
    assert len(execution.notebook.cells) == 2


SLOW = """
import nbformat
from pathlib import Path
from nbformat.v4 import new_code_cell, new_notebook
from nbtrack.pipelines.execution import Execution, execute_notebook
from nbtrack.cli.progress import Lines

class Shout(Lines):
    def started(self, cell):
        print("started", flush=True)

sleeper = new_code_cell("import os, pathlib, time\\npathlib.Path('pid').write_text(str(os.getpid()))\\ntime.sleep(60)")
execute_notebook(Execution(new_notebook(cells=[sleeper]), Path.cwd(), (), Shout()))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_signal_ends_the_kernel_too(tmp_path: Path, root: Path, number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW],
        cwd=tmp_path,
        env=environment_with(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        deadline = time.monotonic() + 30
        while not (tmp_path / "pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.2)
        os.kill(child.pid, number)
        assert child.wait(30) == code
        assert child.stderr is not None
        assert "Task was destroyed" not in child.stderr.read()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
