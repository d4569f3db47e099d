"""lightgbm's own models: saved as text, loaded with their labels and settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import IntegrityError, InvalidInputError, UntrustedModelError
from nbtrack.models import load_bundle
from tests.libraries.conftest import library
from tests.libraries.forging import resigned

lightgbm = library("lightgbm")
QUIET = {"verbosity": -1, "min_child_samples": 5}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
    return frame, np.array(["low", "high"])[(frame["a"] + frame["b"] > 0).astype(int)]


@pytest.mark.parametrize("named", [True, False], ids=["frame", "array"])
def test_classifier_comes_back_with_text_labels_probabilities_and_settings(store, data, stranger, named):
    X, y = data if named else (data[0].to_numpy(), data[1])
    model = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=4, **QUIET).fit(X, y)
    with nbtrack.start_run():
        info = nbtrack.lightgbm.log_model(model, "clf", input_example=X[:5])
    with stranger():
        loaded = nbtrack.load_model(info.model_uri)
    assert type(loaded) is lightgbm.LGBMClassifier
    assert list(loaded.predict(X)) == list(model.predict(X))
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert list(loaded.classes_) == ["high", "low"]
    assert loaded.get_params() == model.get_params()
    assert list(loaded.feature_names_in_) == list(model.feature_names_in_) if named else loaded.n_features_in_ == 3
    assert list(load_bundle(info.model_uri).predict(X[:9])) == list(model.predict(X[:9]))
    assert loaded.score(X, y) == model.score(X, y)


def test_booster_regressor_and_ranker_come_back(tmp_path, data):
    X, _ = data
    y = X["a"].to_numpy()
    booster = lightgbm.train({"objective": "l2", **QUIET}, lightgbm.Dataset(X, y), 4)
    regressor = lightgbm.LGBMRegressor(n_estimators=3, **QUIET).fit(X, y)
    ranker = lightgbm.LGBMRanker(n_estimators=3, **QUIET).fit(X, (y > 0).astype(int), group=[100, 100])
    for name, model in {"booster": booster, "regressor": regressor, "ranker": ranker}.items():
        nbtrack.save_model(model, tmp_path / name, input_example=X.head())
        bundle = load_bundle(tmp_path / name)
        assert type(bundle.model) is type(model)
        assert np.array_equal(bundle.predict(X[["b", "c", "a"]]), model.predict(X))
        assert np.array_equal(bundle.predict(X, {"raw_score": True}), model.predict(X, raw_score=True))


def test_categories_and_best_iteration_are_kept(tmp_path):
    rng = np.random.default_rng(1)
    X = pd.DataFrame({"city": pd.Categorical(rng.choice(["rome", "oslo", "bern"], 300)), "x": rng.normal(size=300)})
    y = X["x"] + (X["city"] == "oslo") * 5
    model = lightgbm.LGBMRegressor(n_estimators=60, **QUIET)
    stop = lightgbm.early_stopping(2, verbose=False)
    model.fit(X, y, eval_X=(X[:50],), eval_y=(-y[:50],), callbacks=[stop])
    nbtrack.save_model(model, tmp_path / "m", input_example=X.head())
    loaded = nbtrack.load_model(tmp_path / "m")
    assert loaded.best_iteration_ == model.best_iteration_ < 60
    rows = pd.DataFrame({"city": ["oslo", "rome"], "x": [0.5, -0.5]})
    fitting = rows.astype({"city": X["city"].dtype})
    assert np.array_equal(nbtrack.predict(tmp_path / "m", rows), model.predict(fitting))


def test_predict_replaced_on_the_instance_survives_for_its_owner_only(tmp_path, data, stranger):
    X, y = data
    model = lightgbm.LGBMClassifier(n_estimators=3, **QUIET).fit(X, y)
    before = model.predict_proba
    model.predict = lambda rows: before(rows)[:, 1].round(1)
    nbtrack.save_model(model, tmp_path / "m", input_example=X.head())
    assert np.array_equal(nbtrack.predict(tmp_path / "m", X), model.predict(X))
    with stranger(), pytest.raises(UntrustedModelError, match="methods of this model were replaced by code"):
        nbtrack.load_model(tmp_path / "m")


def test_forged_trees_are_refused_before_they_are_followed(tmp_path, data, stranger):
    X, _ = data
    model = lightgbm.train({"num_leaves": 8, **QUIET}, lightgbm.Dataset(X, X["a"]), 2)
    nbtrack.save_model(model, tmp_path / "m")
    text = (tmp_path / "m" / "model.txt").read_text()
    for key, first in (
        ("left_child", "12345678"),
        ("right_child", "0"),
        ("split_feature", "77"),
        ("left_child", "-99"),
    ):
        at = text.index(f"{key}=") + len(key) + 1
        until = min(text.index(" ", at), text.index("\n", at))
        forged = resigned(
            tmp_path / "m", tmp_path / f"{key}{first}", "model.txt", (text[:at] + first + text[until:]).encode()
        )
        with stranger(), pytest.raises(IntegrityError, match="do not form a tree"):
            nbtrack.load_model(forged)


def test_wrong_models_and_files_say_what_is_wrong(tmp_path, data):
    with pytest.raises(InvalidInputError, match="this LGBMRegressor is not fitted"):
        nbtrack.save_model(lightgbm.LGBMRegressor(), tmp_path / "m")
    with pytest.raises(InvalidInputError, match="expected a Booster or an estimator of lightgbm, got str"):
        nbtrack.lightgbm.save_model("m", tmp_path / "m")
    nbtrack.save_model(lightgbm.train(QUIET, lightgbm.Dataset(data[0], data[0]["a"]), 1), tmp_path / "m")
    with pytest.raises(IntegrityError, match=r"lightgbm cannot read its model\.txt"):
        nbtrack.load_model(resigned(tmp_path / "m", tmp_path / "bad", "model.txt", b"nothing"))
