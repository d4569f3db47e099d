"""Whose model is it? Tampered bytes, strangers' pickles, forged trees, the key."""

from __future__ import annotations

import contextlib
import importlib
import json
import pickle
import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import nbtrack
from nbtrack import models
from nbtrack.entities import MANIFEST_NAME
from nbtrack.errors import IntegrityError, UntrustedModelError
from nbtrack.store.base import Store

Stranger = Callable[[], Any]


def forged(folder: Path, payload: bytes) -> Path:
    """A model folder as a stranger would make it: whole, with right digests, around a pickle of his."""
    folder.mkdir()
    (folder / "model.pkl").write_bytes(payload)
    record = {
        "flavor": "sklearn",
        "model_class": "sklearn.tree.DecisionTreeClassifier",
        "files": {"model.pkl": [sha256(payload).hexdigest(), len(payload)]},
    }
    (folder / MANIFEST_NAME).write_text(json.dumps(record))
    return folder


# -- tampering ---------------------------------------------------------------------------------------------------------
def test_flipped_byte_in_any_file_is_noticed(tmp_path: Path, wine: Any, forest: Any) -> None:
    nbtrack.save_model(forest, tmp_path / "m", input_example=wine[0].head())
    for name in ("model.pkl", "input_example.json"):
        copy = tmp_path / f"copy-{name}"
        shutil.copytree(tmp_path / "m", copy)
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(IntegrityError, match=f"the bytes of its file '{name}' are not the ones"):
            nbtrack.load_model(copy)


def test_edited_manifest_loses_its_trust(tmp_path: Path, wine: Any) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    model.predict = lambda rows: [42] * len(rows)
    nbtrack.save_model(model, tmp_path / "m")
    assert nbtrack.load_model(tmp_path / "m").predict([[1]]) == [42]
    path = tmp_path / "m" / MANIFEST_NAME
    path.write_text(path.read_text().replace('"created_at_ms": 1', '"created_at_ms": 2'))
    with pytest.raises(UntrustedModelError, match="cloudpickle"):
        nbtrack.load_model(tmp_path / "m")


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"flavor": "sklearn"}',
        b'{"flavor": "sklearn", "model_class": "x", "files": {"../../etc/passwd": ["aa", 1]}}',
        b'{"flavor": "sklearn", "model_class": "x", "files": {"/etc/passwd": ["aa", 1]}}',
        b'{"flavor": "sklearn", "model_class": "x", "files": {}, "input_example": "../x"}',
        b"[" * 100_000,
    ],
)
def test_broken_manifest_is_an_integrity_error(tmp_path: Path, manifest: bytes) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(manifest)
    with pytest.raises(IntegrityError, match=r"cannot be read|not among its files"):
        nbtrack.load_model(tmp_path)


def test_files_of_two_versions_swapped_are_noticed(tmp_path: Path, wine: Any) -> None:
    data, y = wine
    for name, depth in (("a", 1), ("b", 2)):
        nbtrack.save_model(DecisionTreeClassifier(max_depth=depth).fit(data, y), tmp_path / name)
    (tmp_path / "a" / "model.pkl").replace(tmp_path / "b" / "model.pkl")
    for name in ("a", "b"):
        with pytest.raises(IntegrityError, match=r"model\.pkl"):
            nbtrack.load_model(tmp_path / name)


def test_version_whose_run_logged_another_model_since_is_refused(store: Store, forest: Any) -> None:
    with nbtrack.start_run() as run:
        nbtrack.log_model(forest, registered_model_name="wine")
        nbtrack.log_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    with pytest.raises(IntegrityError, match="is not the one that was registered"):
        nbtrack.load_model("models:/wine/1")
    assert isinstance(nbtrack.load_model(f"runs:/{run.run_id}/model"), LogisticRegression)


def test_blob_changed_in_the_store_is_noticed(store: Store, forest: Any) -> None:
    with nbtrack.start_run() as run:
        info = nbtrack.log_model(forest)
    path = store.blob_path(store.get_run(run.run_id).artifacts["model/model.pkl"].digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match=r"[0-9a-f]{12}"):
        nbtrack.load_model(info.model_uri)


def test_link_out_of_the_folder_is_refused(tmp_path: Path, forest: Any) -> None:
    nbtrack.save_model(forest, tmp_path / "m")
    outside = tmp_path / "outside.pkl"
    (tmp_path / "m" / "model.pkl").rename(outside)
    (tmp_path / "m" / "model.pkl").symlink_to(outside)
    with pytest.raises(IntegrityError, match="a link that leads outside"):
        nbtrack.load_model(tmp_path / "m")


# -- strangers ---------------------------------------------------------------------------------------------------------
def test_strangers_forest_loads_and_predicts_the_same(
    tmp_path: Path, wine: Any, forest: Any, as_stranger: Stranger
) -> None:
    nbtrack.save_model(forest, tmp_path / "m", input_example=wine[0].head())
    with as_stranger():
        assert models.read_model(tmp_path / "m").own is False
        assert np.array_equal(nbtrack.load_model(tmp_path / "m").predict_proba(wine[0]), forest.predict_proba(wine[0]))


def every_estimator() -> list[Any]:
    from sklearn import ensemble, linear_model, naive_bayes, neural_network, svm, tree
    from sklearn.compose import make_column_transformer
    from sklearn.decomposition import PCA
    from sklearn.dummy import DummyClassifier
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel
    from sklearn.impute import SimpleImputer
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

    columns = make_column_transformer((StandardScaler(), [0, 1, 2]), (MinMaxScaler(), [3, 4]), remainder="drop")
    return [
        linear_model.LogisticRegression(solver="newton-cholesky"),
        linear_model.RidgeClassifier(),
        linear_model.SGDClassifier(random_state=0),
        linear_model.LinearRegression(),
        linear_model.Lasso(),
        tree.DecisionTreeClassifier(),
        ensemble.RandomForestClassifier(5),
        ensemble.ExtraTreesRegressor(5),
        ensemble.GradientBoostingClassifier(n_estimators=3),
        ensemble.HistGradientBoostingClassifier(max_iter=3),
        ensemble.HistGradientBoostingRegressor(max_iter=3),
        ensemble.AdaBoostClassifier(n_estimators=3),
        ensemble.VotingClassifier([("a", DummyClassifier()), ("b", tree.DecisionTreeClassifier())]),
        naive_bayes.GaussianNB(),
        neural_network.MLPClassifier((4,), max_iter=500, tol=1.0, n_iter_no_change=1),
        svm.SVC(),
        svm.LinearSVC(),
        KNeighborsClassifier(algorithm="brute"),
        GaussianProcessClassifier(ConstantKernel(1.0) * RBF(1.0), optimizer=None),
        make_pipeline(SimpleImputer(), StandardScaler(), PCA(2), linear_model.RidgeClassifier()),
        make_pipeline(columns, tree.DecisionTreeClassifier()),
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), linear_model.RidgeClassifier()),
        DummyClassifier(),
    ]


def test_strangers_estimators_of_every_family_load(tmp_path: Path, wine: Any) -> None:
    from nbtrack.models.safe_pickle import loads

    data, y = wine[0].to_numpy(), wine[1].to_numpy()
    for model in every_estimator():
        fitted = model.fit(data, y)
        again = loads(pickle.dumps(fitted, protocol=5), "test")
        assert np.array_equal(again.predict(data), fitted.predict(data)), type(model).__name__


def test_strangers_code_loads_only_by_its_digest(tmp_path: Path, as_stranger: Stranger) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    model.predict = lambda rows: [42] * len(rows)
    nbtrack.save_model(model, tmp_path / "m")
    digest = models.read_model(tmp_path / "m").digest
    with as_stranger():
        with pytest.raises(UntrustedModelError, match=f"names 'cloudpickle.*digest to trust is '{digest}'"):
            nbtrack.load_model(tmp_path / "m")
        with pytest.raises(IntegrityError, match="you trust the model with the digest 'abc'"):
            nbtrack.load_model(tmp_path / "m", trust="abc")
        assert nbtrack.load_model(tmp_path / "m", trust=digest).predict([[0]]) == [42]


def unframed(data: bytes) -> bytes:
    """A pickle's body without the frame that protocol 5 puts around it."""
    return data[9:] if data[:1] == b"\x95" else data


def by_name(module: str, name: str, *args: Any) -> bytes:
    """A pickle that calls ``module.name(*args)``: written by hand, so that nothing here runs it."""
    names = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return b"\x80\x05" + names + b"\x93" + unframed(pickle.dumps(args, 5)[2:-1]) + b"R."


MARK = "touch MARKER"
GADGETS = [
    ("os", "system", MARK),
    ("posix", "system", MARK),
    ("nt", "system", MARK),
    ("subprocess", "Popen", "touch", "MARKER"),
    ("subprocess", "check_output", MARK),
    ("builtins", "eval", "__import__('os').system('touch MARKER')"),
    ("builtins", "exec", "open('MARKER', 'w')"),
    ("builtins", "open", "MARKER", "w"),
    ("builtins", "getattr", "x", "y"),
    ("builtins", "__import__", "antigravity"),
    ("builtins", "compile", "1", "x", "eval"),
    ("builtins", "map", "x"),
    ("__builtin__", "eval", "1"),
    ("importlib", "import_module", "antigravity"),
    ("pydoc", "locate", "os.system"),
    ("operator", "methodcaller", "system"),
    ("operator", "attrgetter", "system"),
    ("functools", "partial", "x"),
    ("timeit", "timeit", "open('MARKER', 'w')"),
    ("runpy", "run_path", "x.py"),
    ("code", "InteractiveInterpreter", "x"),
    ("pty", "spawn", "sh"),
    ("socket", "create_connection", "127.0.0.1"),
    ("webbrowser", "open", "http://127.0.0.1"),
    ("shutil", "rmtree", "MARKER"),
    ("pathlib", "Path.write_text", "x"),
    ("types", "FunctionType", "x"),
    ("marshal", "loads", "x"),
    ("pickle", "loads", "x"),
    ("_pickle", "loads", "x"),
    ("joblib", "load", "x"),
    ("joblib.numpy_pickle", "load", "x"),
    ("cloudpickle.cloudpickle", "_make_function", "x"),
    ("numpy", "load", "x"),
    ("numpy", "fromfile", "/etc/passwd"),
    ("numpy", "memmap", "/etc/passwd"),
    ("numpy.f2py.crackfortran", "myeval", "__import__('os').system('touch MARKER')"),
    ("numpy.testing._private.utils", "runstring", "open('MARKER', 'w')", "x"),
    ("numpy.lib.npyio", "load", "x"),
    ("pandas", "read_pickle", "x"),
    ("pandas.core.computation.eval", "eval", "1"),
    ("sklearn.datasets", "load_files", "/"),
    ("sklearn.datasets._base", "load_files", "/"),
    ("sklearn.utils.fixes", "os", "x"),
    ("sklearn.base", "clone", "x"),
    ("sklearn.externals._packaging.version", "parse", "1"),
    ("sklearn.tests.test_base", "MyEstimator", "x"),
    ("sklearn.tree._tree", "Tree.__reduce__", "x"),
    ("sklearn", "os.system", MARK),
    ("_posixsubprocess", "fork_exec", "x"),
    ("ctypes", "CDLL", "libc.so.6"),
    ("nbtrack.models.safe_pickle", "loads", "x"),
    ("copyreg", "_reconstructor", "x"),
    ("codecs", "lookup", "x"),
]


@pytest.mark.parametrize("gadget", GADGETS, ids=lambda gadget: f"{gadget[0]}.{gadget[1]}")
def test_gadget_is_refused_by_name_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gadget: tuple[Any, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    folder = forged(tmp_path / "m", by_name(*gadget))
    with pytest.raises(UntrustedModelError, match=f"names '{gadget[0]}.{gadget[1]}'"):
        nbtrack.load_model(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert not {"antigravity", "pty", "numpy.f2py.crackfortran"} & (set(sys.modules) - before)


def test_by_name_really_makes_a_call() -> None:
    assert pickle.loads(by_name("builtins", "int", "42")) == 42


@pytest.mark.parametrize(
    "payload", [b"", b"\x80", b"garbage", b"\x80\x05.", b"\x80\x05K\x01", b"cos\nsystem\n", b"\x80\x05]a."]
)
def test_what_is_no_pickle_is_an_integrity_error(tmp_path: Path, payload: bytes) -> None:
    with pytest.raises((IntegrityError, UntrustedModelError), match=r"cannot be unpickled|names 'os\.system'"):
        nbtrack.load_model(forged(tmp_path / "m", payload))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sklearn._loss.link", "Interval"),
        ("sklearn.gaussian_process.kernels", "RBF"),
        ("sklearn.neural_network._stochastic_optimizers", "AdamOptimizer"),
        ("sklearn.tree._classes", "DecisionTreeClassifier"),
        ("numpy._core.numeric", "_frombuffer"),
    ],
)
def test_pickle_that_changes_a_class_or_function_leaves_no_trace(tmp_path: Path, module: str, name: str) -> None:
    target = getattr(importlib.import_module(module), name)
    before = dict(vars(target))
    call = by_name(module, name)
    state = pickle.dumps((None, {"predict": 3, "__call__": 4, "more": 5}), 5)[2:-1]
    for end in (b"b.", b"bK\x01"):  # whole, and broken off after the deed
        folder = forged(tmp_path / f"m{len(end)}", call[: call.index(b"\x93") + 1] + unframed(state) + end)
        with contextlib.suppress(IntegrityError):
            loaded = nbtrack.load_model(folder)
            assert loaded is not target and not isinstance(loaded, type)
        assert dict(vars(target)) == before


def test_vectorizer_that_reads_files_is_refused(tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.pipeline import make_pipeline

    (tmp_path / "text").write_text("some words")
    model = make_pipeline(CountVectorizer(input="filename"), LogisticRegression())
    model.fit([str(tmp_path / "text")] * 2, [0, 1])
    with pytest.raises(UntrustedModelError, match="would read files"):
        nbtrack.load_model(forged(tmp_path / "m", pickle.dumps(model)))


# -- forged trees ------------------------------------------------------------------------------------------------------
def bent(model: Any, change: Callable[[Any], None]) -> bytes:
    """The pickle of a tree whose nodes were changed."""
    tree = model.tree_
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    change(nodes)
    state["nodes"] = nodes
    again = type(tree)(tree.n_features, np.atleast_1d(tree.n_classes), tree.n_outputs)
    again.__setstate__(state)
    model.tree_ = again
    return pickle.dumps(model, 5)


def _child_far_away(nodes: Any) -> None:
    nodes["left_child"][0] = 99_999_999


def _endless(nodes: Any) -> None:
    nodes["right_child"][0] = 0


def _feature_far_away(nodes: Any) -> None:
    nodes["feature"][0] = 1_000_000


def _feature_negative(nodes: Any) -> None:
    nodes["feature"][0] = -5


@pytest.mark.parametrize("change", [_child_far_away, _endless, _feature_far_away, _feature_negative])
def test_forged_tree_is_refused_before_it_is_used(tmp_path: Path, wine: Any, change: Callable[[Any], None]) -> None:
    model = DecisionTreeClassifier().fit(*wine)
    with pytest.raises(IntegrityError, match="a decision tree"):
        nbtrack.load_model(forged(tmp_path / "m", bent(model, change)))


def test_forged_forest_and_histogram_trees_are_refused(tmp_path: Path, wine: Any) -> None:
    forest = RandomForestClassifier(3).fit(*wine)
    forest.estimators_[1] = pickle.loads(bent(forest.estimators_[1], _child_far_away))
    with pytest.raises(IntegrityError, match="child lies outside"):
        nbtrack.load_model(forged(tmp_path / "forest", pickle.dumps(forest)))
    boosted = HistGradientBoostingClassifier(max_iter=2).fit(*wine)
    boosted._predictors[0][0].nodes["left"][0] = 1_000_000
    with pytest.raises(IntegrityError, match="child lies outside"):
        nbtrack.load_model(forged(tmp_path / "boosted", pickle.dumps(boosted)))
