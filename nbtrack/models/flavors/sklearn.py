"""scikit-learn: estimators and pipelines, as a pickle.

Functions and classes that were written in the notebook itself, also a method overwritten on the instance, travel by
value, so that another process has them, too.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

from nbtrack.models.compiled import COMPILED_NAME, compile_model
from nbtrack.models.flavors import Saved, check_kind, comes_from, file_of, need, pickled, unpickled

NAME = "sklearn"
PACKAGE = "scikit-learn"
MODULE = "sklearn"
PRIORITY = 0
_FILE = "model.pkl"
_SKOPS = "model.skops"  # as MLflow writes it


def handles(model: Any) -> bool:
    """Return whether this is an estimator of scikit-learn, or of a class made from one."""
    return not isinstance(model, type) and comes_from(model, "sklearn") and hasattr(model, "get_params")


def save(model: Any) -> Saved:
    """Return the estimator as a pickle of protocol 5.

    Raises
    ------
    InvalidInputError
        If a part of it cannot be pickled.
    """
    check_kind(handles(model), model, NAME, "an estimator of scikit-learn")
    need(MODULE, PACKAGE)
    data = pickled(model)
    options: dict[str, Any] = {}
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        options["feature_names"] = [str(name) for name in names]
    if isinstance(getattr(model, "n_features_in_", None), int):
        options["n_features"] = model.n_features_in_
    files = {_FILE: data}
    compiled = compile_model(model)
    if compiled is not None:
        files[COMPILED_NAME] = compiled
    return Saved(files, options)


def load(files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
    """Return the estimator; a stranger's only through the list of what may be in it."""
    need(MODULE, PACKAGE)
    if _SKOPS in files:
        from nbtrack.models import safe_skops

        return safe_skops.loads(files[_SKOPS], what, trusted)
    data = file_of(files, _FILE, what)
    from sklearn.exceptions import InconsistentVersionWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)  # the manifest's versions are compared instead
        if trusted:
            return unpickled(data, what)
        from nbtrack.models.safe_pickle import loads

        return loads(data, what)


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return ``model.predict(data)``, with data in the form that the model was fitted on: frame or array.

    An estimator that only transforms, transforms.
    """
    pandas = sys.modules.get("pandas")
    framed = pandas is not None and isinstance(data, pandas.DataFrame)
    named = hasattr(model, "feature_names_in_")
    if framed and not named and isinstance(getattr(model, "n_features_in_", None), int):
        data = data.to_numpy()
    elif not framed and named and getattr(data, "ndim", 0) == 2:
        import pandas as pd

        data = pd.DataFrame(data, columns=list(model.feature_names_in_))
    ask = model.predict if hasattr(model, "predict") else model.transform
    return ask(data, **params) if params else ask(data)


def modules(model: Any) -> set[str]:
    """Return the packages of the estimator and of all its parts, and those that scikit-learn computes with."""
    try:
        parts = [model, *model.get_params(deep=True).values()]
    except Exception:  # a get_params of somebody's own; the model itself is what counts
        parts = [model]
    own = {type(part).__module__.partition(".")[0] for part in parts if hasattr(part, "get_params")}
    return own | {"sklearn", "scipy", "joblib"}
