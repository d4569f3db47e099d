"""Taking back commits that are not the last."""

from __future__ import annotations

import pytest

import nbtrack
from nbtrack import registry
from nbtrack.errors import ConflictError, NotFoundError
from nbtrack.store.base import Store


def stages() -> dict[int, str]:
    return {version.version: version.current_stage for version in registry.get_model("clf").versions[::-1]}


def last() -> int:
    return registry.last_commit("clf")


def test_earlier_commit_is_taken_back_and_later_ones_stay(three: Store) -> None:
    nbtrack.promote("clf", 1, "Production")
    to_production = last()
    nbtrack.promote("clf", 2, "Staging")
    nbtrack.set_alias("clf", "champion", 3)
    done = nbtrack.undo("clf", commit=to_production, note="measured wrongly")
    assert done.text == f"commit {to_production} undone: v1 → None"
    assert stages() == {1: "None", 2: "Staging", 3: "None"}
    assert registry.get_model("clf").aliases == {"champion": 3}
    assert registry.history("clf")[0].note == "measured wrongly"
    assert nbtrack.undo("clf").text == f"commit {last() - 1} undone: v1 → Production", "an undo can be undone"


def test_commit_that_a_later_one_changed_again_is_refused_by_name(three: Store) -> None:
    nbtrack.promote("clf", 1, "Staging")
    first = last()
    nbtrack.promote("clf", 2, "Staging")
    second = last()
    assert registry.undo_blockers("clf") == {first: second, 1: second, 2: second}, "1 and 2 made what has moved since"
    with pytest.raises(ConflictError, match=rf"commit {first} cannot be taken back, for commit {second} changed the"):
        nbtrack.undo("clf", commit=first)
    assert last() == second
    nbtrack.undo("clf", commit=second)
    with pytest.raises(ConflictError, match=r"it undid commit"):
        nbtrack.undo("clf", commit=second)


def test_version_goes_back_to_no_stage_that_another_holds_by_now(three: Store) -> None:
    nbtrack.promote("clf", 1, "Production")
    nbtrack.promote("clf", 1, "None")
    left = last()
    nbtrack.promote("clf", 2, "Production")
    with pytest.raises(ConflictError, match=r"v1 would go back to Production, where v2 is by now"):
        nbtrack.undo("clf", commit=left)
    assert stages() == {1: "None", 2: "Production", 3: "None"}


def test_tags_are_taken_back_key_by_key(three: Store) -> None:
    registry.edit_version("clf", 1, tags={"owner": "ana"})
    owner = last()
    registry.edit_version("clf", 1, tags={"team": "wine"})
    nbtrack.undo("clf", commit=owner)
    assert dict(registry.get_version("clf", 1).tags) == {"team": "wine"}


def test_registration_that_nothing_stands_on_is_taken_back_and_keeps_its_number(three: Store) -> None:
    nbtrack.promote("clf", 1, "Staging")
    assert registry.undo_blockers("clf")[1] == last()
    nbtrack.undo("clf", commit=3)
    assert registry.get_model("clf").versions[0].deleted
    with pytest.raises(NotFoundError, match="there is no commit 99; the last one is"):
        nbtrack.undo("clf", commit=99)
    with pytest.raises(ConflictError, match="you saw commit 1, the last one is 5"):
        nbtrack.undo("clf", commit=3, expect=1)
