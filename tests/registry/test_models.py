"""Registered models and their versions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import nbtrack
from nbtrack import registry
from nbtrack.errors import AlreadyExistsError, InvalidInputError, InvalidNameError, NotFoundError
from nbtrack.names import RunURI
from nbtrack.store.base import Store

Log = Callable[..., str]


def test_register_gives_numbers_from_one_and_says_where_from(store: Store, log: Log) -> None:
    uri = log(0.8)
    first = nbtrack.register_model(uri, "clf", tags={"team": "a", "size": 3}, description="the first")
    second = nbtrack.register_model(log(0.9), "clf")
    assert (first.version, second.version) == (1, 2)
    assert first.source == uri and first.run_id == uri.split("/")[1] and first.flavor == "sklearn"
    assert first.tags == {"team": "a", "size": "3"} and first.description == "the first"
    assert first.metrics == {"accuracy": 0.8} and len(first.digest) == 64
    assert first.current_stage == "None" and first.status == "READY" and first.user_id


def test_register_while_the_run_goes_on_shows_the_metrics_it_logs_later(store: Store) -> None:
    from sklearn.dummy import DummyClassifier

    with nbtrack.start_run():
        info = nbtrack.log_model(DummyClassifier().fit([[0]], [1]), registered_model_name="clf")
        assert info.registered_model_version == 1
        assert registry.get_version("clf", 1).metrics == {}
        nbtrack.log_metric("accuracy", 0.75)
    assert registry.get_version("clf", 1).metrics == {"accuracy": 0.75}
    assert registry.list_models()[0].versions[0].metrics == {"accuracy": 0.75}


def test_register_path_that_is_no_model_names_the_models_of_the_run(store: Store, log: Log) -> None:
    run_id = log(name="forest").split("/")[1]
    nbtrack.set_tracking_uri(store.uri)
    with pytest.raises(InvalidInputError, match=r"is not a model; .* this run logged: 'forest'"):
        nbtrack.register_model(f"runs:/{run_id}/other", "clf")
    with pytest.raises(InvalidInputError, match="is not a model"):
        nbtrack.register_model(f"runs:/{run_id}/forest/model.pkl", "clf")
    assert registry.list_models() == []


@pytest.mark.parametrize(
    "uri", ["", "model", "/etc", "file:///etc", "http://h/x", "runs:/", "runs:/abc/model", "s3://b/x", None, 3]
)
def test_register_unusable_uri_is_refused(store: Store, uri: object) -> None:
    with pytest.raises(InvalidNameError, match=r"model URI|run id"):
        nbtrack.register_model(uri, "clf")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["../x", "model/../../x", "/etc/passwd", "a\\..\\b", "%2e%2e%2fx", "model\x00"])
def test_register_path_that_leaves_the_run_is_refused(store: Store, log: Log, path: str) -> None:
    run_id = log().split("/")[1]
    with pytest.raises(InvalidNameError, match="artifact path"):
        nbtrack.register_model(f"runs:/{run_id}/{path}", "clf")


def test_register_unknown_run_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match="0" * 21):
        nbtrack.register_model(f"runs:/{'0' * 21}/model", "clf")


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a@b", "x" * 251, "../x", "a\nb", " a", ".a"])
def test_register_unusable_name_is_refused(store: Store, log: Log, name: str) -> None:
    uri = log()
    with pytest.raises(InvalidNameError, match="model name"):
        nbtrack.register_model(uri, name)


@pytest.mark.parametrize("name", ["clf", "größe", "a b", "CON", "$(touch x)", "{{7*7}}", "x" * 250, "clf.v1", "-rf"])
def test_register_odd_but_allowed_name_is_kept_literally(store: Store, log: Log, name: str) -> None:
    nbtrack.register_model(log(), name)
    assert [model.name for model in registry.list_models()] == [name]
    assert registry.resolve(f"models:/{name}/1").name == name  # type: ignore[union-attr]


def test_names_that_differ_in_case_are_two_models(store: Store, log: Log) -> None:
    nbtrack.register_model(log(), "clf")
    nbtrack.register_model(log(), "CLF")
    assert [len(model.versions) for model in registry.list_models()] == [1, 1]


def test_version_of_another_model_can_be_copied(three: Store) -> None:
    copied = nbtrack.register_model("models:/clf/2", "other")
    assert copied.version == 1 and copied.source == registry.get_version("clf", 2).source


def test_resolve_understands_every_form(three: Store) -> None:
    nbtrack.promote("clf", 2, "Staging")
    nbtrack.set_alias("clf", "champion", 1)
    forms = {"1": 1, "staging": 2, "latest": 3, "None": 3}
    for form, version in forms.items():
        assert registry.resolve(f"models:/clf/{form}").version == version  # type: ignore[union-attr]
    assert registry.resolve("models:/clf@champion").version == 1  # type: ignore[union-attr]
    assert isinstance(registry.resolve(f"runs:/{'0' * 21}/m"), RunURI)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("models:/nobody/1", "there are: 'clf'"),
        ("models:/clf/9", "its versions are: 3, 2, 1"),
        ("models:/clf/Production", "no version of 'clf' is there now; it has v3 in None"),
        ("models:/clf@nobody", "its aliases are: none"),
    ],
)
def test_resolve_what_is_not_there_says_what_is(three: Store, uri: str, told: str) -> None:
    with pytest.raises(NotFoundError, match=told):
        registry.resolve(uri)


def test_alias_moves_and_goes(three: Store) -> None:
    nbtrack.set_alias("clf", "champion", 1)
    nbtrack.set_alias("clf", "champion", 2)
    nbtrack.set_alias("clf", "best", 2)
    model = registry.get_model("clf")
    assert model.aliases == {"champion": 2, "best": 2}
    assert [version.aliases for version in model.versions] == [(), ("best", "champion"), ()]
    registry.delete_alias("clf", "champion")
    registry.delete_alias("clf", "champion")
    assert registry.get_model("clf").aliases == {"best": 2}
    with pytest.raises(NotFoundError, match="no version 7"):
        nbtrack.set_alias("clf", "x", 7)
    with pytest.raises(InvalidNameError, match="already means"):
        nbtrack.set_alias("clf", "latest", 1)


def test_description_and_tags_change_and_go(three: Store) -> None:
    registry.edit_model("clf", description="wine", tags={"a": 1, "b": 2})
    registry.edit_model("clf", tags={"a": None})
    registry.edit_version("clf", 1, description="old", tags={"x": "y"})
    model = registry.get_model("clf")
    assert (model.description, model.tags) == ("wine", {"b": "2"})
    assert (model.versions[2].description, model.versions[2].tags) == ("old", {"x": "y"})
    before = registry.last_commit("clf")
    registry.edit_version("clf", 1)
    assert registry.last_commit("clf") == before


def test_deleted_version_loses_stage_and_aliases_and_keeps_its_number(three: Store, log: Log) -> None:
    nbtrack.promote("clf", 3, "Production")
    nbtrack.set_alias("clf", "champion", 3)
    registry.delete_version("clf", 3)
    with pytest.raises(NotFoundError, match=r"version 3 is in the trash\. .*restore_model_version\('clf', 3\)"):
        registry.get_version("clf", 3)
    assert registry.resolve("models:/clf/latest").version == 2  # type: ignore[union-attr]
    assert nbtrack.register_model(log(), "clf").version == 4
    restored = registry.restore_version("clf", 3)
    assert (restored.current_stage, restored.aliases) == ("None", ())
    nbtrack.undo("clf")
    with pytest.raises(NotFoundError, match="in the trash"):
        registry.get_version("clf", 3)


def test_undone_delete_brings_stage_and_aliases_back(three: Store) -> None:
    nbtrack.promote("clf", 3, "Production")
    nbtrack.set_alias("clf", "champion", 3)
    registry.delete_version("clf", 3)
    nbtrack.undo("clf")
    version = registry.get_version("clf", 3)
    assert (version.current_stage, version.aliases) == ("Production", ("champion",))


def test_deleted_model_is_out_of_sight_until_restored(three: Store, log: Log) -> None:
    registry.delete_model("clf")
    assert registry.list_models() == []
    assert [model.name for model in registry.list_models(trashed=True)] == ["clf"]
    for act in (
        lambda: registry.get_model("clf"),
        lambda: nbtrack.promote("clf", 1, "Staging"),
        lambda: registry.resolve("models:/clf/1"),
    ):
        with pytest.raises(NotFoundError, match=r"it is in the trash\. .*restore_registered_model"):
            act()
    with pytest.raises(AlreadyExistsError, match="in the trash"):
        nbtrack.register_model(log(), "clf")
    assert len(registry.restore_model("clf").versions) == 3


def test_versions_read_by_another_store_object_are_the_same(
    three: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import shutil

    from nbtrack.store import open_store

    nbtrack.promote("clf", 2, "Staging")
    copy = tmp_path_factory.mktemp("copy") / "store"
    shutil.copytree(three.uri.removeprefix("file://"), copy)
    assert registry.get_model("clf", store=open_store(copy)) == registry.get_model("clf")


@pytest.mark.parametrize("version", ["x", 1.5, None, True, -1, "", "1e3", 10**12, [1]])
def test_version_that_is_no_number_is_refused(three: Store, version: object) -> None:
    with pytest.raises(InvalidInputError, match="expected a version number"):
        registry.get_version("clf", version)  # type: ignore[arg-type]


def test_version_may_be_written_as_text(three: Store) -> None:
    assert registry.get_version("clf", "2").version == registry.get_version("clf", "v2").version == 2
