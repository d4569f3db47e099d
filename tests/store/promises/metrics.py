"""Metrics: whatever a float and a step can be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.store.base import RunWriter, Store

from .base import Promises, make_run

ODD = [0.0, -0.0, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan, 0.1, 1 / 3, 2.0**53 + 2, 1e-300]
STEPS = [0, -1, 5, 5, 2**62, -(2**62), 2**63 - 1, 1 - 2**63, 3, 3, 1, 0]


def one(writer: RunWriter, key: str, value: Any, step: Any = None, timestamp_ms: Any = None) -> None:
    """Log one value by the short way."""
    writer.log_metric(key, value, step, timestamp_ms)


def many(writer: RunWriter, key: str, value: Any, step: Any = None, timestamp_ms: Any = None) -> None:
    """Log one value by the way for many."""
    writer.log_metrics({key: value}, step, timestamp_ms)


BOTH_WAYS = pytest.mark.parametrize("log", [one, many])
Log = Callable[..., None]


class MetricPromises(Promises):
    """What a store promises about metrics."""

    @BOTH_WAYS
    def test_metrics_odd_values_come_back_bit_for_bit(self, store: Store, log: Log) -> None:
        writer = store.create_run()
        for value in ODD:
            log(writer, "m", value)
        for _ in range(2):  # live, then sealed
            history = self.fresh(store).get_metric_history(writer.run_id, "m")
            assert history.value.dtype == np.float64
            assert_array_equal(history.value.view(np.int64), np.array(ODD).view(np.int64))
            assert history.step.tolist() == list(range(len(ODD)))
            writer.end()

    @BOTH_WAYS
    def test_metrics_odd_steps_stay_in_the_order_logged(self, store: Store, log: Log) -> None:
        writer = store.create_run()
        for number, step in enumerate(STEPS):
            log(writer, "m", float(number), step, 1_700_000_000_000 - number)
        for _ in range(2):
            history = self.fresh(store).get_metric_history(writer.run_id, "m")
            assert (history.step.dtype, history.timestamp.dtype) == (np.int64, np.int64)
            assert history.step.tolist() == STEPS
            assert history.value.tolist() == [float(n) for n in range(len(STEPS))]
            assert history.timestamp.tolist() == [1_700_000_000_000 - n for n in range(len(STEPS))]
            assert len(history) == len(STEPS)
            writer.end()

    def test_metrics_without_step_each_key_counts_for_itself(self, store: Store) -> None:
        writer = store.create_run()
        writer.log_metric("a", 1.0)
        writer.log_metrics({"a": 2.0, "b": 3.0})
        writer.log_metrics({"a": 4.0}, step=10)
        writer.log_metrics({"a": 5.0, "b": 6.0, "c": 7.0})
        writer.end()
        other = self.fresh(store)
        steps = {key: other.get_metric_history(writer.run_id, key).step.tolist() for key in "abc"}
        assert steps == {"a": [0, 1, 10, 11], "b": [0, 1], "c": [0]}

    @BOTH_WAYS
    def test_metrics_summaries_tell_last_min_max_count(self, store: Store, log: Log) -> None:
        writer = store.create_run()
        for step, value in enumerate([3.0, math.nan, 1.0, 7.0, 2.0]):
            log(writer, "m", value, step * 2, 1_700_000_000_000 + step)
        writer.log_metrics({"nan": math.nan, "inf": -math.inf})
        for _ in range(2):
            other = self.fresh(store)
            for run in (other.get_run(writer.run_id), other.search_runs()[0]):
                m = run.summaries["m"]
                assert (m.last, m.step, m.timestamp) == (2.0, 8, 1_700_000_000_004)
                assert (m.min, m.max, m.count) == (1.0, 7.0, 5)
                assert math.isnan(run.data.metrics["nan"]) and run.data.metrics["inf"] == -math.inf
                assert math.isnan(run.summaries["nan"].min) and run.summaries["nan"].count == 1
                assert (run.summaries["inf"].min, run.summaries["inf"].max) == (-math.inf, -math.inf)
            writer.end()

    @BOTH_WAYS
    def test_metrics_numbers_of_other_libraries_are_taken(self, store: Store, log: Log) -> None:
        writer = store.create_run()
        values: list[Any] = [np.float32(0.5), np.float64(0.25), np.int64(3), 7, True, np.float16("nan"), np.array(2.5)]
        for value in values:
            log(writer, "m", value, np.int32(4))
        writer.end()
        history = self.fresh(store).get_metric_history(writer.run_id, "m")
        assert_array_equal(history.value, [0.5, 0.25, 3.0, 7.0, 1.0, math.nan, 2.5])
        assert set(history.step.tolist()) == {4}

    @pytest.mark.parametrize("value", ["0.5", None, [1.0], {}, 1j, 10**400, np.array([1.0, 2.0])])
    def test_metrics_what_is_no_number_is_refused_whole(self, store: Store, value: Any) -> None:
        writer = store.create_run()
        writer.log_metrics({"good": 1.0})
        with pytest.raises(InvalidInputError, match="bad"):
            writer.log_metrics({"good": 2.0, "bad": value})
        with pytest.raises(InvalidInputError, match="bad"):
            writer.log_metric("bad", value)
        writer.log_metrics({"good": 3.0})
        writer.end()
        other = self.fresh(store)
        assert other.get_run(writer.run_id).data.metrics == {"good": 3.0}
        assert other.get_metric_history(writer.run_id, "good").value.tolist() == [1.0, 3.0]

    @pytest.mark.parametrize("step", [2**63, -(2**63) - 1, 0.5, "3", math.nan])
    @BOTH_WAYS
    def test_metrics_odd_step_is_refused(self, store: Store, log: Log, step: Any) -> None:
        writer = store.create_run()
        with pytest.raises(InvalidInputError, match="step"):
            log(writer, "m", 1.0, step)
        writer.end()
        assert len(self.fresh(store).get_metric_history(writer.run_id, "m")) == 0

    @BOTH_WAYS
    def test_metrics_odd_timestamp_is_refused(self, store: Store, log: Log) -> None:
        writer = store.create_run()
        with pytest.raises(InvalidInputError, match="time"):
            log(writer, "m", 1.0, None, 2**70)
        writer.end()
        assert len(self.fresh(store).get_metric_history(writer.run_id, "m")) == 0

    @BOTH_WAYS
    def test_metrics_timestamps_are_those_of_the_calls(self, store: Store, log: Log) -> None:
        writer = store.create_run()
        before = time.time_ns() // 1_000_000
        log(writer, "m", 1.0)
        time.sleep(0.02)
        log(writer, "m", 2.0)
        after = time.time_ns() // 1_000_000
        writer.end()
        first, second = self.fresh(store).get_metric_history(writer.run_id, "m").timestamp.tolist()
        assert before <= first <= second - 19 and second <= after

    def test_metrics_many_keys_in_one_call(self, store: Store) -> None:
        metrics = {f"layer.{i}/größe": i / 7 for i in range(2500)}
        run_id = make_run(store, metrics=metrics)
        other = self.fresh(store)
        assert other.get_run(run_id).data.metrics == metrics
        assert other.get_metric_history(run_id, "layer.2499/größe").value.tolist() == [2499 / 7]

    def test_metrics_keys_that_look_like_the_stores_own(self, store: Store) -> None:
        keys = [
            "t",
            "end",
            "seal",
            "run",
            "sum",
            "n",
            "last",
            "params",
            '"',
            "\\",
            "{}",
            "NaN",
            "Infinity",
            "__class__",
        ]
        metrics = {key: float(n) for n, key in enumerate(keys)}
        writer = store.create_run()
        writer.log_metrics(metrics)
        writer.log_params({key: key for key in keys})
        writer.set_tags({key: key for key in keys})
        for _ in range(2):
            run = self.fresh(store).get_run(writer.run_id)
            assert run.data.metrics == metrics
            assert run.data.params == {key: key for key in keys}
            assert {key: run.data.tags[key] for key in keys} == {key: key for key in keys}
            writer.end()

    def test_metric_history_of_nothing(self, store: Store) -> None:
        run_id = make_run(store)
        history = self.fresh(store).get_metric_history(run_id, "never")
        assert (len(history), history.key, history.value.dtype) == (0, "never", np.float64)
        with pytest.raises(NotFoundError, match="0" * 21):
            store.get_metric_history("0" * 21, "m")

    def test_metric_history_grows_while_it_is_read(self, store: Store) -> None:
        writer = store.create_run()
        reader = self.fresh(store)
        for count in range(1, 40):
            writer.log_metrics({"a": float(count), "b": -1.0})
            history = reader.get_metric_history(writer.run_id, "a")
            assert history.value.tolist() == [float(n) for n in range(1, count + 1)]
        writer.end()
        assert len(reader.get_metric_history(writer.run_id, "a")) == 39

    def test_metric_history_long_and_mixed_is_exact_live_and_sealed(self, store: Store) -> None:
        rng = np.random.default_rng(7)
        count = self.many_points
        value, other = rng.normal(size=count), rng.normal(size=count)
        writer = store.create_run()
        for step in range(count):
            if step % 3:
                writer.log_metrics({"loss": value[step], "acc": other[step]}, step=step)
            else:
                writer.log_metrics({"loss": value[step]}, step=step)
        for _ in range(3):  # live, sealed, and again from whatever the store keeps by then
            reader = self.fresh(store)
            loss, acc = (reader.get_metric_history(writer.run_id, key) for key in ("loss", "acc"))
            assert_array_equal(loss.value, value)
            assert_array_equal(loss.step, np.arange(count))
            assert_array_equal(acc.value, other[np.arange(count) % 3 > 0])
            assert (np.diff(loss.timestamp) >= 0).all()
            summary = reader.get_run(writer.run_id).summaries["loss"]
            assert (summary.min, summary.max, summary.last) == (value.min(), value.max(), value[-1])
            writer.end()

    def test_metrics_raw_log_holds_each_value_in_plain_json(self, store: Store) -> None:
        writer = store.create_run()
        writer.log_metrics({"loss": 0.123456789, "acc": 0.5}, step=3)
        text = repr(self.raw_records(store, writer.run_id))
        assert "'loss': 0.123456789" in text and "'acc': 0.5" in text
        writer.end()
