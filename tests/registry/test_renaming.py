"""A registered model under another name."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

import nbtrack
from nbtrack import Client, registry
from nbtrack.errors import AlreadyExistsError, InvalidNameError, NotFoundError
from nbtrack.registry import ledger
from nbtrack.store import open_store
from nbtrack.store.base import Store

Log = Callable[..., str]


def test_rename_keeps_versions_stages_aliases_and_history(three: Store, log: Log) -> None:
    client = Client()
    nbtrack.promote("clf", 2, "Production")
    nbtrack.set_alias("clf", "champion", 2)
    renamed = client.rename_registered_model("clf", "wine")
    assert renamed.name == "wine" and {version.name for version in renamed.versions} == {"wine"}
    assert client.get_model_version_by_alias("wine", "champion").version == 2
    assert nbtrack.load_model("models:/wine/Production") is not None
    assert nbtrack.register_model(log(), "wine").version == 4
    assert [commit.number for commit in nbtrack.history("wine")] == list(range(7, 0, -1))
    assert registry.describe(nbtrack.history("wine")[1]) == "renamed to wine"
    assert [model.name for model in nbtrack.list_models()] == ["wine"]
    with pytest.raises(NotFoundError, match="model 'clf': it is called 'wine' now"):
        nbtrack.promote("clf", 1, "Staging")
    with pytest.raises(NotFoundError, match="it is called 'wine' now"):
        nbtrack.register_model(log(), "clf")
    other = open_store(three.uri)  # another process reads it the same
    assert registry.get_model("wine", store=other).aliases == {"champion": 2}


def test_rename_can_be_undone_and_done_again(three: Store) -> None:
    nbtrack.set_alias("clf", "champion", 1)
    Client().rename_registered_model("clf", "wine")
    assert nbtrack.undo("wine").text == "commit 5 undone: named clf"
    assert registry.get_model("clf").aliases == {"champion": 1}
    with pytest.raises(NotFoundError, match="no registered model of this name"):
        registry.get_model("wine")
    nbtrack.undo("clf")
    assert registry.get_model("wine").name == "wine"
    assert Client().rename_registered_model("wine", "clf").name == "clf"
    assert Client().rename_registered_model("clf", "clf").name == "clf"


def test_rename_to_a_name_that_is_taken_is_refused(three: Store, log: Log) -> None:
    nbtrack.register_model(log(), "other")
    client = Client()
    with pytest.raises(AlreadyExistsError, match="'other': there is one of this name already"):
        client.rename_registered_model("clf", "other")
    client.rename_registered_model("clf", "wine")
    with pytest.raises(AlreadyExistsError, match="'wine' has this name"):
        client.rename_registered_model("other", "wine")
    with pytest.raises(AlreadyExistsError, match=r"'clf': there is one of this name already \(called 'wine' now\)"):
        client.rename_registered_model("other", "clf")
    with pytest.raises(InvalidNameError, match="model name"):
        client.rename_registered_model("wine", "a/b")
    with pytest.raises(NotFoundError, match="no registered model"):
        client.rename_registered_model("nobody", "x")


def test_undo_of_a_rename_whose_old_claim_was_given_away_is_refused(three: Store, log: Log) -> None:
    Client().rename_registered_model("clf", "a")
    Client().rename_registered_model("a", "b")
    nbtrack.undo("b")
    assert registry.get_model("a").versions
    nbtrack.undo("a")
    assert [model.name for model in nbtrack.list_models()] == ["b"]


def test_claim_of_a_process_that_died_frees_the_name_after_a_while(
    three: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbtrack.registry import models, renaming

    renaming.claim("wine", "clf", three)
    assert [model.name for model in nbtrack.list_models()] == ["clf"]
    with pytest.raises(NotFoundError, match="no registered model of this name"):
        registry.get_model("wine")
    with pytest.raises(AlreadyExistsError, match="'clf' is being renamed to this"):
        nbtrack.register_model(log(), "wine")
    later = ledger.now_ms() + 61_000
    ticks = itertools.count(later)
    for module in (models, renaming, ledger):
        monkeypatch.setattr(module, "now_ms", lambda: next(ticks))
    assert nbtrack.register_model(log(), "wine").version == 1
    assert [model.name for model in nbtrack.list_models()] == ["clf", "wine"]
    with pytest.raises(AlreadyExistsError, match="there is one of this name already"):
        Client().rename_registered_model("clf", "wine")


def test_name_that_was_given_up_may_be_asked_for_again(three: Store, log: Log) -> None:
    from nbtrack.registry.renaming import free_ledger, rename_model

    nbtrack.register_model(log(), "other")
    Client().rename_registered_model("clf", "wine")
    assert rename_model("other", "clf", reuse=True).name == "clf"
    assert registry.get_model("clf", store=open_store(three.uri)).versions[0].version == 1
    assert nbtrack.register_model(log(), "clf").version == 2
    assert [model.name for model in nbtrack.list_models()] == ["clf", "wine"]
    assert registry.describe(nbtrack.history("wine")[0]) == "its first name given to another model"
    with pytest.raises(AlreadyExistsError, match="'clf' has this name or is being given it"):
        Client().rename_registered_model("wine", "clf")
    rename_model("clf", "third")
    book = free_ledger("clf", three)  # the second one has it no more
    book.commit("create", lambda _: {"patch": {"model": {"name": "clf", "deleted": False}}}, None, None)
    assert [model.name for model in nbtrack.list_models()] == ["clf", "third", "wine"]
    assert free_ledger("clf", three) is book
    rename_model("clf", "last")
    assert Client().rename_registered_model("wine", "clf").versions[0].version == 3  # its own first name


def test_name_that_somebody_is_just_being_given_is_not_given_away(three: Store) -> None:
    from nbtrack.registry.renaming import free_ledger

    Client().rename_registered_model("clf", "wine")
    book = free_ledger("clf", three)  # a process that will make its model in a moment
    assert free_ledger("clf", three) is book  # another one, and the first commit decides
    with pytest.raises(AlreadyExistsError, match="has this name or is being given it"):
        Client().rename_registered_model("wine", "clf")
