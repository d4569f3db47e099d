"""Answers why runs are different."""

from __future__ import annotations

from typing import Any, cast

from nbtrack.capture.differences import diff
from nbtrack.errors import InvalidInputError
from nbtrack.store.base import Store
from nbtrack.tracking.directions import better_direction
from nbtrack.wire import differing as m
from nbtrack.wire.base import number


def get_diff(store: Store, request: m.GetDiff) -> m.RunDiff:
    if len(request.run_ids) < 2:
        raise InvalidInputError(f"diff: expected two or more runs, got {len(request.run_ids)}.")
    found = diff(*request.run_ids, store=store)
    return m.RunDiff(
        run_ids=list(found.run_ids),
        run_names=list(found.run_names),
        verdict=found.verdict,
        metrics=[
            m.MetricDifference(key, [None if v is None else number(v) for v in values], better_direction(key))
            for key, values in found.metrics
        ],
        differences=[
            m.Difference(cast("Any", one.kind), one.key, list(one.values), one.weight, one.text, list(one.patches))
            for one in found.differences
        ],
        same=list(found.same),
        unknown=list(found.unknown),
    )
