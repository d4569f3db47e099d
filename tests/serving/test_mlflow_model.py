"""Model folders that MLflow wrote are served as they are: from a folder, from a run, from a stage."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from sklearn.tree import DecisionTreeClassifier

import nbtrack
from nbtrack.store import open_store

from .helpers import ask, wait_until


def write(path: Path, model: Any, data: Any) -> Path:
    """Write a folder as MLflow 3 lays it out."""
    path.mkdir()
    (path / "model.pkl").write_bytes(pickle.dumps(model))
    columns = [{"type": "double", "name": name, "required": True} for name in data.columns]
    body = {"dataframe_split": data.head(3).to_dict(orient="split", index=False)}
    (path / "serving_input_example.json").write_text(json.dumps(body))
    own = {"pickled_model": "model.pkl", "serialization_format": "pickle", "sklearn_version": "1.4.0"}
    function = {"loader_module": "mlflow.sklearn", "model_path": "model.pkl", "predict_fn": "predict"}
    record = {
        "flavors": {"python_function": function, "sklearn": own},
        "mlflow_version": "3.10.0",
        "signature": {"inputs": json.dumps(columns), "outputs": None, "params": None},
    }
    (path / "MLmodel").write_text(yaml.safe_dump(record))
    return path


def test_folder_of_mlflow_is_served(runtime: Path, tmp_path: Path, wine_data: Any) -> None:
    data, target = wine_data
    model = DecisionTreeClassifier(random_state=0).fit(data, target)
    with nbtrack.serve(write(tmp_path / "theirs", model, data)) as server:
        for body, kind in (
            (data.to_csv(index=False), "text/csv"),
            (data.to_json(orient="records"), "application/json"),
        ):
            assert ask(server.port, body, kind).json == {"predictions": model.predict(data).tolist()}
        refused = ask(server.port, {"dataframe_split": {"columns": ["x"], "data": [[1]]}})
        assert (refused.status, refused.json["expected"]) == (400, "column 'alcohol'")
        assert ask(server.port, refused.json["example"]).status == 200


def test_versions_of_mlflow_models_follow_their_stage(runtime: Path, tmp_path: Path, wine_data: Any) -> None:
    data, target = wine_data
    store = open_store(tmp_path / ".nbtrack")
    nbtrack.set_tracking_uri(store.uri)
    models = [DecisionTreeClassifier(max_depth=depth, random_state=0).fit(data, target) for depth in (1, 5)]
    for number, model in enumerate(models, 1):
        with nbtrack.start_run() as run:
            nbtrack.log_artifacts(str(write(tmp_path / f"m{number}", model, data)), "model")
        nbtrack.register_model(f"runs:/{run.run_id}/model", "wine")
    nbtrack.promote("wine", 1, "Staging")
    body = data.to_csv(index=False)
    with nbtrack.serve("models:/wine/Staging") as server:
        assert ask(server.port, body, "text/csv").json == {"predictions": models[0].predict(data).tolist()}
        nbtrack.promote("wine", 2, "Staging")
        expected = {"predictions": models[1].predict(data).tolist()}
        assert wait_until(lambda: ask(server.port, body, "text/csv").json == expected, 20)


def test_strangers_code_in_a_folder_of_mlflow_is_not_run(runtime: Path, tmp_path: Path, wine_data: Any) -> None:
    data, target = wine_data
    path = write(tmp_path / "theirs", DecisionTreeClassifier().fit(data, target), data)
    marker = tmp_path / "marker"
    (path / "model.pkl").write_bytes(f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode())
    with pytest.raises(nbtrack.errors.UntrustedModelError, match="posix"):
        nbtrack.serve(path)
    assert not marker.exists()
