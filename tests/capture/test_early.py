"""A run whose process dies has its settings and the cells that made it, as far as they were known by then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nbtrack.store import open_store

SHELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "nbtrack")
for cell in {cells!r}:
    shell.run_cell(cell, store_history=True).raise_error()
"""
UPSTREAM = [
    "from types import SimpleNamespace",
    "depth = 1",
    "depth = 4; unused = 9",
    "cfg = {'lr': 0.1, 'layers': {'hidden': 64}}",
    "API_KEY = 'sk-" + "a1B2" * 8 + "'",
    "def step(x):\n    return x * cfg['lr'] + len(API_KEY)",
]
CELL = """%%track
import os, signal, time
epochs = 7
widths = [8, 16]
for epoch in range(epochs):
    {before}
    time.sleep(0.5)
    loss = step(depth)
{after}"""


def ran(tmp_path, before: str = "pass", after: str = ""):
    cells = [*UPSTREAM, CELL.format(before=before, after=after)]
    code = SHELL.format(cells=cells)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    store = open_store(tmp_path / ".nbtrack")
    run = store.get_run(store.run_table(view="ALL", keys=[]).run_ids[0])
    return done.returncode, run


def test_killed_process_leaves_params_and_slice(tmp_path):
    code, run = ran(tmp_path, "epoch == 4 and os.kill(os.getpid(), signal.SIGKILL)")
    assert (code, run.info.status) == (-9, "CRASHED")
    assert run.data.params == {
        "epochs": "7",
        "widths": "[8, 16]",
        "depth": "4",
        "cfg.lr": "0.1",
        "cfg.layers.hidden": "64",
        "API_KEY": "[redacted:password]",
    }
    cells = run.capture["slice"]["cells"]
    assert [cell["execution_count"] for cell in cells] == [3, 4, 5, 6, 7]
    assert [cell["this"] for cell in cells] == [False] * 4 + [True]
    assert run.capture["slice"]["complete"] is False
    assert "did not end" in run.capture["slice"]["missing"][0]
    assert not any(b"sk-a1B2" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("explicit", [False, True], ids=["found", "explicit"])
def test_end_replaces_what_was_known_early(tmp_path, explicit):
    after = "import nbtrack\nnbtrack.log_param('epochs', 99)" if explicit else "epochs = 8"
    code, run = ran(tmp_path, after=after)
    assert (code, run.info.status) == (0, "FINISHED")
    assert run.data.params["epochs"] == ("99" if explicit else "8")
    assert set(run.data.params) == {"epochs", "widths", "depth", "cfg.lr", "cfg.layers.hidden", "API_KEY"}
    assert run.capture["slice"]["complete"] is False or not run.capture["slice"]["missing"]
    assert "did not end" not in str(run.capture["slice"])
