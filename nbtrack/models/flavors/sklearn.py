"""scikit-learn: any estimator or pipeline, as a pickle that keeps what was set on the instance."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from typing import Any

from nbtrack.entities import ModelInfo, Signature
from nbtrack.errors import IntegrityError, InvalidInputError, MissingLibraryError
from nbtrack.models.flavors import Read, Saved

NAME = "sklearn"
_FILE = "model.pkl"


def handles(model: Any) -> bool:
    """Return whether `model` is a scikit-learn estimator."""
    base = sys.modules.get("sklearn.base")
    return base is not None and isinstance(model, base.BaseEstimator)


def save(model: Any) -> Saved:
    """Return the estimator as a pickle; by value, where it holds classes or functions of the notebook itself."""
    if not hasattr(model, "predict") and not hasattr(model, "transform"):
        raise InvalidInputError(
            f"sklearn.log_model: expected a fitted estimator with predict or transform, got {type(model).__name__}."
        )
    serializer = "pickle"
    try:
        data = pickle.dumps(model, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError):  # a lambda, or a class made inside a function
        data = b"__main__"
    if b"__main__" in data:  # what the notebook defined is unknown to the process that will load this
        from joblib.externals import cloudpickle

        serializer, data = "cloudpickle", cloudpickle.dumps(model, protocol=5)
    return Saved({_FILE: data}, {"serializer": serializer})


def load(read: Read, options: Mapping[str, Any], own: bool) -> Any:
    """Return the estimator; a stranger's only through the allow-list."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError(
            'load_model: this model needs scikit-learn. Install it: pip install "nbtrack[sklearn]"'
        ) from error
    data = read(_FILE)
    if not own:
        from nbtrack.models.unpickle import loads

        return loads(data, _FILE)
    try:
        return pickle.loads(data)
    except (pickle.UnpicklingError, AttributeError, ImportError, EOFError, ValueError, KeyError) as error:
        raise IntegrityError(
            f"load_model: {_FILE} cannot be loaded with the packages installed here ({type(error).__name__}: {error})."
            " Compare them with the model's environment, and install the same versions."
        ) from error


def predict(model: Any, data: Any) -> Any:
    """Return what the estimator predicts, or transforms where it does not predict."""
    return model.predict(data) if hasattr(model, "predict") else model.transform(data)


def modules(model: Any) -> set[str]:
    """Return the packages of the estimator and of all its parts, and those that scikit-learn computes with."""
    params = model.get_params(deep=True) if hasattr(model, "get_params") else {}
    parts = [model, *(value for value in params.values() if hasattr(value, "get_params"))]
    return {type(part).__module__.partition(".")[0] for part in parts} | {"sklearn", "scipy", "joblib", "threadpoolctl"}


# -- the same for this flavor alone ------------------------------------------------------------------------------------
def log_model(
    sk_model: Any,
    name: str = "model",
    *,
    signature: Signature | None = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
) -> ModelInfo:
    """Save a scikit-learn model as artifacts of the active run; see :func:`nbtrack.log_model`."""
    from nbtrack.models.saving import log_model as log

    return log(
        sk_model,
        name,
        flavor=NAME,
        signature=signature,
        input_example=input_example,
        registered_model_name=registered_model_name,
    )


def save_model(sk_model: Any, path: str, *, signature: Signature | None = None, input_example: Any = None) -> ModelInfo:
    """Save a scikit-learn model as a folder; see :func:`nbtrack.save_model`."""
    from nbtrack.models.saving import save_model as save_to

    return save_to(sk_model, path, flavor=NAME, signature=signature, input_example=input_example)


def load_model(model_uri: str, *, trust: str | None = None) -> Any:
    """Load a scikit-learn model; see :func:`nbtrack.load_model`."""
    from nbtrack.models.loading import load_model as load_from

    return load_from(model_uri, trust=trust)
