"""autolog with scikit-learn: what is recorded, that nothing stays hooked, and that the training is the user's."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import nbtrack
from nbtrack.capture.autolog import hooks, recorder
from nbtrack.capture.autolog import sklearn as ours
from nbtrack.entities import MANIFEST_NAME
from nbtrack.errors import CaptureWarning, InvalidInputError
from nbtrack.tracking import get_store

SETUP = """
import nbtrack
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression, LinearRegression
from sklearn.tree import DecisionTreeClassifier
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
X = pd.DataFrame({"a": np.arange(30.0) % 7, "b": np.arange(30) % 2})
y = (X.a > 3).astype(int)
"""


@pytest.fixture
def ready(notebook):
    notebook.ok(SETUP)
    return notebook


def attributes() -> dict[tuple[type, str], object]:
    """Every attribute that hooks of scikit-learn could replace."""
    found, stack = {}, [BaseEstimator]
    while stack:
        cls = stack.pop()
        stack.extend(type.__subclasses__(cls))
        found |= {(cls, name): vars(cls).get(name) for name in ("fit", "__init_subclass__", "fit_predict")}
    return found


def models(run) -> list[str]:
    return [path for path in run.artifacts if path.endswith(MANIFEST_NAME)]


def said(run) -> list[str]:
    return [one for one in run.capture["captured"] if one.startswith("sklearn:")]


# -- nothing stays behind ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cell", ["m = LogisticRegression().fit(X, y)", "LogisticRegression().fit(X, y[:3])", "x = 1"])
def test_every_attribute_is_the_very_same_before_and_after_a_cell(ready, cell):
    before, paths = attributes(), list(sys.meta_path)
    ready.run(f"%%track\n{cell}")
    after = attributes()
    assert {key for key in before if before[key] is not after[key]} == set()
    assert sys.meta_path == paths
    assert recorder._recorders == {}


def test_hooks_are_there_while_the_cell_runs_and_in_no_other(ready):
    original = vars(DecisionTreeClassifier)["fit"]
    ready.ok("%%track\nduring = vars(DecisionTreeClassifier)['fit']")
    ready.ok("after = vars(DecisionTreeClassifier)['fit']")
    assert ready.names["during"] is not original
    assert ready.names["during"].__wrapped__ is original
    assert ready.names["after"] is original


def test_what_somebody_else_puts_in_our_place_stays(ready):
    original = vars(DecisionTreeClassifier)["fit"]
    try:
        ready.ok(
            "%%track\ninner = DecisionTreeClassifier.fit\n"
            "def mine(self, *args, **kwargs):\n    return inner(self, *args, **kwargs)\n"
            "DecisionTreeClassifier.fit = mine"
        )
        assert vars(DecisionTreeClassifier)["fit"] is ready.names["mine"]
        ready.ok("m = DecisionTreeClassifier().fit(X, y)")
        assert ready.names["m"].tree_.node_count > 1
    finally:
        DecisionTreeClassifier.fit = original


@pytest.mark.slow
def test_classes_of_the_notebook_carry_no_hook_and_go_to_other_processes(ready):
    ready.ok(
        "%%track\nclass Mine(LogisticRegression):\n    def fit(self, X, y):\n        return super().fit(X, y)\n"
        "hooked = hasattr(vars(Mine)['fit'], '__wrapped__')\n"
        "scores = cross_val_score(Mine(), X, y, cv=3, n_jobs=2)"
    )
    assert ready.names["hooked"] is False
    assert len(ready.names["scores"]) == 3


@pytest.mark.slow
def test_library_imported_by_the_cell_itself_is_hooked_too():
    code = """
import os, sys, tempfile
os.chdir(tempfile.mkdtemp())
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "nbtrack")
assert "sklearn" not in sys.modules
paths = list(sys.meta_path)
shell.run_cell('''%%track
import importlib.util, pickle
assert importlib.util.find_spec("sklearn").loader.is_package("sklearn")  # only asked for, not imported
from sklearn.tree import DecisionTreeClassifier
kept = pickle.loads(pickle.dumps(DecisionTreeClassifier(max_depth=2))).fit([[0.0], [1.0]], [0, 1])
''').raise_error()
import nbtrack, sklearn
from nbtrack.tracking import pending
pending.wait()
run = nbtrack.last_active_run()
assert "sklearn: fit of DecisionTreeClassifier" in run.capture["captured"], run.capture["captured"]
assert sys.meta_path == paths, sys.meta_path
assert type(sklearn.__spec__.loader).__name__ == type(sklearn.__loader__).__name__ == "SourceFileLoader"
assert not hasattr(sys.modules["sklearn.tree"].DecisionTreeClassifier.fit.__wrapped__, "__wrapped__")
assert "nbtrack" not in vars(sys.modules["sklearn.tree"].DecisionTreeClassifier)["fit"].__code__.co_filename
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


# -- what is recorded --------------------------------------------------------------------------------------------------
def test_model_fitted_inside_of_a_function_is_kept_with_what_it_saw(ready):
    ready.ok(
        "%%track\ndef train(depth):\n    rows = X.iloc[:20]\n"
        "    return DecisionTreeClassifier(max_depth=depth).fit(rows, y[:20]).score(X, y)\nscore = train(3)"
    )
    run = ready.last
    assert said(run) == ["sklearn: fit of DecisionTreeClassifier"]
    (shown,) = run.capture["models"]
    assert (shown["class"], shown["columns"]) == ("DecisionTreeClassifier", 2)
    assert run.data.params["max_depth"] == "3"
    assert nbtrack.load_model(f"runs:/{run.run_id}/model").max_depth == 3


def test_loop_over_models_keeps_what_a_variable_holds(ready):
    ready.ok("%%track\nkept = [DecisionTreeClassifier(max_depth=d).fit(X, y) for d in (1, 2, 3)]\nbest = kept[1]")
    run = ready.last
    assert said(run) == ["sklearn: 3 fits, the last of DecisionTreeClassifier"]
    assert [shown["variable"] for shown in run.capture["models"]] == ["best"]


def test_parts_of_a_pipeline_and_of_an_ensemble_are_not_recorded_by_themselves(ready):
    ready.ok("%%track\np = make_pipeline(StandardScaler(), LogisticRegression(C=2.0)).fit(X, y)")
    assert said(ready.last) == ["sklearn: fit of Pipeline"]
    ready.ok("%%track\nv = VotingClassifier([('a', LogisticRegression()), ('b', DecisionTreeClassifier())]).fit(X, y)")
    assert said(ready.last) == ["sklearn: fit of VotingClassifier"]


@pytest.mark.parametrize(
    "search",
    [
        "GridSearchCV(LogisticRegression(), {'C': [0.1, 1.0, 10.0]}, cv=3)",
        "RandomizedSearchCV(LogisticRegression(), {'C': [0.1, 1.0, 10.0, 100.0]}, n_iter=3, cv=3, random_state=0)",
        "GridSearchCV(LogisticRegression(), {'C': [0.1, 1.0, 10.0]}, cv=3, scoring=['accuracy', 'f1'], refit='f1')",
    ],
    ids=["grid", "random", "several scores"],
)
def test_candidates_of_a_search_are_child_runs(ready, search):
    ready.ok(f"%%track\nsearch = {search}.fit(X, y)")
    run, results = ready.last, ready.names["search"].cv_results_
    children = [one for one in ready.runs if one.data.tags.get("nbtrack.parent_run_id") == run.run_id]
    assert [child.data.params for child in children] == [{"C": str(p["C"])} for p in results["params"]]
    (key,) = [k for k in results if k.startswith("mean_test_") and k.endswith(("score", "f1"))]
    assert [child.data.metrics[key] for child in children] == results[key].tolist()
    assert {child.info.status for child in children} == {"FINISHED"}
    assert run.data.metrics["best_cv_score"] == ready.names["search"].best_score_
    assert run.data.params["best__C"] == str(ready.names["search"].best_params_["C"])
    assert len(models(run)) == 1


def test_explicit_params_win_over_those_found(ready):
    ready.ok("%%track\nm = LogisticRegression(C=2.0).fit(X, y)\nnbtrack.log_param('C', 'two')")
    assert ready.last.data.params["C"] == "two"


# -- the training is the user's ----------------------------------------------------------------------------------------
def test_exception_of_a_training_is_the_very_same(ready):
    ready.ok(
        "class Broken(LogisticRegression):\n    def fit(self, X, y):\n        raise error\nerror = ValueError('mine')"
    )
    for tracked in ("", "%%track\n"):
        result = ready.run(f"{tracked}make_pipeline(StandardScaler(), Broken()).fit(X, y)")
        assert result.error_in_exec is ready.names["error"]
        assert result.error_in_exec.__context__ is None


@pytest.mark.parametrize("broken", ["_begin", "_end", "_search", "_children"])
def test_failure_of_ours_is_told_once_and_the_cell_succeeds(ready, monkeypatch, broken):
    def fail(*args: object) -> None:
        raise RuntimeError(f"ours {broken}")

    monkeypatch.setattr(ours, broken, fail)
    cell = "%%track\nm = GridSearchCV(LogisticRegression(), {'C': [1.0]}, cv=2).fit(X, y)\nscore = m.score(X, y)"
    with pytest.warns(CaptureWarning, match=f"ours {broken}. The training goes on") as warned:
        ready.ok(cell)
        ready.ok(cell)
    assert len([w for w in warned if f"ours {broken}" in str(w.message)]) == 1
    assert ready.last.info.status == "FINISHED"
    assert "score" in ready.last.data.metrics
    assert isinstance(vars(LogisticRegression)["fit"], types.FunctionType)


def test_library_that_cannot_be_hooked_is_left_alone(ready, monkeypatch):
    def fail(*args: object) -> None:
        raise AttributeError("no such base class any more")

    before = attributes()
    monkeypatch.setattr(hooks.Hooks, "every_class", fail)
    with pytest.warns(CaptureWarning, match=r"autolog of (sklearn|statsmodels): AttributeError: no such base class"):
        ready.ok("%%track\nm = LogisticRegression().fit(X, y)")
    assert attributes() == before


def test_no_capture_leaves_the_libraries_alone(ready):
    ready.ok("%%track --no-capture autolog\nhooked = hasattr(vars(LogisticRegression)['fit'], 'hook')\n"
             "m = LogisticRegression().fit(X, y)")  # fmt: skip
    assert said(ready.last) == []
    assert "autolog (--no-capture)" in ready.last.capture["not_captured"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_child_trains_without_recording(ready):
    ready.ok(
        "%%track\nimport multiprocessing\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    fitted = pool.apply(LogisticRegression(C=4.0).fit, (X, y))"
    )
    assert ready.names["fitted"].C == 4.0
    assert said(ready.last) == []


# -- for good, and off -------------------------------------------------------------------------------------------------
@pytest.fixture
def autologged(workdir):
    """autolog for good; yields the attributes as they were before."""
    before = attributes()
    nbtrack.autolog()
    try:
        yield before
    finally:
        nbtrack.autolog(disable=True)
        nbtrack.capture.autolog._never.clear()


def test_autolog_in_a_script_records_in_the_active_run_or_one_of_its_own(autologged):
    rows, labels = np.arange(20.0).reshape(10, 2), [0, 1] * 5
    tree = DecisionTreeClassifier(max_depth=2).fit(rows, labels)
    first = nbtrack.last_active_run()
    assert (first.info.status, first.data.params["max_depth"]) == ("FINISHED", "2")
    assert first.capture["captured"] == ["sklearn: fit of DecisionTreeClassifier"]
    assert np.array_equal(nbtrack.load_model(f"runs:/{first.run_id}/model").predict(rows), tree.predict(rows))
    with nbtrack.start_run() as run:
        LogisticRegression(C=3.0).fit(rows, labels)
        nbtrack.log_param("C", "mine")
    kept = get_store().get_run(run.run_id)
    assert kept.data.params["C"] == "mine"
    assert len(models(kept)) == 1
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LogisticRegression().fit(rows, labels[:3])
    assert nbtrack.last_active_run().info.status == "FAILED"
    nbtrack.autolog(disable=True)
    after = attributes()
    assert {key for key in autologged if autologged[key] is not after[key]} == set()
    count = len(get_store().search_runs())
    LogisticRegression().fit(rows, labels)
    assert len(get_store().search_runs()) == count


def test_one_library_can_be_turned_off_for_tracked_cells_and_on_again(ready):
    try:
        nbtrack.sklearn.autolog(disable=True)
        ready.ok("%%track\nm = LogisticRegression().fit(X, y)")
        assert said(ready.last) == []
        nbtrack.sklearn.autolog()
        ready.ok("%%track\nm = LogisticRegression().fit(X, y)")
        assert said(ready.last) == ["sklearn: fit of LogisticRegression"]
    finally:
        nbtrack.sklearn.autolog(disable=True)
        nbtrack.capture.autolog._never.clear()
    with pytest.raises(InvalidInputError, match=r"autolog: expected one of sklearn, .*, got 'sklaern'"):
        nbtrack.autolog("sklaern")
