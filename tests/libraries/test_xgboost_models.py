"""xgboost's own models: saved as data, loaded with their settings, served."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import IntegrityError, InvalidInputError, UntrustedModelError
from nbtrack.models import load_bundle, read_model
from nbtrack.models.flavors.xgboost import _check as check
from tests.libraries.conftest import library
from tests.libraries.forging import resigned

xgboost = library("xgboost")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
    return frame, (frame["a"] + frame["b"] > 0).astype(int) + (frame["c"] > 1)


@pytest.fixture(scope="module")
def classifier(data):
    return xgboost.XGBClassifier(n_estimators=5, max_depth=2, learning_rate=0.5).fit(*data)


def test_classifier_comes_back_with_labels_probabilities_and_settings(store, data, classifier, stranger):
    X, _ = data
    with nbtrack.start_run():
        info = nbtrack.xgboost.log_model(classifier, "clf", input_example=X.head())
    assert info.manifest.flavor == "xgboost"
    assert "xgboost" in "".join(info.manifest.environment["packages"])
    for context in (stranger, None):
        if context is not None:
            with context():
                loaded = nbtrack.load_model(info.model_uri)
        else:
            loaded = nbtrack.xgboost.load_model(info.model_uri)
        assert type(loaded) is xgboost.XGBClassifier
        assert np.array_equal(loaded.predict(X), classifier.predict(X))
        assert np.array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
        assert repr(loaded.get_params()) == repr(classifier.get_params())
        assert list(loaded.feature_names_in_) == ["a", "b", "c"]
    assert np.array_equal(load_bundle(info.model_uri).predict(X[["c", "a", "b"]]), classifier.predict(X))


@pytest.mark.parametrize("kind", ["XGBRegressor", "XGBRFClassifier", "XGBRanker"])
def test_other_estimators_come_back(tmp_path, data, kind):
    X, y = data
    model = getattr(xgboost, kind)(n_estimators=3)
    model.fit(X, y, **({"group": [100, 100]} if kind == "XGBRanker" else {}))
    nbtrack.save_model(model, tmp_path / "m", input_example=X.head())
    loaded = nbtrack.load_model(tmp_path / "m")
    assert type(loaded) is type(model)
    assert np.array_equal(loaded.predict(X), model.predict(X))


def test_booster_takes_frames_arrays_and_params_of_predict(store, data):
    X, y = data
    booster = xgboost.train({"max_depth": 2, "objective": "binary:logistic"}, xgboost.DMatrix(X, y > 0), 4)
    with nbtrack.start_run():
        info = nbtrack.log_model(booster, "bst", input_example=X.head())
    bundle = load_bundle(info.model_uri)
    assert type(bundle.model) is xgboost.Booster
    expected = booster.predict(xgboost.DMatrix(X))
    assert np.array_equal(bundle.predict(X), expected)
    assert np.array_equal(bundle.predict(X.to_numpy()), expected)
    margin = bundle.predict(X, {"output_margin": True})
    assert np.allclose(1 / (1 + np.exp(-margin)), expected, atol=1e-5)


def test_categories_given_as_text_are_predicted_as_in_training(store):
    frame = pd.DataFrame({"city": pd.Categorical(["rome", "oslo", "rome", "bern"] * 10), "x": np.arange(40.0)})
    model = xgboost.XGBRegressor(n_estimators=5, enable_categorical=True)
    model.fit(frame, [1.0, 5.0, 1.0, 9.0] * 10)
    with nbtrack.start_run():
        info = nbtrack.log_model(model, "m", input_example=frame.head())
    rows = {"city": ["bern", "oslo"], "x": [3.0, 1.0]}
    expected = model.predict(frame.iloc[[3, 1]])
    assert np.array_equal(nbtrack.predict(info.model_uri, rows), expected)


def test_early_stopping_and_settings_that_are_no_data(tmp_path, data, stranger):
    X, y = data
    stop = xgboost.callback.EarlyStopping(rounds=2, save_best=False)
    model = xgboost.XGBRegressor(n_estimators=50, callbacks=[stop])
    model.fit(X, y, eval_set=[(X[:50], -y[:50])], verbose=False)
    nbtrack.save_model(model, tmp_path / "m")
    loaded = nbtrack.load_model(tmp_path / "m")
    assert loaded.best_iteration == model.best_iteration
    assert type(loaded.callbacks[0]) is xgboost.callback.EarlyStopping
    assert np.array_equal(loaded.predict(X), model.predict(X))
    with stranger():
        assert nbtrack.load_model(tmp_path / "m").callbacks is None


def test_predict_replaced_on_the_instance_survives_for_its_owner_only(tmp_path, data, stranger):
    X, y = data
    model = xgboost.XGBClassifier(n_estimators=3).fit(X, y)
    before = model.predict_proba
    model.predict = lambda rows: before(rows)[:, 1].round(2)
    info = nbtrack.save_model(model, tmp_path / "m", input_example=X.head())
    loaded = nbtrack.load_model(tmp_path / "m")
    assert np.array_equal(loaded.predict(X), model.predict(X))
    assert np.array_equal(load_bundle(tmp_path / "m").predict(X), model.predict(X))
    assert type(loaded).predict is xgboost.XGBClassifier.predict
    with stranger(), pytest.raises(UntrustedModelError, match="methods of this model were replaced by code"):
        nbtrack.load_model(tmp_path / "m")
    assert info.manifest.flavor == "xgboost"


KINDS = {
    "binary": ({"objective": "binary:logistic"}, 1),
    "classes": ({"objective": "multi:softprob", "num_class": 3}, 1),
    "dart": ({"booster": "dart", "rate_drop": 0.5}, 1),
    "linear": ({"booster": "gblinear"}, 1),
    "targets": ({"multi_strategy": "multi_output_tree"}, 2),
    "forest": ({"num_parallel_tree": 3}, 1),
}


def saved_booster(folder, kind):
    """A booster of some kind over a number and, where it can, a category given as text; and its rows."""
    params, targets = KINDS[kind]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90), "c": pd.Categorical(rng.choice(list("xyz"), 90))})
    frame = frame[["a"]] if kind in {"linear", "targets"} else frame
    y = rng.integers(0, 2 if kind == "binary" else 3, size=(90, targets)[: 1 if targets == 1 else 2])
    depth = {} if kind == "linear" else {"max_depth": 3, "max_cat_to_onehot": 1}
    booster = xgboost.train(params | depth, xgboost.DMatrix(frame, y, enable_categorical=True), 3)
    nbtrack.save_model(booster, folder)
    return booster, xgboost.DMatrix(frame, enable_categorical=True)


@pytest.mark.parametrize("kind", KINDS)
def test_stranger_s_booster_of_every_kind_is_loaded(tmp_path, stranger, kind):
    booster, rows = saved_booster(tmp_path / "m", kind)
    with stranger():
        assert np.array_equal(nbtrack.load_model(tmp_path / "m").predict(rows), booster.predict(rows))


def numbers(data: bytes):
    """Where the whole numbers of typed arrays lie in UBJSON: (name, place, bytes of one)."""
    for found in re.finditer(rb"L\0{7}.([a-z_]+)\[\$([lLiU])#L(.{8})", data, re.DOTALL):
        size = {b"l": 4, b"L": 8, b"i": 1, b"U": 1}[found[2]]
        for i in range(int.from_bytes(found[3], "big")):
            yield found[1].decode(), found.end() + i * size, size


FOLLOWED = {"left_children", "right_children", "split_indices", "categories_nodes", "categories_segments"}
FOLLOWED |= {"categories_sizes", "split_type"}


@pytest.mark.parametrize("kind", ["classes", "targets"])
def test_every_number_that_leads_nowhere_is_noticed_before_it_is_followed(tmp_path, stranger, kind):
    saved_booster(tmp_path / "m", kind)
    data = (tmp_path / "m" / "model.ubj").read_bytes()
    tried = set()
    for name, place, size in numbers(data):
        if name not in FOLLOWED or ((name, size) in tried and place % 7):
            continue
        tried.add((name, size))
        forged = data[:place] + (1 << (8 * size - 2)).to_bytes(size, "big") + data[place + size :]
        with pytest.raises(IntegrityError, match=r"do not form a tree|do not fit together|cannot read its model\.ubj"):
            check(forged, "m")
    assert kind == "targets" or {name for name, _ in tried} == FOLLOWED
    for name in (b"tree_info", b"iteration_indptr"):
        place = data.index(name) + len(name) + len(b"[#L") + 8 + 1
        with pytest.raises(IntegrityError, match=r"do not fit together"):
            check(data[:place] + b"\x70" + data[place + 1 :], "m")
    with stranger(), pytest.raises(IntegrityError, match=r"do not form a tree|do not fit together"):
        nbtrack.load_model(resigned(tmp_path / "m", tmp_path / "bad", "model.ubj", forged))
    for cut in range(0, len(data), 97):
        with pytest.raises(IntegrityError, match=r"cannot read its model\.ubj"):
            check(data[:cut], "m")


def test_not_fitted_unknown_class_and_broken_file_say_what_is_wrong(tmp_path, classifier):
    with pytest.raises(InvalidInputError, match="this XGBClassifier is not fitted"):
        nbtrack.save_model(xgboost.XGBClassifier(), tmp_path / "m")
    with pytest.raises(InvalidInputError, match="expected a Booster or an estimator of xgboost, got int"):
        nbtrack.xgboost.save_model(3, tmp_path / "m")
    nbtrack.save_model(classifier, tmp_path / "m")
    with pytest.raises(IntegrityError, match=r"xgboost cannot read its model\.ubj"):
        nbtrack.load_model(resigned(tmp_path / "m", tmp_path / "bad", "model.ubj", b"{nothing"))
    strange = resigned(tmp_path / "m", tmp_path / "odd", "model.ubj", b"", {"class": "DMatrix"})
    with pytest.raises(IntegrityError, match="xgboost has no model of the class 'DMatrix'"):
        nbtrack.load_model(strange)
    assert set(read_model(tmp_path / "m").files) == {"model.ubj"}


def test_class_made_from_an_estimator_goes_with_scikit_learn(tmp_path, data):
    X, y = data

    class Mine(xgboost.XGBClassifier):
        def predict(self, rows):
            return super().predict(rows) + 10

    model = Mine(n_estimators=2).fit(X, y)
    assert nbtrack.save_model(model, tmp_path / "m").manifest.flavor == "sklearn"
    assert np.array_equal(nbtrack.load_model(tmp_path / "m").predict(X), model.predict(X))
