"""Loads a stranger's scikit-learn pickle by an exact allow-list: what is not on it is refused by name.

A pickle is a program. This reader lets it name only estimator classes of scikit-learn and the few constructors that
numpy, scipy and scikit-learn need to rebuild their arrays and trees; it never takes a function, a partial, a dotted
name or anything of another package. Trees are then checked, since a forged one makes the native code read outside its
arrays.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from nbtrack.errors import IntegrityError, UntrustedModelError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOSSES: Final = (
    "HalfBinomialLoss HalfMultinomialLoss HalfSquaredError AbsoluteError PinballLoss HuberLoss HalfPoissonLoss"
    " HalfGammaLoss HalfTweedieLoss HalfTweedieLossIdentity ExponentialLoss"
)
_ALLOWED: Final = {
    "builtins": _words("set frozenset slice range complex bytearray list dict tuple int float str bool bytes"),
    "collections": _words("OrderedDict defaultdict"),
    "numpy": _words(
        "ndarray dtype bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 longdouble"
        " complex64 complex128 str_ bytes_ object_ datetime64 timedelta64 intp"
    ),
    "numpy.core.multiarray": _words("_reconstruct scalar"),
    "numpy._core.multiarray": _words("_reconstruct scalar"),
    "numpy.core.numeric": _words("_frombuffer"),
    "numpy._core.numeric": _words("_frombuffer"),
    "numpy.random._pickle": _words("__randomstate_ctor __generator_ctor __bit_generator_ctor"),
    "numpy.random._mt19937": _words("MT19937"),
    "numpy.random._pcg64": _words("PCG64 PCG64DXSM"),
    "numpy.random.bit_generator": _words("SeedSequence __pyx_unpickle_SeedSequence"),
    "scipy.sparse._csr": _words("csr_matrix csr_array"),
    "scipy.sparse._csc": _words("csc_matrix csc_array"),
    "sklearn.utils._bunch": _words("Bunch"),
    "sklearn.tree._tree": _words("Tree"),
    "sklearn.ensemble._hist_gradient_boosting.predictor": _words("TreePredictor"),
    "sklearn.compose._column_transformer": _words("_RemainderColsList"),
    "sklearn._loss.loss": _words(_LOSSES),
    "sklearn._loss.link": _words("IdentityLink LogLink LogitLink HalfLogitLink MultinomialLogit Interval"),
    "sklearn._loss._loss": frozenset(f"{make}Cy{name}" for name in _words(_LOSSES) for make in ("", "__pyx_unpickle_")),
}
_PICKLE_ERRORS: Final = (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError)


class _Reader(pickle.Unpickler):
    def __init__(self, data: bytes, where: str) -> None:
        super().__init__(io.BytesIO(data))
        self.where = where
        self.trees: list[Any] = []
        self.predictors: list[Any] = []

    def find_class(self, module: str, name: str) -> Any:
        if name in _ALLOWED.get(module, ()):
            found = getattr(import_module(module), name)
            if module == "sklearn.tree._tree":
                return _noted(found, self.trees)
            return found
        if module.startswith("sklearn.") and "." not in name:
            from sklearn.base import BaseEstimator

            found = getattr(import_module(module), name, None)
            if isinstance(found, type) and issubclass(found, BaseEstimator):
                return found
        raise UntrustedModelError(
            f"{self.where}: refused to load {module}.{name}; this model was not saved by you on this machine, and only"
            " plain scikit-learn estimators of others may be loaded. If you trust whoever made it, pass the model's"
            " digest: load_model(uri, trust=DIGEST)."
        )

    def persistent_load(self, pid: Any) -> Any:
        raise UntrustedModelError(f"{self.where}: refused a persistent id; a model holds none.")


def _noted(make: Callable[..., Any], made: list[Any]) -> Callable[..., Any]:
    def construct(*args: Any) -> Any:
        value = make(*args)
        made.append(value)
        return value

    return construct


def loads(data: bytes, where: str) -> Any:
    """Return the estimator in a stranger's pickle.

    Parameters
    ----------
    data
        The pickle.
    where
        Its place, for errors.

    Raises
    ------
    UntrustedModelError
        If it names anything that is not on the list; the message says what.
    IntegrityError
        If it is damaged, or holds a forged tree.
    """
    reader = _Reader(data, where)
    try:
        model = reader.load()
    except UntrustedModelError:
        raise
    except (*_PICKLE_ERRORS, ValueError, OverflowError, MemoryError) as error:
        raise IntegrityError(
            f"{where}: cannot be read as a model ({type(error).__name__}: {error}). Log the model again."
        ) from None
    for tree in reader.trees:
        _check_tree(tree, where)
    for predictor in _predictors(model):
        _check_predictor(predictor, where)
    _check_settings(model, where)
    return model


def _check_tree(tree: Any, where: str) -> None:
    import numpy as np

    nodes = tree.node_count
    left, right = tree.children_left, tree.children_right
    if not (len(left) == len(right) == len(tree.feature) == nodes and nodes > 0 and tree.value.shape[0] == nodes):
        raise IntegrityError(f"{where}: holds a forged decision tree: its arrays do not fit its {nodes} nodes.")
    split = left != -1
    own = np.arange(nodes)
    inside = (
        ((right == -1) == ~split).all()
        and (left[split] > own[split]).all()
        and (right[split] > own[split]).all()
        and (left[split] < nodes).all()
        and (right[split] < nodes).all()
        and (tree.feature[split] >= 0).all()
        and (tree.feature[split] < tree.n_features).all()
    )
    if not inside:
        raise IntegrityError(f"{where}: holds a forged decision tree: a branch or a feature lies outside of it.")


def _predictors(model: Any) -> list[Any]:
    rounds = getattr(model, "_predictors", None)
    return [p for one in rounds for p in one] if isinstance(rounds, list) else []


def _check_predictor(predictor: Any, where: str) -> None:
    import numpy as np

    nodes = predictor.nodes
    count = len(nodes)
    split = nodes["is_leaf"] == 0
    own = np.arange(count)
    if not (
        count
        and (nodes["left"][split] > own[split]).all()
        and (nodes["right"][split] > own[split]).all()
        and (nodes["left"][split] < count).all()
        and (nodes["right"][split] < count).all()
    ):
        raise IntegrityError(f"{where}: holds a forged boosted tree: a branch lies outside of it.")


def _check_settings(model: Any, where: str) -> None:
    """Refuse estimators that would read files named by whoever sends a request."""
    params = model.get_params(deep=True) if hasattr(model, "get_params") else {}
    for key, value in params.items():
        if (key == "input" or key.endswith("__input")) and value in ("filename", "file"):
            raise UntrustedModelError(
                f"{where}: refused, its setting {key}={value!r} makes it read files of this machine. Trust it by its"
                " digest if you know why."
            )
