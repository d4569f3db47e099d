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
def store_folder(tmp_path: Path) -> Path:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    return tmp_path / "store"


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


# -- reuse -----------------------------------------------------------------------------------------------------------
class Recorder(list[str]):
    """A list whose pickle never changes: what steps tell the tests is no input of theirs."""

    def __reduce__(self) -> Any:
        return (Recorder, ())


calls = Recorder()
FACTOR = 2


def helper(x: int) -> int:
    return x * FACTOR


@nbtrack.step
def load(count: int) -> dict[str, Any]:
    calls.append("load")
    return {"rows": list(range(count))}


def double(rows: list[int], scale: int = 1) -> dict[str, Any]:
    calls.append("double")
    return {"doubled": [helper(row) * scale for row in rows]}


def total(doubled: list[int], limit: int = 0) -> int:
    calls.append("total")
    if 0 < limit < sum(doubled):
        raise RuntimeError("too much")
    nbtrack.log_metric("total", sum(doubled))
    return sum(doubled)


STEPS = [load, double, total]


def statuses(done: Any) -> list[str]:
    return [step.status for step in done.steps]


def ran() -> list[str]:
    found = list(calls)
    calls.clear()
    return found


def test_unchanged_steps_are_reused_visibly_and_give_the_same_values() -> None:
    calls.clear()
    first = nbtrack.run_pipeline(STEPS, params={"count": 4})
    assert (statuses(first), ran()) == (["ran"] * 3, ["load", "double", "total"])
    again = nbtrack.run_pipeline(STEPS, params={"count": 4})
    assert (statuses(again), ran()) == (["reused"] * 3, [])
    assert (
        dict(again.values)
        == dict(first.values)
        == {"count": 4, "rows": [0, 1, 2, 3], "doubled": [0, 2, 4, 6], "total": 12}
    )
    assert again.step_run_ids == first.step_run_ids and again.run_id != first.run_id
    recorded = nbtrack.get_run(again.run_id).capture["pipeline"]["steps"]
    assert [step["status"] for step in recorded] == ["reused"] * 3
    assert recorded[2]["inputs"] == {"doubled": "double"} and recorded[1]["outputs"] == ["doubled"]
    assert "load reused" in repr(again)
    shown = again._repr_html_()
    assert shown.count("↺ reused") == 3 and "doubled ← double" in shown and "count ← params" in shown
    assert max(step.seconds for step in again.steps) < 1


def test_changed_param_runs_what_depends_on_it_only() -> None:
    nbtrack.run_pipeline(STEPS, params={"count": 4, "scale": 1})
    ran()
    done = nbtrack.run_pipeline(STEPS, params={"count": 4, "scale": 3})
    assert (statuses(done), ran()) == (["reused", "ran", "ran"], ["double", "total"])
    assert done.values["total"] == 36


def test_changed_code_that_a_step_refers_to_runs_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    nbtrack.run_pipeline(STEPS, params={"count": 4})
    ran()
    monkeypatch.setitem(globals(), "FACTOR", 5)
    done = nbtrack.run_pipeline(STEPS, params={"count": 4})
    assert (statuses(done), done.values["total"]) == (["reused", "ran", "ran"], 30)
    monkeypatch.undo()
    nbtrack.set_tracking_uri(nbtrack.get_tracking_uri())
    assert statuses(nbtrack.run_pipeline(STEPS, params={"count": 4})) == ["reused"] * 3


def test_same_result_of_a_changed_step_lets_later_steps_be_reused() -> None:
    def load(count: int) -> dict[str, Any]:
        return {"rows": [*range(count)]}

    nbtrack.run_pipeline(STEPS, params={"count": 4})
    assert statuses(nbtrack.run_pipeline([load, double, total], params={"count": 4})) == ["ran", "reused", "reused"]


def test_forced_steps_run_again() -> None:
    nbtrack.run_pipeline(STEPS, params={"count": 4})
    assert statuses(nbtrack.run_pipeline(STEPS, params={"count": 4}, force=["double"])) == ["reused", "ran", "reused"]
    assert statuses(nbtrack.run_pipeline(STEPS, params={"count": 4}, force=True)) == ["ran"] * 3
    with pytest.raises(
        InvalidInputError, match=r"force names \['trian'\]; the steps are \['load', 'double', 'total'\]"
    ):
        nbtrack.run_pipeline(STEPS, params={"count": 4}, force=["trian"])


def test_failed_pipeline_goes_on_where_it_stopped() -> None:
    with pytest.raises(RuntimeError, match="too much"):
        nbtrack.run_pipeline(STEPS, "sums", params={"count": 4, "limit": 3})
    runs = nbtrack.search_runs()
    (failed,) = runs[runs["run_name"] == "sums"]["run_id"]
    recorded = nbtrack.get_run(failed).capture["pipeline"]["steps"]
    assert [step["status"] for step in recorded] == ["ran", "ran", "failed"]
    ran()
    done = nbtrack.run_pipeline(STEPS, "sums", params={"count": 4, "limit": 300})
    assert (statuses(done), ran()) == (["reused", "reused", "ran"], ["total"])


def test_param_that_names_a_file_stands_for_its_content(tmp_path: Path) -> None:
    def read(path: str) -> str:
        return Path(path).read_text()

    data = tmp_path / "data.csv"
    data.write_text("1")
    assert nbtrack.run_pipeline([read], params={"path": str(data)}).values["read"] == "1"
    assert statuses(nbtrack.run_pipeline([read], params={"path": str(data)})) == ["reused"]
    data.write_text("2")
    done = nbtrack.run_pipeline([read], params={"path": str(data)})
    assert (statuses(done), done.values["read"]) == (["ran"], "2")


def test_step_that_may_not_or_cannot_be_reused_runs_each_time_and_says_why() -> None:
    @nbtrack.step(reuse=False)
    def ask() -> int:
        return 5

    def opened(ask: int) -> Any:
        return (number for number in range(ask))

    for _ in range(2):
        done = nbtrack.run_pipeline([ask, opened])
        assert statuses(done) == ["ran", "ran"]
        assert done.steps[0].not_kept == "it is marked reuse=False"
        assert "generator cannot be pickled" in done.steps[1].not_kept
        assert list(done.values["opened"]) == [0, 1, 2, 3, 4]
        assert "runs each time: it is marked reuse=False" in done._repr_html_()


def test_what_somebody_else_kept_is_never_unpickled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nbtrack.run_pipeline(STEPS, params={"count": 4})
    monkeypatch.setenv("NBTRACK_DATA_DIR", str(tmp_path / "another user"))
    assert statuses(nbtrack.run_pipeline(STEPS, params={"count": 4})) == ["ran"] * 3


def test_kept_values_that_are_gone_or_damaged_are_made_again(store_folder: Path) -> None:
    first = nbtrack.run_pipeline(STEPS, params={"count": 4})
    for blob in (store_folder / "blobs").glob("*/*"):
        blob.chmod(0o644)
        blob.unlink()
    again = nbtrack.run_pipeline(STEPS, params={"count": 4})
    assert statuses(again) == ["ran"] * 3 and dict(again.values) == dict(first.values)
