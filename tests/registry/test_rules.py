"""A model's own stages, the gates of each, approvals, and where the former version goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.dummy import DummyClassifier

import nbtrack
from nbtrack import registry
from nbtrack.errors import GateError, InvalidInputError, InvalidNameError, NotFoundError
from nbtrack.store.base import Store

Log = Callable[..., str]
LADDER = ["Dev", "Staging", "Canary", "Production"]


def stages() -> dict[int, str]:
    return {version.version: version.current_stage for version in registry.get_model("clf").versions}


def test_own_stages_are_exclusive_and_answer_to_their_uri(three: Store) -> None:
    nbtrack.set_stages("clf", LADDER)
    assert registry.get_model("clf").stages == ("None", *LADDER, "Archived")
    nbtrack.promote("clf", 1, "canary")
    assert nbtrack.promote("clf", 2, "Canary").text == "v2 → Canary, v1 → None"
    assert nbtrack.load_model("models:/clf/canary").predict([[0.5]]) is not None
    assert getattr(registry.resolve("models:/clf/Canary"), "version", None) == 2
    assert nbtrack.Client().get_model_version_stages("clf", 1) == ["None", *LADDER, "Archived"]
    with pytest.raises(InvalidNameError, match="expected one of None, Dev, Staging, Canary, Production, Archived"):
        nbtrack.promote("clf", 1, "Live")
    with pytest.raises(InvalidNameError, match="expected one of None, Dev, Staging"):
        nbtrack.load_model("models:/clf/Live")
    assert nbtrack.history("clf")[-4].action == "edit"
    assert registry.describe(nbtrack.history("clf")[-4]) == f"stages: None, {', '.join(LADDER)}, Archived"


def test_own_stages_cannot_leave_a_version_behind_and_can_be_undone(three: Store) -> None:
    nbtrack.set_stages("clf", LADDER)
    nbtrack.undo("clf")
    assert registry.get_model("clf").stages == ("None", "Staging", "Production", "Archived")
    nbtrack.set_stages("clf", LADDER)
    nbtrack.promote("clf", 1, "Dev")
    with pytest.raises(InvalidInputError, match=r"v1 is in Dev, which would be gone\. Move it first"):
        nbtrack.set_stages("clf", None)


@pytest.mark.parametrize("bad", [[], ["None"], ["A", "a"], [f"s{n}" for n in range(13)]])
def test_own_stages_that_do_not_make_a_ladder_are_refused(three: Store, bad: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="expected 1 to 12 different stages"):
        nbtrack.set_stages("clf", bad)


@pytest.mark.parametrize("bad", ["", "latest", "v3", "3", "a/b", "a@b", "x" * 300, "$(touch x)", "{{7*7}}", 7])
def test_stage_with_a_bad_name_is_refused(three: Store, bad: Any) -> None:
    with pytest.raises(InvalidNameError, match="stage: "):
        nbtrack.set_stages("clf", ["Staging", bad])


@pytest.mark.parametrize(
    ("former", "text"),
    [
        (None, "v2 → Production, v1 → Archived"),
        ("below", "v2 → Production, v1 → Staging, v3 → None"),
        ("staging", "v2 → Production, v1 → Staging, v3 → None"),
        ("None", "v2 → Production, v1 → None"),
        ("Archived", "v2 → Production, v1 → Archived"),
    ],
)
def test_former_version_goes_where_it_is_told(three: Store, former: str | None, text: str) -> None:
    nbtrack.promote("clf", 1, "Production")
    nbtrack.promote("clf", 3, "Staging")
    preview = registry.preview_promotion("clf", 2, "Production", former=former)
    assert preview.text == nbtrack.promote("clf", 2, "Production", former=former).text == text
    nbtrack.undo("clf")
    assert stages() == {1: "Production", 2: "None", 3: "Staging"}


def test_former_version_changes_places_with_the_one_that_comes(three: Store) -> None:
    nbtrack.promote("clf", 1, "Production")
    nbtrack.promote("clf", 2, "Staging")
    assert nbtrack.promote("clf", 2, "Production", former="below").text == "v2 → Production, v1 → Staging"
    with pytest.raises(InvalidInputError, match="cannot stay there"):
        nbtrack.promote("clf", 1, "Production", former="Production")


# -- gates of a stage --------------------------------------------------------------------------------------------------
def test_gates_of_a_stage_hold_for_everybody_until_they_are_taken_away(three: Store) -> None:
    nbtrack.set_gates("clf", "production", ["accuracy  >= 0.85", "input example predicts"])
    assert registry.get_model("clf").gates == {"Production": ("accuracy >= 0.85", "input example predicts")}
    told = r"gate 'accuracy >= 0\.85': v1 has accuracy 0\.8, asked is >= 0\.85\. Nothing"
    with pytest.raises(GateError, match=told):
        nbtrack.promote("clf", 1, "Production")
    with pytest.raises(GateError, match=told):
        nbtrack.Client().transition_model_version_stage("clf", 1, "Production")
    nbtrack.promote("clf", 1, "Staging")
    preview = registry.preview_promotion("clf", 1, "Production")
    assert [(gate.passed, gate.found, gate.asked) for gate in preview.gates] == [
        (False, "v1 has accuracy 0.8", "asked is >= 0.85"),
        (True, "v1 answers its input example", "asked is an answer to its own input example"),
    ]
    assert all(gate.passed for gate in nbtrack.promote("clf", 2, "Production").gates)
    nbtrack.set_gates("clf", "Production", None)
    nbtrack.promote("clf", 1, "Production")
    assert stages()[1] == "Production"
    assert registry.describe(nbtrack.history("clf")[1]) == "gates of Production: none"


def test_gate_input_example_tries_the_model_itself(store: Store) -> None:
    model = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
    for example in (None, [[0.5]]):
        with nbtrack.start_run():
            nbtrack.log_model(model, input_example=example, registered_model_name="clf")
    broken = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
    broken.predict = lambda rows: 1 / 0
    with nbtrack.start_run(), pytest.warns(nbtrack.errors.NbtrackWarning, match="cannot predict its input_example"):
        nbtrack.log_model(broken, input_example=[[0.5]], registered_model_name="clf")
    with pytest.raises(GateError, match=r"v1 has no input example, asked is an answer"):
        nbtrack.promote("clf", 1, "Staging", require="input example predicts")
    nbtrack.promote("clf", 2, "Staging", require="Input example predicts")
    with pytest.raises(GateError, match=r"v3 fails on its input example \(ZeroDivisionError: division by zero\)"):
        nbtrack.promote("clf", 3, "Staging", require="input example predicts")


def test_gate_reproduced_reads_the_stamp_of_the_run(three: Store) -> None:
    run_id = registry.get_version("clf", 3).run_id
    assert run_id is not None
    with pytest.raises(GateError, match="v3 was never reproduced, asked is the same result again"):
        nbtrack.promote("clf", 3, "Staging", require="reproduced")
    three.edit_run(run_id, tags={"nbtrack.reproduced": "no 2026-11-21T10:00:00Z"})
    with pytest.raises(GateError, match="v3 came out differently 2026-11-21"):
        nbtrack.promote("clf", 3, "Staging", require="reproduced")
    three.edit_run(run_id, tags={"nbtrack.reproduced": "yes 2026-11-21T11:00:00Z"})
    assert nbtrack.promote("clf", 3, "Staging", require="reproduced").gates[0].passed


def test_gate_approval_asks_for_the_person_named(three: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    nbtrack.set_gates("clf", "Production", ["approved by ana", "approved by another person"])
    monkeypatch.setenv("NBTRACK_USER", "ben")
    nbtrack.approve("clf", 3, "Production", note="mine")
    told = r"by ben, asked is ana \(nbtrack.*for Production by ben, asked is somebody other than ben \(nbtrack"
    with pytest.raises(GateError, match=told):
        nbtrack.promote("clf", 3, "Production")
    monkeypatch.setenv("NBTRACK_USER", "ana")
    nbtrack.approve("clf", 3, "Staging")
    with pytest.raises(GateError, match="asked is ana"):
        nbtrack.promote("clf", 3, "Production")
    nbtrack.approve("clf", 3, "Production")
    nbtrack.approve("clf", 3, "Production")  # twice is once
    assert [registry.describe(commit) for commit in nbtrack.history("clf")[:2]] == [
        "v3 approved for Staging and Production by ana",
        "v3 approved for Staging by ana",
    ]
    nbtrack.approve("clf", 3, "Production", withdraw=True)
    with pytest.raises(GateError, match="asked is ana"):
        nbtrack.promote("clf", 3, "Production")
    nbtrack.undo("clf")
    monkeypatch.setenv("NBTRACK_USER", "cem")
    assert nbtrack.promote("clf", 3, "Production").commit is not None


def test_gate_better_does_not_compare_what_was_measured_on_different_data(store: Store, log: Log) -> None:
    import numpy as np

    model = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
    for accuracy, rows in ((0.8, 10), (0.9, 20), (0.95, 10), (0.99, None)):
        with nbtrack.start_run():
            if rows:
                nbtrack.log_input(np.arange(float(rows)), "evaluation")
            nbtrack.log_metric("accuracy", accuracy)
            nbtrack.log_model(model, registered_model_name="clf")
    nbtrack.promote("clf", 1, "Production")
    gate = "accuracy better by 0.01 on the same data"
    with pytest.raises(GateError, match=r"v2 has accuracy 0\.9, v1 has 0\.8, .*not comparable, they were measured on"):
        nbtrack.promote("clf", 2, "Production", require="accuracy better by 0.01")
    with pytest.raises(GateError, match="not comparable, it is not known that they were"):
        nbtrack.promote("clf", 4, "Production", require=gate)
    assert nbtrack.promote("clf", 3, "Production", require=gate).commit is not None
    nbtrack.undo("clf")
    assert nbtrack.promote("clf", 4, "Production", require="accuracy better by 0.01").commit is not None


def test_gate_better_prefers_the_scores_of_one_evaluation(store: Store) -> None:
    for constant in (1, 0):
        model = DummyClassifier(strategy="constant", constant=constant).fit([[0.0]] * 3, [0, 1, 1])
        with nbtrack.start_run():
            nbtrack.log_metric("accuracy", 0.5)
            nbtrack.log_model(model, input_example=[[0.5]], registered_model_name="clf")
    nbtrack.promote("clf", 2, "Production")
    gate = "accuracy better by 0.2 on the same data"
    with pytest.raises(GateError, match=r"nbtrack\.select_best scores both on the same data"):
        nbtrack.promote("clf", 1, "Production", require=gate)
    decision = nbtrack.select_best("clf", "accuracy", ([[0.0]] * 10, [1] * 10))
    assert decision.best == 1 and decision.scores[2] == 0
    assert nbtrack.promote("clf", 1, "Production", require=gate).gates[0].found == "v1 has accuracy 1"


def test_gates_are_few_and_each_can_be_read(three: Store) -> None:
    with pytest.raises(InvalidInputError, match="expected at most 20 of them, got 21"):
        nbtrack.set_gates("clf", "Staging", ["accuracy > 0"] * 21)
    for bad in ("approved by", "accuracy > {0.__class__}", "a\nb >= 1", "$(touch x)"):
        with pytest.raises(InvalidInputError, match="gate: expected 'METRIC >= NUMBER'"):
            nbtrack.set_gates("clf", "Staging", bad)
    with pytest.raises(InvalidNameError, match="stage: expected one of"):
        nbtrack.set_gates("clf", "Nowhere", "accuracy > 0")
    with pytest.raises(NotFoundError, match="no registered model"):
        nbtrack.set_gates("nobody", "Staging", "accuracy > 0")
