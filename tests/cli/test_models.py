from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nbtrack import registry
from nbtrack.store import Store

from .conftest import Command, add_model_run, add_run


@pytest.fixture
def two_versions(store: Store) -> Store:
    """The model ``clf`` with versions 1 and 2; version 1 is in Staging."""
    for name, accuracy in (("tree", 0.5), ("forest", 0.75)):
        registry.register_model(f"runs:/{add_model_run(store, name, accuracy=accuracy)}/model", "clf", store=store)
    registry.promote("clf", 1, "Staging", store=store)
    return store


def stages(store: Store) -> dict[int, str]:
    return {version.version: version.current_stage for version in registry.get_model("clf", store=store).versions}


def test_register_takes_the_last_digits_of_a_run(store: Store, nbtrack: Command, asked: Callable[..., Any]) -> None:
    run_id = add_model_run(store, "forest", accuracy=0.75)
    result = nbtrack("models", "register", f"runs:/{run_id[-8:]}/model", "clf")
    assert result.stdout == "clf: version 1 registered\n"
    made = asked("models", "register", f"runs:/{run_id}/model", "clf", "-t", "team=wine", "--note", "again")
    assert (made["version"], made["source"], made["tags"]) == (2, f"runs:/{run_id}/model", {"team": "wine"})
    assert asked("models", "history", "clf")["commits"][0]["note"] == "again"


def test_register_of_a_run_without_a_model_says_what_to_do(store: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "register", f"runs:/{add_run(store, 'bare')}/model", "clf")
    assert result.exit_code == 1
    assert "is not a model" in result.stderr
    assert "Traceback" not in result.output
    assert store.list_models() == []


def test_register_with_a_tag_that_is_no_pair_is_a_usage_error(store: Store, nbtrack: Command) -> None:
    run_id = add_model_run(store, "forest")
    result = nbtrack("models", "register", f"runs:/{run_id}/model", "clf", "-t", "wine")
    assert result.exit_code == 2
    assert "expected KEY=VALUE" in result.stderr
    assert store.list_models() == []


def test_list_shows_which_version_is_in_each_stage(two_versions: Store, nbtrack: Command) -> None:
    registry.promote("clf", 2, "Production", store=two_versions)
    registry.set_alias("clf", "champion", 2, store=two_versions)
    row = nbtrack("models", "list").stdout.splitlines()[2].split()
    assert row[:6] == ["clf", "v2", "v1", "v2", "@champion", "v2"]


def test_list_and_show_as_json_give_versions_newest_first(two_versions: Store, asked: Callable[..., Any]) -> None:
    model = asked("models", "list")["models"][0]
    assert model == asked("models", "show", "clf")
    assert [(v["version"], v["stage"], v["metrics"]) for v in model["versions"]] == [
        (2, "None", {"accuracy": 0.75}),
        (1, "Staging", {"accuracy": 0.5}),
    ]


def test_show_of_an_unknown_model_names_the_known_ones(two_versions: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "show", "nope")
    assert result.exit_code == 1
    assert "'clf'" in result.stderr


def test_promote_moves_the_former_version_and_tells_both(two_versions: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "promote", "clf", "v2", "staging", "--note", "better")
    assert result.stdout == "clf: v2 → Staging, v1 → None\n"
    assert stages(two_versions) == {1: "None", 2: "Staging"}
    assert registry.history("clf", store=two_versions)[0].note == "better"


def test_promote_preview_changes_nothing(two_versions: Store, nbtrack: Command, asked: Callable[..., Any]) -> None:
    assert nbtrack("models", "promote", "clf", 2, "Staging", "--preview").stdout == "clf: v2 → Staging, v1 → None\n"
    assert asked("models", "promote", "clf", 2, "Staging", "--preview")["preview"] is True
    assert stages(two_versions) == {1: "Staging", 2: "None"}


def test_promote_to_production_asks_and_no_changes_nothing(two_versions: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "promote", "clf", 2, "Production", stdin="n\n")
    assert result.exit_code == 1
    assert "clf: v2 → Production. Go on? [y/N]" in result.stderr
    assert "Nothing was changed" in result.stderr
    assert stages(two_versions)[2] == "None"


def test_promote_to_production_with_nobody_to_ask_wants_yes(two_versions: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "promote", "clf", 2, "Production", stdin="")
    assert result.exit_code == 1
    assert "Add --yes" in result.stderr
    assert stages(two_versions)[2] == "None"


@pytest.mark.parametrize(("options", "stdin"), [(("--yes",), None), ((), "y\n")], ids=["yes", "asked"])
def test_promote_to_production_when_agreed_moves(
    two_versions: Store, nbtrack: Command, options: tuple[str, ...], stdin: str | None
) -> None:
    result = nbtrack("models", "promote", "clf", 2, "Production", *options, stdin=stdin)
    assert result.exit_code == 0
    assert "clf: v2 → Production" in result.stdout
    assert stages(two_versions)[2] == "Production"


def test_promote_expecting_an_older_commit_is_refused(two_versions: Store, nbtrack: Command) -> None:
    seen = registry.last_commit("clf", store=two_versions)
    registry.promote("clf", 1, "Archived", store=two_versions)
    result = nbtrack("models", "promote", "clf", 2, "Staging", "--expect", seen)
    assert result.exit_code == 1
    assert "Nothing was changed" in result.stderr
    assert stages(two_versions) == {1: "Archived", 2: "None"}


def test_promote_past_a_gate_is_refused_with_both_numbers(two_versions: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "promote", "clf", 2, "Staging", "--require", "accuracy >= 0.9")
    assert result.exit_code == 1
    assert "0.75" in result.stderr
    assert "0.9" in result.stderr
    assert stages(two_versions) == {1: "Staging", 2: "None"}


def test_promote_of_an_unknown_version_names_the_known_ones(two_versions: Store, nbtrack: Command) -> None:
    result = nbtrack("models", "promote", "clf", 7, "Staging")
    assert result.exit_code == 1
    assert "no version 7" in result.stderr


def test_promote_to_where_it_is_does_nothing(two_versions: Store, nbtrack: Command) -> None:
    before = registry.last_commit("clf", store=two_versions)
    result = nbtrack("models", "promote", "clf", 1, "Staging")
    assert result.stdout == "clf: nothing to do, it is there already\n"
    assert registry.last_commit("clf", store=two_versions) == before


def test_history_tells_who_did_what_newest_first(two_versions: Store, nbtrack: Command) -> None:
    lines = nbtrack("models", "history", "clf").stdout.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["3", "2", "1"]
    assert "v1 → Staging" in lines[2]


def test_undo_takes_the_last_change_back(two_versions: Store, nbtrack: Command, asked: Callable[..., Any]) -> None:
    assert nbtrack("models", "undo", "clf").exit_code == 0
    assert stages(two_versions) == {1: "None", 2: "None"}
    assert asked("models", "undo", "clf")["changes"] == [{"version": 1, "from": "None", "to": "Staging"}]
    assert stages(two_versions) == {1: "Staging", 2: "None"}


def test_empty_registry_is_told_in_words(store: Store, nbtrack: Command, asked: Callable[..., Any]) -> None:
    assert nbtrack("models", "list").stdout.startswith("No registered models")
    assert asked("models", "list")["models"] == []
