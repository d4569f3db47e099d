"""Models of every library, behind a real server in a process of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import nbtrack
from tests.libraries.conftest import library

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
LABELS = (FRAME["a"] > 0).astype(int)


def of_xgboost():
    return library("xgboost").XGBClassifier(n_estimators=3).fit(FRAME, LABELS), FRAME


def of_lightgbm():
    model = library("lightgbm").LGBMClassifier(n_estimators=3, verbosity=-1, min_child_samples=5)
    return model.fit(FRAME, LABELS.map({0: "no", 1: "yes"})), FRAME


def of_pytorch():
    return library("torch").nn.Linear(2, 1), FRAME


def of_keras():
    library("torch")
    keras = library("keras")
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), FRAME


def of_onnx():
    library("onnx")
    from tests.libraries.test_onnx_models import line

    return line(), FRAME.to_numpy()


def of_statsmodels():
    return library("statsmodels.api").OLS(LABELS, FRAME).fit(), FRAME


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("make", [of_xgboost, of_lightgbm, of_pytorch, of_keras, of_onnx, of_statsmodels])
def test_served_model_answers_as_it_does_here(store, make):
    model, data = make()
    with nbtrack.start_run():
        info = nbtrack.log_model(model, "m", input_example=data[:5])
    here = np.asarray(nbtrack.predict(info.model_uri, data))
    with nbtrack.serve(info.model_uri) as server:
        there = np.asarray(server.predict(data))
    assert there.shape == here.shape
    if here.dtype.kind == "f":
        assert np.allclose(there, here, atol=1e-5)
    else:
        assert there.tolist() == here.tolist()


def test_images_are_served_as_nested_lists(store):
    torch = library("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 3))
    images = np.random.default_rng(0).random((6, 1, 4, 4))
    with nbtrack.start_run():
        info = nbtrack.log_model(model, "m", input_example=images[:2])
    with nbtrack.serve(info.model_uri) as server:
        there = np.asarray(server.predict(images))
    assert np.allclose(there, nbtrack.predict(info.model_uri, images), atol=1e-5)
    assert there.shape == (6, 3)
