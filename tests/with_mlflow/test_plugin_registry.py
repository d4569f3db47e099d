"""Registered models, versions, stages and aliases: our store answers as MLflow's own database does."""

from __future__ import annotations

import time
from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException

from nbtrack.bridge.plugin.registry import RegistryStore
from nbtrack.registry import history

from .twins import Twin, Twins

RUN, OTHER = "a" * 32, "b" * 32
MODEL_TEXTS = ["name = 'RM1'", "name != 'RM1'", "name LIKE 'R%'", "name ILIKE 'r%'", "tags.t = 'rm2'"]
MODEL_TEXTS += ["tag.t ILIKE 'RM2'", "name > 'a'", "name != plain", "run_id = 'x'", "size = 'a'"]
VERSION_TEXTS = ["name = 'RM1'", f"run_id = '{OTHER}'", f"run_id IN ('{OTHER}', 'x')", "run_id IN (1)", "run_id IN ()"]
VERSION_TEXTS += ["version_number <= 1", "version_number = 'x'", "source_path LIKE 's3%'", "tags.n = '1'", "name LIKE"]
MODEL_ORDERS = [["name DESC"], ["timestamp"], ["timestamp\tdesc"], ["last_updated_timestamp"], ["timestamp", "name"]]
MODEL_ORDERS += [["timestamp", "last_updated_timestamp"], ["creation_timestamp"], ["size"], ["name up"]]


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    return Twins(tmp_path_factory.mktemp("twins"))


def versions(found: Any) -> list[tuple[str, int]]:
    return [(one.name, one.version) for one in found]


def test_registered_models(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        registry = twin.registry
        twin.ask(registry.create_registered_model, "clf", [RegisteredModelTag("k", "v")], "good")
        for name in ("clf", None, "", "a/b", "a:b"):
            twin.ask(registry.create_registered_model, name)
        for name in ("clf", "nothing", None, ""):
            twin.ask(registry.get_registered_model, name)
            twin.ask(registry.update_registered_model, name, "better")
            twin.ask(registry.set_registered_model_tag, name, RegisteredModelTag("t", "v"))
            twin.ask(registry.delete_registered_model_tag, name, "t")
            twin.ask(registry.get_latest_versions, name)
        for key, value in ((None, "v"), ("k" * 251, "v"), ("k", "v" * 100_001)):
            twin.ask(registry.set_registered_model_tag, "clf", RegisteredModelTag(key, value))
        registry.create_model_version("clf", "s3://b/1", RUN)
        registry.set_registered_model_alias("clf", "best", 1)
        for name in (None, "", "a/b", "clf", "forest"):
            twin.ask(lambda name=name: registry.rename_registered_model("clf", name).name)
        twin.ask(registry.get_model_version_by_alias, "forest", "best")
        twin.ask(registry.rename_registered_model, "nothing", "x")
        for _ in range(2):
            twin.ask(registry.delete_registered_model, "forest")
        twin.ask(registry.get_model_version, "forest", 1)
        twin.ask(registry.create_registered_model, "forest")
        twin.ask(lambda: registry.list_webhooks().token)

    twins.agree(script)


def test_versions_stages_and_aliases(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        registry = twin.registry
        registry.create_registered_model("clf")
        for number in range(1, 5):
            tags = [ModelVersionTag("n", str(number))]
            twin.ask(registry.create_model_version, "clf", f"s3://b/{number}", RUN, tags, "http://run", "words")
        for number in (1, "1", 9, "word", 0, -1):
            twin.ask(registry.get_model_version, "clf", number)
            twin.ask(registry.update_model_version, "clf", number, "other words")
            twin.ask(registry.get_model_version_download_uri, "clf", number)
            twin.ask(registry.set_registered_model_alias, "clf", "some", number)
        twin.ask(registry.create_model_version, "nothing", "s3://b/1", RUN)
        for number, stage, archive in (
            (1, "staging", False),
            (2, "Staging", False),
            (3, "STAGING", True),
            (4, "None", True),
        ):
            twin.ask(registry.transition_model_version_stage, "clf", number, stage, archive)
            twin.ask(lambda: [registry.get_model_version("clf", one).current_stage for one in (1, 2, 3, 4)])
        twin.ask(registry.transition_model_version_stage, "clf", 1, "Nowhere", False)
        for stages in (None, [], ["production"], ["sTaging"], ["nowhere"]):
            twin.ask(lambda stages=stages: versions(registry.get_latest_versions("clf", stages)))
        for alias in ("best", "latest", "v1", "", None, "a:b", "x" * 256):
            twin.ask(registry.set_registered_model_alias, "clf", alias, 2)
            twin.ask(registry.get_model_version_by_alias, "clf", alias)
        twin.ask(lambda: registry.get_registered_model("clf").aliases)
        for _ in range(2):
            twin.ask(registry.delete_model_version, "clf", 4)
        for _ in range(2):
            twin.ask(registry.delete_registered_model_alias, "clf", "best")
            twin.ask(registry.delete_model_version_tag, "clf", 1, "n")
        twin.ask(registry.get_model_version, "clf", 1)
        version = registry.get_model_version("clf", 2)
        for _ in range(2):
            twin.ask(registry.copy_model_version, version, "copy")

    twins.agree(script)


def test_models_and_versions_are_searched(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        registry = twin.registry
        for name, run_id in (("RM1", RUN), ("rm2", OTHER), ("RM3", RUN)):
            registry.create_registered_model(name, [RegisteredModelTag("t", name)])
            time.sleep(0.002)
            for number in range(2):
                registry.create_model_version(name, f"s3://{name}", run_id, [ModelVersionTag("n", str(number))])
                time.sleep(0.002)
        models, found = registry.search_registered_models, registry.search_model_versions
        for text in (None, "", *MODEL_TEXTS):
            twin.ask(lambda text=text: [one.name for one in models(text)])
        for text in (None, *VERSION_TEXTS):
            twin.ask(lambda text=text: versions(found(text)))
        for order in MODEL_ORDERS:
            twin.ask(lambda order=order: [one.name for one in models(order_by=order)])
        for order in (
            ["name DESC"],
            ["version_number"],
            ["creation_timestamp"],
            ["name", "name"],
            ["run_id"],
            ["name up"],
        ):
            twin.ask(lambda order=order: versions(found(order_by=order)))
        for limit in (1, 2, 200_001):
            twin.ask(lambda limit=limit: [one.name for one in models(None, limit)])
            twin.ask(lambda limit=limit: versions(found(None, limit)))
        for call in (models, found):
            page = twin.ask(lambda call=call: [one.name for one in call(None, 2, ["name"])])
            token = call(None, 2, ["name"]).token
            twin.ask(lambda call=call, token=token: [one.name for one in call(None, 2, ["name"], token)])
            twin.ask(lambda call=call: call(None, 2, None, "none of ours"))
            assert page

    twins.agree(script)


def test_names_that_renamed_models_gave_up(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        registry = twin.registry

        def rename(name: str, new_name: str) -> None:
            twin.ask(lambda: registry.rename_registered_model(name, new_name).name)

        registry.create_registered_model("first", [RegisteredModelTag("t", "1")])
        registry.create_model_version("first", "s3://b/1", RUN)
        rename("first", "second")
        twin.ask(registry.create_registered_model, "first", None, "another one")
        twin.ask(registry.create_registered_model, "first")
        twin.ask(registry.create_model_version, "first", "s3://b/2", RUN)
        rename("second", "first")  # somebody has it
        rename("first", "third")
        rename("second", "first")  # its own again
        rename("third", "second")  # which the other one had in between
        for name in ("first", "second", "third"):
            twin.ask(registry.get_registered_model, name)
            twin.ask(registry.get_model_version, name, 1)
        registry.delete_registered_model("second")
        twin.ask(registry.create_registered_model, "second")
        twin.ask(registry.create_registered_model, "third")
        twin.ask(lambda: [one.name for one in registry.search_registered_models()])
        twin.ask(lambda: versions(registry.search_model_versions(order_by=["name"])))

    twins.agree(script)


def test_runs_that_are_no_ids_of_ours(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        registry = twin.registry
        registry.create_registered_model("clf")
        for source, run_id in (("runs:/my_run/model", "my_run"), ("1", "my_run"), ("here", None), ("there", "a/b")):
            twin.ask(registry.create_model_version, "clf", source, run_id)
        for number in range(1, 5):
            twin.ask(registry.get_model_version, "clf", number)
            twin.ask(registry.get_model_version_download_uri, "clf", number)
        twin.ask(lambda: versions(registry.search_model_versions("run_id = 'my_run'")))

    twins.agree(script)


def test_descriptions_and_times(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        registry = twin.registry

        seen: dict[str, int] = {}

        def changed() -> list[str]:  # which of the times moved since the last look
            time.sleep(0.003)
            model = registry.get_registered_model("clf")
            times = {"model made": model.creation_timestamp, "model": model.last_updated_timestamp}
            for one in registry.search_model_versions():
                times[f"v{one.version} made"] = one.creation_timestamp
                times[f"v{one.version}"] = one.last_updated_timestamp
            moved = sorted(key for key, at in times.items() if seen.get(key) != at)
            seen.update(times)
            return moved

        registry.create_registered_model("clf", description="")
        for number in (1, 2):
            registry.create_model_version("clf", f"s3://b/{number}", RUN, description="" if number == 1 else None)
            twin.ask(changed)
        for words in (None, "", "words", None):
            twin.ask(lambda words=words: registry.update_registered_model("clf", words).description)
            twin.ask(changed)
            twin.ask(registry.update_model_version, "clf", 1, words)
            twin.ask(changed)
        registry.set_registered_model_tag("clf", RegisteredModelTag("k", "v"))
        registry.set_model_version_tag("clf", 1, ModelVersionTag("k", "v"))
        registry.set_registered_model_alias("clf", "best", 1)
        twin.ask(changed)
        registry.transition_model_version_stage("clf", 2, "Staging", False)
        twin.ask(changed)
        registry.transition_model_version_stage("clf", 1, "Staging", True)
        twin.ask(changed)
        registry.delete_model_version("clf", 2)
        twin.ask(changed)
        registry.delete_registered_model("clf")
        time.sleep(0.003)
        registry.create_registered_model("clf")
        twin.ask(changed)

    twins.agree(script)


def test_prompts(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        registry = twin.registry
        registry.create_registered_model("clf")
        twin.ask(registry.create_prompt, "greeting", "says hello", {"team": "a"})
        for text in ("Hello {{name}}!", [{"role": "user", "content": "Hi {{name}}"}]):
            twin.ask(lambda text=text: registry.create_prompt_version("greeting", text, "why", {"k": "v"}).template)
        registry.set_prompt_alias("greeting", "live", 1)
        for version in (1, "2", 3, "live", "none", "latest"):
            twin.ask(lambda version=version: registry.get_prompt_version("greeting", version).template)
        twin.ask(lambda: registry.get_prompt_version("clf", 1))
        twin.ask(lambda: [one.name for one in registry.search_prompts("experiment_id = '0'")])
        twin.ask(lambda: [(one.name, one.tags) for one in registry.search_prompts()])
        for limit in (1, 5):
            twin.ask(lambda limit=limit: [one.version for one in registry.search_prompt_versions("greeting", limit)])
        twin.ask(registry.search_prompt_versions, "clf")
        twin.ask(lambda: [one.name for one in registry.search_registered_models()])
        twin.ask(registry.delete_prompt_version, "greeting", 1)
        twin.ask(registry.delete_prompt, "greeting")
        twin.ask(registry.get_prompt, "greeting")

    twins.agree(script)


def test_webhooks_are_not_there_and_refused(uri: str) -> None:
    registry = RegistryStore(uri)
    for call in (registry.get_webhook, registry.update_webhook, registry.delete_webhook, registry.test_webhook):
        with pytest.raises(MlflowException, match="Webhook with ID w-1 not found") as raised:
            call("w-1")
        assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(NotImplementedError, match="create_webhook: nbtrack keeps experiments, runs and models"):
        registry.create_webhook("name", "https://a.example", [])
    with pytest.raises(MlflowException, match="max_results must be between 1 and 1000"):
        registry.list_webhooks(max_results=1001)


def test_a_clock_behind_is_told_as_it_was(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = RegistryStore(uri)
    registry.create_registered_model("clf")
    monkeypatch.setattr(time, "time", lambda: 1234.0)
    registry.create_model_version("clf", "s3://b/1", RUN)
    monkeypatch.undo()
    version = registry.get_model_version("clf", 1)
    assert (version.creation_timestamp, version.last_updated_timestamp) == (1234000, 1234000)
    commits = [commit.at_ms for commit in history("clf", store=registry.store)]
    assert commits == sorted(commits, reverse=True)  # ours never go back
