"""Conditions over the metrics of one run."""

from __future__ import annotations

import math

import pytest

from nbtrack.entities import MetricSummary
from nbtrack.store.conditions import holds, parse_condition

METRICS = {
    "loss": MetricSummary(0.5, 9, 0, 0.25, 4.0, 10),
    "val.acc": MetricSummary(0.9, 9, 0, 0.1, 0.95, 10),
    "train/err": MetricSummary(math.nan, 3, 0, 1.0, 2.0, 4),
    "top 5": MetricSummary(math.inf, 0, 0, math.inf, math.inf, 1),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss < 1", True),
        ("metrics.loss >= 0.5", True),
        ("loss > 1", False),
        ("max(loss) = 4", True),
        ("loss.min < 0.3 and loss.max > 3", True),
        ("min(metrics.loss) != 0.25", False),
        ("val.acc > 0.8", True),
        ("val.acc.max > 0.94", True),
        ("count(loss) >= 10", True),
        ("step(loss) = 9", True),
        ("train/err is nan", True),
        ("train/err is not nan", False),
        ("train/err > 0 or train/err <= 0", False),
        ("train/err is not finite", True),
        ("train/err.min is finite", True),
        ("`top 5` = inf", True),
        ("metrics.`top 5` is nan", False),
        ("loss in (0.5, 1)", True),
        ("loss not in (0.5, 1)", False),
        ("not loss > 1", True),
        ("not (loss > 1 or val.acc < 0.5)", True),
        ("nobody > 1", None),
        ("not nobody > 1", None),
        ("nobody > 1 or loss < 1", True),
        ("nobody > 1 or loss > 1", None),
        ("nobody > 1 and loss > 1", False),
        ("nobody is null", True),
        ("loss is not null", True),
    ],
)
def test_condition_holds(text: str, expected: bool | None) -> None:
    condition = parse_condition(text)
    assert holds(condition.node, METRICS) is expected
    assert condition.keys <= {*METRICS, "nobody"}
