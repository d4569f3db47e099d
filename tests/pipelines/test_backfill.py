"""A new metric over old runs, from their saved models and one data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss

import nbtrack
from nbtrack.errors import InvalidInputError

X, y = load_wine(return_X_y=True, as_frame=True)
DATA = X.assign(target=y)


def loss(model: Any, data: pd.DataFrame) -> float:
    return float(log_loss(data["target"], model.predict_proba(data.drop(columns="target"))))


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    ids = []
    for trees in (1, 5, 20):
        with nbtrack.start_run(run_name=f"forest {trees}") as run:
            nbtrack.sklearn.log_model(RandomForestClassifier(trees, random_state=0).fit(X, y), "model")
        ids.append(run.run_id)
    with nbtrack.start_run(run_name="no model"):
        nbtrack.log_metric("other", 1)
    return ids


def test_dry_run_shows_the_cost_and_changes_nothing(runs: list[str]) -> None:
    told = nbtrack.backfill("wine_loss", loss, DATA)
    assert [one.run_id for one in told.runs] == runs[::-1] and told.expected_seconds > 0
    assert "wine_loss would be computed for 3 runs in about" in repr(told)
    assert "1 run saved no model." in repr(told) and "dry_run=False" in repr(told)
    assert [one.value is not None for one in told.runs] == [True, False, False]
    assert not any("wine_loss" in nbtrack.get_run(run_id).data.metrics for run_id in runs)


def test_backfilled_values_are_in_the_runs_and_marked(runs: list[str]) -> None:
    seen: list[tuple[int, int]] = []
    done = nbtrack.backfill("wine_loss", loss, DATA, dry_run=False, progress=lambda a, b: seen.append((a, b)))
    values = {run_id: nbtrack.get_run(run_id).data.metrics["wine_loss"] for run_id in runs}
    assert values[runs[0]] > values[runs[1]] > values[runs[2]] > 0
    assert values == {one.run_id: one.value for one in done.runs}
    assert seen == [(1, 3), (2, 3), (3, 3)]
    mark = nbtrack.get_run(runs[0]).capture["backfilled"]["wine_loss"]
    assert mark == {"data": done.data, "model": f"runs:/{runs[0]}/model"}
    assert list(nbtrack.search_runs(order_by=["metrics.wine_loss"])["run_id"][:3]) == runs[::-1]
    again = nbtrack.backfill("wine_loss", loss, DATA, dry_run=False)
    assert (len(again.runs), again.known) == (0, 3)
    other = nbtrack.backfill("wine_loss", loss, DATA.head(50), dry_run=False)
    assert len(other.runs) == 3 and other.data != done.data
    nbtrack.backfill("rows", lambda _model, data: len(data), DATA, dry_run=False)
    assert set(nbtrack.get_run(runs[0]).capture["backfilled"]) == {"wine_loss", "rows"}


def test_failing_model_costs_only_its_own_run(runs: list[str]) -> None:
    def picky(model: Any, data: pd.DataFrame) -> float:
        if len(model.estimators_) == 5:
            raise ValueError("five are too few")
        return 1.0

    done = nbtrack.backfill("picky", picky, DATA, dry_run=False)
    assert [one.error for one in done.runs] == ["", "ValueError: five are too few", ""]
    assert "picky computed for 2 runs." in repr(done) and "five are too few" in repr(done)
    assert list(done.to_frame()["picky"].isna()) == [False, True, False]


def test_own_values_of_a_run_are_never_replaced(runs: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="logged 'other' itself"):
        nbtrack.backfill("other", loss, DATA, dry_run=False)
    with pytest.raises(InvalidInputError, match="expected a function of model and data"):
        nbtrack.backfill("x", 5, DATA)  # type: ignore[arg-type]
