"""lightgbm: boosters and the estimators around them, as lightgbm's own text, which holds data alone.

A stranger's model is loaded once its trees are seen to be trees: compiled code follows their numbers blindly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbtrack.errors import IntegrityError, InvalidInputError
from nbtrack.models.flavors import Saved, check_kind, file_of, need, overrides_of, put_overrides
from nbtrack.models.trees import check_tree, split_settings, with_settings

NAME = PACKAGE = MODULE = "lightgbm"
PRIORITY = 10  # its estimators are scikit-learn's, too
_FILE = "model.txt"


def handles(model: Any) -> bool:
    """Return whether this is a booster or an estimator of lightgbm; a class made from one is left to scikit-learn."""
    kind = type(model)
    if kind.__module__.partition(".")[0] != NAME:
        return False
    return hasattr(kind, "model_to_string") or (hasattr(kind, "booster_") and hasattr(kind, "fit"))


def save(model: Any) -> Saved:
    """Return the booster as text, and the settings of an estimator; raises InvalidInputError if it is not fitted."""
    check_kind(handles(model), model, NAME, "a Booster or an estimator of lightgbm")
    options: dict[str, Any] = {"class": type(model).__name__}
    booster, others = model, dict[str, bytes]()
    if hasattr(type(model), "booster_"):
        if not model.__sklearn_is_fitted__():
            raise InvalidInputError(f"lightgbm.log_model: this {type(model).__name__} is not fitted. Call fit first.")
        booster = model.booster_
        options["settings"], others = split_settings(model)
        options["objective"] = model.objective_ if isinstance(model.objective_, str) else None
        if hasattr(model, "n_classes_"):
            classes = model.classes_
            options["classes"] = {"values": classes.tolist(), "dtype": str(classes.dtype)}
    options["best_iteration"] = int(booster.best_iteration)
    options["feature_names"] = booster.feature_name()
    text = booster.model_to_string(num_iteration=-1)
    return Saved({_FILE: text.encode(), **others, **overrides_of(model)}, options)


def load(files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
    """Return the booster or estimator."""
    lightgbm = need(MODULE, PACKAGE)
    kind = getattr(lightgbm, str(options.get("class")), None)
    if not isinstance(kind, type) or not (kind is lightgbm.Booster or issubclass(kind, lightgbm.LGBMModel)):
        raise IntegrityError(f"{what}: lightgbm has no model of the class {str(options.get('class'))[:80]!r}.")
    try:
        text = file_of(files, _FILE, what).decode()
        model = lightgbm.Booster(model_str=text if trusted else _checked(text, what))
    except (lightgbm.basic.LightGBMError, ValueError, KeyError, IndexError) as error:
        raise IntegrityError(f"{what}: lightgbm cannot read its {_FILE} ({str(error)[:200]}).") from None
    model.best_iteration = int(options.get("best_iteration", 0))
    if kind is not lightgbm.Booster:
        model = _estimator(with_settings(kind, options.get("settings"), files, trusted, what), model, options)
    return put_overrides(model, files, trusted, what)


def _estimator(model: Any, booster: Any, options: Mapping[str, Any]) -> Any:
    """Return the estimator with what its ``fit`` leaves in it: there is no public way to give one its booster."""
    model._Booster = booster
    model._best_iteration, model._best_score, model._evals_result = booster.best_iteration, booster.best_score, {}
    model._objective = options.get("objective") or model.objective
    model._n_features = model.n_features_in_ = booster.num_feature()
    model._class_weight = model.class_weight
    names = booster.feature_name()
    model._fitted_with_feature_names = names != [f"Column_{i}" for i in range(len(names))]
    model.fitted_ = True
    classes = options.get("classes")
    if classes is not None:
        import numpy as np
        from lightgbm.compat import _LGBMLabelEncoder

        values = np.array(classes["values"], dtype=np.dtype(str(classes["dtype"])))
        model._le = _LGBMLabelEncoder().fit(values)
        model._class_map = dict(zip(model._le.classes_, model._le.transform(model._le.classes_), strict=True))
        model._classes, model._n_classes = model._le.classes_, len(values)
    return model


def _checked(text: str, what: str) -> str:
    """Return the text of a stranger's model once every number that lightgbm would follow leads somewhere.

    It comes without the places of its trees in the file: lightgbm finds them as well without.
    """
    head, *trees = text.split("\nTree=")
    fields = _fields(head)
    if fields["num_class"] != fields["num_tree_per_iteration"]:
        raise ValueError("it has not one tree for each class")
    for tree in trees:
        _check_tree(_fields(tree), int(fields["max_feature_idx"]) + 1, what)
    return "\n".join(line for line in text.split("\n") if not line.startswith("tree_sizes="))


def _check_tree(tree: dict[str, str], features: int, what: str) -> None:
    def numbers(key: str) -> list[int]:
        return [int(float(word)) for word in tree.get(key, "").split()]

    leaves = int(tree["num_leaves"])
    if len(numbers("leaf_value")) != leaves:
        raise ValueError("a tree lacks leaves")
    if tree.get("is_linear", "0") != "0" and any(not 0 <= one < features for one in numbers("leaf_features")):
        raise ValueError("a leaf asks for a feature that there is not")
    if leaves < 2:
        return
    inner = leaves - 1
    left, right, asked = (numbers(key) for key in ("left_child", "right_child", "split_feature"))
    if not len(left) == len(right) == len(asked) == inner:
        raise ValueError("a tree lacks nodes")
    # leaves count -1, -2, …: here they stand after the nodes
    first, second = ([inner - 1 - at if at < 0 else at for at in side] + [-1] * leaves for side in (left, right))
    check_tree(first, second, asked + [0] * leaves, features, what)
    count, bounds = int(tree.get("num_cat", "0")), numbers("cat_boundaries")
    if count and (len(bounds) != count + 1 or bounds != sorted(bounds) or bounds[0] < 0):
        raise ValueError("the categories of a tree do not fit together")
    if count and bounds[-1] > len(numbers("cat_threshold")):
        raise ValueError("a tree lacks categories")
    chosen = [at for at, kind in zip(numbers("threshold"), numbers("decision_type"), strict=True) if kind & 1]
    if any(not 0 <= at < count for at in chosen):
        raise ValueError("a tree asks for categories that there are not")


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line)


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return ``model.predict(data)``; params are those of its ``predict``, such as ``raw_score``."""
    named = hasattr(data, "columns")
    booster = model.booster_ if hasattr(type(model), "booster_") else model
    if named and booster.pandas_categorical:
        categories = [c for c in data.columns if str(data[c].dtype) in {"object", "str", "string"}]
        data = data.astype(dict.fromkeys(categories, "category"))
    elif not named and getattr(model, "_fitted_with_feature_names", False) and getattr(data, "ndim", 0) == 2:
        import pandas as pd

        data = pd.DataFrame(data, columns=booster.feature_name())
    return model.predict(data, **(params or {}))


def modules(model: Any) -> set[str]:
    """Return the packages that it computes with."""
    return {"lightgbm", "scipy", "sklearn"} if hasattr(model, "get_params") else {"lightgbm", "scipy"}
