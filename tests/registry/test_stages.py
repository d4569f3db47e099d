"""Promotion: exclusive stages, previews, conflicts, history, the past, undo, gates."""

from __future__ import annotations

import itertools
import re
import time
from datetime import UTC, datetime

import pytest
from sklearn.dummy import DummyClassifier

import nbtrack
from nbtrack import registry
from nbtrack.errors import ConflictError, GateError, InvalidInputError, InvalidNameError, NotFoundError
from nbtrack.store.base import Store


def stages(name: str = "clf") -> dict[int, str]:
    return {version.version: version.current_stage for version in registry.get_model(name).versions[::-1]}


def test_promote_moves_the_former_version_back(three: Store) -> None:
    nbtrack.promote("clf", 1, "Staging")
    assert nbtrack.promote("clf", 2, "staging").text == "v2 → Staging, v1 → None"
    assert stages() == {1: "None", 2: "Staging", 3: "None"}
    nbtrack.promote("clf", 1, "Production")
    done = nbtrack.promote("clf", 2, "Production", note="recall is up")
    assert str(done) == "v2 → Production, v1 → Archived"
    assert done.changes == (
        {"version": 2, "from": "Staging", "to": "Production"},
        {"version": 1, "from": "Production", "to": "Archived"},
    )
    assert done.commit is not None and done.commit.note == "recall is up"
    assert stages() == {1: "Archived", 2: "Production", 3: "None"}


def test_promotion_is_shown_in_words(three: Store) -> None:
    from IPython.lib.pretty import pretty

    assert pretty(nbtrack.promote("clf", 1, "Staging")) == "clf: v1 → Staging"


def test_promote_former_says_where_the_other_one_goes(three: Store) -> None:
    nbtrack.promote("clf", 1, "Production")
    nbtrack.promote("clf", 2, "Staging")
    done = nbtrack.promote("clf", 3, "Production", former="Staging")
    assert done.text == "v3 → Production, v1 → Staging, v2 → None"
    with pytest.raises(InvalidInputError, match="cannot stay there"):
        nbtrack.promote("clf", 2, "Production", former="Production")


def test_archived_and_none_hold_many(three: Store) -> None:
    for version in (1, 2, 3):
        nbtrack.promote("clf", version, "Archived")
    assert set(stages().values()) == {"Archived"}


def test_preview_says_the_same_and_changes_nothing(three: Store) -> None:
    nbtrack.promote("clf", 1, "Production")
    before = registry.last_commit("clf")
    preview = registry.preview_promotion("clf", 2, "Production")
    assert preview.text == "v2 → Production, v1 → Archived" and preview.commit is None
    assert registry.last_commit("clf") == before and stages()[1] == "Production"
    assert nbtrack.promote("clf", 2, "Production").changes == preview.changes


def test_promote_to_where_it_is_changes_nothing_and_says_so(three: Store) -> None:
    nbtrack.promote("clf", 1, "Staging")
    before = registry.last_commit("clf")
    again = nbtrack.promote("clf", 1, "Staging")
    assert again.text == "v1 is in Staging already" and again.changes == () and again.commit is None
    assert registry.preview_promotion("clf", 1, "Staging").text == again.text
    assert registry.last_commit("clf") == before


@pytest.mark.parametrize("stage", ["", "prod", "Live", 3, "Production\n; rm"])
def test_promote_unknown_stage_names_those_there_are(three: Store, stage: object) -> None:
    with pytest.raises(InvalidNameError, match="expected one of None, Staging, Production, Archived"):
        nbtrack.promote("clf", 1, stage)  # type: ignore[arg-type]


def test_promote_what_is_not_there_says_what_is(three: Store) -> None:
    with pytest.raises(NotFoundError, match="no version 9; its versions are: 3, 2, 1"):
        nbtrack.promote("clf", 9, "Staging")
    with pytest.raises(NotFoundError, match=r"no registered model of this name in .*; there are: 'clf'"):
        nbtrack.promote("nobody", 1, "Staging")


def test_promote_with_old_expectation_tells_who_was_faster(three: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    nbtrack.promote("clf", 1, "Production")
    seen = registry.last_commit("clf")
    with monkeypatch.context() as patch:
        patch.setenv("NBTRACK_USER", "ana")
        nbtrack.promote("clf", 2, "Production", expect=seen)
    told = re.escape("model 'clf': ana moved v2 to Production 0.") + r"\d s ago; you saw v1 there\. Nothing was changed"
    with pytest.raises(ConflictError, match=told):
        nbtrack.promote("clf", 3, "Production", expect=seen)
    assert stages() == {1: "Archived", 2: "Production", 3: "None"}
    registry.edit_model("clf", description="x")
    with pytest.raises(ConflictError, match="and 1 more change;"):
        nbtrack.promote("clf", 3, "Production", expect=seen)
    with pytest.raises(ConflictError, match=r"you expect commit 99, but its last one is 6"):
        nbtrack.undo("clf", expect=99)


def test_history_tells_who_when_what_and_why_newest_first(three: Store) -> None:
    nbtrack.promote("clf", 1, "Staging")
    nbtrack.promote("clf", 2, "Staging", note="better recall")
    nbtrack.set_alias("clf", "champion", 2)
    registry.delete_version("clf", 3)
    commits = nbtrack.history("clf")
    assert [commit.number for commit in commits] == [7, 6, 5, 4, 3, 2, 1]
    assert [registry.describe(commit) for commit in commits[:4]] == [
        "v3 moved to the trash",
        "@champion → v2",
        "v2 → Staging, v1 → None",
        "v1 → Staging",
    ]
    assert commits[2].note == "better recall" and commits[2].user and commits[-1].action == "register"
    assert all(a.at_ms >= b.at_ms for a, b in itertools.pairwise(commits))


def test_undo_takes_a_promotion_back_and_undo_again_restores_it(three: Store) -> None:
    nbtrack.promote("clf", 1, "Production")
    nbtrack.promote("clf", 2, "Production")
    back = nbtrack.undo("clf")
    assert back.text == "commit 5 undone: v2 → None, v1 → Production"
    assert stages() == {1: "Production", 2: "None", 3: "None"}
    nbtrack.undo("clf")
    assert stages() == {1: "Archived", 2: "Production", 3: "None"}
    assert len(nbtrack.history("clf")) == 7


def test_undo_of_registering_puts_the_version_in_the_trash(three: Store) -> None:
    nbtrack.undo("clf")
    assert [version.version for version in registry.get_model("clf").versions if not version.deleted] == [2, 1]
    nbtrack.undo("clf")
    assert registry.get_version("clf", 3).metrics == {"accuracy": 0.9}


def test_undo_of_tags_and_aliases_restores_the_old_values(three: Store) -> None:
    nbtrack.set_alias("clf", "champion", 1)
    nbtrack.set_alias("clf", "champion", 2)
    nbtrack.undo("clf")
    assert registry.get_model("clf").aliases == {"champion": 1}
    registry.edit_model("clf", tags={"a": "1"}, description="x")
    registry.edit_model("clf", tags={"a": "2", "b": "3"}, description="y")
    nbtrack.undo("clf")
    model = registry.get_model("clf")
    assert (model.tags, model.description) == ({"a": "1"}, "x")


def test_past_is_told_as_it_was(three: Store) -> None:
    nbtrack.promote("clf", 1, "Production")
    time.sleep(0.01)
    then = datetime.now(UTC)
    time.sleep(0.01)
    nbtrack.promote("clf", 2, "Production")
    registry.delete_model("clf")
    for at in (then, then.isoformat(), then.timestamp() * 1000):
        past = registry.get_model("clf", at=at)
        assert [version.version for version in past.versions if version.current_stage == "Production"] == [1]
    with pytest.raises(NotFoundError, match="no such model at"):
        registry.get_model("clf", at=datetime(2020, 1, 1))
    with pytest.raises(InvalidInputError, match="expected a datetime"):
        registry.get_model("clf", at="3 March")


def test_gate_threshold_refuses_with_both_numbers(three: Store) -> None:
    with pytest.raises(GateError, match=r"v1 has accuracy 0\.8, asked is >= 0\.85\. Nothing was changed"):
        nbtrack.promote("clf", 1, "Production", require="accuracy >= 0.85")
    assert registry.preview_promotion("clf", 1, "Production", require="accuracy >= 0.85").refusals
    assert stages()[1] == "None"
    nbtrack.promote("clf", 2, "Production", require=["accuracy >= 0.85", "accuracy < 1"])
    assert stages()[2] == "Production"


def test_gate_better_compares_with_the_version_that_is_there(three: Store) -> None:
    nbtrack.promote("clf", 2, "Production", require="accuracy better by 0.01")
    with pytest.raises(GateError, match=r"v1 has accuracy 0\.8, v2 has 0\.85"):
        nbtrack.promote("clf", 1, "Production", require="accuracy better")
    with pytest.raises(GateError, match=r"v3 has accuracy 0\.9, v2 has 0\.85"):
        nbtrack.promote("clf", 3, "Production", require="accuracy better by 0.1")
    nbtrack.promote("clf", 3, "Production", require="accuracy better by 0.01")


def test_gate_on_a_metric_that_is_not_there_says_which_are(three: Store) -> None:
    with pytest.raises(GateError, match=r"no metric 'f1' \(it has accuracy\)"):
        nbtrack.promote("clf", 3, "Production", require="f1 > 0")


@pytest.mark.parametrize(
    "gate", ["accuracy", "accuracy >", "> 3", "accuracy >= x", "", 3, "a better by much", "x" * 600]
)
def test_gate_that_cannot_be_read_is_refused(three: Store, gate: object) -> None:
    with pytest.raises(InvalidInputError, match="gate: expected 'METRIC >= NUMBER'"):
        nbtrack.promote("clf", 3, "Production", require=[gate])  # type: ignore[list-item]


COLUMNS = {"a": [1.0, 2.0], "n": [1, 2]}
CANDIDATES = [
    (COLUMNS | {"more": [1.0, None]}, [0, 1], None),
    ({"a": [1.0, 2.0]}, [0, 1], None),
    ({"a": [1.0, 2.0], "n": [1.0, 2.0]}, [0, 1], None),
    (COLUMNS | {"more": [1.0, 2.0]}, [0, 1], "needs the column 'more'"),
    ({"a": [1, 2], "n": [1, 2]}, [0, 1], "wants long in the column 'a', where double is sent now"),
    (COLUMNS, ["x", "y"], "answers string, the version that is there now long"),
    (None, None, "has no signature"),
    ([[1.0, 2.0]], [0], "takes 2 columns by position"),
]


@pytest.mark.parametrize(("inputs", "outputs", "told"), CANDIDATES)
def test_gate_signature_lets_pass_what_takes_the_same_requests(
    store: Store, inputs: object, outputs: object, told: str | None
) -> None:
    model = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
    for given, answered in ((COLUMNS, [0, 1]), (inputs, outputs)):
        signature = None if given is None else nbtrack.infer_signature(given, answered)
        with nbtrack.start_run():
            nbtrack.log_model(model, signature=signature, registered_model_name="clf")
    nbtrack.promote("clf", 1, "Production", require="signature compatible")
    if told is None:
        assert nbtrack.promote("clf", 2, "Production", require="Signature compatible").commit is not None
        return
    with pytest.raises(GateError, match=told):
        nbtrack.promote("clf", 2, "Production", require="signature compatible")
