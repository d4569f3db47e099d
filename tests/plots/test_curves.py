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


@given(RUN_IDS)
def test_color_indexes_tell_any_eight_neighbours_apart_and_stay_when_a_run_is_added(run_ids: list[str]) -> None:
    ids = sorted(run_ids)
    colors = plots.color_indexes(ids)
    for start in range(len(ids)):
        some = [color % len(plots.PALETTE) for color in colors[start : start + 8]]
        assert len(set(some)) == len(some)
    assert plots.color_indexes(ids[:-1]) == colors[:-1]
    assert len(set(colors)) == len(colors)  # up to 40 runs: where the colour is the same, the shape is not


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


def test_recent_gives_the_same_history_back_until_the_store_changes() -> None:
    from nbtrack.plots.recent import LONG, RecentHistories

    recent, reads = RecentHistories(), 0
    rng = np.random.default_rng(0)
    step, time = np.arange(LONG) * 3 + 7, 1_795_000_000_000 + np.arange(LONG) * 10
    history = MetricHistory("loss", step, rng.normal(size=LONG), time)

    def read() -> MetricHistory:
        nonlocal reads
        reads += 1
        return history

    place = ("store", "run", "loss")
    for _ in range(2):
        found = recent.get(place, "1", read)
        for name in ("step", "value", "timestamp"):
            assert (getattr(found, name) == getattr(history, name)).all()
    assert reads == 1
    recent.get(place, "2", read)
    assert reads == 2
    recent.forget()
    recent.get(place, "2", read)
    assert reads == 3


def test_recent_does_not_keep_short_curves() -> None:
    from nbtrack.plots.recent import RecentHistories

    recent, reads = RecentHistories(), []
    short = MetricHistory("m", np.arange(10), np.zeros(10), np.arange(10))
    for _ in range(2):
        recent.get(("s", "r", "m"), "1", lambda: reads.append(1) or short)  # type: ignore[func-returns-value]
    assert len(reads) == 2
