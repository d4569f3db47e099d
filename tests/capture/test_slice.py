"""The slice beyond the corpus: what is stored, what is hidden, what it costs, and that it never stands in the way."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest

import nbtrack
from nbtrack.capture import slice_flow
from nbtrack.capture.replay import plain_python, slice_cells
from nbtrack.errors import CaptureWarning


def sliced(notebook) -> list[str]:
    return [cell["source"] for cell in notebook.last.capture["slice"]["cells"]]


def test_record_is_as_the_contract_says(notebook):
    notebook.ok("base = 2")
    notebook.run("extra = base + 1", cell_id="cell-two")
    notebook.ok("%%track\nscore = float(base + extra)")
    record = notebook.last.capture["slice"]
    assert record == {
        "cells": [
            {
                "execution_count": 1,
                "cell_id": None,
                "source": "base = 2",
                "reads": [],
                "writes": ["base"],
                "this": False,
            },
            {
                "execution_count": 2,
                "cell_id": "cell-two",
                "source": "extra = base + 1",
                "reads": ["base"],
                "writes": ["extra"],
                "this": False,
            },
            {
                "execution_count": 3,
                "cell_id": None,
                "source": "%%track\nscore = float(base + extra)",
                "reads": ["base", "extra"],
                "writes": ["score"],
                "this": True,
            },
        ],
        "complete": True,
        "missing": [],
    }
    assert "slice (3 cells)" in notebook.last.capture["captured"]


def test_secrets_of_other_cells_do_not_reach_the_disk(notebook, workdir):
    key = "AKIA" + "Q7ZEXAMPLE" + "ABCDEF"
    notebook.ok(f"aws = '{key}'")
    notebook.ok("password = 'hunter2hunter2'")
    notebook.ok("%%track\nlength_score = float(len(aws) + len(password))")
    record = notebook.last.capture["slice"]
    text = json.dumps(record)
    assert key not in text
    assert "hunter2" not in text
    assert record["complete"] is False
    assert record["missing"] == [
        "In [1]: a secret was taken out of its text",
        "In [2]: a secret was taken out of its text",
    ]
    on_disk = b"".join(path.read_bytes() for path in (workdir / ".nbtrack").rglob("*") if path.is_file())
    assert key.encode() not in on_disk
    assert b"hunter2" not in on_disk


def test_long_slice_becomes_an_artifact(notebook):
    notebook.ok("values = [0]\n" + "# " + "x" * 40_000)
    notebook.ok("%%track\nscore = float(len(values))")
    run = notebook.last
    record = run.capture["slice"]
    assert record == {"path": "nbtrack/slice.json", "cells": 2, "complete": True}
    held = msgspec.json.decode(nbtrack.tracking.get_store().read_blob(run.artifacts["nbtrack/slice.json"].digest))
    assert len(held["cells"]) == 2
    cells = slice_cells(run, nbtrack.tracking.get_store())
    assert cells is not None
    assert cells[0]["source"].startswith("values = [0]")


def test_no_capture_leaves_the_other_cells_out(notebook):
    notebook.ok("base = 2")
    notebook.ok("%%track --no-capture slice\nscore = float(base)")
    assert "slice" not in notebook.last.capture
    notebook.ok("%%track --no-capture source\nscore = float(base)")
    assert "slice" not in notebook.last.capture


def test_cells_that_never_ran_or_ran_inside_of_others_are_no_part(notebook):
    notebook.run("base = (")
    notebook.ok("base = 1")
    notebook.ok("get_ipython().run_cell('base = 5', store_history=False)")
    notebook.ok("%%track\nscore = float(base)")
    assert sliced(notebook) == [
        "get_ipython().run_cell('base = 5', store_history=False)",
        "%%track\nscore = float(base)",
    ]


def test_failed_cell_counts_up_to_where_it_failed(notebook):
    notebook.run("a = 1\nb = 2\nraise ValueError('no')\na = 3")
    notebook.ok("%%track\nscore = float(a)")
    record = notebook.last.capture["slice"]
    assert record["cells"][0]["source"] == "a = 1\nb = 2\n# here the cell stopped with an error (line 3)"
    assert record["complete"] is False


def test_name_that_nothing_made_is_told(notebook):
    notebook.shell.user_ns["from_outside"] = [1, 2]
    notebook.ok("%%track\nscore = float(len(from_outside))")
    assert notebook.last.capture["slice"]["missing"] == ["In [1]: from_outside: no cell that is known made it"]


def test_random_numbers_without_a_seed_are_told(notebook):
    notebook.ok("import numpy as np")
    notebook.ok("%%track\nscore = np.random.rand()")
    told = notebook.last.capture["slice"]["missing"]
    assert told == ["In [2]: draws random numbers from numpy.random, which nothing seeded"]


def test_fault_in_the_reading_costs_the_slice_only(notebook, monkeypatch):
    notebook.ok("base = 2")

    def broken(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(slice_flow.Flow, "needed", broken)
    with pytest.warns(CaptureWarning, match="slice: RuntimeError: a fault of ours"):
        notebook.ok("%%track\nscore = float(base)\nC = 3")
    run = notebook.last
    assert run.data.metrics["score"] == 2.0
    assert run.data.params == {"C": "3"}
    assert "slice" not in run.capture
    assert any(text.startswith("slice: ") for text in run.capture["not_captured"])


def test_strange_cell_costs_nobody_elses_slice(notebook, monkeypatch):
    def broken(self: Any, node: Any) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(slice_flow.Reader, "visit_Assert", broken)
    notebook.ok("base = 2\nassert base")
    notebook.ok("%%track\nscore = float(base)")
    record = notebook.last.capture["slice"]
    assert len(record["cells"]) == 2
    assert record["missing"] == ["In [1]: the cell could not be read: RecursionError"]


def test_reading_a_long_notebook_takes_no_time_that_anybody_notices(notebook):
    for number in range(150):
        notebook.ok(f"v{number} = {number}\ntable_{number} = [i * v{number} for i in range(3)]\nprint(v{number})")
    began = time.thread_time()
    notebook.ok("%%track\nscore = float(v3 + sum(table_149))")
    first = time.thread_time() - began
    began = time.thread_time()
    notebook.ok("%%track\nscore = float(v4 + sum(table_149))")
    second = time.thread_time() - began
    assert len(sliced(notebook)) == 3
    assert first < 0.5
    assert second < 0.1  # what was read is not read again


@pytest.mark.parametrize(
    ("code", "python"),
    [
        ("%matplotlib inline\nx = 1", "pass  # %matplotlib inline: of no use outside of a notebook\nx = 1\n"),
        ("!ls {folder}", "_shell('ls {folder}')\n"),
        ("files = !ls", "files = _shell('ls')\n"),
        ("%time y = 2", "y = 2\n"),
        ("%%time\nif True:\n    y = 2", "if True:\n    y = 2\n"),
        ("%%writefile -a log.txt\nhello", "_write('log.txt', 'hello\\n', 'a')\n"),
        ("%env LEVEL=3", "_setenv('LEVEL=3')\n"),
        ("await work()", "_run_async(r'''\nawait work()\n''')\n"),
        ("not python at all", "# not python at all\n"),
        ("text = 'é'; %time x = 1", "# text = 'é'; %time x = 1\n"),
    ],
)
def test_plain_python_needs_no_notebook(code, python):
    assert plain_python(code) == python
