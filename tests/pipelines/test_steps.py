"""Functions as steps of a pipeline, on a real store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import nbtrack
from nbtrack.errors import InvalidInputError


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> None:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))


@nbtrack.step
def split(seed: int) -> dict[str, Any]:
    X, y = load_wine(return_X_y=True, as_frame=True)
    return dict(zip(("X_train", "X_test", "y_train", "y_test"), train_test_split(X, y, random_state=seed), strict=True))


@nbtrack.step(name="train the forest")
def train(X_train: Any, y_train: Any, n_estimators: int, max_features: float = 0.5) -> dict[str, Any]:
    forest = RandomForestClassifier(n_estimators, max_features=max_features, random_state=0).fit(X_train, y_train)
    return {"forest": forest, "model_uri": nbtrack.sklearn.log_model(forest, "model").model_uri}


def evaluate(forest: Any, X_test: Any, y_test: Any) -> float:
    accuracy = forest.score(X_test, y_test)
    nbtrack.log_metric("accuracy", accuracy)
    return float(accuracy)


def test_run_pipeline_train_and_evaluate_leaves_a_parent_with_children() -> None:
    done = nbtrack.run_pipeline([split, train, evaluate], "wine", params={"seed": 3, "n_estimators": 20})
    assert list(done.step_run_ids) == ["split", "train the forest", "evaluate"]
    assert done.values["evaluate"] > 0.9
    parent = nbtrack.get_run(done.run_id)
    assert parent.info.status == "FINISHED" and parent.info.run_name == "wine"
    assert parent.data.params == {"seed": "3", "n_estimators": "20"}
    assert parent.data.tags["nbtrack.pipeline"] == "split → train the forest → evaluate"
    trained = nbtrack.get_run(done.step_run_ids["train the forest"])
    assert trained.data.tags["nbtrack.parent_run_id"] == done.run_id
    assert trained.data.params == {"n_estimators": "20"}
    assert nbtrack.get_run(done.step_run_ids["evaluate"]).data.metrics["accuracy"] == done.values["evaluate"]
    assert nbtrack.register_model(done.values["model_uri"], "wine").version == 1


def test_run_pipeline_failing_step_fails_the_parent_and_stops_there() -> None:
    def broken(seed: int) -> None:
        raise ZeroDivisionError("no data today")

    with pytest.raises(ZeroDivisionError, match="no data today"):
        nbtrack.run_pipeline([split, broken, evaluate], "wine", params={"seed": 3})
    runs = nbtrack.search_runs()
    assert dict(zip(runs["tags.nbtrack.step"].fillna("parent"), runs["status"], strict=True)) == {
        "split": "FINISHED",
        "broken": "FAILED",
        "parent": "FAILED",
    }
    assert nbtrack.active_run() is None


def test_run_pipeline_argument_that_nobody_gives_says_which_and_what_there_is() -> None:
    with pytest.raises(
        InvalidInputError, match=r"step 'evaluate': nobody gives it 'forest'; there are: 'seed', 'X_train'"
    ):
        nbtrack.run_pipeline([split, evaluate], params={"seed": 3})


@pytest.mark.parametrize(
    ("steps", "told"), [([], "at least one step"), ([split, split], r"\['split'\] more than once")]
)
def test_run_pipeline_unusable_steps_are_refused_before_anything_runs(steps: list[Any], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        nbtrack.run_pipeline(steps)
    assert len(nbtrack.search_runs(search_all_experiments=True)) == 0


def test_run_pipeline_inside_a_run_is_its_child() -> None:
    with nbtrack.start_run(run_name="outer") as outer:
        done = nbtrack.run_pipeline([split], params={"seed": 1})
    assert nbtrack.get_run(done.run_id).data.tags["nbtrack.parent_run_id"] == outer.info.run_id
