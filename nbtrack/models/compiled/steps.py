"""What compiled predictors are made of: each step repeats scikit-learn's arithmetic in scikit-learn's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np

from nbtrack.models.compiled.table import Array
from nbtrack.models.compiled.trees import NotCovered, Trees, expect

__all__ = ["Array", "NotCovered", "OnTrees", "Program", "Step", "runner"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a program: its kind, plain settings, and arrays."""

    op: str
    arrays: Mapping[str, Array]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """Steps from `width` input columns to predictions; the last one predicts."""

    width: int
    steps: tuple[Step, ...]


# -- transforms --------------------------------------------------------------------------------------------------------
class Affine:
    """Scalers: subtract, divide, multiply, add, clip, each where there is something to do, in this order."""

    ops: ClassVar = ("subtract", "divide", "multiply", "add")

    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Array], width: int) -> None:
        self._steps = [(getattr(np, name), arrays[name]) for name in self.ops if name in arrays]
        self._clip = settings.get("clip")
        for _, values in self._steps:
            expect(values.shape == (width,) and values.dtype == np.float64, "a scaler of another width")

    def transform(self, matrix: Array) -> Array:
        """Return the scaled matrix."""
        for operation, values in self._steps:
            matrix = operation(matrix, values)
        if self._clip is not None:
            matrix = np.clip(matrix, float(self._clip[0]), float(self._clip[1]))
        return matrix


class Impute:
    """Puts the statistic of its column in the place of each NaN."""

    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Array], width: int) -> None:
        self._values = arrays["values"]
        expect(self._values.shape == (width,) and bool(np.isfinite(self._values).all()), "an imputer without values")

    def transform(self, matrix: Array) -> Array:
        """Return the matrix without NaN."""
        missing = np.isnan(matrix)
        return np.where(missing, self._values, matrix) if missing.any() else matrix


# -- linear models -----------------------------------------------------------------------------------------------------
class _Linear:
    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Array], width: int) -> None:
        self._coef, self._intercept = arrays["coef"], arrays["intercept"]
        expect(self._coef.ndim in {1, 2} and self._coef.shape[-1] == width, "coefficients of another width")
        expect(self._coef.dtype == np.float64 and self._intercept.dtype == np.float64, "coefficients of another type")

    def _scores(self, matrix: Array) -> Array:
        scores: Array = matrix @ self._coef.T + self._intercept
        return scores


class LinearRegressor(_Linear):
    """``X @ coef + intercept``."""

    def predict(self, matrix: Array) -> Array:
        """Return the predictions."""
        return self._scores(matrix)


class LinearClassifier(_Linear):
    """The class of the highest score; of two classes, the second where the score is above zero."""

    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Array], width: int) -> None:
        super().__init__(settings, arrays, width)
        self._classes = labels(arrays["classes"], settings)
        expect(len(self._classes) == max(2, len(np.atleast_2d(self._coef))), "classes that do not fit")

    def predict(self, matrix: Array) -> Array:
        """Return the labels."""
        scores = self._scores(matrix)
        if scores.ndim == 1 or scores.shape[1] == 1:
            return self._classes[(scores.reshape(-1) > 0).astype(np.intp)]
        return pick(self._classes, scores)


# -- trees -------------------------------------------------------------------------------------------------------------
class OnTrees:
    """Trees compare in single precision, so data in single precision is as good to them as in double."""


class _Forest(OnTrees):
    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Array], width: int) -> None:
        self._trees = Trees(arrays, width)
        self._single = bool(settings.get("single"))

    def _mean(self, matrix: Array) -> Array:
        total = self._trees.summed(matrix)
        if not self._single:
            total /= len(self._trees.roots)
        return total


class ForestRegressor(_Forest):
    """The mean of the trees."""

    def predict(self, matrix: Array) -> Array:
        """Return the predictions."""
        return self._mean(matrix)[:, 0]


class ForestClassifier(_Forest):
    """The class of the highest mean probability."""

    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Array], width: int) -> None:
        super().__init__(settings, arrays, width)
        self._classes = labels(arrays["classes"], settings)
        expect(self._trees.values.shape[1] == len(self._classes), "classes that do not fit")

    def proba(self, matrix: Array) -> Array:
        """Return the probability of each class."""
        return self._mean(matrix)

    def predict(self, matrix: Array) -> Array:
        """Return the labels."""
        return pick(self._classes, self._mean(matrix))


class BoostedRegressor:
    """The first guess and what each tree adds to it.

    With the setting ``histogram`` the trees compare in double precision, and zero means the first of two classes.
    """

    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Array], width: int) -> None:
        self._histogram = bool(settings.get("histogram"))
        self._trees = Trees(arrays, width, self._histogram)
        self._start = arrays["start"]
        expect(len(self._trees.roots) % max(len(self._start), 1) == 0, "trees that do not fit the classes")
        expect(self._start.ndim == 1 and self._trees.values.shape[1] == 1, "a first guess of another shape")

    def _raw(self, matrix: Array) -> Array:
        return self._trees.summed(matrix, self._start, len(self._start))

    def predict(self, matrix: Array) -> Array:
        """Return the predictions."""
        return self._raw(matrix)[:, 0]


class BoostedClassifier(BoostedRegressor):
    """The class of the highest sum; of two classes, the second where the sum is above (or not below) zero."""

    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Array], width: int) -> None:
        super().__init__(settings, arrays, width)
        self._classes = labels(arrays["classes"], settings)
        expect(len(self._classes) == max(2, len(self._start)), "classes that do not fit")

    def predict(self, matrix: Array) -> Array:
        """Return the labels."""
        raw = self._raw(matrix)
        if raw.shape[1] == 1:
            second = raw[:, 0] > 0 if self._histogram else raw[:, 0] >= 0
            return self._classes[second.astype(np.intp)]
        return pick(self._classes, raw)


def pick(classes: Array, scores: Array) -> Array:
    """Return the class of the highest score of each row; of equal ones the first."""
    picked: Array = classes[scores.argmax(axis=1)]
    return picked


def labels(classes: Array, settings: Mapping[str, Any]) -> Array:
    """Return class labels in the type that the model answers with."""
    expect(classes.ndim == 1, "classes of another shape")
    return classes.astype(object) if settings.get("object_classes") else classes


_RUNNERS: Final[Mapping[str, Any]] = {
    "affine": Affine,
    "impute": Impute,
    "linear_regressor": LinearRegressor,
    "linear_classifier": LinearClassifier,
    "forest_regressor": ForestRegressor,
    "forest_classifier": ForestClassifier,
    "boosted_regressor": BoostedRegressor,
    "boosted_classifier": BoostedClassifier,
}


def runner(op: str, settings: Mapping[str, Any], arrays: Mapping[str, Array], width: int) -> Any:
    """Return the object that runs a step; raises ValueError or KeyError for one that cannot be."""
    return _RUNNERS[op](settings, arrays, width)
