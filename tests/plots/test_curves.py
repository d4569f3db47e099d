"""Series, colours and figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack import plots
from nbtrack.plots import palette
from nbtrack.store.base import MetricHistory

RUN_IDS = st.lists(st.text("0123456789abcdef", min_size=21, max_size=21), unique=True, max_size=40)


@given(RUN_IDS)
def test_color_indexes_of_up_to_eight_runs_are_all_different(run_ids: list[str]) -> None:
    colors = plots.color_indexes(run_ids[:8])
    assert len(set(colors)) == len(colors)


@given(RUN_IDS, st.randoms())
def test_color_indexes_do_not_depend_on_the_order(run_ids: list[str], random: object) -> None:
    shuffled = list(run_ids)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert dict(zip(run_ids, plots.color_indexes(run_ids), strict=True)) == dict(
        zip(shuffled, plots.color_indexes(shuffled), strict=True)
    )


@given(st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), max_size=500), st.integers(4, 50))
def test_thin_keeps_the_ends_and_every_extreme(values: list[float], max_points: int) -> None:
    y = np.array(values, dtype=float)
    keep = plots.thin(y, max_points)
    assert len(keep) <= max_points
    assert (np.diff(keep) > 0).all()
    if len(y):
        assert keep[0] == 0 and keep[-1] == len(y) - 1
    if np.isfinite(y).any():
        assert np.nanmax(y[keep]) == np.nanmax(y)
        assert np.nanmin(y[keep]) == np.nanmin(y)


def test_thin_a_single_spike_in_a_million_points_survives() -> None:
    y = np.zeros(1_000_000)
    y[654_321] = 1.0
    assert y[plots.thin(y, 1000)].max() == 1.0


def test_thinned_unsorted_steps_come_in_order() -> None:
    history = MetricHistory("loss", np.array([2, 0, 1]), np.array([0.2, 0.0, 0.1]), np.array([3, 1, 2]))
    shown = plots.thinned(history)
    assert shown.step.tolist() == [0, 1, 2]
    assert shown.value.tolist() == [0.0, 0.1, 0.2]
    assert shown.timestamp.tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["<b>x</b>", "<img src=x onerror=alert(1)>", "a & b"])
def test_plain_markup_in_a_name_is_shown_as_text(name: str) -> None:
    assert "<" not in palette.plain(name)
