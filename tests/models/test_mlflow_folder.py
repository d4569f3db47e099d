"""Folders that MLflow wrote: read without MLflow, as a stranger's."""

from __future__ import annotations

import json
import pickle
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from skops import io as skops_io

import nbtrack
from nbtrack import models, registry
from nbtrack.entities import Column
from nbtrack.errors import IntegrityError, InvalidInputError, NotFoundError, UntrustedModelError
from nbtrack.models.flavors import cloudpickle
from nbtrack.store.base import Store

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Writes a folder as MLflow 3 lays it out: its own description around a model that is dumped here."""

    def write(model: Any, kind: str = "pickle", *, data: Any = None, name: str = "m", **more: Any) -> Path:
        path = tmp_path / name
        path.mkdir()
        file = "model.skops" if kind == "skops" else "model.pkl"
        dump = {"skops": skops_io.dumps, "cloudpickle": cloudpickle().dumps, "pickle": pickle.dumps}.get(kind)
        (path / file).write_bytes(model if isinstance(model, bytes) else dump(model))  # type: ignore[misc]
        record: dict[str, Any] = {
            "flavors": {
                "python_function": {
                    "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                    "loader_module": "mlflow.sklearn",
                    "model_path": file,
                    "predict_fn": "predict",
                    "python_version": platform.python_version(),
                },
                "sklearn": {
                    "code": None,
                    "pickled_model": file,
                    "serialization_format": kind,
                    "sklearn_version": "1.9.1",
                    "skops_trusted_types": None,
                },
            },
            "mlflow_version": "3.18.0",
            "model_id": None,
            "utc_time_created": "2026-11-21 13:33:15.146394",
        }
        if data is not None:
            columns = [{"type": "double", "name": name, "required": True} for name in data.columns]
            output = [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
            record["signature"] = {"inputs": json.dumps(columns), "outputs": json.dumps(output), "params": None}
            body = {"dataframe_split": data.head(3).to_dict(orient="split", index=False)}
            (path / "serving_input_example.json").write_text(json.dumps(body))
        for flavor, fields in more.items():
            record["flavors"].setdefault(flavor, {}).update(fields)
        (path / "MLmodel").write_text(yaml.safe_dump(record))
        (path / "requirements.txt").write_text("scikit-learn==1.9.1\nmlflow==3.18.0\n-r /etc/passwd\nx @ file:///etc\n")
        return path

    return write


@pytest.mark.parametrize("kind", ["pickle", "cloudpickle", "skops"])
def test_model_of_mlflow_predicts_the_same(folder: Folder, wine: Any, kind: str) -> None:
    data, y = wine
    for name, model in (
        ("forest", RandomForestClassifier(5).fit(data, y)),
        ("tree", DecisionTreeClassifier().fit(data, y)),
    ):
        path = folder(model, kind, data=data, name=name)
        assert np.array_equal(nbtrack.load_model(path).predict_proba(data), model.predict_proba(data))
        assert np.array_equal(nbtrack.predict(path, data[data.columns[::-1]]), model.predict(data))
    found = models.read_model(path)
    assert not found.own and found.manifest.signature is not None
    assert found.manifest.signature.inputs[0] == Column(data.columns[0], "double")
    assert found.manifest.signature.outputs == (Column(None, "long"),)
    assert found.manifest.environment["packages"] == {"scikit-learn": "1.9.1"}
    assert found.example is not None and found.example["dataframe_split"]["columns"] == list(data.columns)


def test_model_of_mlflow_answers_by_the_method_that_it_was_saved_with(folder: Folder, wine: Any) -> None:
    data, y = wine
    model = DecisionTreeClassifier().fit(data, y)
    path = folder(model, python_function={"predict_fn": "predict_proba"})
    assert np.array_equal(nbtrack.predict(path, data), model.predict_proba(data))
    other = folder(model, name="other", python_function={"predict_fn": "__reduce__"})
    assert np.array_equal(nbtrack.predict(other, data), model.predict(data))


class Sum:
    """A Python model as MLflow's users write them."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input.sum(axis=1) + (params or {}).get("offset", 0)


def test_python_model_of_mlflow_loads_only_by_its_digest(folder: Folder, wine: Any) -> None:
    data, _ = wine
    path = folder(cloudpickle().dumps(Sum()), name="py")
    record = yaml.safe_load((path / "MLmodel").read_text())
    record["flavors"] = {"python_function": {"loader_module": "mlflow.pyfunc.model", "python_model": "model.pkl"}}
    (path / "MLmodel").write_text(yaml.safe_dump(record))
    with pytest.raises(UntrustedModelError, match="brings code of its own"):
        nbtrack.load_model(path)
    digest = models.read_model(path).digest
    loaded = models.load_bundle(path, trust=digest)
    assert np.allclose(loaded.predict(data), data.sum(axis=1))
    assert np.allclose(loaded.predict(data, {"offset": 1}), data.sum(axis=1) + 1)
    (path / "requirements.txt").write_text("")  # any byte of the folder
    with pytest.raises(IntegrityError, match="you trust the model with the digest"):
        nbtrack.load_model(path, trust=digest)


def test_model_of_mlflow_is_registered_promoted_and_loaded(store: Store, folder: Folder, wine: Any) -> None:
    data, y = wine
    model = DecisionTreeClassifier().fit(data, y)
    with nbtrack.start_run() as run:
        nbtrack.log_artifacts(str(folder(model, data=data)), "model")
    version = nbtrack.register_model(f"runs:/{run.run_id}/model", "wine")
    assert version.flavor == "mlflow" and len(version.digest) == 64
    nbtrack.promote("wine", 1, "Production", require="input example predicts")
    assert np.array_equal(nbtrack.predict("models:/wine/Production", data), model.predict(data))
    with nbtrack.start_run() as other:
        nbtrack.log_artifacts(str(folder(LogisticRegression(), name="n")), "a/b")
    with pytest.raises(InvalidInputError, match="this run logged: 'a/b'"):
        nbtrack.register_model(f"runs:/{other.run_id}/a", "wine")
    assert [v.version for v in registry.get_model("wine").versions] == [1]


@pytest.mark.parametrize("kind", ["pickle", "cloudpickle", "skops"])
def test_forged_tree_in_a_folder_of_mlflow_is_refused(folder: Folder, wine: Any, kind: str) -> None:
    model = DecisionTreeClassifier().fit(*wine)
    state = model.tree_.__getstate__()
    state["nodes"]["left_child"][0] = 99_999_999
    model.tree_.__setstate__(state)
    with pytest.raises(IntegrityError, match="child lies outside"):
        nbtrack.load_model(folder(model, kind))


def test_strangers_types_in_skops_are_refused_by_name(folder: Folder, wine: Any) -> None:
    from sklearn.preprocessing import FunctionTransformer

    gadget = FunctionTransformer(Path.write_text)
    path = folder(gadget, "skops")
    with pytest.raises(UntrustedModelError, match=r"its skops file names 'pathlib"):
        nbtrack.load_model(path)


def test_skops_that_unpacks_to_far_more_than_it_is_is_refused(folder: Folder) -> None:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"{}" + b" " * (200 << 20))
    started = time.perf_counter()
    with pytest.raises(IntegrityError, match="unpacks to 209,715,202"):
        nbtrack.load_model(folder(buffer.getvalue(), "skops"))
    with pytest.raises(IntegrityError, match=r"skops file cannot be read \(BadZipFile"):
        nbtrack.load_model(folder(b"PK\x03\x04 nothing", "skops", name="torn"))
    assert time.perf_counter() - started < 10


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch MARKER']",
        "flavors: !!python/object/new:subprocess.Popen [['touch', 'MARKER']]",
        BOMB,
        "[" * 50_000,
        "flavors: {" * 5_000,
        "",
        "- a\n- b",
        "flavors: 3",
        "\x00",
        "a: b: c",
        "x" * (5 << 20),
    ],
)
def test_description_that_is_no_plain_yaml_is_refused_at_once(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = folder(DecisionTreeClassifier())
    (path / "MLmodel").write_text(text)
    started = time.process_time()
    with pytest.raises(IntegrityError, match=r"cannot be read|is no mapping|names no flavors"):
        nbtrack.load_model(path)
    assert time.process_time() - started < 2 and not (tmp_path / "MARKER").exists()


@pytest.mark.parametrize("name", ["../secret.pkl", "/etc/passwd", "..\\x", "%2e%2e/x", "nowhere.pkl", 3, None])
def test_file_outside_of_the_folder_is_not_read(folder: Folder, tmp_path: Path, name: Any) -> None:
    (tmp_path / "secret.pkl").write_bytes(pickle.dumps(DecisionTreeClassifier()))
    with pytest.raises((IntegrityError, InvalidInputError), match=r"not there|artifact path"):
        nbtrack.load_model(folder(DecisionTreeClassifier(), sklearn={"pickled_model": name}))


def test_what_only_mlflow_can_load_says_so(folder: Folder, tmp_path: Path) -> None:
    model = DecisionTreeClassifier()
    with pytest.raises(InvalidInputError, match="with a folder of code"):
        nbtrack.load_model(folder(model, sklearn={"code": "code"}))
    with pytest.raises(InvalidInputError, match="saved it as 'joblib'"):
        nbtrack.load_model(folder(model, name="b", sklearn={"serialization_format": "joblib"}))
    path = folder(model, name="c", prophet={"data": "x"})
    record = yaml.safe_load((path / "MLmodel").read_text())
    del record["flavors"]["sklearn"]
    (path / "MLmodel").write_text(yaml.safe_dump(record))
    with pytest.raises(InvalidInputError, match="with the flavor 'prophet'; expected sklearn or a Python model"):
        nbtrack.load_model(path)
    with pytest.raises(NotFoundError, match="MLmodel"):
        nbtrack.load_model(tmp_path / "nowhere")
