"""The fitted model of a cell is logged with the signature of the data that it was fitted on."""

from __future__ import annotations

import pytest

import nbtrack
from nbtrack.entities import MANIFEST_NAME

SETUP = """
import numpy as np, pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
df = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1, 0, 1, 0], "y": ["no", "no", "yes", "yes"]})
X, y = df[["a", "b"]], df["y"]
"""


@pytest.fixture
def ready(notebook):
    notebook.ok(SETUP)
    return notebook


def models(run) -> set[str]:
    return {path.removesuffix("/" + MANIFEST_NAME) for path in run.artifacts if path.endswith(MANIFEST_NAME)}


@pytest.mark.parametrize(
    "fit",
    [
        "tree = DecisionTreeClassifier().fit(X, y)",
        "tree = DecisionTreeClassifier()\ntree.fit(X, y)",
        "tree = DecisionTreeClassifier()\ntree.fit(X=X, y=y)",
        "tree = DecisionTreeClassifier()\ntree.fit(df[['a', 'b']], df.y)",
        "for depth in (1, 2):\n    tree = DecisionTreeClassifier(max_depth=depth).fit(X, y)",
    ],
    ids=["chained", "statement", "keywords", "expression", "loop"],
)
def test_fitted_model_is_logged_and_predicts_the_same(ready, fit):
    ready.ok(f"%%track\n{fit}")
    run = ready.last
    assert models(run) == {"model"}
    (shown,) = run.capture["models"]
    assert (shown["class"], shown["variable"], shown["columns"]) == ("DecisionTreeClassifier", "tree", 2)
    loaded = nbtrack.load_model(f"runs:/{run.run_id}/model")
    assert list(loaded.predict(ready.names["X"])) == list(ready.names["tree"].predict(ready.names["X"]))
    assert "DecisionTreeClassifier" in ready.cards[-1]["text/html"]


def test_model_fitted_in_an_earlier_cell_is_not_logged_again(ready):
    ready.ok("tree = DecisionTreeClassifier().fit(X, y)")
    ready.ok("%%track\nscore = tree.score(X, y)")
    assert models(ready.last) == set()


def test_pipeline_is_one_model_and_a_scaler_none(ready):
    ready.ok(
        "%%track\nscaler = StandardScaler().fit(X)\ntree = DecisionTreeClassifier()\n"
        "pipe = make_pipeline(scaler, tree).fit(X, y)"
    )
    assert models(ready.last) == {"model"}
    assert ready.last.capture["models"][0]["class"] == "Pipeline"


def test_two_models_are_logged_under_their_variables(ready):
    ready.ok("%%track\na = DecisionTreeClassifier().fit(X, y)\nb = LinearRegression().fit(X, [0.0, 1.0, 2.0, 3.0])")
    assert models(ready.last) == {"a", "b"}


def test_array_without_columns_gives_a_model_too(ready):
    ready.ok("%%track\nline = LinearRegression().fit(X.to_numpy(), np.arange(4.0))")
    assert models(ready.last) == {"model"}


def test_data_made_on_the_spot_gives_a_signature_only_if_somebody_looks_on(ready):
    cell = "line = LinearRegression().fit(np.zeros((4, 2)), [1, 2, 3, 4])"
    ready.ok(f"%%track\n{cell}")
    assert models(ready.last) == {"model"}
    assert ready.last.capture["models"][0]["columns"] == 2
    ready.ok(f"%%track --no-capture autolog\n{cell}")
    assert models(ready.last) == {"model"}
    assert "columns" not in ready.last.capture["models"][0]


def test_cell_that_logs_a_model_itself_gets_no_second_one(ready):
    ready.ok(
        "%%track\nimport nbtrack\ntree = DecisionTreeClassifier().fit(X, y)\nnbtrack.sklearn.log_model(tree, 'mine')"
    )
    assert models(ready.last) == {"mine"}


def test_no_capture_model_and_failing_cell_log_none(ready):
    ready.ok("%%track --no-capture model\ntree = DecisionTreeClassifier().fit(X, y)")
    assert models(ready.last) == set()
    ready.run("%%track\ntree = DecisionTreeClassifier().fit(X, y)\n1 / 0")
    assert models(ready.last) == set()


def test_logging_does_not_change_the_users_objects(ready):
    ready.ok("before = df.copy()")
    ready.ok("%%track\ntree = DecisionTreeClassifier(random_state=0).fit(X, y)")
    assert ready.names["before"].equals(ready.names["df"])
