"""Entry points, scripts and notebooks as runs: real programs, real kernels."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import nbtrack
from nbtrack.errors import InvalidInputError, NotebookError, PipelineError
from nbtrack.pipelines.environments import asked_for
from nbtrack.pipelines.launch import run_project
from nbtrack.pipelines.projects import read_project
from nbtrack.tracking import get_store

MLPROJECT = """
name: wine
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      depth: {type: float, default: 3}
      data: path
    command: "python train.py --depth {depth} {data}"
  several:
    parameters: {word: string}
    command: "echo {word} && echo again {word} > copy.txt"
  one:
    parameters: {word: string}
    command: "python -c 'import sys; print(sys.argv[1:])' {word} ${HOME}"
  outer: {command: "nbtrack run . -e inner"}
  inner: {command: "nbtrack run . -e outer"}
  missing: {command: "no-such-program"}
"""
TRAIN = """
import sys, nbtrack
print("training with", sys.argv[1:], "password=hunter2secret")
with nbtrack.start_run():
    nbtrack.log_param("seen", sys.argv[2])
    for step in range(3):
        nbtrack.log_metric("acc", step / 4)
with nbtrack.start_run(run_name="another"):
    nbtrack.log_metric("acc", 9)
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Path:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "MLproject").write_text(MLPROJECT)
    (folder / "python_env.yaml").write_text('python: "3.11"\ndependencies: [-r requirements.txt]\n')
    (folder / "requirements.txt").write_text("# what it needs\nsix>=1.16\n")
    (folder / "train.py").write_text(TRAIN)
    (folder / "data.csv").write_text("1")
    return folder


def test_entry_point_is_one_run_that_the_program_goes_on_with(project: Path, tmp_path: Path) -> None:
    with (tmp_path / "shown").open("wb") as output:
        done = run_project(project, parameters={"data": "data.csv"}, experiment_name="e", output=output)
    assert (done.status, done.exit_code) == ("FINISHED", 0)
    run = nbtrack.get_run(done.run_id)
    assert run.data.params == {"data": "data.csv", "depth": "3", "seen": "3"}
    assert list(nbtrack.get_metric_history(done.run_id, "acc").value) == [0.0, 0.25, 0.5]
    assert run.info.status == "FINISHED" and run.info.run_name == "main"
    assert (run.data.tags["nbtrack.project"], run.data.tags["nbtrack.entry_point"]) == ("wine", "main")
    assert "training with ['--depth', '3', " in run.capture["stdout"]
    assert "hunter2secret" not in json.dumps(run.capture) and b"hunter2secret" in (tmp_path / "shown").read_bytes()
    names = list(nbtrack.search_runs(search_all_experiments=True)["run_name"])
    assert sorted(names) == ["another", "main"], "only the first run of a program is the one it was started for"
    assert nbtrack.get_experiment_by_name("e") is not None


def test_values_never_meet_a_shell(project: Path) -> None:
    word = "a'b; touch owned $(touch owned)"
    done = run_project(project, "several", {"word": word})
    assert done.status == "FINISHED"
    assert (project / "copy.txt").read_text() == f"again {word}\n"
    printed = nbtrack.get_run(run_project(project, "one", {"word": word}).run_id).capture["stdout"]
    assert printed.strip() == str([word, os.environ["HOME"]])
    assert not (project / "owned").exists()


def test_script_takes_params_as_options_and_its_failure_fails_the_run(project: Path) -> None:
    (project / "fail.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(3)\n")
    for path, entry in ((project, "fail.py"), (project / "fail.py", "main")):
        done = run_project(path, entry, {"lr": 0.5})
        assert (done.status, done.exit_code) == ("FAILED", 3)
        assert nbtrack.get_run(done.run_id).capture["stdout"] == "['--lr', '0.5']\n"
        assert nbtrack.get_run(done.run_id).data.params == {"lr": "0.5"}


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_killed_program_is_killed_and_keeps_what_it_logged(project: Path) -> None:
    (project / "die.py").write_text(
        "import os, nbtrack\nrun = nbtrack.start_run()\nnbtrack.log_metric('m', 1.5)\nos.kill(os.getpid(), 9)\n"
    )
    done = run_project(project, "die.py")
    run = nbtrack.get_run(done.run_id)
    assert (done.status, run.info.status, run.data.metrics) == ("KILLED", "KILLED", {"m": 1.5})


def test_entry_points_that_call_each_other_in_a_circle_are_stopped(project: Path) -> None:
    done = run_project(project, "outer")
    assert done.status == "FAILED"
    printed = nbtrack.get_run(done.run_id).capture["stdout"]
    assert "'outer' of 'wine' runs itself (outer → inner → outer)" in printed


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_kills_the_run(project: Path, tmp_path: Path) -> None:
    (project / "slow.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(600)\n")
    command = [sys.executable, "-m", "nbtrack.cli", "run", str(project), "-e", "slow.py"]
    env = {**os.environ, "NBTRACK_TRACKING_URI": str(tmp_path / "store")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, start_new_session=True) as child:
        assert child.stdout is not None and child.stdout.readline() == b"begun\n"
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(30) == 130
    for _ in range(50):
        if (status := nbtrack.search_runs()["status"][0]) == "KILLED":
            break
        time.sleep(0.1)
    assert status == "KILLED"


@pytest.mark.parametrize(
    ("entry", "parameters", "told"),
    [
        ("main", {}, r"'data' must be given: -P data=VALUE"),
        ("main", {"data": "data.csv", "depth": "deep"}, r"parameter 'depth': expected a number, got 'deep'"),
        ("main", {"data": "nothing.csv"}, r"there is no file 'nothing.csv'"),
        ("mian", {}, r"there is no entry point 'mian'; there are 'main', 'several'"),
        ("../outside.py", {}, r"there is no entry point"),
    ],
)
def test_wrong_entry_point_or_parameter_is_refused_before_a_run(
    project: Path, entry: str, parameters: dict[str, str], told: str
) -> None:
    (project.parent / "outside.py").write_text("")
    with pytest.raises(InvalidInputError, match=told):
        run_project(project, entry, parameters)
    assert len(nbtrack.search_runs()) == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "is no YAML"),
        ("- 1", "expected `name:` and `entry_points:`, got list"),
        ("nmae: x", r"'nmae' is not known there; expected name, entry_points.* Did you mean 'name'\?"),
        ("entry_points: {main: {comand: x}}", r"entry_points: main: expected a `command:`"),
        ("entry_points: {main: {command: x, retries: 2}}", r"'retries' is not known there; expected command, p"),
        ("entry_points: {main: {command: x, parameters: {a: int}}}", r"a: expected type string, float, path, uri, got"),
        ("entry_points: {main: {command: x, parameters: {a: {defualt: 1}}}}", r"'defualt' is not known there"),
        ("python_env: a\nconda_env: b", r"expected one of python_env, conda_env, got all of them"),
    ],
)  # fmt: skip
def test_mlproject_that_says_something_else_names_the_place(project: Path, text: str, told: str) -> None:
    (project / "MLproject").write_text(text)
    with pytest.raises(InvalidInputError, match=told):
        read_project(project)


def test_command_with_an_unknown_parameter_or_program_says_so(project: Path) -> None:
    (project / "MLproject").write_text("entry_points: {main: {command: 'python x.py {alpha}'}}")
    with pytest.raises(InvalidInputError, match=r"names \{alpha\}, which is no parameter of it; they are none"):
        run_project(project)
    (project / "MLproject").write_text("python_env: gone.yaml\nentry_points: {main: {command: x}}")
    with pytest.raises(InvalidInputError, match=r"python_env names .*gone\.yaml, which is not there"):
        run_project(project)
    (project / "MLproject").write_text(MLPROJECT)
    with pytest.raises(PipelineError, match=r"'no-such-program' cannot be started: No such file"):
        run_project(project, "missing")
    assert nbtrack.search_runs()["status"][0] == "FAILED"


def test_folder_without_anything_to_run_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there is no such folder or file"):
        run_project(tmp_path / "nowhere")
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(InvalidInputError, match=r"expected a folder, or a \.py, \.sh, \.ipynb file"):
        run_project(tmp_path / "x.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInputError, match=r"no entry point 'main'; there are none"):
        run_project(tmp_path / "empty")


# -- environments ----------------------------------------------------------------------------------------------------
def test_what_a_project_asks_for_is_read_from_its_environment(project: Path) -> None:
    asked = read_project(project).environment
    assert asked is not None and asked_for(asked) == ("3.11", ["six>=1.16"])
    (project / "MLproject").write_text("conda_env: conda.yaml")
    (project / "conda.yaml").write_text("dependencies: [python=3.11.4, pip, {pip: ['six==1.16.0']}]")
    asked = read_project(project).environment
    assert asked is not None and asked_for(asked) == ("3.11.4", ["six==1.16.0"])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_program_runs_in_its_own_environment_which_is_made_once(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_environment: dict[str, str]
) -> None:
    for name in {"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"} & set(user_environment):
        monkeypatch.setenv(name, user_environment[name])
    monkeypatch.setenv("NBTRACK_CACHE_DIR", str(tmp_path / "cache"))
    (project / "train.py").write_text("import sys, six, nbtrack\nnbtrack.log_param('python', sys.prefix)")
    for _ in range(2):
        done = run_project(project, parameters={"data": "data.csv"}, env_manager="uv")
        assert done.status == "FINISHED"
        assert Path(nbtrack.get_run(done.run_id).data.params["python"]).is_relative_to(tmp_path / "cache")
        assert len([one for one in (tmp_path / "cache" / "environments").iterdir() if one.is_dir()]) == 1
        monkeypatch.setenv("UV_OFFLINE", "1")


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ("dependencies: [numpy=2, {pip: [six]}]", r"'numpy=2' is a package of conda, which uv cannot install"),
        ("dependencies: [{pip: ['-e .']}]", r"'-e \.' is no package and version"),
        ("dependencies: [{pip: ['six @ http://x.y/z.whl']}]", r"is no package and version"),
        ("dependencies: [{pip: ['-r nothing.txt']}]", r"'-r nothing.txt': cannot be read"),
        ("dependencies: ['python=three']", r"expected a version such as 3.11, got 'three'"),
        ("[", r"is no YAML"),
    ],
)
def test_environment_that_uv_cannot_make_is_refused_clearly(project: Path, environment: str, told: str) -> None:
    (project / "MLproject").write_text("conda_env: conda.yaml\nentry_points: {main: {command: 'python -V'}}")
    (project / "conda.yaml").write_text(environment)
    with pytest.raises(InvalidInputError, match=told):
        run_project(project, env_manager="uv")
    (project / "MLproject").write_text("docker_env: {image: x}\nentry_points: {main: {command: 'python -V'}}")
    with pytest.raises(InvalidInputError, match="docker_env is not supported"):
        run_project(project)


# -- notebooks -------------------------------------------------------------------------------------------------------
def write_notebook(path: Path, *sources: str, parameters: int | None = 0) -> Path:
    cells = [new_code_cell(source) for source in sources]
    if parameters is not None:
        cells[parameters].metadata["tags"] = ["parameters"]
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.mark.slow
def test_notebook_runs_with_parameters_and_its_tracked_cells_are_children(project: Path) -> None:
    path = write_notebook(
        project / "train.ipynb",
        "depth = 1\nname = 'none'",
        "%load_ext nbtrack",
        "%%track cell\nimport nbtrack\nnbtrack.log_metric('score', depth * 2)\nprint(name, depth)",
    )
    before = path.read_bytes()
    done = run_project(path, parameters={"depth": "5", "name": "it's"})
    assert done.status == "FINISHED"
    runs = nbtrack.search_runs()
    child = runs[runs["run_name"] == "cell"].iloc[0]
    assert child["tags.nbtrack.parent_run_id"] == done.run_id and child["metrics.score"] == 10
    run = nbtrack.get_run(done.run_id)
    assert run.data.params == {"depth": "5", "name": "it's"}
    digest = run.artifacts["notebooks/train.ipynb"].digest
    kept: Any = nbformat.reads(get_store().read_blob(digest).decode(), as_version=4)
    assert kept.cells[1].metadata.tags == ["injected-parameters"]
    assert kept.cells[1].source == '# Parameters\ndepth = 5\nname = "it\'s"'
    assert "it's 5" in json.dumps(kept.cells[3].outputs)
    assert path.read_bytes() == before, "the notebook itself stays as it is"


@pytest.mark.slow
def test_notebook_that_fails_fails_the_run_and_keeps_its_outputs(project: Path) -> None:
    path = write_notebook(project / "bad.ipynb", "print('so far')", "1 / 0", parameters=None)
    with pytest.raises(NotebookError, match=r"cell 2 of 2 .* failed with ZeroDivisionError: division by zero"):
        run_project(path)
    run = nbtrack.get_run(nbtrack.search_runs()["run_id"][0])
    assert run.info.status == "FAILED" and "ZeroDivisionError" in run.capture["error"]["value"]
    kept = get_store().read_blob(run.artifacts["notebooks/bad.ipynb"].digest)
    assert b"so far" in kept and b"ZeroDivisionError" in kept


def test_notebook_without_a_parameters_cell_or_code_is_refused(project: Path) -> None:
    path = write_notebook(project / "plain.ipynb", "x = 1", parameters=None)
    with pytest.raises(InvalidInputError, match="no cell is tagged `parameters`"):
        run_project(path, parameters={"x": "2"})
    with pytest.raises(InvalidInputError, match="'a-b' cannot be a variable"):
        run_project(write_notebook(path, "x = 1"), parameters={"a-b": "2"})
    nbformat.write(new_notebook(), path)
    with pytest.raises(InvalidInputError, match="the notebook has no code cell"):
        run_project(path)
    path.write_text("{")
    with pytest.raises(InvalidInputError, match="is no notebook"):
        run_project(path)
