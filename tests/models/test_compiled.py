"""Compiled predictors answer exactly as scikit-learn does, or leave it to it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import nbtrack
from nbtrack import models
from nbtrack.errors import IntegrityError, UntrustedModelError
from nbtrack.models.compiled import Compiled, NotCovered, compile_model
from nbtrack.models.compiled.table import Places

CLASSIFIERS = [
    LogisticRegression(solver="newton-cholesky"),
    RidgeClassifier(),
    SGDClassifier(random_state=0),
    RandomForestClassifier(20, random_state=0, n_jobs=2),
    ExtraTreesClassifier(10, random_state=0),
    DecisionTreeClassifier(random_state=0),
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(SimpleImputer(), MinMaxScaler(clip=True), RandomForestClassifier(5, random_state=0)),
    make_pipeline(MaxAbsScaler(), None, RidgeClassifier()),
]
REGRESSORS = [
    LinearRegression(),
    Ridge(),
    Lasso(),
    RandomForestRegressor(10, random_state=0),
    ExtraTreesRegressor(10, random_state=0),
    DecisionTreeRegressor(random_state=0),
    GradientBoostingRegressor(n_estimators=10, random_state=0),
    HistGradientBoostingRegressor(max_iter=5, random_state=0),
    make_pipeline(RobustScaler(), Ridge()),
]
CASES = [(load, model) for load in (load_wine, load_breast_cancer) for model in CLASSIFIERS]
CASES += [(load_diabetes, model) for model in REGRESSORS]


@pytest.mark.parametrize(("load", "model"), CASES, ids=lambda value: getattr(value, "__name__", type(value).__name__))
def test_compiled_predictor_is_exact(load: Any, model: Any) -> None:
    data, target = load(return_X_y=True)
    model.fit(data, target)
    written = compile_model(model)
    assert written is not None
    compiled = Compiled.load(written, "test")
    assert np.array_equal(compiled.predict(data), model.predict(data))
    for rows in (data[:1], data[7:9], np.asfortranarray(data[:64])):
        mine, theirs = compiled.predict(rows), model.predict(rows)
        assert np.array_equal(mine, theirs) and mine.dtype == theirs.dtype
    if compiled.proba:
        forest = model.steps[-1][1] if hasattr(model, "steps") else model
        forest.set_params(**({"n_jobs": 1} if hasattr(forest, "n_jobs") else {}))
        assert np.array_equal(compiled.predict_proba(data), model.predict_proba(data))


@pytest.mark.parametrize("leaves", [20, 60, 200], ids=["32-bit table", "64-bit table", "paths"])
def test_many_rows_take_another_way_to_the_same_answer(leaves: int) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(5000, 4))
    model = RandomForestClassifier(12, max_leaf_nodes=leaves, random_state=0).fit(data, data[:, 0] * data[:, 1] > 0)
    compiled = Compiled.load(compile_model(model) or b"", "test")
    threshold = next(t for t in model.estimators_[0].tree_.threshold if t != -2)
    data[::7, model.estimators_[0].tree_.feature[0]] = np.float32(threshold)
    expected = model.predict_proba(data)
    for rows in (1, 2, 3, 4, 65, 512, 513, 5000):
        assert np.array_equal(compiled.predict_proba(data[:rows]), expected[:rows])


@pytest.mark.parametrize(
    "labels", [["a", "b", "c"], [10, 20, 30], np.array(["x", "y", "z"], object), [False, True, True]]
)
def test_compiled_labels_keep_their_type(labels: Any) -> None:
    data, target = load_wine(return_X_y=True)
    model = DecisionTreeClassifier().fit(data, np.asarray(labels)[target])
    written = compile_model(model)
    assert written is not None
    mine, theirs = Compiled.load(written, "test").predict(data), model.predict(data)
    assert mine.dtype == theirs.dtype and mine.tolist() == theirs.tolist()


def test_compiled_imputer_takes_missing_values() -> None:
    data, target = load_wine(return_X_y=True)
    data = np.where(np.random.default_rng(0).random(data.shape) < 0.1, np.nan, data)
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression()).fit(data, target)
    written = compile_model(model)
    assert written is not None
    assert np.array_equal(Compiled.load(written, "test").predict(data), model.predict(data))


class Odd(RandomForestClassifier):
    """Answers as it likes."""

    def predict(self, X: Any) -> Any:
        return super().predict(X) + 1


def test_models_that_are_not_covered_are_not_compiled() -> None:
    data, target = load_wine(return_X_y=True)
    overwritten = DecisionTreeClassifier().fit(data, target)
    overwritten.predict = lambda rows: [0] * len(rows)
    for model in (SVC().fit(data, target), Odd(3).fit(data, target), overwritten, object()):
        assert compile_model(model) is None
    two = RandomForestClassifier(3).fit(data, np.stack([target, target], axis=1))
    assert compile_model(two) is None


def test_compiled_predictor_hands_odd_input_back() -> None:
    data, target = load_wine(return_X_y=True)
    tree, line = DecisionTreeClassifier().fit(data, target), RidgeClassifier().fit(data, target)
    on_trees, on_line = (Compiled.load(compile_model(model) or b"", "test") for model in (tree, line))
    for bad in (np.nan, np.inf, -np.inf):
        rows = data[:3].copy()
        rows[1, 2] = bad
        with pytest.raises(NotCovered, match="missing or infinite"):
            on_trees.predict(rows)
    with pytest.raises(NotCovered, match="too large"):
        on_trees.predict(np.full((1, 13), 1e39))
    for shape in ((0, 13), (1, 12), (13,)):
        with pytest.raises(NotCovered, match="shape"):
            on_trees.predict(np.zeros(shape))
    with pytest.raises(NotCovered, match="type"):
        on_line.predict(data.astype(np.float32))
    with pytest.raises(NotCovered, match="type"):
        on_line.predict(np.full((1, 13), 2**60))
    single = data.astype(np.float32)
    assert np.array_equal(on_trees.predict(single), tree.predict(single))
    assert np.array_equal(on_line.predict(data.astype(int)), line.predict(data.astype(int)))


def test_loaded_model_answers_the_same_with_and_without_compiled(tmp_path: Path) -> None:
    frame, target = load_wine(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(10, random_state=0).fit(frame, target)
    nbtrack.save_model(model, tmp_path / "m", input_example=frame.head())
    loaded = models.load_bundle(tmp_path / "m")
    assert loaded.compiled is not None
    expected = model.predict(frame)
    shuffled = frame[list(frame.columns[::-1])].assign(more=1)
    for data in (frame, shuffled, frame.to_numpy(), frame.to_dict("records"), frame.astype("float32")):
        assert np.array_equal(loaded.predict(data), expected)
    gaps = frame.copy()
    gaps.iloc[0, 0] = None
    assert np.array_equal(loaded.predict(gaps), model.predict(gaps))


SCRIPT = """
import sys
from nbtrack.models import load_bundle
import numpy as np
answer = load_bundle(sys.argv[1]).predict(np.zeros((1, 13)))
print(answer.tolist(), sorted({"sklearn", "scipy", "pandas", "joblib"} & set(sys.modules)))
"""


def test_compiled_model_needs_neither_scikit_learn_nor_pandas(tmp_path: Path) -> None:
    data, target = load_wine(return_X_y=True)
    model = RandomForestClassifier(10, random_state=0).fit(data, target)
    nbtrack.save_model(model, tmp_path / "m")
    out = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "m")], capture_output=True, text=True, check=True
    )
    assert out.stdout == f"{model.predict(np.zeros((1, 13))).tolist()} []\n"


def test_strangers_compiled_model_is_used_and_its_pickle_is_not(tmp_path: Path, as_stranger: Any) -> None:
    data, target = load_wine(return_X_y=True)
    model = DecisionTreeClassifier().fit(data, target)
    model.note_ = lambda: "code"
    nbtrack.save_model(model, tmp_path / "m")
    with as_stranger():
        loaded = models.load_bundle(tmp_path / "m")
        assert np.array_equal(loaded.predict(data), model.predict(data))
        with pytest.raises(UntrustedModelError, match="names 'cloudpickle"):
            loaded.predict(np.full((1, 13), np.nan))


def rewritten(data: bytes, **changes: Any) -> bytes:
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name] for name in file.files}
    arrays.update(changes)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_forged_compiled_predictor_is_refused() -> None:
    data, target = load_wine(return_X_y=True)
    good = compile_model(DecisionTreeClassifier().fit(data, target))
    assert good is not None
    with np.load(io.BytesIO(good)) as file:
        children, feature = file["0.children"].copy(), file["0.feature"].copy()
        header = json.loads(file["program"].tobytes())
    far, back = children.copy(), children.copy()
    far[0, 0], back[0, 1], feature[0] = 99_999, 0, 99
    cases = {
        "a child outside its tree": {"0.children": far},
        "a path without an end": {"0.children": back},
        "an unknown feature": {"0.feature": feature},
        "sizes": {"0.threshold": np.zeros(1)},
        "version 2": {"program": np.frombuffer(json.dumps(header | {"version": 2}).encode(), np.uint8)},
    }
    for told, changes in cases.items():
        with pytest.raises(IntegrityError, match=told):
            Compiled.load(rewritten(good, **changes), "test")
    pickled = io.BytesIO()
    np.savez(pickled, program=np.array([{}], dtype=object))
    for junk in (b"", b"PK", good[:100], pickled.getvalue()):
        with pytest.raises(IntegrityError, match="cannot be read"):
            Compiled.load(junk, "test")


def test_compiled_bomb_is_refused_before_it_unpacks() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", b"few bytes")
        archive.infolist()[0].file_size = 2 << 30  # what its list of contents says
    with pytest.raises(IntegrityError, match="far more than arrays do"):
        Compiled.load(buffer.getvalue(), "test")


def test_mixed_frame_of_numbers_is_answered_as_by_the_model(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3, 4], "x": [0.5, 1.5, 2.5, 3.5], "on": [True, False, True, False]})
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, [0, 1, 0, 1])
    nbtrack.save_model(model, tmp_path / "m", input_example=frame)
    loaded = models.load_bundle(tmp_path / "m")
    assert loaded.compiled is not None
    assert np.array_equal(loaded.predict(frame), model.predict(frame))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_places_among_thresholds_are_exact_wherever_these_lie(kind: Any) -> None:
    rng = np.random.default_rng(0)
    huge, tiny = np.finfo(kind).max, np.finfo(kind).smallest_subnormal
    columns = [
        rng.normal(size=300),
        np.exp(rng.normal(scale=8, size=300)),  # most of them in one cell of the grid
        np.array([0.0, tiny, 2 * tiny, 1.0, 1.0 + np.finfo(kind).eps]),
        np.array([-huge, -1.0, 0.0, 1.0, huge]),  # further apart than a number can say
        np.array([-np.inf, 3.0, np.inf]),
        np.array([np.inf]),
        np.array([7.0]),
        np.arange(3) * np.finfo(kind).smallest_normal,
    ]
    keys = [np.unique(column.astype(kind)) for column in columns]
    places = Places(np.arange(len(keys)), keys)
    assert places._crowded  # each way to an answer is taken
    assert len(places._levels) > 1
    with np.errstate(over="ignore"):
        beside = [(each, np.nextafter(each, kind(np.inf)), np.nextafter(each, kind(-np.inf))) for each in keys]
    near = [np.concatenate(each) for each in beside]
    values = np.stack([rng.choice(each[np.isfinite(each)], 500) for each in near], axis=1)
    starts = np.cumsum([0] + [len(each) + 1 for each in keys[:-1]])
    expected = np.stack([each.searchsorted(values[:, i]) + starts[i] for i, each in enumerate(keys)])
    np.testing.assert_array_equal(places.of(values), expected)
