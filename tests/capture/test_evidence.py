"""What is kept beside params and metrics: data, figures, tables, seeds, use, and the notebook's own place."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading

import pytest

from nbtrack.capture import ending, fingerprints
from nbtrack.capture.live import Watched
from nbtrack.capture.notebook import find_by_content
from nbtrack.capture.pins import pins_of, set_pin
from nbtrack.errors import CaptureWarning, InvalidInputError
from nbtrack.tracking import get_store, pending
from nbtrack.tracking.datasets import describe_dataset

LIBRARIES = "import numpy as np, pandas as pd, random"


def data_of(notebook) -> dict[str, dict]:
    pending.wait()
    return {entry["name"]: entry for entry in notebook.last.capture.get("data", [])}


# -- data --------------------------------------------------------------------------------------------------------------
def test_frames_arrays_and_files_that_the_cell_reads_have_fingerprints(notebook, workdir):
    notebook.ok(
        f"{LIBRARIES}\nframe = pd.DataFrame({{'a': [1, 2], 'b': ['x', None]}})\n"
        "weights = np.arange(6.0).reshape(2, 3)\nunused = np.zeros(5)\nframe.to_csv('in.csv')"
    )
    notebook.ok(
        "%%track\ntotal = frame.a.sum() + weights.sum()\nagain = pd.read_csv('in.csv')\nagain.to_csv('out.csv')"
    )
    found = data_of(notebook)
    assert set(found) == {"frame", "weights", "again", "in.csv"}
    frame = found["frame"]
    assert (frame["kind"], frame["shape"], frame["columns"]) == ("DataFrame", [2, 2], ["a", "b"])
    assert frame["dtypes"]["a"] == "int64"
    assert frame["digest"] == describe_dataset(notebook.names["frame"]).digest
    assert (frame["sampled"], frame["state"]) == (False, "as read")
    assert found["weights"]["digest"] == describe_dataset(notebook.names["weights"]).digest
    assert found["in.csv"]["digest"] == hashlib.sha256((workdir / "in.csv").read_bytes()).hexdigest()
    assert (found["in.csv"]["path"], found["in.csv"]["state"]) == ("in.csv", "as read")
    assert found["again"]["state"] == "seen after the cell"
    assert "fingerprints of frame, weights, in.csv, again" in notebook.last.capture["captured"]


def test_data_that_the_cell_changes_in_place_keep_the_fingerprint_of_what_was_read(notebook):
    notebook.ok(
        f"{LIBRARIES}\nframe = pd.DataFrame({{'a': [1.0, 2.0]}})\nsmall = np.arange(10.0)\nlarge = np.arange(200_000.0)"
    )
    before = {name: describe_dataset(notebook.names[name]).digest for name in ("frame", "small", "large")}
    notebook.ok("%%track\nframe.loc[0, 'a'] = 9\nsmall += 1\nlarge *= 2\nscore = abs(-0.5)")
    found = data_of(notebook)
    assert found["frame"]["digest"] == before["frame"]
    assert found["small"]["digest"] == before["small"]
    assert found["frame"]["state"] == found["small"]["state"] == "as read"
    assert found["large"]["digest"] not in {before["large"], describe_dataset(notebook.names["large"]).digest}
    assert found["large"]["sampled"]
    assert found["large"]["state"] == "changed in place; the digest is of a sample taken before"


def test_data_that_the_next_cell_changes_while_they_are_hashed_are_told_truly(notebook, monkeypatch):
    notebook.ok(f"{LIBRARIES}\nframe = pd.DataFrame({{'a': range(1000)}})\nlarge = np.arange(200_000.0)")
    before = describe_dataset(notebook.names["frame"]).digest
    changed = threading.Event()
    hashing = fingerprints._finish_data

    def slow(source: fingerprints.Source) -> None:
        assert changed.wait(10)
        hashing(source)

    monkeypatch.setattr(fingerprints, "_finish_data", slow)
    notebook.ok("%%track\ntotal = frame.a.sum() + large.sum()")
    notebook.ok("frame['a'] = 0\nlarge[:] = 0")  # does not wait for the hashes
    changed.set()
    found = data_of(notebook)
    assert (found["frame"]["digest"], found["frame"]["state"]) == (before, "as read")
    assert found["large"]["state"].startswith("changed in place")


def test_unchanged_data_are_not_hashed_again(notebook, monkeypatch, workdir):
    notebook.ok(f"{LIBRARIES}\nlarge = np.arange(200_000.0)\nnp.save('large.npy', large)")
    notebook.ok("%%track\ntotal = large.sum() + np.load('large.npy').sum()")
    first = data_of(notebook)
    hashed = []
    monkeypatch.setattr(fingerprints, "_finish_data", lambda source: hashed.append(source.name))
    monkeypatch.setattr(fingerprints, "_finish_file", lambda source: hashed.append(source.name))
    notebook.ok("%%track\ntotal = large.sum() + np.load('large.npy').sum()")
    assert data_of(notebook) == first
    assert hashed == []


def test_equal_content_has_equal_digests_whatever_its_memory_looks_like():
    import numpy as np

    array = np.arange(400_000.0).reshape(2, -1)
    cache = fingerprints.Cache()
    found = [fingerprints.look_at("x", one, cache) for one in (array, np.asfortranarray(array))]
    records = []
    for source in found:
        fingerprints._finish_data(source)
        records.append(source.record["digest"])
    assert records[0] == records[1]


# -- figures and tables ------------------------------------------------------------------------------------------------
def test_displayed_figures_and_tables_become_artifacts_and_are_shown_all_the_same(notebook):
    notebook.ok(
        f"{LIBRARIES}\nimport plotly.graph_objects as go, altair as alt\nfrom IPython.display import display, SVG\n"
        "frame = pd.DataFrame({'a': range(2000), 'password': 'hunter2'})"
    )
    shown = len(notebook.outputs)
    notebook.ok(
        "%%track\ndisplay(frame)\ndisplay(alt.Chart(frame.head(3), title='points').mark_point().encode(x='a'))\n"
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>'))\ndisplay({'application/vnd.plotly.v1+json':"
        " {'data': [], 'layout': {'title': {'text': 'curve'}}}}, raw=True)\nframe.head(2)"
    )
    capture = notebook.last.capture
    assert [(one["path"], one["kind"], one["title"]) for one in capture["figures"]] == [
        ("figures/1.json", "altair", "points"),
        ("figures/2.svg", "image", ""),
        ("figures/3.json", "plotly", "curve"),
    ]
    assert [(one["path"], one["shape"]) for one in capture["frames"]] == [
        ("tables/1.json", [2000, 2]),
        ("tables/2.json", [2, 2]),
    ]
    run = notebook.last
    table = json.loads(run_bytes(run, "tables/1.json"))
    assert (len(table["data"]), table["columns"]) == (1000, ["a", "password"])
    assert table["data"][7] == [7, "[redacted:password]"]
    assert json.loads(run_bytes(run, "figures/1.json"))["title"] == "points"
    assert len(notebook.outputs) - shown == 5  # four displays and the card
    assert {"3 figures (altair, image, plotly)", "2 displayed tables"} <= set(capture["captured"])


def run_bytes(run, path: str) -> bytes:
    return get_store().read_blob(run.artifacts[path].digest)


def test_display_functions_are_the_shells_own_again_after_the_cell(notebook):
    formatter, publisher = notebook.shell.display_formatter, notebook.shell.display_pub
    notebook.ok("%%track\nx = 1")
    assert "format" not in formatter.__dict__
    assert {"publish", "clear_output"}.isdisjoint(publisher.__dict__)


def test_figure_too_large_to_keep_is_told_and_not_claimed(notebook, monkeypatch):
    monkeypatch.setattr("nbtrack.capture.figures.MAX_BYTES", 10)
    notebook.ok("from IPython.display import display, SVG")
    with pytest.warns(CaptureWarning, match="figures: ValueError: figures/1.svg: 0 MB is more than"):
        notebook.ok("%%track\ndisplay(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>'))\nacc = abs(-0.5)")
        pending.wait()
    capture = notebook.last.capture
    assert "figures" not in capture
    assert not any("figure" in entry for entry in capture["captured"])
    assert any(entry.startswith("figures: ValueError") for entry in capture["not_captured"])
    assert notebook.last.data.metrics == {"acc": 0.5}


@pytest.mark.parametrize(
    ("part", "broken", "cell"),
    [
        ("data", (fingerprints, "_finish_data"), "%%track\ntotal = float(array.sum())\nscore = abs(-0.5)"),
        ("data", (fingerprints, "_probe"), "%%track\ntotal = float(array.sum())\nscore = abs(-0.5)"),
        ("figures", (ending, "write_shown"), "%%track\ndisplay(frame)\nscore = abs(-0.5)"),
        ("figures", ("nbtrack.capture.figures", "_is_frame"), "%%track\ndisplay(frame)\nscore = abs(-0.5)"),
        ("notebook", (ending, "_place"), "%%track\nscore = abs(-0.5)"),
    ],
)
def test_what_breaks_late_costs_only_itself(notebook, monkeypatch, part, broken, cell):
    notebook.ok(
        f"{LIBRARIES}\nfrom IPython.display import display\narray = np.ones(100_000)\nframe = pd.DataFrame([[1]])"
    )

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken on purpose")

    target = broken if not isinstance(broken[0], str) else (f"{broken[0]}.{broken[1]}",)
    monkeypatch.setattr(*target, fail)
    with pytest.warns(CaptureWarning, match=f"nbtrack: {part}: .*RuntimeError: broken on purpose"):
        notebook.ok(cell)
        pending.wait()
    run = notebook.last
    assert (run.info.status, run.data.metrics["score"]) == ("FINISHED", 0.5)
    assert any(entry.startswith(f"{part}: ") for entry in run.capture["not_captured"])
    assert not any("fingerprint" in entry and part == "data" for entry in run.capture["captured"])


def test_figure_that_the_user_captures_is_not_displayed_and_not_kept(notebook):
    notebook.ok("from IPython.display import display, SVG\nfrom IPython.utils.capture import capture_output")
    notebook.ok(
        "%%track\nwith capture_output() as held:\n    display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>'))\n"
        "shown = len(held.outputs)"
    )
    assert notebook.names["shown"] == 1
    assert "figures" not in notebook.last.capture


def test_look_at_a_running_cell_that_breaks_warns_once_and_the_cell_goes_on(notebook, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(Watched, "look", fail)
    with pytest.warns(CaptureWarning, match="live: RuntimeError: broken on purpose") as told:
        notebook.ok("%%track\nimport time; time.sleep(0.9)\nscore = abs(-0.5)")
    assert len(told) == 1
    assert (notebook.last.info.status, notebook.last.data.metrics) == ("FINISHED", {"score": 0.5})


# -- seeds and use -----------------------------------------------------------------------------------------------------
def test_seeds_of_the_cell_and_of_those_before_are_kept(notebook):
    notebook.ok(f"{LIBRARIES}\nfrom sklearn.svm import SVC\nSEED = 7\nnp.random.seed(SEED)\nrandom.seed(1)")
    notebook.ok("random.seed(2)")
    notebook.ok("%%track\nrng = np.random.default_rng(5)\nmodel = SVC(random_state=SEED)\nscore = abs(-0.5)")
    assert notebook.last.capture["seeds"] == {
        "numpy": 7,
        "random": 2,
        "numpy.default_rng": 5,
        "random_state (SVC)": 7,
    }


def test_use_of_time_processor_and_memory_is_kept(notebook):
    notebook.ok("%%track\nheld = bytearray(30_000_000)\ntotal = sum(range(300_000))\nimport time; time.sleep(1.4)")
    usage = notebook.last.capture["usage"]
    assert 1.4 <= usage["wall_s"] < 30
    assert 0 < usage["cpu_s"] < usage["wall_s"]
    assert usage["peak_memory_bytes"] > 30_000_000
    assert usage["cpu_percent"]
    assert usage.get("gpu", []) == []


# -- pins --------------------------------------------------------------------------------------------------------------
def test_pins_are_remembered_for_the_notebook(notebook, workdir, monkeypatch):
    monkeypatch.setenv("NBTRACK_NOTEBOOK", str(workdir / "one.ipynb"))
    cell = "%%track\nC = 1.0\ntmp = 3\npicked = [4][0]\naccuracy = abs(-0.5)"
    notebook.ok(cell)
    assert set(notebook.last.data.params) == {"C", "tmp"}
    store = get_store()
    set_pin(store, "one.ipynb", "param", "tmp", "unpinned")
    set_pin(store, "one.ipynb", "param", "picked", "pinned")
    set_pin(store, "one.ipynb", "metric", "accuracy", "unpinned")
    notebook.ok(cell)
    assert dict(notebook.last.data.params) == {"picked": "4", "C": "1.0"}
    assert notebook.last.data.metrics == {}
    assert {"param tmp (unpinned)", "metric accuracy (unpinned)"} <= set(notebook.last.capture["not_captured"])
    monkeypatch.setenv("NBTRACK_NOTEBOOK", str(workdir / "two.ipynb"))
    notebook.ok(cell)
    assert set(notebook.last.data.params) == {"C", "tmp"}
    set_pin(store, "one.ipynb", "param", "tmp", None)
    assert pins_of(store, "one.ipynb") == {"param:picked": "pinned", "metric:accuracy": "unpinned"}


def test_pin_of_nonsense_is_refused(notebook):
    notebook.ok("%%track\nx = 1")
    store = get_store()
    with pytest.raises(InvalidInputError, match="expected 'param' or 'metric', got 'tag'"):
        set_pin(store, None, "tag", "x", "pinned")
    with pytest.raises(InvalidInputError, match="expected 'pinned', 'unpinned' or nothing, got 'maybe'"):
        set_pin(store, None, "param", "x", "maybe")


def test_explicit_logging_wins_over_an_unpinned_key(notebook):
    notebook.ok("%%track\nx = 1")
    set_pin(get_store(), None, "param", "C", "unpinned")
    notebook.ok("%%track -p C\nC = 2.0\nimport nbtrack\nnbtrack.log_param('D', 1)")
    assert dict(notebook.last.data.params) == {"C": "2.0", "D": "1"}


# -- resumed runs ------------------------------------------------------------------------------------------------------
def test_resumed_run_counts_on_and_its_curve_is_joined(notebook):
    notebook.ok("import nbtrack")
    notebook.ok("%%track\nfor v in (3, 2, 1):\n    nbtrack.log_metric('loss', v)")
    first = notebook.last.run_id
    notebook.ok(
        f"%%track --resume {first}\nnbtrack.log_metric('loss', 0.5)\nnbtrack.log_metrics({{'loss': 0.25, 'acc': 1}})"
    )
    second = notebook.last.run_id
    history = get_store().get_metric_history(second, "loss")
    assert (history.step.tolist(), history.value.tolist()) == ([3, 4], [0.5, 0.25])
    from nbtrack.tracking.resumed import joined_history, resumed_runs

    before = resumed_runs(get_store(), [second])
    assert before == {second: first}
    joined = joined_history(get_store(), second, "loss", before)
    assert (joined.step.tolist(), joined.value.tolist()) == ([0, 1, 2, 3, 4], [3, 2, 1, 0.5, 0.25])
    from nbtrack.wire.answer import answer_json

    asked = json.dumps({"op": "series", "run_ids": [second], "keys": ["loss"]}).encode()
    assert json.loads(answer_json(get_store(), asked))["answer"]["series"][0]["step"] == [0, 1, 2, 3, 4]


# -- where it runs -----------------------------------------------------------------------------------------------------
def test_notebook_is_found_by_the_text_of_the_cell(tmp_path):
    cells = [
        {"cell_type": "code", "id": f"c{i}", "source": text} for i, text in enumerate(["a = 1\n", "b = 2", "b = 2"])
    ]
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "broken.ipynb").write_text('{"cells": [')
    assert find_by_content(tmp_path, "a = 1") == (tmp_path / "one.ipynb", "c0")
    assert find_by_content(tmp_path / "one.ipynb", "b = 2") == (tmp_path / "one.ipynb", None)
    assert find_by_content(tmp_path, "c = 3") is None
    (tmp_path / "two.ipynb").write_text(json.dumps({"cells": cells}))
    assert find_by_content(tmp_path, "a = 1") is None


def test_variable_of_somebody_elses_session_is_not_ours(workdir, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", str(workdir / "outer.ipynb"))
    code = "from nbtrack.capture.notebook import session_name; print(repr(session_name()))"
    bare = {name: value for name, value in os.environ.items() if name != "JPY_SESSION_NAME"}
    inner = f"import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', {code!r}], text=True))"
    outer = f"import os; os.environ['JPY_SESSION_NAME'] = 'outer.ipynb'\n{inner}"

    def told(text: str, env: dict[str, str]) -> str:
        return subprocess.check_output([sys.executable, "-c", text], env=env, text=True).strip()

    # A server sets the variable for the kernel alone: its own process has none.
    assert told(outer, bare) == "'outer.ipynb'"
    assert told(inner, dict(os.environ)) == "''"
