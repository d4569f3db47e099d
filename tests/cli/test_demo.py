"""The demo, and what it does around the notebook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.sign import NotebookNotary

from nbtrack.cli.demo import NOTEBOOK, STEPS, place_notebook, require_libraries, save_signed, shipped_notebook
from nbtrack.cli.jupyter import JupyterLab
from nbtrack.errors import MissingLibraryError, NotebookError
from nbtrack.pipelines.execution import step_of

from .conftest import Command, environment_with

Process = Callable[..., "subprocess.CompletedProcess[str]"]


def test_missing_library_is_named_with_the_line_that_installs_it() -> None:
    with pytest.raises(MissingLibraryError, match=r'no_such_lab is not installed .* pip install "nbtrack\[demo\]"'):
        require_libraries(("json", "no_such_lab"))


def test_every_code_cell_of_the_shipped_notebook_names_a_step() -> None:
    cells = [cell for cell in nbformat.read(shipped_notebook(), as_version=4).cells if cell.cell_type == "code"]
    steps = [step_of(cell, STEPS) for cell in cells]
    assert "cell" not in steps
    assert list(dict.fromkeys(steps)) == list(STEPS)


def test_notebook_is_placed_again_over_an_unedited_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_signed(place_notebook(tmp_path), tmp_path / NOTEBOOK)
    save_signed(place_notebook(tmp_path), tmp_path / NOTEBOOK)
    assert [path.name for path in tmp_path.iterdir()] == [NOTEBOOK]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", ["edited", "not even a notebook"])
def test_edited_notebook_is_kept_under_another_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / NOTEBOOK
    for number in (1, 2):
        save_signed(place_notebook(tmp_path), path)
        edited = nbformat.read(path, as_version=4)
        edited.cells[1].source += f"\nedit {number}"
        path.write_text(nbformat.writes(edited) if content == "edited" else content)
    before = path.read_text()
    save_signed(place_notebook(tmp_path), path)
    assert (tmp_path / "01-first-run-yours-2.ipynb").read_text() == before
    assert "01-first-run-yours-2.ipynb" in capsys.readouterr().err
    assert path.read_text() != before


def test_saved_notebook_is_trusted(tmp_path: Path) -> None:
    notebook = place_notebook(tmp_path)
    save_signed(notebook, tmp_path / NOTEBOOK)
    notary = NotebookNotary()
    try:
        assert notary.check_signature(nbformat.read(tmp_path / NOTEBOOK, as_version=4))
    finally:
        notary.store.close()


def test_failing_notebook_names_the_step_and_leaves_it_and_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nbtrack: Command
) -> None:
    monkeypatch.setenv("NBTRACK_EXPERIMENT_NAME", "not-this-one")
    (tmp_path / "sklearn.py").write_text("raise ImportError('no wine today')")  # the kernel starts in this folder
    result = nbtrack("demo", "--dir", tmp_path, "--no-lab", "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "(step 'setup') failed with ImportError: no wine today" in result.stderr
    outputs = [cell.outputs for cell in nbformat.read(tmp_path / NOTEBOOK, as_version=4).cells if "outputs" in cell]
    assert outputs[0][-1].ename == "ImportError"
    assert not any(outputs[1:])
    assert (tmp_path / ".nbtrack").is_dir()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_demo_tracks_promotes_and_serves_and_a_second_start_moves_the_former_version_back(
    tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBTRACK_TRACKING_URI", str(tmp_path / "elsewhere"))
    reports = []
    for _ in range(2):
        done = process("demo", "--dir", "work", "--no-lab", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        reports.append(json.loads(done.stdout))
    monkeypatch.delenv("NBTRACK_TRACKING_URI")
    assert not (tmp_path / "elsewhere").exists()

    for number, report in enumerate(reports):
        params = [(run["params"]["n_estimators"], run["params"]["max_features"]) for run in report["runs"]]
        assert params == [("1", "0.1"), ("1", "0.5"), ("100", "0.5")]
        assert all({"accuracy", "f1_weighted"} <= set(run["metrics"]) for run in report["runs"])
        assert all(run["experiment"] == "wine" for run in report["runs"])
        predictions = report["predictions"]
        assert predictions["equal"] is True
        assert predictions["csv"] == predictions["json"] == predictions["notebook"]
        assert len(predictions["csv"]) == 5
        first, best = 2 * number + 1, 2 * number + 2
        moves = [commit["changes"] for commit in report["registry"] if commit["changes"]]
        former = [{"version": first - 1, "from": "Staging", "to": "None"}] if number else []
        assert moves[0] == [{"version": first, "from": "None", "to": "Staging"}, *former]
        assert moves[1] == [
            {"version": best, "from": "None", "to": "Staging"},
            {"version": first, "from": "Staging", "to": "None"},
        ]

    work = tmp_path / "work"
    assert json.loads(process("runs", "list", "--json", cwd=work).stdout)["total"] == 6
    model = json.loads(process("models", "list", "--json", cwd=work).stdout)["models"][0]
    assert [(v["version"], v["stage"]) for v in model["versions"] if v["stage"] != "None"] == [(4, "Staging")]
    assert json.loads(process("models", "served", "--json", cwd=work).stdout)["servers"] == []
    assert sorted(path.name for path in work.iterdir()) == [".nbtrack", NOTEBOOK]

    rows = work / "wine.csv"
    cells = nbformat.read(work / NOTEBOOK, as_version=4).cells
    assert all(cell.outputs for cell in cells if cell.cell_type == "code" and "track" in cell.metadata.tags)
    from sklearn.datasets import load_wine

    load_wine(as_frame=True).data.head(4).to_csv(rows, index=False)
    answer = process("models", "predict", "-m", "models:/wine/Staging", "-i", rows, cwd=work)
    assert json.loads(answer.stdout) == {"predictions": [0, 0, 0, 0]}


@pytest.mark.slow
def test_jupyterlab_serves_the_notebook_trusted_with_its_token_only_and_is_gone_after(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(root))
    save_signed(place_notebook(tmp_path), tmp_path / NOTEBOOK)
    with JupyterLab(tmp_path, NOTEBOOK) as lab:
        url = lab.wait_until_ready()
        base, _, rest = url.partition("lab/tree/")
        assert rest.startswith(f"{NOTEBOOK}?token=")
        contents = f"{base}api/contents/{NOTEBOOK}"
        token = rest.partition("token=")[2]
        with urllib.request.urlopen(f"{contents}?token={token}", timeout=30) as reply:
            cells = json.load(reply)["content"]["cells"]
        assert all(cell["metadata"]["trusted"] for cell in cells if cell["cell_type"] == "code")
        with urllib.request.urlopen(url, timeout=30) as reply:
            assert reply.status == 200
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(contents, timeout=30)
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_jupyterlab_that_does_not_start_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jupyterlab.py").write_text("raise SystemExit('no lab today')")
    with JupyterLab(tmp_path, NOTEBOOK) as lab, pytest.raises(NotebookError, match=r"exit code 1.*no lab today"):
        lab.wait_until_ready()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_demo_with_lab_prints_one_document_and_ctrl_c_ends_both(tmp_path: Path, root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "nbtrack.cli", "demo", "--dir", str(tmp_path), "--json"],
        cwd=tmp_path,
        env=environment_with(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        lines = [child.stdout.readline()]
        while lines[-1] not in {"}\n", ""}:
            lines.append(child.stdout.readline())
        document = json.loads("".join(lines) or child.stderr.read())
        with urllib.request.urlopen(document["lab_url"], timeout=30) as reply:
            assert reply.status == 200
        family = psutil.Process(child.pid).children(recursive=True)
        assert family
        os.kill(child.pid, signal.SIGINT)
        assert child.wait(30) == 130
        assert child.stdout.read() == ""
        assert child.stderr.read() == "Interrupted.\n"
    deadline = time.monotonic() + 10
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family):
        assert time.monotonic() < deadline
        time.sleep(0.1)
