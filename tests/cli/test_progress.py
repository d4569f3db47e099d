from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbtrack.cli.progress import shown_progress
from nbtrack.pipelines.execution import Cell

from .conftest import environment_with

STEPS = ("setup", "track")


def tell(silent: bool) -> None:
    with shown_progress(silent) as watcher:
        for number, step in enumerate(STEPS, 1):
            watcher.started(Cell(number, len(STEPS), step))
            watcher.finished(Cell(number, len(STEPS), step), 1.25)


def test_progress_off_a_terminal_is_a_line_a_cell_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    tell(silent=False)
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split() for line in told.err.splitlines()] == [
        ["[1/2]", "setup", "1.2", "s"],
        ["[2/2]", "track", "1.2", "s"],
    ]


def test_progress_with_json_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    tell(silent=True)
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_names_the_step_and_counts_the_cells(root: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", TELL],
        env=environment_with(root) | {"TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as child:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the terminal is gone with the process
                break
            if not part:
                break
            shown += part
        assert child.stdout is not None
        assert child.stdout.read() == b""
    os.close(ours)
    assert child.returncode == 0
    for text in (b"setup", b"track", b"1/2", b"2/2"):
        assert text in shown


TELL = """
import time
from nbtrack.pipelines.execution import Cell
from nbtrack.cli.progress import shown_progress
with shown_progress(False) as watcher:
    for number, step in enumerate(("setup", "track"), 1):
        watcher.started(Cell(number, 2, step))
        time.sleep(0.3)
        watcher.finished(Cell(number, 2, step), 0.3)
        time.sleep(0.3)
"""
