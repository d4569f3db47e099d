"""Keras models: plain ones, with classes of the notebook, strangers' ones."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import IntegrityError, InvalidInputError, UntrustedModelError
from nbtrack.models import load_bundle
from tests.libraries.conftest import library
from tests.libraries.forging import resigned

library("torch")
keras = library("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside Keras
ROWS = np.arange(12.0).reshape(4, 3)


def small():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(ROWS, ROWS[:, :2], verbose=0)
    return model


def test_model_comes_back_the_same_also_to_a_stranger(store, stranger):
    model = small()
    with nbtrack.start_run():
        info = nbtrack.keras.log_model(model, "net", input_example=ROWS)
    assert (info.manifest.flavor, info.manifest.options["backend"]) == ("keras", "torch")
    expected = model.predict(ROWS, verbose=0)
    assert np.allclose(load_bundle(info.model_uri).predict(ROWS), expected)
    assert np.allclose(nbtrack.predict(info.model_uri, pd.DataFrame(ROWS)), expected)
    assert nbtrack.load_model(info.model_uri).optimizer is not None
    with stranger():
        assert np.allclose(nbtrack.load_model(info.model_uri).predict(ROWS, verbose=0), expected)


def test_classes_written_in_the_notebook_are_had_by_another_process_of_their_owner(tmp_path, stranger):
    code = f"""
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras, numpy as np, nbtrack
class Double(keras.layers.Layer):
    def call(self, x):
        return x * 2
class Net(keras.Model):
    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width, self.inner, self.out = width, keras.layers.Dense(width), Double()
    def get_config(self):
        return super().get_config() | {{"width": self.width}}
    def call(self, x):
        return self.out(self.inner(x))
net = Net(5)
net.compile("adam", loss=lambda y, p: keras.ops.mean((y - p) ** 2))
net.fit(np.ones((4, 3)), np.ones((4, 5)), verbose=0)
nbtrack.save_model(net, {str(tmp_path / "m")!r}, input_example=np.ones((2, 3)))
print(float(net.predict(np.ones((1, 3)), verbose=0).sum()))
"""
    wrote = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert wrote.returncode == 0, wrote.stderr
    loaded = nbtrack.keras.load_model(tmp_path / "m")
    assert float(loaded.predict(np.ones((1, 3)), verbose=0).sum()) == pytest.approx(float(wrote.stdout))
    with stranger(), pytest.raises(UntrustedModelError, match=r"names '.*Net', which could run a stranger's code"):
        nbtrack.load_model(tmp_path / "m")


def test_model_that_keras_could_not_load_again_is_refused_at_once(tmp_path):
    class Wide(keras.Model):
        def __init__(self, width=4, **kwargs):
            super().__init__(**kwargs)
            self.inner = keras.layers.Dense(width)

        def call(self, x):
            return self.inner(x)

    model = Wide(width=5)
    model.predict(ROWS, verbose=0)
    with pytest.raises(InvalidInputError, match=r"Give Wide a get_config\(\) that returns the arguments"):
        nbtrack.save_model(model, tmp_path / "m")


def test_several_inputs_are_the_columns_of_their_names(tmp_path):
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    out = keras.layers.Dense(1)(keras.layers.Concatenate()([a, b]))
    model = keras.Model([a, b], out)
    frame = pd.DataFrame({"b": [1.0, 2.0], "a": [3.0, 4.0]})
    nbtrack.save_model(model, tmp_path / "m", input_example=frame)
    expected = model.predict({"a": frame[["a"]].to_numpy(), "b": frame[["b"]].to_numpy()}, verbose=0)
    assert np.allclose(nbtrack.predict(tmp_path / "m", frame), expected)


def test_predict_replaced_on_the_instance_survives_for_its_owner_only(tmp_path, stranger):
    model = small()
    before = model.predict
    model.predict = lambda rows, **settings: before(rows, verbose=0).round(1)
    nbtrack.save_model(model, tmp_path / "m", input_example=ROWS)
    assert np.array_equal(nbtrack.predict(tmp_path / "m", ROWS), model.predict(ROWS))
    with stranger(), pytest.raises(UntrustedModelError, match="methods of this model were replaced by code"):
        nbtrack.load_model(tmp_path / "m")


def _with_layer(data: bytes, change) -> bytes:
    """Return a .keras file whose second layer was changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config["config"]["layers"][1])
                content = json.dumps(config).encode()
            target.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        {"class_name": "Lambda"},
        {"module": "os", "class_name": "system"},
        {"module": "keras.src.utils.file_utils", "class_name": "get_file"},
        {"module": "keras.layers", "class_name": "TorchModuleWrapper"},
        {"registered_name": "Custom>Evil"},
        {"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
    ],
    ids=lambda change: str(next(reversed(change.values())))[:20],
)
def test_foreign_structure_that_names_code_or_files_is_refused(tmp_path, stranger, change):
    nbtrack.save_model(small(), tmp_path / "m")
    data = (tmp_path / "m" / "model.keras").read_bytes()
    forged = resigned(
        tmp_path / "m", tmp_path / "bad", "model.keras", _with_layer(data, lambda layer: layer.update(change))
    )
    with stranger(), pytest.raises(UntrustedModelError, match="could run a stranger's code or read files"):
        nbtrack.load_model(forged)


def test_foreign_lambda_is_refused(tmp_path, stranger):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1)])
    nbtrack.save_model(model, tmp_path / "m")
    assert np.allclose(nbtrack.load_model(tmp_path / "m").predict(ROWS, verbose=0), ROWS + 1)
    with stranger(), pytest.raises(UntrustedModelError, match=r"names 'keras\.layers\.Lambda'"):
        nbtrack.load_model(tmp_path / "m")


def test_wrong_models_and_files_say_what_is_wrong(tmp_path):
    with pytest.raises(InvalidInputError, match=r"expected a keras\.Model, got Dense"):
        nbtrack.keras.save_model(keras.layers.Dense(1), tmp_path / "m")
    nbtrack.save_model(small(), tmp_path / "m")
    with pytest.raises(IntegrityError, match=r"Keras cannot read its model\.keras"):
        nbtrack.load_model(resigned(tmp_path / "m", tmp_path / "bad", "model.keras", b"nothing"))
