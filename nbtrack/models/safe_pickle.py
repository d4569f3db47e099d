"""Pickles from strangers: loaded by an exact list of what may be named in them, or not at all.

A pickle is a program that may call whatever it can name. Here it can name scikit-learn's estimators and the few
constructors that numpy arrays and their like need, each by its exact place; everything else is refused before
anything of it runs. What came out is then looked through, because compiled code believes the arrays it is given.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from nbtrack.errors import IntegrityError, UntrustedModelError

_MULTIARRAY = ("_reconstruct", "scalar")
_NUMPY_TYPES = """
bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128 str_ bytes_
datetime64 timedelta64 ndarray dtype
"""
_LOSSES = """
AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss HalfPoissonLoss HalfSquaredError
HalfTweedieLoss HalfTweedieLossIdentity HuberLoss PinballLoss
"""
_LINKS = "HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit"
_SGD = "EpsilonInsensitive Hinge Huber Log ModifiedHuber SquaredEpsilonInsensitive SquaredHinge SquaredLoss"
_RANDOM = "__bit_generator_ctor __generator_ctor __randomstate_ctor"
_DTYPES = """
Bool BytesAbstract Bytes Complex128 Complex64 DateTime64 Float16 Float32 Float64 Int16 Int32 Int64 Int8 Object Str
TimeDelta64 UInt16 UInt32 UInt64 UInt8
"""

# Module -> names in it that a stranger's pickle may use. Only constructors of plain data; never a function that
# reads a file, looks up a name or calls what it is given.
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "builtins": frozenset(
        {"set", "frozenset", "slice", "range", "complex", "bytearray", "int", "float", "str", "bool"}
    ),
    "collections": frozenset({"OrderedDict"}),
    "numpy": frozenset(_NUMPY_TYPES.split()),
    "numpy.dtypes": frozenset(f"{name}DType" for name in _DTYPES.split()),
    "numpy.core.multiarray": frozenset(_MULTIARRAY),
    "numpy._core.multiarray": frozenset(_MULTIARRAY),
    "numpy.core.numeric": frozenset({"_frombuffer"}),
    "numpy._core.numeric": frozenset({"_frombuffer"}),
    "numpy.random._pickle": frozenset(_RANDOM.split()),
    "numpy.random._mt19937": frozenset({"MT19937"}),
    "numpy.random._pcg64": frozenset({"PCG64"}),
    "numpy.random.bit_generator": frozenset({"SeedSequence", "__pyx_unpickle_SeedSequence"}),
    "scipy.sparse._csr": frozenset({"csr_matrix", "csr_array"}),
    "scipy.sparse._csc": frozenset({"csc_matrix", "csc_array"}),
    "sklearn._loss.loss": frozenset(_LOSSES.split()),
    "sklearn._loss.link": frozenset(_LINKS.split()),
    "sklearn._loss._loss": frozenset(f"{how}Cy{name}" for name in _LOSSES.split() for how in ("", "__pyx_unpickle_")),
    "sklearn.ensemble._hist_gradient_boosting.predictor": frozenset({"TreePredictor"}),
    "sklearn.linear_model._sgd_fast": frozenset(_SGD.split()),
    "sklearn.neural_network._stochastic_optimizers": frozenset({"AdamOptimizer", "SGDOptimizer"}),
    "sklearn.tree._tree": frozenset({"Tree"}),
    "sklearn.calibration": frozenset({"_CalibratedClassifier"}),
    "sklearn.utils._bunch": frozenset({"Bunch"}),
    "sklearn.compose._column_transformer": frozenset({"_RemainderColsList"}),
}
_KERNELS: Final = "sklearn.gaussian_process.kernels"
_NOT_IN: Final = frozenset({"tests", "externals", "datasets", "conftest", "experimental"})


class _SafeUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, what: str) -> None:
        super().__init__(io.BytesIO(data))
        self._what = what
        self._classes: list[tuple[type, dict[str, Any]]] = []

    def find_class(self, module: str, name: str) -> Any:
        found = self._found(module, name)
        if isinstance(found, type):
            self._classes.append((found, dict(vars(found))))
            return found

        def call(*args: Any) -> Any:  # a pickle may set attributes of what it named: of this, not of numpy's function
            return found(*args)

        return call

    def undo_changes(self) -> bool:
        """Set the classes that were named back to what they were; return whether one of them had been changed."""
        changed = False
        for cls, before in reversed(self._classes):
            now = dict(vars(cls))
            for key in {*before, *now}:
                if before.get(key, self) is now.get(key, self):
                    continue
                changed = True
                if key in before:
                    setattr(cls, key, before[key])
                else:
                    delattr(cls, key)
        return changed

    def _found(self, module: str, name: str) -> Any:
        if name in ALLOWED.get(module, ()):
            return getattr(import_module(module), name)
        if "." not in name and (module.startswith("sklearn.") and not _NOT_IN & set(module.split("."))):
            found = self._estimator(module, name)
            if found is not None:
                return found
        raise UntrustedModelError(
            f"{self._what}: its pickle names {f'{module}.{name}'[:200]!r}, which could run a stranger's code; this"
            " model was not logged by you on this machine, so only scikit-learn's own estimators and arrays are loaded"
            " from it. Ask its author for a data-only format; or, if you trust him, load it with the trust= argument."
        )

    @staticmethod
    def _estimator(module: str, name: str) -> type | None:
        from sklearn.base import BaseEstimator

        try:
            found = getattr(import_module(module), name, None)
        except ImportError:
            return None
        if not isinstance(found, type) or found.__module__ != module:
            return None
        if issubclass(found, BaseEstimator):
            return found
        if module == _KERNELS:
            return found if issubclass(found, import_module(_KERNELS).Kernel) else None
        return None


def loads(data: bytes, what: str) -> Any:
    """Return what a stranger's pickle holds, if it is a scikit-learn model and nothing else.

    Parameters
    ----------
    data
        The pickle.
    what
        Which model it is, for messages.

    Raises
    ------
    UntrustedModelError
        If it names anything that is not on the list; the message says what.
    IntegrityError
        If it is no whole pickle, or holds arrays that would make compiled code read outside its memory.
    """
    reader = _SafeUnpickler(data, what)
    try:
        model = reader.load()
    except UntrustedModelError:
        reader.undo_changes()
        raise
    except Exception as error:  # garbage can make an unpickler raise anything
        reader.undo_changes()
        raise IntegrityError(f"{what}: it cannot be unpickled ({type(error).__name__}). Log the model again.") from None
    if reader.undo_changes():
        raise _forged(what, "its pickle changes a class of scikit-learn itself")
    check_parts(model, what)
    return model


def check_parts(model: Any, what: str) -> None:
    """Look through a stranger's estimator; raises IntegrityError or UntrustedModelError saying what is wrong."""
    try:
        for part in _parts(model):
            _check(part, what)
    except (UntrustedModelError, IntegrityError):
        raise
    except Exception as error:  # an estimator whose parts are not what they should be
        raise IntegrityError(f"{what}: its parts do not fit together ({type(error).__name__}: {error}).") from None


def _parts(root: Any) -> Iterator[Any]:
    """Everything that can be reached from `root` and is more than a plain value."""
    stack, seen = [root], set()
    while stack:
        part = stack.pop()
        if part is None or isinstance(part, (str, bytes, int, float, bool, complex, type)) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, Mapping):
            stack.extend(part.values())
        elif isinstance(part, (list, tuple, set, frozenset)):
            stack.extend(part)
        elif type(part).__name__ == "ndarray" and part.dtype.hasobject:
            stack.extend(part.ravel().tolist())
        stack.extend(getattr(part, "__dict__", {}).values())


def _check(part: Any, what: str) -> None:
    kind = f"{type(part).__module__}.{type(part).__name__}"
    if kind == "sklearn.tree._tree.Tree":
        _check_tree(part, what)
    elif kind.endswith("_hist_gradient_boosting.predictor.TreePredictor"):
        _check_histogram_tree(part, what)
    elif kind.startswith("scipy.sparse."):
        part.check_format(full_check=True)
    elif kind in {"numpy.random.mtrand.RandomState", "numpy.random._mt19937.MT19937"}:
        state = part.get_state(legacy=False) if hasattr(part, "get_state") else part.state
        position = state["state"].get("pos", 0)
        if not 0 <= position <= 624 or len(state["state"].get("key", ())) not in {0, 624}:
            raise _forged(what, "a random state points outside its table")
    elif kind.startswith("sklearn.svm.") and hasattr(part, "support_vectors_") and hasattr(part, "_n_support"):
        _check_support_vectors(part, what)
    elif kind.startswith("sklearn.feature_extraction.text.") and getattr(part, "input", "content") != "content":
        raise UntrustedModelError(
            f"{what}: {type(part).__name__}(input={part.input!r}) would read files that its input names. Ask its author"
            " for a model that takes the texts themselves; or, if you trust him, load it with the trust= argument."
        )


def _forged(what: str, why: str) -> IntegrityError:
    return IntegrityError(f"{what}: {why}; using it could crash this process. Do not trust whoever made it.")


def _check_tree(tree: Any, what: str) -> None:
    import numpy as np

    left, right, feature = tree.children_left, tree.children_right, tree.feature
    count = tree.node_count
    at = np.arange(count)
    inner = left != -1
    if count < 1 or len(left) < count or tree.value.shape[0] < count:
        raise _forged(what, "a decision tree lacks nodes")
    for child in (left[inner], right[inner]):
        if (child <= at[inner]).any() or (child >= count).any():  # children come later, so that no path is endless
            raise _forged(what, "a decision tree has a node whose child lies outside of it")
    if (feature[inner] < 0).any() or (feature[inner] >= tree.n_features).any() or tree.max_depth > count:
        raise _forged(what, "a decision tree asks for a feature that there is not")


def _check_histogram_tree(tree: Any, what: str) -> None:
    import numpy as np

    nodes = tree.nodes
    count = len(nodes)
    inner = nodes["is_leaf"] == 0
    at = np.arange(count)[inner]
    if count < 1:
        raise _forged(what, "a decision tree lacks nodes")
    for side in ("left", "right"):
        child = nodes[side][inner].astype(np.int64)
        if (child <= at).any() or (child >= count).any():
            raise _forged(what, "a decision tree has a node whose child lies outside of it")
    if (nodes["feature_idx"][inner] < 0).any():
        raise _forged(what, "a decision tree asks for a feature that there is not")
    sets = np.asarray(tree.raw_left_cat_bitsets)
    if (nodes["is_categorical"][inner] != 0).any() and (nodes["bitset_idx"][inner] >= max(len(sets), 1)).any():
        raise _forged(what, "a decision tree names a set of categories that there is not")


def _check_support_vectors(model: Any, what: str) -> None:
    # one count for each class; of a regression only the first one means anything
    counts = model._n_support if model._impl in {"c_svc", "nu_svc"} else model._n_support[:1]
    count = int(sum(counts))
    if min(counts, default=0) < 0 or model.support_vectors_.shape[0] != count:
        raise _forged(what, "a support vector machine lacks vectors")
    if model._dual_coef_.shape[-1] != count or len(model.support_) != count:
        raise _forged(what, "a support vector machine lacks coefficients")
    if model._sparse is False and model.support_vectors_.shape[1] != model.n_features_in_:
        raise _forged(what, "a support vector machine has vectors of the wrong width")
