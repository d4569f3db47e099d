"""Figures about runs: what they show is what the runs logged, and plotly takes them as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

import nbtrack
from nbtrack import plots
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.plots import evaluation
from nbtrack.store import open_store
from nbtrack.store.base import MetricHistory, Store

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    yield open_store(tmp_path / "store")


def swept(count: int = 24) -> list[str]:
    """Runs whose accuracy depends on `lr` alone; `noise` is as random as a param can be."""
    rng = np.random.default_rng(0)
    ids = []
    for i in range(count):
        with nbtrack.start_run(run_name=f"{HOSTILE}{i}") as run:
            lr = 10.0 ** -(1 + i % 4)
            nbtrack.log_params({"lr": lr, "kind": "ab"[i % 2], "noise": rng.random(), "fixed": 1})
            nbtrack.log_metric("accuracy", 0.9 + math.log10(lr) / 10 + rng.normal() / 1000)
            for step in range(5):
                nbtrack.log_metric("loss", 1 / (step + 1), step=step)
        ids.append(run.run_id)
    return ids


@pytest.mark.parametrize("kind", plots.KINDS)
def test_every_kind_is_a_valid_plotly_figure_with_names_as_text(store: Store, kind: str) -> None:
    ids = swept(8)
    truth = [0, 1, 1, 0, 1, 0]
    for run_id in ids[:2]:
        with nbtrack.start_run(run_id=run_id):
            table = {"y_true": truth, "y_pred": [0, 1, 0, 0, 1, 1], "y_score": [0.1, 0.9, 0.4, 0.2, 0.8, 0.6]}
            nbtrack.log_table(table, "predictions.json")
    figure = nbtrack.plot(ids, kind, store=store)  # type: ignore[arg-type]
    assert isinstance(figure, go.Figure)
    assert len(figure.data) > 0
    assert "<img" not in figure.to_json()


def test_parallel_tells_which_column_each_axis_is_and_what_its_numbers_mean(store: Store) -> None:
    ids = swept(8)
    spec = plots.spec_of(store, "parallel", ids, metric="accuracy")
    meta = spec.layout["meta"]
    assert sorted(meta["run_ids"]) == sorted(ids)
    by_id = {axis["id"]: (axis, spec.data[0]["dimensions"][i]) for i, axis in enumerate(meta["axes"])}
    assert set(by_id) == {"param:lr", "param:noise", "param:kind", "metric:accuracy"}
    axis, dimension = by_id["param:lr"]
    assert axis["log"] is True
    assert sorted({round(value) for value in dimension["values"]}) == [-4, -3, -2, -1]
    assert by_id["param:kind"][0]["categories"] == ["a", "b"]


def test_parallel_keeps_runs_without_a_value_apart_and_says_who_is_left_out(store: Store) -> None:
    ids = swept(6)
    with nbtrack.start_run(run_name="bare") as bare:
        nbtrack.log_param("lr", 0.5)
    with nbtrack.start_run(run_name="half") as half:
        nbtrack.log_metric("accuracy", 0.1)
    spec = plots.spec_of(store, "parallel", [*ids, bare.run_id, half.run_id], metric="accuracy")
    assert "1 without accuracy is left out" in spec.note
    lr = next(one for one in spec.data[0]["dimensions"] if one["label"] == "lr")
    assert lr["ticktext"][0] == "none"
    assert min(lr["values"]) == lr["tickvals"][0] < -4


def test_parallel_takes_the_metric_of_most_runs_and_no_axis_that_none_of_them_has(store: Store) -> None:
    swept(6)
    with nbtrack.start_run(run_name="other"):
        nbtrack.log_param("only_here", 1)
        nbtrack.log_metrics({"acc_of_one": 0.5})
    with nbtrack.start_run(run_name="another"):
        nbtrack.log_params({"only_here": 2, "lr": 1})
    spec = plots.spec_of(store, "parallel", [run.run_id for run in store.search_runs()])
    assert spec.note.startswith("6 runs over 5 columns, coloured by accuracy.")
    assert [axis["id"] for axis in spec.layout["meta"]["axes"]][-1] == "metric:accuracy"
    assert all(axis["id"] != "param:only_here" for axis in spec.layout["meta"]["axes"])


def test_importance_finds_the_one_param_that_matters(store: Store) -> None:
    spec = plots.spec_of(store, "importance", swept(), metric="accuracy")
    shares = {row[0]: row[1] for row in spec.table.rows}
    assert spec.table.rows[0][0] == "lr"
    assert shares["lr"] > 0.95
    assert shares["noise"] < 0.3
    assert next(row[2] for row in spec.table.rows if row[0] == "lr") > 0.9


def test_importance_of_too_few_runs_says_so(store: Store) -> None:
    spec = plots.spec_of(store, "importance", swept(3), metric="accuracy")
    assert spec.data == []
    assert "Too few runs" in spec.note


@pytest.mark.parametrize(
    ("key", "values", "best"), [("loss", [3, 1, 2], [3, 1, 1]), ("accuracy", [1, 3, 2], [1, 3, 3])]
)
def test_best_so_far_follows_the_direction_of_the_metric(
    store: Store, key: str, values: list[float], best: list[float]
) -> None:
    ids = []
    for i, value in enumerate(values):
        with nbtrack.start_run(run_name=f"r{i}") as run:
            nbtrack.log_metric(key, value)
        ids.append(run.run_id)
    spec = plots.spec_of(store, "best", list(reversed(ids)))
    assert spec.data[0]["y"] == values
    assert spec.data[1]["y"] == best


def test_scatter_of_chosen_columns_carries_the_run_of_each_mark(store: Store) -> None:
    ids = swept(6)
    spec = plots.spec_of(store, "scatter", ids, columns=["param:lr", "metric:accuracy"], color="param:kind")
    assert spec.data[0]["customdata"] == ids
    assert len(set(spec.data[0]["marker"]["symbol"])) == 2  # a category is a shape, too
    assert spec.layout["xaxis"]["type"] == "log"


def test_matrix_of_two_columns_is_one_over_the_other(store: Store) -> None:
    ids = swept(4)
    chosen = plots.spec_of(store, "matrix", ids, columns=["param:lr", "metric:accuracy"])
    assert [trace["type"] for trace in chosen.data] == ["scatter"]
    assert chosen.data[0]["customdata"] == ids
    assert [trace["type"] for trace in plots.spec_of(store, "matrix", ids).data] == ["splom"]


def test_matrix_of_unlike_runs_leaves_out_columns_that_share_no_runs_and_says_so(store: Store) -> None:
    ids = []
    kinds = [{"trees": 10, "depth": 3}, {"trees": 20, "depth": 5}, {"trees": 30, "depth": 4}, {"C": 1.0}, {"C": 9.0}]
    for i, params in enumerate([*kinds, {}]):
        with nbtrack.start_run() as run:
            nbtrack.log_params(params)
            if i < 5:
                nbtrack.log_metric("accuracy", 0.5 + i / 10)
        ids.append(run.run_id)
    spec = plots.spec_of(store, "matrix", ids)
    (trace,) = spec.data
    assert [one["label"] for one in trace["dimensions"]] == ["depth", "trees", "accuracy ↑"]
    assert trace["customdata"] == ids[:3]
    assert all(None not in one["values"] for one in trace["dimensions"])
    assert "Left out, as few runs have them together with the others: C." in spec.note
    assert "3 runs have none of these pairs." in spec.note
    apart = plots.spec_of(store, "matrix", ids, columns=["param:depth", "param:C"])
    assert apart.data == []
    assert "No two of the columns in which these runs differ have runs in common" in apart.note


def test_confusion_matrices_lie_beside_and_below_each_other_without_touching() -> None:
    shown = [evaluation.Predictions(str(i), f"net-{i}", {"y_true": [0, 1], "y_pred": [0, 1]}) for i in range(5)]
    layout = evaluation.confusion(shown).layout
    places = [(*layout[f"xaxis{end}"]["domain"], *layout[f"yaxis{end}"]["domain"]) for end in ("", "2", "3", "4", "5")]
    assert len({(left, low) for left, _, low, _ in places}) == 5
    for i, (left, right, low, high) in enumerate(places):
        assert 0 <= left < right <= 1
        assert 0 <= low < high <= 1
        for other_left, other_right, other_low, other_high in places[i + 1 :]:
            assert right <= other_left or other_right <= left or high <= other_low or other_high <= low


def test_unknown_kind_column_and_metric_are_refused(store: Store) -> None:
    ids = swept(2)
    with pytest.raises(InvalidInputError, match="there is no kind 'pie'"):
        plots.spec_of(store, "pie", ids)
    with pytest.raises(NotFoundError, match="none of these runs has the metric 'f1'"):
        plots.spec_of(store, "best", ids, metric="f1")
    with pytest.raises(InvalidInputError, match="expected a run, its id"):
        nbtrack.plot(3.5, store=store)


def test_roc_and_average_precision_agree_with_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 300)
    score = np.round(truth * 0.5 + rng.random(300), 1)  # many ties
    *_, area = evaluation.roc_points(truth.tolist(), score.tolist(), 1)
    assert area == pytest.approx(roc_auc_score(truth, score))
    *_, average = evaluation.pr_points(truth.tolist(), score.tolist(), 1)
    assert average == pytest.approx(average_precision_score(truth, score))


def test_confusion_counts_agree_with_scikit_learn() -> None:
    from sklearn.metrics import confusion_matrix

    rng = np.random.default_rng(2)
    truth, guess = rng.integers(0, 4, 200).tolist(), rng.integers(0, 4, 200).tolist()
    classes, counts = evaluation.confusion_counts(truth, guess)
    assert classes == [0, 1, 2, 3]
    assert (counts == confusion_matrix(truth, guess)).all()
    with pytest.raises(InvalidInputError, match="as many predictions as truths"):
        evaluation.confusion_counts([1], [])


def history(values: Any, steps: Any = None) -> MetricHistory:
    value = np.asarray(values, dtype=float)
    step = np.arange(len(value)) if steps is None else np.asarray(steps)
    return MetricHistory("m", step.astype(np.int64), value, step.astype(np.int64) * 1000)


def test_smoothed_is_the_moving_average_without_a_pull_to_zero() -> None:
    rng = np.random.default_rng(3)
    value, weight = rng.normal(size=1000), 0.9
    average, expected = 0.0, []
    for i, one in enumerate(value):
        average = weight * average + (1 - weight) * one
        expected.append(average / (1 - weight ** (i + 1)))
    assert plots.smoothed(value, weight) == pytest.approx(np.array(expected))


def test_smoothed_leaves_values_that_are_none_in_place() -> None:
    value = np.array([1.0, np.nan, 1.0, np.inf, 1.0])
    shown = plots.smoothed(value, 0.5)
    assert shown[[0, 2, 4]] == pytest.approx([1, 1, 1])
    assert math.isnan(shown[1]) and math.isinf(shown[3])


def test_curve_of_a_window_has_its_detail_and_one_point_on_either_side() -> None:
    drawn = plots.curve(history(np.sin(np.arange(100_000) / 50)), 1000, low=500, high=600)
    assert drawn.step.tolist() == list(range(499, 602))
    assert drawn.count == 100_000


def test_curve_along_relative_time_starts_at_the_first_point() -> None:
    one = MetricHistory("m", np.array([0, 1, 2]), np.array([1.0, 2.0, 3.0]), np.array([7000, 5000, 9000]))
    drawn = plots.curve(one, axis="relative", low=1500)
    assert drawn.start == 5000
    assert drawn.time.tolist() == [5000, 7000, 9000]
    assert drawn.value.tolist() == [2, 1, 3]


def test_band_over_steps_is_the_mean_and_range_of_the_runs() -> None:
    band = plots.band([history([1, 2, 3]), history([3, 4, 5]), history([])])
    assert band is not None
    assert (band.x.tolist(), band.mean.tolist(), band.runs) == ([0, 1, 2], [2, 3, 4], 2)
    assert (band.low.tolist(), band.high.tolist()) == ([1, 2, 3], [3, 4, 5])
    spread = plots.band([history([1, 2, 3]), history([3, 4, 5])], "std")
    assert spread is not None
    assert (spread.mean - spread.low).tolist() == [1, 1, 1]


def test_band_between_sparse_points_does_not_jump() -> None:
    band = plots.band([history([0.0] * 11), history([10, 10], [0, 10])])
    assert band is not None
    assert band.mean.tolist() == [5.0] * 11


def test_band_of_long_curves_loses_no_peak() -> None:
    values = np.zeros(100_000)
    values[54_321] = 9.0
    band = plots.band([history(values), history(np.zeros(100_000))], max_points=200)
    assert band is not None
    assert len(band.x) == 200
    assert band.high.max() == 9.0
    assert plots.band([history([np.nan])]) is None
