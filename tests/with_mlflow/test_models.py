"""Logged and registered models of ours through MLflow's own calls."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.entities import LoggedModelStatus
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

import nbtrack
from nbtrack.bridge.plugin.registry import RegistryStore

X = np.random.default_rng(1).random((40, 3))
Y = (X[:, 0] > 0.5).astype(int)


def log_model(name: str = "model", **given: object) -> object:
    model = LogisticRegression().fit(X, Y)
    return mlflow.sklearn.log_model(
        model,
        name=name,
        signature=infer_signature(X, Y),
        pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",
        **given,
    )


@pytest.fixture
def registry(uri: str) -> RegistryStore:
    return RegistryStore(uri)


def test_logged_model_is_found_loaded_and_registered(uri: str, tmp_path: Path) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metrics({"acc": 0.9})
        info = log_model(registered_model_name="clf")
    wanted = LogisticRegression().fit(X, Y).predict(X).tolist()
    for source in (info.model_uri, "models:/clf/1", f"runs:/{run.info.run_id}/model"):
        assert mlflow.pyfunc.load_model(source).predict(X).tolist() == wanted
    (found,) = mlflow.search_logged_models(output_format="list")
    assert found.status == LoggedModelStatus.READY and found.source_run_id == run.info.run_id
    assert [(m.key, m.value, m.step) for m in found.metrics] == [("acc", 0.9, 0)]
    assert [m.model_id for m in mlflow.get_run(run.info.run_id).outputs.model_outputs] == [found.model_id]
    client = mlflow.MlflowClient()
    assert client.list_artifacts(run.info.run_id) == []  # the model's files are the model's
    assert "model/MLmodel" in {one.path for one in client.list_artifacts(run.info.run_id, "model")}
    assert len(client.get_metric_history(run.info.run_id, "acc")) == 1
    nbtrack.set_tracking_uri(tmp_path / "store")
    assert "model/MLmodel" in nbtrack.get_run(run.info.run_id).artifacts
    version = nbtrack.Client().get_model_version("clf", 1)
    assert (version.source, version.run_id) == (f"runs:/{run.info.run_id}/model", run.info.run_id)


def test_two_models_of_one_name_and_one_without_a_run(uri: str, tmp_path: Path) -> None:
    with mlflow.start_run() as run:
        first, second = log_model(), log_model()
    third = mlflow.initialize_logged_model(name="alone")
    mlflow.finalize_logged_model(third.model_id, "READY")
    assert first.model_id != second.model_id
    for one in (first, second):
        assert mlflow.pyfunc.load_model(one.model_uri).predict(X[:2]).tolist()
    assert len(mlflow.search_runs(output_format="list")) == 1  # what only holds files is no run of MLflow's
    assert len(mlflow.search_logged_models(output_format="list")) == 3
    mlflow.MlflowClient().delete_logged_model(third.model_id)
    with pytest.raises(MlflowException, match="not found"):
        mlflow.get_logged_model(third.model_id)
    mlflow.set_logged_model_tags(first.model_id, {"a": "1", "b": "2"})
    mlflow.delete_logged_model_tag(first.model_id, "a")
    assert "a" not in mlflow.get_logged_model(first.model_id).tags
    found = mlflow.search_logged_models(filter_string="tags.b = '2'", output_format="list")
    assert [one.model_id for one in found] == [first.model_id]
    nbtrack.set_tracking_uri(tmp_path / "store")
    heads = {path.split("/")[0] for path in nbtrack.get_run(run.info.run_id).artifacts}
    assert len(heads) == 2


def test_autolog_writes_to_our_store(uri: str, tmp_path: Path) -> None:
    mlflow.sklearn.autolog(log_models=False)
    try:
        LogisticRegression(max_iter=77).fit(X, Y)
    finally:
        mlflow.sklearn.autolog(disable=True)
    nbtrack.set_tracking_uri(tmp_path / "store")
    (run,) = nbtrack.search_runs(output_format="list")
    assert run.data.params["max_iter"] == "77" and run.info.status == "FINISHED"
    assert 0.5 < run.data.metrics["training_accuracy_score"] <= 1


def test_versions_stages_aliases_and_tags(registry: RegistryStore) -> None:
    made = registry.create_registered_model("clf", [RegisteredModelTag("k", "v")], "what it is")
    assert (made.description, made.tags, made.latest_versions) == ("what it is", {"k": "v"}, [])
    with pytest.raises(MlflowException, match=r"Registered Model \(name=clf\) already exists"):
        registry.create_registered_model("clf")
    for number in (1, 2, 3):
        version = registry.create_model_version(
            "clf", f"s3://b/{number}", "f" * 32, [ModelVersionTag("n", str(number))]
        )
        assert (version.version, version.source, version.run_id) == (number, f"s3://b/{number}", "f" * 32)
        assert version.tags == {"n": str(number)} and version.current_stage == "None"
    registry.transition_model_version_stage("clf", 1, "production", False)
    registry.transition_model_version_stage("clf", 2, "Production", False)
    assert registry.get_model_version("clf", 1).current_stage == "Production"
    registry.transition_model_version_stage("clf", 3, "Production", True)
    assert [registry.get_model_version("clf", n).current_stage for n in (1, 2)] == ["Archived", "Archived"]
    assert {v.current_stage: v.version for v in registry.get_latest_versions("clf")} == {"Production": 3, "Archived": 2}
    registry.set_registered_model_alias("clf", "production", 2)
    assert registry.get_model_version_by_alias("clf", "production").version == 2
    assert registry.get_registered_model("clf").aliases == {"production": 2}
    registry.delete_model_version("clf", 2)
    with pytest.raises(MlflowException, match="alias production not found"):
        registry.get_model_version_by_alias("clf", "production")
    with pytest.raises(MlflowException, match="not found"):
        registry.get_model_version("clf", 2)
    assert registry.create_model_version("clf", "s3://b/4").version == 4
    found = registry.search_model_versions("name = 'clf'", 10)
    assert {one.version for one in found} == {1, 3, 4}
    assert [m.name for m in registry.search_registered_models("name LIKE 'c%'", 10)] == ["clf"]


def test_deleted_name_is_free_and_numbers_go_on(registry: RegistryStore) -> None:
    registry.create_registered_model("clf", [RegisteredModelTag("old", "1")])
    registry.create_model_version("clf", "s3://b/1")
    registry.set_registered_model_alias("clf", "a", 1)
    registry.delete_registered_model("clf")
    with pytest.raises(MlflowException, match="Registered Model with name=clf not found"):
        registry.get_registered_model("clf")
    again = registry.create_registered_model("clf")
    assert (again.tags, again.aliases, again.latest_versions) == ({}, {}, [])
    assert registry.create_model_version("clf", "s3://b/2").version == 2


def test_renamed_model_keeps_its_versions(registry: RegistryStore) -> None:
    registry.create_registered_model("before")
    registry.create_model_version("before", "s3://b/1")
    registry.create_registered_model("other")
    with pytest.raises(MlflowException, match="already exists"):
        registry.rename_registered_model("before", "other")
    registry.rename_registered_model("before", "after")
    assert registry.get_model_version("after", 1).source == "s3://b/1"
    with pytest.raises(MlflowException, match="not found"):
        registry.get_registered_model("before")


def test_version_of_a_version_has_the_same_files(uri: str) -> None:
    with mlflow.start_run():
        log_model(registered_model_name="clf")
    copied = mlflow.MlflowClient().copy_model_version("models:/clf/1", "prod")
    assert mlflow.pyfunc.load_model(f"models:/prod/{copied.version}").predict(X[:2]).tolist()


def test_prompt_is_kept_apart_from_models(uri: str, registry: RegistryStore) -> None:
    mlflow.genai.register_prompt(name="greet", template="Hello {{name}}")
    assert registry.search_registered_models(None, 10) == []
    assert mlflow.genai.load_prompt("prompts:/greet/1").format(name="Ana") == "Hello Ana"
