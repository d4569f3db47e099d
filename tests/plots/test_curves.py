"""Series, colours and figures."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack import plots
from nbtrack.plots import palette
from nbtrack.plots.curves import Axis, curve
from nbtrack.plots.recent import LONG, SOON_S, RecentHistories, Window
from nbtrack.store import FileStore, open_store
from nbtrack.store.base import MetricHistory
from nbtrack.store.bulk import EndedRun, add_ended_run
from nbtrack.store.layout import new_id
from nbtrack.store.overview import FEW, Overview

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


def _histories() -> dict[str, MetricHistory]:
    rng = np.random.default_rng(0)
    at = 1_795_000_000_000
    even, odd = np.arange(LONG) * 3 + 7, np.sort(rng.integers(0, 10 * LONG, LONG))
    value, time = rng.normal(size=LONG).cumsum(), at + np.arange(LONG) * 10
    value[5000:7000] = np.nan
    return {
        "even": MetricHistory("m", even, value, time),
        "odd": MetricHistory("m", odd, value, time),
        "far": MetricHistory("m", even, value, at + np.arange(LONG) * 10**8),
        "out of order": MetricHistory("m", odd[::-1].copy(), value, time[::-1].copy()),
        "still": MetricHistory("m", np.zeros(LONG, np.int64), value, np.full(LONG, at)),
    }


@pytest.mark.parametrize("name", ["even", "odd", "far", "out of order", "still"])
@pytest.mark.parametrize("axis", ["step", "time", "relative"])
def test_recent_draws_what_the_whole_history_would_give(name: str, axis: Axis) -> None:
    recent, reads, history = RecentHistories(), [], _histories()[name]
    x = history.step if axis == "step" else history.timestamp - (history.timestamp.min() if axis == "relative" else 0)
    rng = np.random.default_rng(1)
    windows: list[tuple[float | None, float | None]] = [(None, None), (None, float(x[10])), (float(x[-10]), None)]
    windows += [(float(x.min() - 5), float(x.max() + 5)), (float(x.max() + 5), float(x.max() + 9)), (-5.0, -1.0)]
    for _ in range(6):
        low, high = np.sort(rng.uniform(x.min(), x.max(), 2)).tolist()
        windows.append((low, high))
        windows.append((float(x[rng.integers(LONG)]), float(x[rng.integers(LONG)])))
    for low, high in windows:
        for smooth in (0.0, 0.9) if low is None else (0.0,):
            window = Window(500, axis, low, high, smooth)
            drawn = recent.draw(("s", "r", "m"), "1", window, lambda: reads.append(1) or history, lambda: None)  # type: ignore[func-returns-value]
            told = curve(history, 500, axis, low, high, smooth)
            assert drawn is not None
            assert (drawn.count, drawn.start) == (told.count, told.start)
            for field in ("step", "value", "time"):
                assert np.array_equal(getattr(drawn, field), getattr(told, field), equal_nan=True), (field, window)
    assert len(reads) == 1
    recent.draw(("s", "r", "m"), "2", Window(), lambda: reads.append(1) or history, lambda: None)  # type: ignore[func-returns-value]
    assert len(reads) == 2
    recent.forget()
    recent.draw(("s", "r", "m"), "2", Window(), lambda: reads.append(1) or history, lambda: None)  # type: ignore[func-returns-value]
    assert len(reads) == 3


def test_recent_does_not_keep_short_curves() -> None:
    recent, reads = RecentHistories(), []
    short = MetricHistory("m", np.arange(10), np.zeros(10), np.arange(10))
    for _ in range(2):
        recent.draw(("s", "r", "m"), "1", Window(), lambda: reads.append(1) or short, lambda: None)  # type: ignore[func-returns-value]
    assert len(reads) == 2


def test_what_is_read_ahead_waits_for_a_curve_that_somebody_waits_for() -> None:
    history, order = _histories()["even"], []
    release, ahead = threading.Event(), threading.Event()

    def read_ahead() -> MetricHistory:
        order.append("ahead")
        ahead.set()
        return history

    def read_now() -> MetricHistory:
        assert release.wait(30)
        order.append("now")
        return history

    recent, few = RecentHistories(), Overview(plots.thinned(history, FEW), LONG)
    assert recent.draw(("s", "zoomed", "m"), "1", Window(100, low=0, high=1e5), read_ahead, lambda: few) is not None
    looking = threading.Thread(
        target=recent.draw, args=(("s", "looked at", "m"), "1", Window(), read_now, lambda: None)
    )
    looking.start()
    assert not ahead.wait(2 * SOON_S)
    release.set()
    looking.join(30)
    assert ahead.wait(30)
    assert order == ["now", "ahead"]


def test_an_overview_draws_a_curve_with_its_peaks_until_more_is_asked_for_than_it_shows(tmp_path: Path) -> None:
    count = 120_000
    rng = np.random.default_rng(0)
    value = rng.normal(size=count).cumsum()
    value[[777, 60_000]] = 9e6, -9e6
    points = [(1_795_000_000_000 + i, one, i * 2) for i, one in enumerate(value.tolist())]
    store = open_store(tmp_path)
    assert isinstance(store, FileStore)
    run_id = new_id(points[0][0])
    ended = EndedRun(
        run_id, "long", "0", "FINISHED", points[0][0], points[-1][0], metrics={"m": points, "few": points[:9]}
    )
    add_ended_run(store, ended)
    assert store.get_metric_overview(run_id, "few") is None
    assert store.get_metric_overview(run_id, "none") is None
    history = store.get_metric_history(run_id, "m")
    for _ in range(2):  # made, then read
        found = store.get_metric_overview(run_id, "m")
        assert found is not None
        assert found.count == count
        at = found.points.step // 2
        assert len(at) <= FEW
        assert (found.points.value == history.value[at]).all()
        assert (found.points.timestamp == history.timestamp[at]).all()
        for piece in np.array_split(np.arange(count), 900):
            inside = found.points.value[(at >= piece[0] - 15) & (at <= piece[-1] + 15)]
            assert inside.min() <= value[piece].min()
            assert inside.max() >= value[piece].max()
    recent, reads = RecentHistories(), []
    asked: list[tuple[float, float]] = [(0.0, 2.0 * count), (1e5, 2e5), (1e5, 1.01e5)]
    for low, high in asked:
        drawn = recent.draw(
            ("s", run_id, "m"),
            "1",
            Window(1000, "step", low, high),
            lambda: reads.append(1) or history,  # type: ignore[func-returns-value]
            lambda: store.get_metric_overview(run_id, "m"),
        )
        assert drawn is not None
        assert drawn.count == count
        inside = value[(history.step >= low) & (history.step <= high)]
        assert drawn.value.min() <= inside.min()
        assert drawn.value.max() >= inside.max()
    assert drawn is not None
    assert drawn.step[1:-1].tolist() == list(range(100_000, 101_001, 2))  # from the history, every point
    store.edit_run(run_id, metrics={"m": 1.0})
    assert store.get_metric_overview(run_id, "m") is None
