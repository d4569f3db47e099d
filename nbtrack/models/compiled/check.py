"""Does a compiled predictor answer exactly as the model? Asked with inputs made to find a difference."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nbtrack.models.compiled.steps import Array, NotCovered, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbtrack.models.compiled import Compiled

RANDOM_ROWS: Final = 100
BOUNDARY_NODES: Final = 100


def agrees(model: Any, compiled: Compiled, program: Program) -> bool:
    """Return whether both give the same labels and probabilities, bit for bit, on random, boundary and huge inputs."""
    try:
        with _quiet(), _one_thread(model):
            for data in _inputs(program):
                # probabilities that are the same bit for bit give the same labels, which are checked once
                if compiled.proba and not _same(compiled.predict_proba(data), model.predict_proba(data)):
                    return False
                if (not compiled.proba or len(data) == 1) and not _same(compiled.predict(data), model.predict(data)):
                    return False
    except (NotCovered, ValueError, TypeError, AttributeError, IndexError):
        return False
    return True


def agrees_on(compiled: Compiled, data: Any, predicted: Any) -> bool:
    """Return whether the compiled predictor gives `predicted` for `data`, or leaves it to the model."""
    try:
        with _quiet():
            return _same(compiled.predict(data), np.asarray(predicted))
    except NotCovered:
        return True
    except (ValueError, TypeError):
        return False


def _same(mine: Array, theirs: Array) -> bool:
    return mine.dtype == theirs.dtype and mine.shape == theirs.shape and np.array_equal(mine, theirs)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a model fitted on named columns says so when it gets an array
        yield


@contextmanager
def _one_thread(model: Any) -> Iterator[None]:
    """Threads add up the trees of a forest in any order, and sums of floats depend on their order."""
    forest = model.steps[-1][1] if hasattr(model, "steps") else model
    jobs = getattr(forest, "n_jobs", None)
    if jobs is None:
        yield
        return
    forest.n_jobs = 1
    try:
        yield
    finally:
        forest.n_jobs = jobs


def _inputs(program: Program) -> Iterator[Array]:
    rng = np.random.default_rng(0)
    low, high = _range(program)
    width = program.width
    middle, spread = (low + high) / 2, (high - low) / 2
    random = middle + spread * 1.5 * rng.uniform(-1, 1, (RANDOM_ROWS, width))
    odd = rng.choice([1e30, -1e30, 1e-30, 5e-324, 0.0], (8, width))
    huge = np.where(rng.random((8, width)) < 0.5, random[:8], odd)
    # few calls with many rows: a forest asks every tree anew in each call
    yield np.concatenate([random, _boundaries(program, random, rng), huge, np.zeros((1, width))])
    yield random[:1]  # one row takes another way through both


def _range(program: Program) -> tuple[Array, Array]:
    """Return where each input column lies, as far as the program tells: around the means and between thresholds."""
    low, high = np.full(program.width, -1.0), np.full(program.width, 1.0)
    for step in program.steps:
        if "threshold" in step.arrays:
            inner = np.isfinite(step.arrays["threshold"])
            feature, threshold = step.arrays["feature"][inner], step.arrays["threshold"][inner]
            np.minimum.at(low, feature, threshold)
            np.maximum.at(high, feature, threshold)
    for step in reversed(program.steps[:-1]):
        if step.op != "affine":
            continue
        if "multiply" in step.arrays:
            low, high = ((limit - step.arrays["add"]) / step.arrays["multiply"] for limit in (low, high))
        scale, shift = step.arrays.get("divide", 1.0), step.arrays.get("subtract", 0.0)
        low, high = low * scale + shift, high * scale + shift
    return np.minimum(low, high), np.maximum(low, high)


def _boundaries(program: Program, random: Array, rng: np.random.Generator) -> Array:
    """Rows that stand on the thresholds of trees, and one step of their precision to either side."""
    last = program.steps[-1].arrays
    if "threshold" not in last or len(program.steps) > 1:
        return np.empty((0, program.width))
    double = bool(program.steps[-1].settings.get("histogram"))
    nodes = np.flatnonzero(np.isfinite(last["threshold"]))
    if len(nodes) > BOUNDARY_NODES:
        nodes = rng.choice(nodes, BOUNDARY_NODES, replace=False)
    rows = []
    for node in nodes:
        kind = np.float64 if double else np.float32
        at = kind(last["threshold"][node])
        for value in (at, np.nextafter(at, kind(np.inf)), np.nextafter(at, kind(-np.inf))):
            row = random[rng.integers(len(random))].copy()
            row[last["feature"][node]] = float(value)
            rows.append(row)
    return np.array(rows) if rows else np.empty((0, program.width))
