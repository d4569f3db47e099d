"""statsmodels: results of fits, as a pickle. There is no form of them that holds data alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from nbtrack.errors import UntrustedModelError
from nbtrack.models.flavors import Saved, check_kind, comes_from, file_of, need, pickled, rows_of, unpickled

NAME = PACKAGE = MODULE = "statsmodels"
PRIORITY = 0
_FILE = "results.pkl"


def handles(model: Any) -> bool:
    """Return whether these are the results of a fit."""
    return comes_from(model, NAME) and hasattr(model, "predict") and hasattr(model, "params")


def save(model: Any) -> Saved:
    """Return the results, with the data that they were fitted on: what `summary` and forecasts are computed from."""
    check_kind(handles(model), model, NAME, "the results that fit() returns")
    return Saved({_FILE: pickled(model)})


def load(files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
    """Return the results; a stranger's are refused."""
    need("statsmodels.api", PACKAGE)
    if not trusted:
        raise UntrustedModelError(
            f"{what}: results of statsmodels are a pickle, which could run a stranger's code, and these were not logged"
            " by you on this machine. If you trust their author, load them with the trust= argument."
        )
    return unpickled(file_of(files, _FILE, what), what)


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return ``results.predict(data)``; a time series is asked from the ``start`` to the ``end`` of the first row."""
    columns = [str(name) for name in getattr(data, "columns", ())]
    if set(columns) == {"start", "end"}:
        return model.predict(start=data["start"].iloc[0], end=data["end"].iloc[0], **(params or {}))
    names = [str(name) for name in getattr(model.model, "exog_names", None) or ()]
    if columns and not hasattr(model.model.data, "design_info") and set(names) <= set(columns):
        data = data[names]
    elif not columns:
        data = rows_of(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return model.predict(data, **(params or {}))


def modules(model: Any) -> set[str]:
    """Return the packages that it computes with."""
    return {"statsmodels", "scipy", "patsy", "formulaic", "cloudpickle"}
