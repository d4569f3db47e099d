"""MLflow's registry verbs."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable

import pytest

import nbtrack
from nbtrack import Client
from nbtrack.errors import AlreadyExistsError, FilterSyntaxError, InvalidInputError, NotFoundError
from nbtrack.store.base import Store


def test_client_walks_through_mlflows_life_of_a_model(store: Store, log: Callable[..., str]) -> None:
    client = Client(store.uri)
    assert client.create_registered_model("clf", {"a": "b"}, "wine").tags == {"a": "b"}
    with pytest.raises(AlreadyExistsError, match="exists already"):
        client.create_registered_model("clf")
    uri = log()
    run_id = uri.split("/")[1]
    assert client.create_model_version("clf", uri, run_id).version == 1
    assert client.create_model_version("clf", "model", run_id, tags={"k": "v"}, description="d").version == 2
    with pytest.raises(NotFoundError, match="no registered model"):
        client.create_model_version("nobody", uri)
    assert client.transition_model_version_stage("clf", "1", "Production").current_stage == "Production"
    assert client.transition_model_version_stage(name="clf", version=2, stage="Production").version == 2
    assert client.get_model_version("clf", 1).current_stage == "Archived"
    assert {v.current_stage: v.version for v in client.get_latest_versions("clf")} == {"Production": 2, "Archived": 1}
    assert [v.version for v in client.get_latest_versions("clf", stages=["production"])] == [2]
    client.set_registered_model_alias("clf", "champion", 2)
    assert client.get_model_version_by_alias("clf", "champion").version == 2
    client.delete_registered_model_alias("clf", "champion")
    with pytest.raises(NotFoundError, match="no alias 'champion'"):
        client.get_model_version_by_alias("clf", "champion")
    assert client.get_model_version_download_uri("clf", 1) == uri
    assert client.get_model_version_stages("clf", 1) == ["None", "Staging", "Production", "Archived"]


def test_client_archives_the_existing_version_when_asked(three: Store) -> None:
    client = Client()
    client.transition_model_version_stage("clf", 1, "Staging")
    client.transition_model_version_stage("clf", 2, "Staging", archive_existing_versions=True)
    assert client.get_model_version("clf", 1).current_stage == "Archived"


def test_client_tags_descriptions_and_trash(three: Store) -> None:
    client = Client()
    client.set_registered_model_tag("clf", "a", 1)
    client.set_model_version_tag("clf", 2, "k", "v")
    client.transition_model_version_stage("clf", 3, "Staging")
    client.set_model_version_tag("clf", key="s", value="t", stage="Staging")
    assert client.get_registered_model("clf").tags == {"a": "1"}
    assert client.get_model_version("clf", 3).tags == {"s": "t"}
    client.delete_registered_model_tag("clf", "a")
    client.delete_model_version_tag("clf", 2, "k")
    assert client.get_registered_model("clf").tags == client.get_model_version("clf", 2).tags == {}
    with pytest.raises(InvalidInputError, match="expected a version or a stage"):
        client.set_model_version_tag("clf", key="x", value="y")
    assert client.update_registered_model("clf", "d").description == "d"
    assert client.update_model_version("clf", 1, description="e").description == "e"
    client.delete_model_version("clf", 1)
    assert client.restore_model_version("clf", 1).version == 1
    client.delete_registered_model("clf")
    assert client.search_registered_models() == []
    assert client.restore_registered_model("clf").name == "clf"


def test_client_searches_versions(three: Store) -> None:
    client = Client()
    client.set_model_version_tag("clf", 2, "checked by", "ana")
    nbtrack.register_model("models:/clf/1", "other")

    def found(text: str, **more: object) -> list[tuple[str, int]]:
        return [(v.name, v.version) for v in client.search_model_versions(text, **more)]  # type: ignore[arg-type]

    assert found("name = 'clf'", order_by=["version_number ASC"]) == [("clf", 1), ("clf", 2), ("clf", 3)]
    assert found("name='clf' and version_number >= 2", order_by=["version_number DESC"]) == [("clf", 3), ("clf", 2)]
    assert found("tags.`checked by` = 'ana'") == found("tag.`checked by` ILIKE 'AN%'") == [("clf", 2)]
    assert found("name != 'clf'") == found("name NOT LIKE 'c%'") == [("other", 1)]
    run_id = client.get_model_version("clf", 3).run_id
    assert found(f"run_id = '{run_id}'") == [("clf", 3)]
    page = client.search_model_versions("name = 'clf'", max_results=2, order_by=["version_number"])
    assert [v.version for v in page] == [1, 2] and page.token is not None
    rest = client.search_model_versions(
        "name = 'clf'", max_results=2, order_by=["version_number"], page_token=page.token
    )
    assert [v.version for v in rest] == [3] and rest.token is None


def test_client_searches_models(three: Store) -> None:
    client = Client()
    client.create_registered_model("other", tags={"team": "a"})
    assert [m.name for m in client.search_registered_models()] == ["clf", "other"]
    assert [m.name for m in client.search_registered_models(order_by=["name DESC"])] == ["other", "clf"]
    assert [m.name for m in client.search_registered_models("name LIKE 'cl_'")] == ["clf"]
    assert [m.name for m in client.search_registered_models("tags.team = 'a'")] == ["other"]


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name =",
        "name = clf",
        "name = 'clf' OR name = 'b'",
        "name = 'a' name = 'b'",
        "password = 'x'",
        "name = 'a",
        "__import__('os').system('true')",
        "name LIKE 3",
        "(" * 1000,
        "name = 'a' AND " * 5000,
        "' OR 1=1 --",
    ],
)
def test_client_broken_filter_is_refused(three: Store, text: str) -> None:
    with pytest.raises(FilterSyntaxError, match="filter"):
        Client().search_model_versions(text)


def test_client_broken_order_page_and_limit_are_refused(three: Store) -> None:
    with pytest.raises(FilterSyntaxError, match="order_by: expected one of name"):
        Client().search_model_versions(order_by=["size"])
    with pytest.raises(NotFoundError, match="no page has the token"):
        Client().search_model_versions(page_token="x")
    with pytest.raises(InvalidInputError, match="max_results"):
        Client().search_model_versions(max_results=0)


def test_filter_with_many_wildcards_is_quick(three: Store) -> None:
    Client().update_model_version("clf", 1, description="x")
    nbtrack.register_model("models:/clf/1", "a" * 250)
    started = time.perf_counter()
    assert Client().search_model_versions("name LIKE '" + "%a" * 120 + "%b'") == []
    assert time.perf_counter() - started < 1


def test_client_of_two_stores_is_refused(three: Store) -> None:
    with pytest.raises(InvalidInputError, match="lie in one store"):
        Client("a", "b")


# Every verb of MLflow's client (3.18) about registered models, with the names of its arguments.
VERBS = """
copy_model_version src_model_uri dst_name
create_model_version name source run_id tags run_link description await_creation_for model_id
create_registered_model name tags description deployment_job_id
delete_model_version name version
delete_model_version_tag name version key stage
delete_registered_model name
delete_registered_model_alias name alias
delete_registered_model_tag name key
get_latest_versions name stages
get_model_version name version
get_model_version_by_alias name alias
get_model_version_download_uri name version
get_model_version_stages name version
get_registered_model name
rename_registered_model name new_name
search_model_versions filter_string max_results order_by page_token
search_registered_models filter_string max_results order_by page_token
set_model_version_tag name version key value stage
set_registered_model_alias name alias version
set_registered_model_tag name key value
transition_model_version_stage name version stage archive_existing_versions
update_model_version name version description
update_registered_model name description deployment_job_id
"""


@pytest.mark.parametrize("line", VERBS.strip().splitlines())
def test_client_has_mlflows_verb_with_its_arguments(line: str) -> None:
    verb, *arguments = line.split()
    assert list(inspect.signature(getattr(Client, verb)).parameters)[1:] == arguments
