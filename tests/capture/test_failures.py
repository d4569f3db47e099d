"""Whatever breaks in the capture, the user's cell succeeds, and one clear message says what is missing."""

from __future__ import annotations

import subprocess
import time
import warnings

import pytest

import nbtrack
from nbtrack.capture import cell as parts
from nbtrack.capture import showing, tracker
from nbtrack.errors import CaptureWarning
from nbtrack.store import layout
from nbtrack.tracking import stack
from nbtrack.tracking.failure import describe_error

CELL = """%%track
from sklearn.dummy import DummyClassifier
C = 1.0
model = DummyClassifier(strategy="prior").fit([[0.0], [1.0]], [0, 1])
accuracy = model.score([[0.0]], [0])
print("hello")
answer = 42
answer"""

# part -> what is broken for it: the functions that each part of the capture consists of
BROKEN = {
    "source": (parts, "capture_source"),
    "traceback": (parts, "capture_error"),
    "model": (parts, "capture_estimators"),
    "params": (parts, "capture_params"),
    "metrics": (parts, "capture_metrics"),
    "output": (parts, "capture_output"),
    "packages": (parts, "environment"),
    "git": (tracker, "GitProbe"),
    "card": (showing, "run_card_html"),
    "data": (parts, "look_at_data"),
    "seeds": (parts, "capture_seeds"),
    "figures": (parts, "note_shown"),
    "usage": (parts, "measure"),
    "pins": (tracker, "pins_of"),
    "live": (tracker.Pulse, "watch"),
}


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("part", BROKEN)
def test_broken_part_costs_only_itself(notebook, monkeypatch, part):
    monkeypatch.setattr(*BROKEN[part], fail)
    with pytest.warns(CaptureWarning, match=f"nbtrack: {part}: RuntimeError: broken on purpose.*The cell ran as usual"):
        assert notebook.ok(CELL) == 42
        nbtrack.search_runs()
    run = notebook.last
    assert run.info.status == "FINISHED"
    assert notebook.names["accuracy"] == 1.0
    if part != "card":
        assert any(entry.startswith(f"{part}: RuntimeError") for entry in run.capture["not_captured"])
    if part not in {"metrics"}:
        assert run.data.metrics == {"accuracy": 1.0}


def test_broken_part_warns_once_per_cause(notebook, monkeypatch):
    monkeypatch.setattr(parts, "capture_params", fail)
    with pytest.warns(CaptureWarning) as told:
        notebook.ok(CELL)
        notebook.ok(CELL)
    assert len(told) == 1


def test_broken_part_under_warnings_as_errors_still_lets_the_cell_run(notebook, monkeypatch, capsys):
    monkeypatch.setattr(parts, "capture_params", fail)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert notebook.ok(CELL) == 42
    assert "nbtrack: params: RuntimeError: broken on purpose" in capsys.readouterr().err
    assert notebook.last.info.status == "FINISHED"


@pytest.mark.parametrize("when", ["wants", "remember_names"])
def test_broken_preparation_leaves_no_run_open(notebook, monkeypatch, when):
    monkeypatch.setattr(parts.Cell, when, fail)
    with pytest.warns(CaptureWarning, match="RuntimeError: broken on purpose"):
        assert notebook.ok(CELL) == 42
    assert stack.open_runs() == []
    assert "RUNNING" not in {run.info.status for run in notebook.runs}


HOSTILE = """
class Hostile:
    def __getattr__(self, name): raise RuntimeError("no attribute for you")
    def __repr__(self): raise RuntimeError("no repr for you")
    def __eq__(self, other): raise RuntimeError("no comparison for you")
    def __bool__(self): raise RuntimeError("no truth for you")
    __hash__ = None
class Liar:
    steps_ = 1
    def fit(self, X): return self
    def predict(self, X): raise RuntimeError("no prediction for you")
    def get_params(self, deep=True): raise RuntimeError("no params for you")
class BadText(Exception):
    def __str__(self): raise RuntimeError("no text for you")
"""


def test_hostile_objects_in_the_namespace_do_no_harm(notebook):
    notebook.ok(HOSTILE)
    notebook.ok(
        "%%track\nloss = Hostile()\nscore = abs(-0.5)\nh = Hostile()\nmetrics = {'a': Hostile()}\nconfig = Hostile()"
    )
    run = notebook.last
    assert (run.info.status, dict(run.data.metrics)) == ("FINISHED", {"score": 0.5})


def test_hostile_estimator_costs_only_its_params_and_model(notebook):
    notebook.ok(HOSTILE)
    with pytest.warns(CaptureWarning, match="params: RuntimeError: no params for you"):
        notebook.ok("%%track\nmodel = Liar().fit([1])\nmodel.steps_ = 2\nacc = abs(-0.5)")
    assert notebook.last.data.metrics == {"acc": 0.5}


def test_exception_that_ipython_cannot_show_still_ends_the_run_failed(notebook):
    notebook.ok(HOSTILE)
    notebook.run("%%track\nraise BadText()")
    assert notebook.last.info.status == "FAILED"
    assert "error" in notebook.last.capture
    assert stack.open_runs() == []


def test_exception_whose_text_raises_can_be_described():
    class BadText(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text for you")

    told = describe_error(BadText())
    assert (told["type"], "could not be made" in told["message"]) == ("BadText", True)


def test_streams_are_given_back_and_pass_everything_on(notebook, capsys):
    import sys

    before = sys.stdout, sys.stderr
    notebook.ok(
        "%%track\nimport sys\nkept = sys.stdout\nprint('out')\nprint('err', file=sys.stderr)\nsys.stdout.flush()"
    )
    assert (sys.stdout, sys.stderr) == before
    shown = capsys.readouterr()
    assert "out\n" in shown.out
    assert "err\n" in shown.err
    notebook.ok("print('later', file=kept)")
    assert "later" in capsys.readouterr().out
    assert "later" not in notebook.last.capture["stdout"]


def test_output_is_kept_only_up_to_its_end(notebook):
    notebook.ok("%%track\nfor i in range(20_000):\n    print('line', i)\nprint('\\rstep 1\\rstep 2\\rlast step')")
    kept = notebook.last.capture["stdout"]
    assert len(kept) < 17_000
    assert kept.startswith("… ")
    assert kept.endswith("line 19999\nlast step\n")


# -- the store ---------------------------------------------------------------------------------------------------------
def test_store_that_is_a_file_leaves_the_cell_untracked_with_one_message(notebook, workdir):
    (workdir / "taken").write_text("precious")
    nbtrack.set_tracking_uri(workdir / "taken")
    with pytest.warns(CaptureWarning, match="this cell runs untracked.*taken") as told:
        assert notebook.ok("%%track\n6 * 7") == 42
    assert len(told) == 1
    assert notebook.cards == []
    assert (workdir / "taken").read_text() == "precious"


def test_store_of_a_newer_format_leaves_the_cell_untracked_with_one_message(notebook, workdir):
    notebook.ok("%%track\nx = 1")
    store_file = workdir / ".nbtrack" / layout.STORE_FILE
    newer = store_file.read_text().replace('"format": 1', '"format": 99').replace('"format":1', '"format":99')
    assert "99" in newer
    store_file.write_text(newer)
    other = workdir / "other"
    other.mkdir()
    (workdir / ".nbtrack").rename(other / ".nbtrack")
    nbtrack.set_tracking_uri(other / ".nbtrack")
    before = sorted(path.name for path in other.rglob("*"))
    with pytest.warns(CaptureWarning, match="this cell runs untracked.*newer") as told:
        assert notebook.ok("%%track\n6 * 7") == 42
    assert len(told) == 1
    assert sorted(path.name for path in other.rglob("*")) == before


def test_store_that_cannot_be_written_leaves_the_cell_untracked_with_one_message(notebook, workdir):
    nbtrack.set_tracking_uri("/proc/nbtrack-store")
    with pytest.warns(CaptureWarning, match="this cell runs untracked") as told:
        assert notebook.ok("%%track\n6 * 7") == 42
        assert notebook.ok("%%track\n6 * 7") == 42
    assert len(told) == 2


def test_store_removed_while_the_cell_runs_does_not_fail_the_cell(notebook, workdir):
    notebook.ok("%%track\nx = 1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaptureWarning)
        assert notebook.ok("%%track\nimport shutil\nshutil.rmtree('.nbtrack')\nacc = abs(-0.5)\nacc") == 0.5
    assert stack.open_runs() == []


# -- git ---------------------------------------------------------------------------------------------------------------
def git(*arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_git_commit_and_changed_lines_are_kept(notebook, workdir):
    git("init", "-q", "-b", "main")
    (workdir / "code.py").write_text("a\nb\n")
    git("add", "code.py")
    git("commit", "-q", "-m", "one")
    notebook.ok("%%track\nx = 1")
    head = git("rev-parse", "HEAD")
    assert notebook.last.capture["git"] == {"commit": head, "branch": "main", "dirty": False, "files": 0, "lines": 0}
    (workdir / "code.py").write_text("a\nc\nd\n")
    notebook.ok("%%track\nx = 1")
    changed = notebook.last.capture["git"]
    assert (changed["dirty"], changed["files"], changed["lines"]) == (True, 1, 3)
    assert "git commit" in notebook.last.capture["captured"]


def test_git_without_commit_is_dirty_and_nameless(notebook):
    git("init", "-q")
    notebook.ok("%%track\nx = 1")
    assert notebook.last.capture["git"] == {"commit": "", "branch": "", "dirty": True, "files": 0, "lines": 0}


def test_git_that_fails_is_told_and_not_claimed(notebook, workdir):
    (workdir / ".git").write_text("gitdir: /nowhere/at/all\n")
    with pytest.warns(CaptureWarning, match="git: OSError: git rev-parse: fatal: not a git repository"):
        notebook.ok("%%track\nx = 1")
        nbtrack.search_runs()
    capture = notebook.last.capture
    assert "git commit" not in capture["captured"]
    assert any(entry.startswith("git: OSError") for entry in capture["not_captured"])


def test_folder_without_git_is_no_failure(notebook):
    notebook.ok("%%track\nx = 1")
    capture = notebook.last.capture
    assert "git" not in capture
    assert capture["not_captured"] == []


# -- where it runs -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["JPY_SESSION_NAME", "NBTRACK_NOTEBOOK", "__vsc_ipynb_file__", None])
def test_notebook_path_is_found_or_left_open(notebook, workdir, monkeypatch, how):
    path = str(workdir / "sub" / "my notebook.ipynb")
    if how == "__vsc_ipynb_file__":
        notebook.names[how] = path
    elif how:
        monkeypatch.setenv(how, path)
    notebook.ok("%%track\nx = 1")
    run = notebook.last
    assert run.capture["notebook"] == ("my notebook.ipynb" if how else None)
    assert run.data.tags.get("nbtrack.source") == ("sub/my notebook.ipynb" if how else None)
    assert len(run.capture["cell_hash"]) == 16


def test_unload_and_load_again_leaves_one_tracker(notebook):
    shell = notebook.shell
    shell.run_line_magic("load_ext", "nbtrack")
    shell.run_line_magic("reload_ext", "nbtrack")
    notebook.ok("%%track\nx = 1")
    assert len(notebook.runs) == 1
    shell.run_line_magic("unload_ext", "nbtrack")
    assert not notebook.run("%%track\nx = 1").success
    assert len(notebook.runs) == 1
    assert "track" not in shell.magics_manager.magics["cell"]
    shell.run_line_magic("load_ext", "nbtrack")


def test_time_of_the_run_is_that_of_the_cell_not_of_the_capture(notebook, monkeypatch):
    notebook.ok("%%track\nx = 1")
    measured = parts.capture_params

    def slow(cell: parts.Cell) -> None:
        time.sleep(0.8)
        measured(cell)

    monkeypatch.setattr(parts, "capture_params", slow)
    notebook.ok("%%track\nx = 1")
    run = notebook.last
    assert run.info.end_time - run.info.start_time < 800
    assert run.capture["wall_s"] < 0.8
