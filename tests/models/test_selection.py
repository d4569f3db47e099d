"""Environment policies, and the best version that one allows."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

import nbtrack
from nbtrack import registry
from nbtrack.errors import GateError, InvalidInputError, InvalidNameError, NotFoundError
from nbtrack.models import select_best
from nbtrack.store.base import Store


@pytest.fixture
def lines(store: Store, wine: Any) -> Store:
    """Versions 1 to 4 of "wine": of the lines 1.0, 1.0, 2.0 and none; each better than the one before it."""
    inputs, target = wine
    candidates = [DummyClassifier(), *(DecisionTreeClassifier(max_depth=d, random_state=0) for d in (1, 2, 8))]
    for number, (model, line) in enumerate(zip(candidates, ("1.0", "1.0", "2.0", None), strict=True), 1):
        with nbtrack.start_run():
            nbtrack.log_model(model.fit(inputs, target), registered_model_name="wine")
        if line:
            registry.set_line("wine", number, line)
    return store


def test_policy_is_kept_for_the_store_and_goes(store: Store) -> None:
    registry.set_policy("prod", " <=1.0")
    registry.set_policy("INT", ">=1.0,<=2.0")
    assert registry.get_policies() == {"INT": "<=2.0,>=1.0", "PROD": "<=1.0"}
    registry.set_policy("PROD", None)
    assert list(registry.get_policies()) == ["INT"]


@pytest.mark.parametrize("specifier", ["", "1.0", "<<1", "latest", 1, "<=1.0; rm -rf /"])
def test_policy_that_is_no_specifier_is_refused(store: Store, specifier: Any) -> None:
    with pytest.raises(InvalidInputError, match="expected a version specifier"):
        registry.set_policy("PROD", specifier)
    with pytest.raises(InvalidNameError, match="environment: expected"):
        registry.set_policy("a/b", "<=1.0")


def test_best_allowed_version_wins_and_the_others_say_why_not(lines: Store, wine: Any) -> None:
    registry.set_policy("PROD", "<=1.0")
    registry.set_policy("INT", ">=1.0,<=2.0")
    prod = select_best("wine", "accuracy", wine, "prod", promote_to="Production")
    assert prod.best == 2 and set(prod.scores) == {1, 2} and prod.promotion is not None
    assert prod.promotion.text == "v2 → Production" and prod.comparable and prod.previous is None
    assert prod.refused == {
        3: "its code line 2.0 does not fit <=1.0",
        4: "it has no code line; nbtrack.registry.set_line gives it one",
    }
    assert "v2 is the best for PROD by accuracy" in str(prod)
    assert nbtrack.history("wine")[0].note == "best accuracy for PROD"
    assert nbtrack.undo("wine").text.endswith("v2 → None")
    assert select_best("wine", "accuracy", wine, "INT").best == 3
    assert select_best("wine", "f1_weighted", wine).best == 4


def test_other_data_make_the_scores_before_not_comparable(lines: Store, wine: Any) -> None:
    inputs, target = wine
    first = select_best("wine", "accuracy", wine)
    again = select_best("wine", "accuracy", wine)
    assert again.dataset == first.dataset and again.comparable and again.previous is not None
    assert again.previous["best"] == first.best
    other = select_best("wine", "accuracy", (inputs[:100], target[:100]))
    assert not other.comparable and "not comparable" in str(other)


def test_metric_may_be_a_function_and_errors_sink(lines: Store, wine: Any) -> None:
    decision = select_best("wine", lambda truth, predicted: -float((truth != predicted).sum()), wine)
    assert decision.best == 4 and max(decision.scores.values()) == decision.scores[4] == 0
    assert select_best("wine", "neg_mean_absolute_error", wine).best == 4


def test_nothing_to_pick_says_why_version_by_version(lines: Store, wine: Any) -> None:
    registry.set_policy("OLD", "<0.5")
    with pytest.raises(
        NotFoundError, match=r"v1: its code line 1\.0 does not fit <0\.5; v2: .*v4: it has no code line"
    ):
        select_best("wine", "accuracy", wine, "OLD")
    with pytest.raises(NotFoundError, match=r"environment 'NONE': it has no policy; the policies are: OLD: <0\.5"):
        select_best("wine", "accuracy", wine, "none")
    partly = select_best("wine", "accuracy", (wine[0].iloc[:, :3], wine[1]))
    assert set(partly.scores) == {1}  # the dummy looks at no column
    assert all(why.startswith("it cannot be scored (ValueError") for why in partly.refused.values())


@pytest.mark.parametrize(
    ("metric", "dataset", "told"),
    [
        ("best", ([[1]], [1]), "expected a scorer"),
        (3, ([[1]], [1]), "expected a scorer"),
        ("accuracy", [[1]], r"expected the data set as \(X, y\)"),
        ("accuracy", ([[1]], [1, 2]), "1 rows and 2 values"),
        ("accuracy", ([], []), "at least one"),
    ],
)
def test_unusable_metric_or_data_is_refused(lines: Store, metric: Any, dataset: Any, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        select_best("wine", metric, dataset)


def test_line_that_is_no_version_is_refused(lines: Store) -> None:
    with pytest.raises(InvalidInputError, match="expected a version such as"):
        registry.set_line("wine", 1, "new")


def test_champion_with_tolerances_moves_only_as_far_as_policy_and_approval_let_it(
    lines: Store, wine: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lead pins a test set once; each environment gets the best version that it tolerates."""
    inputs, target = wine
    file = tmp_path / "test.csv"
    inputs.assign(kind=target).to_csv(file, index=False)
    registry.set_stages("wine", ["INT", "PROD"])
    registry.set_policy("PROD", "<=1.0")
    registry.set_policy("INT", ">=1.0,<=2.0")
    registry.set_gates("wine", "PROD", "approved by lead")
    monkeypatch.setenv("NBTRACK_USER", "lead")
    registry.approve("wine", 2, "PROD")
    for environment, best in (("INT", 3), ("PROD", 2)):
        decision = select_best("wine", "accuracy", (file, "kind"), environment, promote_to=environment)
        assert decision.best == best and registry.resolve(f"models:/wine/{environment}") is not None
    there = {v.current_stage: v.version for v in registry.get_model("wine").versions if v.current_stage != "None"}
    assert there == {"INT": 3, "PROD": 2}
    decisions = registry.get_model("wine").decisions
    assert decisions["INT"]["dataset"] == decisions["PROD"]["dataset"] and decisions["PROD"]["policy"] == "<=1.0"
    assert decisions["PROD"]["refused"]["3"] == "its code line 2.0 does not fit <=1.0"

    registry.set_policy("PROD", "<=2.0")
    with pytest.raises(GateError, match="v3 is approved for PROD by nobody, asked is lead"):
        select_best("wine", "accuracy", (file, "kind"), "PROD", promote_to="PROD")
    assert registry.get_version("wine", 2).current_stage == "PROD"
    registry.approve("wine", 3, "PROD")
    moved = select_best("wine", "accuracy", (file, "kind"), "PROD", promote_to="PROD", note="tolerance raised")
    assert moved.promotion is not None and moved.promotion.text == "v3 → PROD, v2 → Archived"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:120]))
    changed = select_best("wine", "accuracy", (file, "kind"), "PROD")
    assert not changed.comparable and "not comparable" in str(changed)
    assert registry.get_model("wine").decisions["PROD"]["comparable"] is False
