"""xgboost: boosters and the estimators around them, as xgboost's own UBJSON, which holds data alone.

A stranger's model is loaded once its trees are seen to be trees: compiled code follows their numbers blindly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nbtrack.errors import IntegrityError, InvalidInputError
from nbtrack.models.flavors import Saved, check_kind, file_of, need, overrides_of, put_overrides
from nbtrack.models.trees import check_tree, split_settings, with_settings

NAME = PACKAGE = MODULE = "xgboost"
PRIORITY = 10  # its estimators are scikit-learn's, too
_FILE = "model.ubj"


def handles(model: Any) -> bool:
    """Return whether this is a booster or an estimator of xgboost; a class made from one is left to scikit-learn."""
    return type(model).__module__.partition(".")[0] == NAME and hasattr(type(model), "load_model")


def save(model: Any) -> Saved:
    """Return the booster as UBJSON, and the settings of an estimator; raises InvalidInputError if it is not fitted."""
    check_kind(handles(model), model, NAME, "a Booster or an estimator of xgboost")
    options: dict[str, Any] = {"class": type(model).__name__}
    booster, others = model, dict[str, bytes]()
    if hasattr(model, "get_booster"):
        if not model.__sklearn_is_fitted__():
            raise InvalidInputError(f"xgboost.log_model: this {type(model).__name__} is not fitted. Call fit first.")
        booster = model.get_booster()
        options["settings"], others = split_settings(model)
    names = booster.feature_names
    if names is not None:
        options["feature_names"] = list(names)
    return Saved({_FILE: bytes(booster.save_raw("ubj")), **others, **overrides_of(model)}, options)


def load(files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
    """Return the booster or estimator."""
    xgboost = need(MODULE, PACKAGE)
    kind = getattr(xgboost, str(options.get("class")), None)
    if not isinstance(kind, type) or not (kind is xgboost.Booster or issubclass(kind, xgboost.XGBModel)):
        raise IntegrityError(f"{what}: xgboost has no model of the class {str(options.get('class'))[:80]!r}.")
    single = kind is xgboost.Booster
    model = kind() if single else with_settings(kind, options.get("settings"), files, trusted, what)
    settings = {} if single else model.get_params()
    try:
        model.load_model(bytearray(file_of(files, _FILE, what)))
    except (xgboost.core.XGBoostError, ValueError, KeyError, TypeError) as error:
        text = str(error).strip().splitlines() or ["no message"]
        raise IntegrityError(f"{what}: xgboost cannot read its {_FILE} ({text[-1][:200]}).") from None
    if not single:
        model.set_params(**settings)  # load_model has written over some of them
    if not trusted:
        _check(model if single else model.get_booster(), what)
    return put_overrides(model, files, trusted, what)


def _check(booster: Any, what: str) -> None:
    """Raise IntegrityError unless every tree is a tree over the features that there are."""
    learner = json.loads(booster.save_raw("json"))["learner"]
    gradient_booster = learner["gradient_booster"]
    inner = gradient_booster.get("gbtree", gradient_booster)  # dart keeps its trees one level down
    features = int(learner["learner_model_param"]["num_feature"])
    for tree in inner.get("model", {}).get("trees", ()):
        check_tree(tree["left_children"], tree["right_children"], tree["split_indices"], features, what)


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return ``model.predict(data)``; params are those of its ``predict``, such as ``output_margin``."""
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    names, types = booster.feature_names, booster.feature_types
    if hasattr(data, "columns"):
        if names is not None and "c" in (types or ()):
            categories = [
                c for c, kind in zip(names, types, strict=True) if kind == "c" and data[c].dtype != "category"
            ]
            data = data.astype(dict.fromkeys(categories, "category"))
        elif names is None:
            data = data.to_numpy()
    elif names is not None and getattr(data, "ndim", 0) == 2:
        import pandas as pd

        data = pd.DataFrame(data, columns=list(names))
    if booster is model and "predict" not in vars(model):
        data = need(MODULE, PACKAGE).DMatrix(data, enable_categorical=True)
    return model.predict(data, **(params or {}))


def modules(model: Any) -> set[str]:
    """Return the packages that it computes with."""
    return {"xgboost", "scipy", "sklearn"} if hasattr(model, "get_params") else {"xgboost", "scipy"}
