"""Runs as columns."""

from __future__ import annotations

import math
import random

import numpy as np
from numpy.testing import assert_array_equal

from nbtrack.store.base import RunTable, Store

from .base import Promises, make_run

ATTRIBUTES = ["run_name", "status", "experiment_id", "start_time", "end_time", "user_id", "lifecycle_stage"]
T0 = 1_700_000_000_000


def column(table: RunTable, kind: str, key: str) -> list[object]:
    """Return one column's values as plain Python."""
    (found,) = [c for c in table.columns if (c.kind, c.key) == (kind, key)]
    return [None if v is None else v.item() if isinstance(v, np.generic) else v for v in found.values]


def heads(table: RunTable) -> list[tuple[str, str]]:
    """Return kind and key of each column that is no attribute."""
    return [(c.kind, c.key) for c in table.columns if c.kind != "attribute"]


class TablePromises(Promises):
    """What a store promises about ``run_table``."""

    def test_run_table_of_an_empty_store(self, store: Store) -> None:
        table = store.run_table()
        assert (list(table.run_ids), table.total, heads(table)) == ([], 0, [])
        assert [c.key for c in table.columns] == ATTRIBUTES

    def test_run_table_columns_are_sorted_as_people_count(self, store: Store) -> None:
        keys = ["p1", "p2", "p10", "x9.w", "x10.w"]
        shuffled = ["x10.w", "p10", "p1", "x9.w", "p2"]
        make_run(store, params=dict.fromkeys(shuffled, "1"), metrics=dict.fromkeys(shuffled, 1.0))
        for reader in (store, self.fresh(store)):
            columns = reader.run_table().columns
            for kind in ("param", "metric"):
                assert [one.key for one in columns if one.kind == kind] == keys
            told = reader.run_catalog(None, "", "ACTIVE_ONLY", None).columns
            assert [one.key for one in told if one.kind == "param"] == keys

    def test_run_table_columns_are_complete_and_sorted(self, store: Store) -> None:
        a = make_run(store, "a", params={"z": 1, "b": "x"}, metrics={"m": 0.5}, tags={"t": "1"}, start=T0)
        b = make_run(store, "b", params={"b": "y"}, metrics={"k": math.nan}, status="FAILED", start=T0 + 1)
        for table in (store.run_table(), self.fresh(store).run_table()):
            assert list(table.run_ids) == [b, a]
            assert [c.key for c in table.columns[:7]] == ATTRIBUTES
            assert [h for h in heads(table) if not h[1].startswith("nbtrack.")] == [
                ("param", "b"), ("param", "z"), ("metric", "k"), ("metric", "m"), ("tag", "t"),
            ]  # fmt: skip
            assert column(table, "attribute", "run_name") == ["b", "a"]
            assert column(table, "attribute", "status") == ["FAILED", "FINISHED"]
            assert column(table, "attribute", "start_time") == [T0 + 1, T0]
            assert column(table, "attribute", "lifecycle_stage") == ["active", "active"]
            assert column(table, "param", "b") == ["y", "x"]
            assert column(table, "param", "z") == [None, "1"]
            assert column(table, "metric", "m") == [None, 0.5]
            k = column(table, "metric", "k")
            assert k[1] is None and isinstance(k[0], float) and math.isnan(k[0])
            assert column(table, "tag", "t") == [None, "1"]
            assert table.total == 2

    def test_run_table_live_run_has_no_end_time(self, store: Store) -> None:
        make_run(store, "live", status=None)
        table = self.fresh(store).run_table()
        assert column(table, "attribute", "end_time") == [None]
        assert column(table, "attribute", "status") == ["RUNNING"]

    def test_run_table_keys_and_run_ids_restrict(self, store: Store) -> None:
        runs = [make_run(store, params={"p": i, "q": i}, metrics={"m": i}, start=T0 + i) for i in range(6)]
        table = self.fresh(store).run_table(run_ids=[runs[4], runs[1]], keys=[("metric", "m"), ("param", "q")])
        assert set(table.run_ids) == {runs[1], runs[4]}
        assert heads(table) == [("param", "q"), ("metric", "m")]
        assert sorted(column(table, "metric", "m")) == [1.0, 4.0]  # type: ignore[type-var]
        assert table.total == 2

    def test_run_table_filter_order_and_page_agree_with_search(self, store: Store) -> None:
        for i in range(30):
            make_run(store, f"r{i}", params={"p": i % 3}, metrics={"m": (i * 7) % 30}, start=T0 + i)
        other = self.fresh(store)
        arguments = {"filter_string": "params.p = '1' and metrics.m < 25", "order_by": ["metrics.m DESC"]}
        everything = [r.run_id for r in other.search_runs(**arguments)]  # type: ignore[arg-type]
        table = other.run_table(**arguments, max_results=3, offset=2)  # type: ignore[arg-type]
        assert list(table.run_ids) == everything[2:5]
        assert table.total == len(everything) == 8
        assert column(table, "metric", "m") == sorted(column(table, "metric", "m"), reverse=True)  # type: ignore[type-var]

    def test_run_table_revision_is_the_stores(self, store: Store) -> None:
        make_run(store)
        assert store.run_table().revision == store.revision()

    def test_run_table_all_runs_unless_limited(self, store: Store) -> None:
        for i in range(self.many_runs):
            make_run(store, metrics={"m": i}, start=T0 + i)
        table = self.fresh(store).run_table()
        assert (len(table.run_ids), table.total) == (self.many_runs, self.many_runs)
        values = np.asarray(column(table, "metric", "m"), dtype=float)
        assert_array_equal(values, np.arange(self.many_runs)[::-1])

    def test_run_table_of_expressions_on_metrics(self, store: Store) -> None:
        rng = random.Random(5)
        truth: dict[str, dict[str, float | None]] = {}
        for number in range(25):
            writer = store.create_run(start_time_ms=T0 + number)
            steps = rng.sample(range(-50, 50), rng.choice((1, 3, 8)))
            loss = {s: rng.choice([math.nan, 1.5, -2.0, rng.random()]) for s in steps if rng.random() < 0.8}
            acc = {s: rng.random() for s in steps if rng.random() < 0.8}
            for s in steps:
                both = {k: v[s] for k, v in (("loss", loss), ("acc", acc)) if s in v}
                if both:
                    writer.log_metrics(both, step=s)
            writer.end(end_time_ms=T0 + number + 9)
            finite = [v for v in loss.values() if v == v]
            best = max(acc, key=lambda s: acc[s]) if acc else None
            truth[writer.run_id] = {
                "min(metrics.loss)": None if not loss else min(finite) if finite else math.nan,
                "max(metrics.acc)": max(acc.values()) if acc else None,
                "count(metrics.loss)": float(len(loss)) if loss else None,
                "max_step(metrics.acc)": None if best is None else float(best),
                "at_max(metrics.loss, metrics.acc)": loss.get(best) if best is not None else None,
            }
        for reader in (store, self.fresh(store)):
            for text in next(iter(truth.values())):
                table = reader.run_table(keys=[("metric", text)])
                (found,) = [c for c in table.columns if c.kind == "metric"]
                assert len(found.values) == 25
                for run_id, value in zip(table.run_ids, found.values, strict=True):
                    expected = truth[run_id][text]
                    assert (value is None) == (expected is None), (text, run_id)
                    if value is not None and expected is not None:
                        assert value == expected or (math.isnan(value) and math.isnan(expected)), (text, run_id)
                numbers = {r: v for r, row in truth.items() if (v := row[text]) is not None and v == v}
                for found_ids, limit in (
                    ([r.run_id for r in reader.search_runs(filter_string=f"{text} > 0.5")], 0.5),
                    ([r.run_id for r in reader.search_runs(filter_string=f"{text} > -1")], -1),
                ):
                    assert set(found_ids) == {r for r, v in numbers.items() if v > limit}, text
                ordered = [r.run_id for r in reader.search_runs(order_by=[f"{text} DESC"])]
                assert [numbers[r] for r in ordered[: len(numbers)]] == sorted(numbers.values(), reverse=True)

    def test_run_frame_holds_what_the_table_holds(self, store: Store) -> None:
        make_run(store, "a", params={"p": "ü", "same": "x"}, metrics={"m": math.nan}, tags={"t": "1"}, start=T0)
        make_run(store, "b", params={"same": "x"}, metrics={"m": 2.0, "k": math.inf}, start=T0 + 1)
        make_run(store, "live", status=None, start=T0 + 2)
        for reader in (store, self.fresh(store)):
            table, frame = reader.run_table(), reader.run_frame()
            assert list(frame["run_id"]) == list(table.run_ids)
            names = {"param": "params.", "metric": "metrics.", "tag": "tags."}
            for one in table.columns:
                if one.kind == "attribute":
                    continue
                found = frame[names[one.kind] + one.key].tolist()
                for mine, theirs in zip(found, one.values, strict=True):
                    absent = mine is None or mine != mine
                    assert absent if theirs is None or theirs != theirs else mine == theirs, one
