"""lightgbm's own models: saved as text, loaded with their labels and settings."""

from __future__ import annotations

import re

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


KINDS = {
    "plain": {},
    "classes": {"objective": "multiclass", "num_class": 3},
    "dart": {"boosting": "dart"},
    "forest": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
    "linear": {"linear_tree": True},
}


def saved_booster(folder, kind):
    """A booster of some kind over two numbers and, where it can, a category; and its rows."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    if kind != "linear":
        X["c"] = pd.Categorical(rng.choice(list("uvwxyz"), 300))
    y = rng.integers(0, 3, 300) + (X["c"].isin(["u", "w"]) if "c" in X else 0)
    y = y % 3 if kind == "classes" else y
    more = {"num_leaves": 6, "min_data_per_group": 5, "cat_smooth": 1, **QUIET}
    model = lightgbm.train(KINDS[kind] | more, lightgbm.Dataset(X, y), 3)
    nbtrack.save_model(model, folder)
    return model, X


@pytest.mark.parametrize("kind", KINDS)
def test_stranger_s_booster_of_every_kind_is_loaded(tmp_path, stranger, kind):
    model, X = saved_booster(tmp_path / "m", kind)
    with stranger():
        assert np.array_equal(nbtrack.load_model(tmp_path / "m").predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("plain", "left_child", "12345678"),
        ("plain", "right_child", "0"),
        ("plain", "left_child", "-99"),
        ("plain", "split_feature", "77"),
        ("plain", "split_feature", "-1"),
        ("plain", "num_leaves", "9"),
        ("plain", "cat_boundaries", "7000"),
        ("plain", "num_cat", "900"),
        ("plain", "max_feature_idx", "0"),
        ("classes", "num_tree_per_iteration", "9"),
        ("linear", "leaf_features", "9999"),
    ],
)
def test_every_number_that_leads_nowhere_is_noticed_before_it_is_followed(tmp_path, stranger, kind, key, value):
    saved_booster(tmp_path / "m", kind)
    text = (tmp_path / "m" / "model.txt").read_text()
    forged, count = re.subn(rf"(?m)^({key}=)-?[0-9.]+", rf"\g<1>{value}", text)
    assert count > 0
    folder = resigned(tmp_path / "m", tmp_path / "bad", "model.txt", forged.encode())
    with stranger(), pytest.raises(IntegrityError, match=r"do not form a tree|lightgbm cannot read its model\.txt"):
        nbtrack.load_model(folder)


def test_category_of_a_node_and_places_in_the_file_are_not_believed(tmp_path, stranger):
    model, X = saved_booster(tmp_path / "m", "plain")
    text = (tmp_path / "m" / "model.txt").read_text()
    lost = re.sub(r"tree_sizes=.*", "tree_sizes=5 99999999 7", text)
    with stranger():
        folder = resigned(tmp_path / "m", tmp_path / "sizes", "model.txt", lost.encode())
        assert np.array_equal(nbtrack.load_model(folder).predict(X), model.predict(X))
        kinds = re.search(r"decision_type=(.*)", text)[1].split()
        thresholds = re.search(r"threshold=(.*)", text)[1].split()
        thresholds[next(i for i, kind in enumerate(kinds) if int(kind) & 1)] = "4000"
        beyond = re.sub(r"(?m)^threshold=.*", "threshold=" + " ".join(thresholds), text, count=1)
        folder = resigned(tmp_path / "m", tmp_path / "beyond", "model.txt", beyond.encode())
        with pytest.raises(IntegrityError, match="asks for categories that there are not"):
            nbtrack.load_model(folder)


def test_wrong_models_and_files_say_what_is_wrong(tmp_path, data):
    with pytest.raises(InvalidInputError, match="this LGBMRegressor is not fitted"):
        nbtrack.save_model(lightgbm.LGBMRegressor(), tmp_path / "m")
    with pytest.raises(InvalidInputError, match="expected a Booster or an estimator of lightgbm, got str"):
        nbtrack.lightgbm.save_model("m", tmp_path / "m")
    nbtrack.save_model(lightgbm.train(QUIET, lightgbm.Dataset(data[0], data[0]["a"]), 1), tmp_path / "m")
    with pytest.raises(IntegrityError, match=r"lightgbm cannot read its model\.txt"):
        nbtrack.load_model(resigned(tmp_path / "m", tmp_path / "bad", "model.txt", b"nothing"))
