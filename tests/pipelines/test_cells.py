"""Notebook cells, notebooks and scripts as steps: real kernels, real programs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import nbtrack
from nbtrack.errors import InvalidInputError, NotebookError, PipelineError
from nbtrack.tracking import get_store

SETUP = "%load_ext nbtrack\nimport nbtrack\nimport numpy as np\nfrom sklearn.linear_model import LogisticRegression"
DATA = "rng = np.random.default_rng(seed)\nX = rng.normal(size=(80, 3))\ny = (X[:, 0] > 0).astype(int)"
TRAIN = """%%track --step train
model = LogisticRegression(C=strength).fit(X, y)
with open('trained', 'a') as file:
    _ = file.write('x')"""
EVALUATE = "%%track --step evaluate\naccuracy = float(model.score(X, y))"
REGISTER = """%%track --step register
verdict = f'{accuracy:.2f}'
with open('verdict', 'w') as file:
    _ = file.write(verdict)"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    def write(*cells: str, name: str = "flow.ipynb", parameters: str = "seed, strength = 3, 1.0") -> Path:
        first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
        first.source = parameters
        nbformat.write(new_notebook(cells=[first, *map(new_code_cell, cells)]), folder / name)
        return folder / name

    return write


def statuses(done: Any) -> dict[str, str]:
    return {one.name: one.status for one in done.steps}


def recorded(run_id: str) -> dict[str, str]:
    steps = get_store().get_run(run_id).capture["pipeline"]["steps"]
    return {one["name"]: one["status"] for one in steps}


PARAMETERS = "seed = 3\nstrength = 1.0"


def test_run_pipeline_cells_are_reused_until_what_they_depend_on_changes(write, folder) -> None:
    book = write(SETUP, DATA, TRAIN, EVALUATE, REGISTER, parameters=PARAMETERS)
    first = nbtrack.run_pipeline(str(book))
    assert statuses(first) == {"train": "ran", "evaluate": "ran", "register": "ran"}
    parent = nbtrack.get_run(first.run_id)
    assert parent.info.status == "FINISHED" and parent.info.run_name == "flow"
    assert parent.data.tags["nbtrack.pipeline"] == "train → evaluate → register"
    steps = parent.capture["pipeline"]["steps"]
    assert [one["inputs"] for one in steps] == [{}, {"model": "train"}, {"accuracy": "evaluate"}]
    for run_id in first.step_run_ids.values():
        child = nbtrack.get_run(run_id)
        assert child.info.status == "FINISHED" and child.data.tags["nbtrack.parent_run_id"] == first.run_id
    assert nbtrack.get_run(first.step_run_ids["evaluate"]).data.metrics["accuracy"] > 0.9

    again = nbtrack.run_pipeline(str(book))
    assert set(statuses(again).values()) == {"reused"} and again.step_run_ids == first.step_run_ids
    assert (folder / "trained").read_text() == "x"
    output = nbformat.reads(
        get_store().read_blob(nbtrack.get_run(again.run_id).artifacts["notebooks/flow.ipynb"].digest).decode(), 4
    )
    assert any("train: reused from run" in str(cell.get("outputs")) for cell in output.cells)

    write(SETUP, DATA, TRAIN, EVALUATE + " * 1.0", REGISTER, parameters=PARAMETERS)
    changed = nbtrack.run_pipeline(str(book))
    assert statuses(changed) == {"train": "reused", "evaluate": "ran", "register": "reused"}  # the same accuracy

    params = nbtrack.run_pipeline(str(book), params={"strength": 0.001})
    assert statuses(params)["train"] == "ran" and (folder / "trained").read_text() == "xx"
    forced = nbtrack.run_pipeline(str(book), params={"strength": 0.001}, force=["train"])
    assert statuses(forced)["train"] == "ran" and (folder / "trained").read_text() == "xxx"


def test_run_pipeline_failing_cell_marks_the_parent_and_a_rerun_goes_on_there(write, folder) -> None:
    broken = EVALUATE + "\nraise ZeroDivisionError('no data today')"
    book = write(SETUP, DATA, TRAIN, broken, REGISTER, parameters=PARAMETERS)
    with pytest.raises(NotebookError, match=r"step 'evaluate'\) failed with ZeroDivisionError: no data today") as told:
        nbtrack.run_pipeline(str(book))
    parent = nbtrack.get_run(told.value.nbtrack_run_id)
    assert parent.info.status == "FAILED"
    assert recorded(parent.run_id) == {"train": "ran", "evaluate": "failed", "register": "not run"}
    failed = parent.capture["pipeline"]["steps"][1]["run_id"]
    assert nbtrack.get_run(failed).info.status == "FAILED"
    write(SETUP, DATA, TRAIN, EVALUATE, REGISTER, parameters=PARAMETERS)
    again = nbtrack.run_pipeline(str(book))
    assert statuses(again) == {"train": "reused", "evaluate": "ran", "register": "ran"}


def test_run_pipeline_cell_that_kills_its_kernel_is_a_failed_step(write) -> None:
    book = write(SETUP, "%%track --step train\nimport os\nos.kill(os.getpid(), 9)", REGISTER, parameters=PARAMETERS)
    with pytest.raises(NotebookError, match=r"step 'train'\): the kernel died") as told:
        nbtrack.run_pipeline(str(book))
    assert recorded(told.value.nbtrack_run_id) == {"train": "failed", "register": "not run"}


def test_run_pipeline_cells_see_files_and_seeded_random_numbers_that_they_read(write, folder) -> None:
    (folder / "data.csv").write_text("1\n2\n")
    draw = "%%track --step draw\ntotal = sum(map(float, open('data.csv'))) + np.random.rand()"
    book = write(
        SETUP,
        "np.random.seed(seed)",
        draw,
        "%%track --step after\nnext_one = float(np.random.rand())",
        parameters=PARAMETERS,
    )
    first = nbtrack.run_pipeline(str(book))
    again = nbtrack.run_pipeline(str(book), force=["after"])
    assert statuses(again) == {"draw": "reused", "after": "ran"}
    values = [nbtrack.get_run(one.step_run_ids["after"]).data.metrics for one in (first, again)]
    assert values[0] == values[1]  # the generator stands where the reused step left it
    assert statuses(nbtrack.run_pipeline(str(book), params={"seed": 4}))["draw"] == "ran"
    (folder / "data.csv").write_text("1\n3\n")
    assert statuses(nbtrack.run_pipeline(str(book)))["draw"] == "ran"


def test_run_pipeline_two_cells_of_one_name_or_an_unknown_force_say_so(write) -> None:
    book = write(SETUP, TRAIN, TRAIN, parameters=PARAMETERS)
    with pytest.raises(InvalidInputError, match=r"different steps, got \['train'\] more than once"):
        nbtrack.run_pipeline(str(book))
    write(SETUP, TRAIN, parameters=PARAMETERS)
    with pytest.raises(InvalidInputError, match=r"force names \['tarin'\]; the steps are \['train'\]"):
        nbtrack.run_pipeline(str(book), force=["tarin"])


def test_run_pipeline_of_a_function_a_notebook_and_a_script_hands_values_on(write, folder) -> None:
    def load(seed: int) -> dict[str, Any]:
        import numpy as np

        X = np.random.default_rng(seed).normal(size=(60, 2))
        return {"X": X, "y": (X[:, 0] > 0).astype(int)}

    book = write(
        "from sklearn.linear_model import LogisticRegression\nmodel = LogisticRegression(C=strength).fit(X, y)",
        "accuracy = model.score(X, y)",
        name="train.ipynb",
        parameters="X = y = None\nstrength = 1.0\nlabel = 'none'",
    )
    script = folder / "report.py"
    script.write_text(
        "import sys, nbtrack, helper\nnbtrack.log_metric('seen', float(sys.argv[2]))\n"
        "open('report.txt', 'w').write(helper.WORD + sys.argv[2])\n"
    )
    (folder / "helper.py").write_text("WORD = 'accuracy '\n")
    steps = [
        load,
        nbtrack.step(book, returns=["model", "accuracy"]),
        nbtrack.step(script, takes=["accuracy"], returns={"report": "report.txt"}),
    ]
    done = nbtrack.run_pipeline(steps, "mixed", params={"seed": 1, "strength": 2.0, "label": "5"})
    assert statuses(done) == {"load": "ran", "train": "ran", "report": "ran"}
    assert done.values["model"].C == 2.0 and Path(done.values["report"]).read_text().startswith("accuracy ")
    trained = nbtrack.get_run(done.step_run_ids["train"])
    assert trained.data.params["strength"] == "2.0" and "notebooks/train.ipynb" in trained.artifacts
    assert trained.data.tags["nbtrack.parent_run_id"] == done.run_id and done.values["train"] == trained.run_id
    assert nbtrack.get_run(done.step_run_ids["report"]).data.metrics["seen"] == done.values["accuracy"]

    (folder / "report.txt").write_text("damaged")
    again = nbtrack.run_pipeline(steps, "mixed", params={"seed": 1, "strength": 2.0, "label": "5"})
    assert set(statuses(again).values()) == {"reused"}
    assert Path(again.values["report"]).read_text().startswith("accuracy ")  # put back
    (folder / "helper.py").write_text("WORD = 'score '\n")
    assert statuses(nbtrack.run_pipeline(steps, params={"seed": 1, "strength": 2.0, "label": "5"})) == {
        "load": "reused",
        "train": "reused",
        "report": "ran",
    }
    script.write_text("import os\nprint('out of luck')\nos.kill(os.getpid(), 9)")
    with pytest.raises(PipelineError, match=r"step 'report': report.py was ended by signal 9: out of luck"):
        nbtrack.run_pipeline(steps, params={"seed": 1, "strength": 2.0, "label": "5"})


def test_step_of_a_file_that_cannot_be_one_says_why(folder, write) -> None:
    with pytest.raises(InvalidInputError, match="there is no such folder or file"):
        nbtrack.step("nowhere.ipynb")
    book = write("1 + 1")
    with pytest.raises(InvalidInputError, match=r"expected returns=\['variable', …\], got \{'a': 'b'\}"):
        nbtrack.step(book, returns={"a": "b"})
    with pytest.raises(NotebookError, match="leaves no variable 'model'"):
        nbtrack.run_pipeline([nbtrack.step(book, returns=["model"])])


def test_nbtrack_run_tells_which_steps_of_a_notebook_were_reused(write, tmp_path) -> None:
    book = write("%load_ext nbtrack", "%%track --step count\ntotal = seed + 1", parameters=PARAMETERS)
    command = [sys.executable, "-m", "nbtrack.cli", "run", str(book), "--store", str(tmp_path / "store")]
    for options, told in (([], "count: ran."), (["-P", "seed=3"], "count: reused.")):
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
        assert told in done.stderr
