"""How much of a metric's spread goes with each param."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from nbtrack.plots.columns import Axis

MOST_GROUPS = 8  # pieces that the numbers of a param are cut into
FEWEST_RUNS = 5


@dataclass(frozen=True, slots=True)
class Importance:
    """What one param says about the metric.

    `share` (0 to 1) is how much of the metric's variance goes with this param alone, corrected for what chance would
    give; `trend` (−1 to 1) is the rank correlation, None where the param has no order; `runs` counts those that have
    both.
    """

    column: str
    label: str
    share: float
    trend: float | None
    runs: int


def _ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return ranks from 0; equal values share their mean rank."""
    import numpy as np

    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    ranks: np.ndarray[Any, Any] = (ends - (count + 1) / 2)[place]
    return ranks


def _groups(axis: Axis, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the group of each run: its category or value, or one of eight equally full pieces of the numbers."""
    import numpy as np

    known, place = np.unique(numbers, return_inverse=True)
    if axis.categories or len(known) <= MOST_GROUPS:
        return place.astype(np.int64)
    borders = np.quantile(numbers, np.linspace(0, 1, MOST_GROUPS + 1)[1:-1])
    return np.searchsorted(borders, numbers, side="right").astype(np.int64)


def importance_of(axis: Axis, metric: Axis) -> Importance | None:
    """Return how much the metric depends on one param; None with too few runs, or if either does not vary.

    The share is epsilon squared: the variance between the groups of equal (or nearly equal) values over the whole
    variance, less what as many groups would show by chance.
    """
    import numpy as np

    pairs = [(x, y) for x, y in zip(axis.numbers, metric.numbers, strict=True) if x is not None and y is not None]
    if len(pairs) < FEWEST_RUNS:
        return None
    x, y = np.array(pairs, dtype=np.float64).T
    total = float(((y - y.mean()) ** 2).sum())
    group = _groups(axis, x)
    count = np.bincount(group)
    groups = int((count > 0).sum())
    if total == 0 or groups < 2 or groups >= len(pairs):
        return None
    sums = np.bincount(group, weights=y)
    between = float((sums[count > 0] ** 2 / count[count > 0]).sum() - y.sum() ** 2 / len(y))
    chance = (groups - 1) * (total - between) / (len(y) - groups)
    share = min(1.0, max(0.0, (between - chance) / total))
    trend = None
    if not axis.categories:
        trend = float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])
    return Importance(axis.id, axis.label, share, trend, len(pairs))
