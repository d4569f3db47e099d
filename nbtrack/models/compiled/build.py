"""From fitted estimators to programs. Imports nothing of scikit-learn: it reads the attributes that fitting left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from nbtrack.models.compiled.steps import Array, Program, Step

MAX_NODES: Final = 200_000  # beyond, writing and checking would hold up log_model


def build(model: Any) -> Program | None:
    """Return the program of an estimator or pipeline; None where a part of it is not covered."""
    width = getattr(model, "n_features_in_", None)
    if not isinstance(width, (int, np.integer)) or not 0 < width <= 100_000:
        return None
    parts = [part for _, part in model.steps] if _name(model) == "Pipeline" else [model]
    if _name(model) == "Pipeline" and getattr(model, "transform_input", None):
        return None
    steps = []
    try:
        for place, part in enumerate(parts):
            if part is None or part == "passthrough":
                continue
            last = place == len(parts) - 1
            make = (_PREDICTORS if last else _TRANSFORMS).get(_name(part))
            step = make(part) if make is not None else None
            if step is None:
                return None
            steps.append(step)
    except (AttributeError, TypeError, ValueError, KeyError):  # another version's attributes
        return None
    return Program(int(width), tuple(steps)) if steps and steps[-1].op not in {"affine", "impute"} else None


def _name(part: Any) -> str:
    """The class of scikit-learn that this is exactly: not a subclass, nothing overwritten on the instance."""
    kind = type(part)
    if not kind.__module__.startswith("sklearn.") or {"predict", "transform", "predict_proba"} & set(vars(part)):
        return ""
    return kind.__name__


def _double(values: Any) -> Array:
    array = np.asarray(values)
    if array.dtype != np.float64 or not np.isfinite(array).all():
        raise ValueError("not doubles")
    return array


def _classes(model: Any) -> tuple[Array, dict[str, Any]]:
    classes = np.asarray(model.classes_)
    if classes.dtype != object:
        return classes, {}
    if not all(type(label) is str for label in classes.tolist()):
        raise ValueError("labels of mixed types")
    return classes.astype(str), {"object_classes": True}


# -- transforms --------------------------------------------------------------------------------------------------------
def _standard(part: Any) -> Step:
    arrays = {}
    if part.with_mean:
        arrays["subtract"] = _double(part.mean_)
    if part.with_std:
        arrays["divide"] = _double(part.scale_)
    return Step("affine", arrays)


def _min_max(part: Any) -> Step:
    settings = {"clip": [float(limit) for limit in part.feature_range]} if part.clip else {}
    return Step("affine", {"multiply": _double(part.scale_), "add": _double(part.min_)}, settings)


def _max_abs(part: Any) -> Step | None:
    return None if getattr(part, "clip", False) else Step("affine", {"divide": _double(part.scale_)})


def _robust(part: Any) -> Step:
    arrays = {}
    if part.with_centering:
        arrays["subtract"] = _double(part.center_)
    if part.with_scaling:
        arrays["divide"] = _double(part.scale_)
    return Step("affine", arrays)


def _imputer(part: Any) -> Step | None:
    missing = part.missing_values
    if not (isinstance(missing, float) and np.isnan(missing)) or part.add_indicator:
        return None
    return Step("impute", {"values": _double(part.statistics_)})


# -- linear models -----------------------------------------------------------------------------------------------------
def _linear_classifier(part: Any) -> Step:
    classes, settings = _classes(part)
    coef = _double(part.coef_)
    return Step("linear_classifier", {"coef": coef, "intercept": _intercept(part), "classes": classes}, settings)


def _linear_regressor(part: Any) -> Step:
    coef = _double(part.coef_)
    return Step("linear_regressor", {"coef": coef, "intercept": _intercept(part)})


def _intercept(part: Any) -> Array:
    return _double(np.asarray(part.intercept_, dtype=np.float64))


# -- trees -------------------------------------------------------------------------------------------------------------
def _laid_out(trees: list[Any], scale: float = 1.0) -> dict[str, Array]:
    """All nodes of all trees in arrays, children by absolute place."""
    counts = [tree.node_count for tree in trees]
    if sum(counts) > MAX_NODES:
        raise ValueError("too many nodes")
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    features, thresholds, children, values = [], [], [], []
    for tree, offset in zip(trees, offsets, strict=True):
        left, right = tree.children_left.astype(np.int64), tree.children_right.astype(np.int64)
        own = np.arange(tree.node_count)
        leaf = left == -1
        children.append(np.stack([np.where(leaf, own, left), np.where(leaf, own, right)], axis=1) + offset)
        features.append(np.where(leaf, 0, tree.feature))
        thresholds.append(np.where(leaf, np.inf, tree.threshold))
        if tree.n_outputs != 1:
            raise ValueError("several outputs")
        values.append(tree.value[:, 0, :] * scale if scale != 1.0 else tree.value[:, 0, :])
    return {
        "roots": offsets.astype(np.int32),
        "feature": np.concatenate(features).astype(np.int32),
        "threshold": np.concatenate(thresholds),
        "children": np.concatenate(children).astype(np.int32),
        "values": np.concatenate(values),
        "depth": np.array(max(tree.max_depth for tree in trees), dtype=np.int64),
    }


def _forest_classifier(part: Any) -> Step | None:
    if part.n_outputs_ != 1:
        return None
    classes, settings = _classes(part)
    arrays = _laid_out([tree.tree_ for tree in part.estimators_])
    return Step("forest_classifier", {**arrays, "classes": classes}, settings)


def _forest_regressor(part: Any) -> Step | None:
    return Step("forest_regressor", _laid_out([tree.tree_ for tree in part.estimators_]))


def _tree_classifier(part: Any) -> Step | None:
    if part.n_outputs_ != 1:
        return None
    classes, settings = _classes(part)
    return Step("forest_classifier", {**_laid_out([part.tree_]), "classes": classes}, {**settings, "single": True})


def _tree_regressor(part: Any) -> Step:
    return Step("forest_regressor", _laid_out([part.tree_]), {"single": True})


def _boosted(part: Any) -> dict[str, Array] | None:
    """Trees and first guess of gradient boosting; None where that guess depends on the row."""
    if type(part.init_).__name__ not in {"DummyClassifier", "DummyRegressor"} and part.init_ != "zero":
        return None
    start = np.asarray(part._raw_predict_init(np.zeros((1, part.n_features_in_))), dtype=np.float64).reshape(-1)
    trees = [tree.tree_ for stage in part.estimators_ for tree in stage]
    return {**_laid_out(trees, float(part.learning_rate)), "start": start}


def _boosted_classifier(part: Any) -> Step | None:
    arrays = _boosted(part)
    if arrays is None:
        return None
    classes, settings = _classes(part)
    return Step("boosted_classifier", {**arrays, "classes": classes}, settings)


def _boosted_regressor(part: Any) -> Step | None:
    arrays = _boosted(part)
    return None if arrays is None else Step("boosted_regressor", arrays)


def _histogram(part: Any) -> dict[str, Array] | None:
    """Trees and first guess of histogram gradient boosting over numbers; None if there are categories."""
    if getattr(part, "is_categorical_", None) is not None or getattr(part, "_preprocessor", None) is not None:
        return None
    stages = [predictor.nodes for stage in part._predictors for predictor in stage]
    counts = [len(nodes) for nodes in stages]
    if not counts or sum(counts) > MAX_NODES:
        return None
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    nodes = np.concatenate(stages)
    own = np.arange(len(nodes))
    offset = np.repeat(offsets, counts)
    leaf = nodes["is_leaf"] != 0
    sides = [np.where(leaf, own, nodes[side].astype(np.int64) + offset) for side in ("left", "right")]
    return {
        "roots": offsets.astype(np.int32),
        "feature": np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        "threshold": np.where(leaf, np.inf, nodes["num_threshold"]),
        "children": np.stack(sides, axis=1).astype(np.int32),
        "values": nodes["value"].astype(np.float64)[:, None],
        "depth": np.array(int(nodes["depth"].max()), dtype=np.int64),
        "start": _double(part._baseline_prediction).reshape(-1),
    }


def _histogram_classifier(part: Any) -> Step | None:
    arrays = _histogram(part)
    if arrays is None:
        return None
    classes, settings = _classes(part)
    return Step("boosted_classifier", {**arrays, "classes": classes}, {**settings, "histogram": True})


def _histogram_regressor(part: Any) -> Step | None:
    arrays = _histogram(part)
    if arrays is None or type(part._loss.link).__name__ != "IdentityLink":
        return None
    return Step("boosted_regressor", arrays, {"histogram": True})


_TRANSFORMS: Final[Mapping[str, Callable[[Any], Step | None]]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "SimpleImputer": _imputer,
}
_LINEAR_CLASSIFIERS = "LogisticRegression LogisticRegressionCV RidgeClassifier SGDClassifier Perceptron LinearSVC"
_LINEAR_REGRESSORS = "LinearRegression Ridge RidgeCV Lasso LassoCV ElasticNet ElasticNetCV HuberRegressor LinearSVR"
_PREDICTORS: Final[Mapping[str, Callable[[Any], Step | None]]] = {
    **dict.fromkeys(_LINEAR_CLASSIFIERS.split(), _linear_classifier),
    **dict.fromkeys(_LINEAR_REGRESSORS.split(), _linear_regressor),
    "RandomForestClassifier": _forest_classifier,
    "ExtraTreesClassifier": _forest_classifier,
    "RandomForestRegressor": _forest_regressor,
    "ExtraTreesRegressor": _forest_regressor,
    "DecisionTreeClassifier": _tree_classifier,
    "DecisionTreeRegressor": _tree_regressor,
    "GradientBoostingClassifier": _boosted_classifier,
    "GradientBoostingRegressor": _boosted_regressor,
    "HistGradientBoostingClassifier": _histogram_classifier,
    "HistGradientBoostingRegressor": _histogram_regressor,
}
