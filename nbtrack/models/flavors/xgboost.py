"""xgboost: boosters and the estimators around them, as xgboost's own UBJSON, which holds data alone.

A stranger's model is loaded once its trees are seen to be trees: compiled code follows their numbers blindly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nbtrack.errors import IntegrityError, InvalidInputError
from nbtrack.models.flavors import Saved, check_kind, file_of, need, overrides_of, put_overrides
from nbtrack.models.trees import check_tree, split_settings, with_settings
from nbtrack.models.ubjson import decode

NAME = PACKAGE = MODULE = "xgboost"
PRIORITY = 10  # its estimators are scikit-learn's, too
_FILE = "model.ubj"
_PER_NODE: Final = (
    *("left_children", "right_children", "parents", "split_indices", "split_conditions", "split_type"),
    "default_left",
)


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
    data = file_of(files, _FILE, what)
    if not trusted:
        _check(data, what)
    try:
        model.load_model(bytearray(data))
    except (xgboost.core.XGBoostError, ValueError, KeyError, TypeError) as error:
        text = str(error).strip().splitlines() or ["no message"]
        raise IntegrityError(f"{what}: xgboost cannot read its {_FILE} ({text[-1][:200]}).") from None
    if not single:
        model.set_params(**settings)  # load_model has written over some of them
    return put_overrides(model, files, trusted, what)


def _check(data: bytes, what: str) -> None:
    """Raise IntegrityError unless every number that xgboost would follow leads somewhere."""
    try:
        learner = decode(data)["learner"]
        sizes = {key: int(value) for key, value in learner["learner_model_param"].items() if key.startswith("num_")}
        groups = max(1, sizes["num_class"], sizes.get("num_target", 1))
        booster = learner["gradient_booster"]
        inner = booster.get("gbtree", booster)  # dart keeps its trees one level down
        if inner["name"] == "gblinear":
            good = len(inner["model"]["weights"]) == (sizes["num_feature"] + 1) * groups
        elif inner["name"] == "gbtree":
            good = _whole(inner["model"], groups, len(booster.get("weight_drop", inner["model"]["trees"])))
            for tree in inner["model"]["trees"]:
                good = good and _fits(tree, sizes["num_feature"])
                left, right, asked = (
                    tree[key].tolist() for key in ("left_children", "right_children", "split_indices")
                )
                if len(tree.get("leaf_weights", ())):
                    right = [-1 if at == -1 else child for at, child in zip(left, right, strict=True)]
                check_tree(left, right, asked, sizes["num_feature"], what)
        else:
            good = False
    except IntegrityError:
        raise
    except Exception as error:  # a stranger's file may break anywhere
        raise IntegrityError(f"{what}: xgboost cannot read its {_FILE} ({type(error).__name__}: {error}).") from None
    if not good:
        raise IntegrityError(
            f"{what}: the parts of its {_FILE} do not fit together; using it could crash this process. Do not trust"
            " whoever made it."
        )


def _whole(model: Mapping[str, Any], groups: int, dropped: int) -> bool:
    """Whether the list of trees is what it says: how many, of which class each, and in which round."""
    count, info, rounds = len(model["trees"]), list(model["tree_info"]), list(model.get("iteration_indptr", ()))
    good = int(model["gbtree_model_param"]["num_trees"]) == count == len(info) == dropped
    good = good and (count == 0 or bool(min(info) >= 0 and max(info) < groups))
    good = good and (not rounds or (rounds == sorted(rounds) and rounds[0] == 0 and rounds[-1] == count))
    cats = model.get("cats") or {"enc": []}
    for one in cats["enc"]:
        offsets = list(one.get("offsets", ()))
        good = good and offsets == sorted(offsets)
        good = good and (not offsets or 0 <= offsets[0] <= offsets[-1] <= len(one["values"]))
    segments, order = list(cats.get("feature_segments", ())), cats.get("sorted_idx", ())
    good = good and segments == sorted(segments) and (not segments or 0 <= segments[0] <= segments[-1] <= len(order))
    return good and (len(order) == 0 or bool(min(order) >= 0 and max(order) < len(order)))


def _fits(tree: Mapping[str, Any], features: int) -> bool:
    """Whether the arrays of a tree are as long as it has nodes, and its categories lie where it says."""
    nodes, width = int(tree["tree_param"]["num_nodes"]), max(1, int(tree["tree_param"]["size_leaf_vector"]))
    good = all(len(tree[key]) == nodes for key in _PER_NODE)
    good = good and bool((tree["split_indices"] >= 0).all() and (tree["split_indices"] < features).all())
    good = good and len(tree["base_weights"]) in {nodes, nodes * width}
    leaf = tree["left_children"] == -1
    if len(weights := tree.get("leaf_weights", ())):  # of several targets: a leaf's right child is its place in here
        place = tree["right_children"][leaf]
        good = good and len(weights) == len(place) * width and bool(((place >= 0) & (place < len(place))).all())
    where, starts, sizes = (tree[f"categories_{key}"] for key in ("nodes", "segments", "sizes"))
    good = good and len(where) == len(starts) == len(sizes) and int(tree["tree_param"]["num_feature"]) == features
    values = tree["categories"]
    if len(where):
        good = good and bool(
            (where >= 0).all() and (where < nodes).all() and (starts >= 0).all() and (sizes >= 0).all()
        )
        good = good and bool((starts + sizes <= len(values)).all() and (values >= 0).all() and (values < 1 << 24).all())
    chosen = int((tree["split_type"] == 1).sum())
    good = good and bool((tree["split_type"] <= 1).all() and (tree["split_type"] >= 0).all())
    return good and len(where) == chosen and len(set(where)) == chosen


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
