"""The best version for an environment: every one that its policy allows, scored on one and the same data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack.errors import InvalidInputError, NbtrackError, NotFoundError
from nbtrack.models.flavors import need
from nbtrack.models.loading import load_bundle
from nbtrack.registry import Promotion, allowed_versions, get_policies, promote, record_decision

if TYPE_CHECKING:
    from nbtrack.store.base import Store


@dataclass(frozen=True, slots=True)
class Decision:
    """Which version was best, and why the others were not.

    `scores` maps each version that was scored to its score, `refused` each other one to the reason; `dataset` is the
    fingerprint of the data; `comparable` is false if the decision before this one was made on other data;
    `promotion` tells what was promoted, if that was asked for; `policy` is the environment's specifier.
    """

    name: str
    environment: str
    metric: str
    dataset: str
    best: int
    scores: Mapping[int, float]
    refused: Mapping[int, str] = field(default_factory=dict)
    comparable: bool = True
    previous: Mapping[str, Any] | None = None
    promotion: Promotion | None = None
    policy: str = ""

    def __str__(self) -> str:
        lines = [f"{self.name}: v{self.best} is the best for {self.environment or 'any environment'} by {self.metric}"]
        lines += [f"  v{version}  {score:.6g}" for version, score in sorted(self.scores.items(), key=lambda kv: -kv[1])]
        lines += [f"  v{version}  {why}" for version, why in sorted(self.refused.items())]
        if not self.comparable:
            lines.append("  The decision before this one was made on other data: its scores are not comparable.")
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # what a notebook shows
        printer.text(str(self))


def select_best(
    name: str,
    metric: str | Callable[[Any, Any], float],
    dataset: tuple[Any, Any] | tuple[str | Path, str],
    environment: str | None = None,
    *,
    promote_to: str | None = None,
    note: str | None = None,
    store: Store | None = None,
) -> Decision:
    """Score every version that an environment may pick on the same data; the best one wins.

    Parameters
    ----------
    name
        The registered model.
    metric
        A scorer of scikit-learn by its name, such as ``"accuracy"`` or ``"neg_mean_squared_error"``, or a function of
        the true and the predicted values that is higher for better ones.
    dataset
        ``(X, y)``: inputs and true values; or ``(path, column)``: a CSV or Parquet file and its column of true values.
    environment
        Its policy says which versions are candidates (:func:`nbtrack.registry.set_policy`); all are if not given.
    promote_to
        A stage to promote the winner to.
    note
        Why, for the history.
    store
        The store; the one used now if not given.

    Returns
    -------
    Decision
        Also kept with the registered model, as the next one's `previous`.

    Raises
    ------
    NotFoundError
        If no version may be picked, or none could be scored; the message says why not, version by version.
    InvalidInputError
        If the metric or the data set cannot be used.
    """
    inputs, truth = _pair(dataset)
    digest = _fingerprint(inputs, truth)  # before any model sees the data: one could change it
    measure, metric_name = _measure(metric)
    candidates, refused = allowed_versions(name, environment, store=store)
    scores: dict[int, float] = {}
    for version in candidates:
        try:
            score = float(measure(truth, load_bundle(f"models:/{name}/{version.version}", store=store).predict(inputs)))
        except (NbtrackError, ValueError, TypeError) as error:
            refused[version.version] = f"it cannot be scored ({type(error).__name__}: {error})"
            continue
        if not math.isfinite(score):
            refused[version.version] = f"its score is {score}, not a number to compare"
            continue
        scores[version.version] = score
    if not scores:
        reasons = "; ".join(f"v{version}: {why}" for version, why in sorted(refused.items())) or "it has no versions"
        raise NotFoundError(f"select_best: no version of {name!r} can be picked for {environment!r}: {reasons}.")
    best = max(scores, key=lambda version: (scores[version], version))
    wanted = (environment or "").upper()
    policy = get_policies(store=store).get(wanted, "") if wanted else ""
    decision = Decision(name, wanted, metric_name, digest, best, scores, refused, policy=policy)
    return _recorded(decision, promote_to, note, store)


def _recorded(decision: Decision, promote_to: str | None, note: str | None, store: Store | None) -> Decision:
    why = note or f"best {decision.metric} for {decision.environment or 'any environment'}"
    record = {
        "metric": decision.metric,
        "dataset": decision.dataset,
        "best": decision.best,
        "scores": {str(version): score for version, score in decision.scores.items()},
        "refused": {str(version): why_not for version, why_not in decision.refused.items()},
        "policy": decision.policy,
    }
    previous = record_decision(decision.name, decision.environment, record, decision.scores, note=why, store=store)
    promotion = None
    if promote_to is not None:  # last, so that it is what undo() takes back
        promotion = promote(decision.name, decision.best, promote_to, note=why, store=store)
    same = previous is None or previous.get("dataset") == decision.dataset
    return replace(decision, comparable=same, previous=previous, promotion=promotion)


def _pair(dataset: Any) -> tuple[Any, Any]:
    if isinstance(dataset, (tuple, list)) and len(dataset) == 2 and isinstance(dataset[1], str):
        return _read(dataset[0], dataset[1])
    if not isinstance(dataset, (tuple, list)) or len(dataset) != 2 or not all(hasattr(d, "__len__") for d in dataset):
        raise InvalidInputError(f"select_best: expected the data set as (X, y), got {type(dataset).__name__}.")
    inputs, truth = dataset
    if len(inputs) != len(truth) or not len(truth):
        raise InvalidInputError(
            f"select_best: expected as many true values as rows, and at least one; got {len(inputs)} rows and"
            f" {len(truth)} values."
        )
    return inputs, truth


def _read(file: object, column: str) -> tuple[Any, Any]:
    """Return the rows of a file without the column of true values, and that column."""
    import pandas as pd

    if not isinstance(file, (str, Path)):
        raise InvalidInputError(f"select_best: expected (path, column) or (X, y), got ({type(file).__name__}, text).")
    path = Path(file)
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() in {".parquet", ".pq"} else pd.read_csv(path)
    except (OSError, ValueError, ImportError) as error:
        raise InvalidInputError(f"select_best: {str(path)!r} cannot be read as a table ({error}).") from None
    if column not in frame.columns:
        raise InvalidInputError(
            f"select_best: {path.name!r} has no column {column!r}; it has {', '.join(map(str, frame.columns[:10]))}."
        )
    return frame.drop(columns=[column]), frame[column]


def _measure(metric: str | Callable[[Any, Any], float]) -> tuple[Callable[[Any, Any], float], str]:
    if callable(metric):
        return metric, str(getattr(metric, "__name__", type(metric).__name__))
    metrics = need("sklearn.metrics", "scikit-learn")
    try:
        scorer = metrics.get_scorer(metric)
    except (ValueError, TypeError):
        raise InvalidInputError(
            "select_best: expected a scorer of scikit-learn, such as 'accuracy', or a function, got"
            f" {repr(metric)[:80]}."
        ) from None
    return lambda truth, predicted: scorer._sign * scorer._score_func(truth, predicted, **scorer._kwargs), str(metric)


def _fingerprint(inputs: Any, truth: Any) -> str:
    from hashlib import sha256

    from nbtrack.tracking.datasets import describe_dataset

    parts = [describe_dataset(part if hasattr(part, "shape") else list(part)).digest for part in (inputs, truth)]
    return sha256("".join(parts).encode()).hexdigest()
