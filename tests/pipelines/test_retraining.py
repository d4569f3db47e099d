"""Many pipelines in one table, on real stores; one that fails does not stop the others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import nbtrack
from nbtrack.errors import InvalidInputError, NotFoundError, PipelineError
from nbtrack.pipelines import declared
from nbtrack.pipelines.declared import read_pipelines
from nbtrack.store import open_store


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "work"
    declared._declared.clear()


@pytest.fixture
def pipelines(tmp_path: Path) -> list[Any]:
    @nbtrack.step(store=tmp_path / "tuning")
    def tune(seed: int) -> dict[str, Any]:
        best = nbtrack.sweep(lambda depth: depth / seed, {"depth": [1, 2]}, direction="higher", executor="threads")
        return {"depth": best.best.params["depth"]}

    def train(depth: int, env: str = "nowhere") -> dict[str, Any]:
        nbtrack.log_metric("depth", depth)
        return {"model": f"tree of {depth} for {env}"}

    def broken(seed: int) -> None:
        raise ZeroDivisionError("no data <today>")

    return [
        nbtrack.pipeline("wine", [tune, train], params={"seed": 2}, line="1.0", store=tmp_path / "final"),
        nbtrack.pipeline("iris", [broken, train], params={"seed": 2}, line="1.0"),
        nbtrack.pipeline("corn", [tune, train], params={"seed": 4}, line="2.0"),
        nbtrack.pipeline("rest", [train], params={"depth": 1}),
    ]


def test_retrain_all_one_failing_row_does_not_stop_the_others(pipelines, tmp_path) -> None:
    nbtrack.set_policy("INT", "<=2.0")
    nbtrack.set_policy("PROD", "<=1.0")
    done = nbtrack.retrain_all(env="int")
    assert [(one.name, one.status) for one in done] == [
        ("wine", "ran"),
        ("iris", "failed"),
        ("corn", "ran"),
        ("rest", "left out"),
    ]
    assert done["iris"].why == "broken: ZeroDivisionError: no data <today>"
    assert nbtrack.get_run(done["iris"].run_id).info.run_name == "broken"
    assert done["rest"].why == "it has no code line"
    assert done.verdict == "4 pipelines for INT: 2 trained, 1 failed, 1 left out."
    assert done.stores == [str(tmp_path / one) for one in ("final", "tuning", "store")]
    with pytest.raises(PipelineError, match=r"1 of 4 failed\. iris: broken: ZeroDivisionError"):
        done.raise_failed()
    final = open_store(tmp_path / "final")
    wine = final.get_run(done["wine"].run_id)
    assert wine.data.tags["nbtrack.environment"] == "INT" and wine.data.tags["nbtrack.retrain"] == done.batch
    tuned, trained = wine.capture["pipeline"]["steps"]
    assert tuned["store"] == str(tmp_path / "tuning") and trained["store"] == ""
    tuning = open_store(tmp_path / "tuning")
    assert len(tuning.search_runs(filter_string="tags.nbtrack.trial != ''")) == 4
    assert {run.info.run_name for run in final.search_runs()} == {"wine", "train"}
    text, html = repr(done), done._repr_html_()
    assert "✗ failed" in text and "no data &lt;today&gt;" in html and "<today>" not in html
    frame = done.to_frame()
    assert frame["status"].tolist() == ["ran", "failed", "ran", "left out"]

    again = nbtrack.retrain_all(env="PROD")
    assert [one.status for one in again] == ["ran", "failed", "left out", "left out"]  # train asks for env
    assert [one.status for one in again["wine"].steps] == ["reused", "ran"]
    assert again["corn"].why == "its code line 2.0 does not fit <=1.0"
    with pytest.raises(NotFoundError, match=r"environment 'QA' has no policy; the policies are: INT: <=2.0, PROD"):
        nbtrack.retrain_all(env="QA")


def test_retrain_all_nothing_changed_says_reused_and_force_runs_it_all(pipelines) -> None:
    nbtrack.retrain_all(pipelines[3:])
    assert nbtrack.retrain_all(pipelines[3:])["rest"].status == "reused"
    assert nbtrack.retrain_all(pipelines[3:], force=True)["rest"].status == "ran"


def test_retrain_all_ctrl_c_ends_it_and_begins_no_other(pipelines) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    stopped = nbtrack.pipeline("stopped", [stop])
    with pytest.raises(KeyboardInterrupt):
        nbtrack.retrain_all([stopped, pipelines[3]])
    runs = nbtrack.search_runs()
    assert set(runs["status"]) == {"KILLED"} and "rest" not in set(runs["run_name"])


FILE = """
[flow]
steps = ["flows.py:load", "flows.py:train"]
params = { seed = 3 }
line = "1.0"

[report]
steps = ["report.py"]

[notebook]
steps = [{ path = "book.ipynb", name = "book", returns = ["total"] }, "flows.py:train"]
line = "2"
store = "other"
"""
FLOWS = """
import helper
import nbtrack

def load(seed):
    return {"total": helper.double(seed)}

def train(total):
    nbtrack.log_metric("total", total)

ready = nbtrack.pipeline("ready", [load, train], params={"seed": 1})
"""


@pytest.fixture
def declared_in_files(folder: Path) -> Path:
    (folder / "pipelines.toml").write_text(FILE)
    (folder / "flows.py").write_text(FLOWS)
    (folder / "helper.py").write_text("def double(x):\n    return 2 * x\n")
    (folder / "report.py").write_text("import sys\nprint('nothing to report')\nsys.exit(3)\n")
    nbformat.write(new_notebook(cells=[new_code_cell("total = 5")]), folder / "book.ipynb")
    return folder


def test_nbtrack_retrain_reads_the_file_and_tells_each_pipeline(declared_in_files, tmp_path) -> None:
    env = {**os.environ, "NBTRACK_TRACKING_URI": str(tmp_path / "store")}
    done = subprocess.run(
        [sys.executable, "-m", "nbtrack.cli", "retrain"],
        check=False,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "3 pipelines: 2 trained, 1 failed." in done.stdout
    assert "report.py ended with exit code 3: nothing to report" in done.stdout
    told = [line.split("  ")[:2] for line in done.stderr.splitlines() if line[:1] in "✓✗"]
    assert told == [["✓ trained", "flow"], ["✗ failed", "report"], ["✓ trained", "notebook"]]
    assert {run.info.run_name for run in open_store(declared_in_files / "other").search_runs()} >= {"notebook", "book"}
    assert open_store(tmp_path / "store").search_runs(filter_string="metrics.total = 6")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no pipeline"),
        ("[a]\nsteps = ['x.py'\n", "is no TOML"),
        ("[a]\nsteps = 'x'", r"\[a\]: expected steps = "),
        ("[a]\nsteps = ['flows.py:load']\nstages = 1", r"\[a\]: 'stages' is not known there; expected steps, params"),
        ("[a]\nsteps = ['flows.py:laod']", "flows.py has no function or pipeline 'laod'"),
        ("[a]\nsteps = ['nowhere.ipynb']", "nowhere.ipynb: there is no such folder or file"),
        ("[a]\nsteps = ['report.py']\nline = 'one'", r"\[a\]: expected a version such as '1.0', got 'one'"),
        ("[a]\nsteps = [{path = 'report.py', colour = 1}]", "'colour' is not known there"),
    ],
)
def test_pipelines_file_that_is_wrong_says_where(declared_in_files, text, told) -> None:
    (declared_in_files / "pipelines.toml").write_text(text)
    with pytest.raises(InvalidInputError, match=told):
        nbtrack.retrain_all("pipelines.toml")


def test_pipelines_file_takes_a_pipeline_of_a_module(declared_in_files) -> None:
    (declared_in_files / "pipelines.toml").write_text("[mine]\nsteps = ['flows.py:ready']\nparams = { seed = 9 }")
    found = read_pipelines(declared_in_files)
    assert [(one.name, dict(one.params)) for one in found] == [("mine", {"seed": 9})]
    assert nbtrack.retrain_all(found)["mine"].status == "ran"


def test_retrain_all_without_any_pipeline_says_how_to_declare_one() -> None:
    with pytest.raises(InvalidInputError, match=r"there is no pipeline. nbtrack.pipeline\(NAME, STEPS\) declares one"):
        nbtrack.retrain_all()
    with pytest.raises(InvalidInputError, match="expected a list of pipelines"):
        nbtrack.retrain_all([print])  # type: ignore[list-item]


MLPROJECT = """
name: wine
entry_points:
  main:
    parameters:
      depth: float
      rounds: {type: float, default: 5}
    command: "python train.py {depth} {rounds}"
"""


def test_entry_point_of_a_project_is_a_step_with_its_own_parameters(folder) -> None:
    (folder / "project").mkdir()
    (folder / "project" / "MLproject").write_text(MLPROJECT)
    train = "import sys, nbtrack\nnbtrack.log_metric('score', float(sys.argv[1]) * float(sys.argv[2]))\n"
    (folder / "project" / "train.py").write_text(train)

    def depth(seed: int) -> dict[str, int]:
        return {"depth": seed + 1}

    step = nbtrack.step("project", name="train")
    done = nbtrack.run_pipeline([depth, step], params={"seed": 2})
    run = nbtrack.get_run(done.step_run_ids["train"])
    assert run.data.params == {"depth": "3", "rounds": "5"} and run.data.metrics == {"score": 15.0}
    assert [one.status for one in nbtrack.run_pipeline([depth, step], params={"seed": 2}).steps] == ["reused"] * 2
    (folder / "project" / "train.py").write_text(train + "# another\nprint('again')\n")
    assert [one.status for one in nbtrack.run_pipeline([depth, step], params={"seed": 2}).steps] == ["reused", "ran"]
    with pytest.raises(InvalidInputError, match="step 'train': nobody gives it 'depth'"):
        nbtrack.run_pipeline([step])
    with pytest.raises(InvalidInputError, match="there is no entry point 'tarin'"):
        nbtrack.step("project", entry="tarin")


@pytest.mark.skipif(os.name == "nt", reason="a pseudo-terminal")
def test_nbtrack_retrain_on_a_terminal_draws_the_table_while_it_goes_on(declared_in_files, tmp_path) -> None:
    import pty

    (declared_in_files / "pipelines.toml").write_text(
        "[flow]\nsteps = ['flows.py:load', 'flows.py:train']\nparams = { seed = 3 }"
    )
    main, other = pty.openpty()
    env = {**os.environ, "NBTRACK_TRACKING_URI": str(tmp_path / "store"), "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-m", "nbtrack.cli", "retrain"], env=env, stdout=other, stderr=other
    ) as child:
        os.close(other)
        seen = b""
        while True:
            try:
                piece = os.read(main, 65536)
            except OSError:  # how a pseudo-terminal says that it is closed
                break
            if not piece:
                break
            seen += piece
    os.close(main)
    told = seen.decode()
    assert child.returncode == 0
    assert "load …" in told and "load ✓ train …" in told  # on the way
    assert "1 pipeline: 1 trained." in told.rpartition("load ✓ train …")[2]
