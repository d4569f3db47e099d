"""Search: MLflow's filter language, with OR and parentheses; order; pages."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nbtrack.errors import FilterSyntaxError, InvalidInputError
from nbtrack.store.base import Store

from .base import Promises, make_run

T0 = 1_700_000_000_000


def fill(store: Store) -> dict[str, str]:
    """Write the runs that the filters below are asked about; return name -> id."""
    rows: list[dict[str, Any]] = [
        {"name": "a", "params": {"lr": "0.1", "model": "RandomForest"}, "metrics": {"acc": 0.9, "loss": 1.0}},
        {"name": "b", "params": {"lr": "0.01", "model": "randomforest"}, "metrics": {"acc": 0.8}, "tags": {"x y": "1"}},
        {"name": "c", "params": {"lr": "0.1"}, "metrics": {"acc": math.nan}, "tags": {"team": "it's"}},
        {"name": "d", "metrics": {"acc": math.inf, "top 5/acc": 0.5}, "status": "FAILED"},
        {"name": "e", "params": {"model": "SVM", "größe": "ü"}, "tags": {"team": "B", "mlflow.note": "x"}},
        {"name": "f", "metrics": {"acc": -math.inf, "loss": -2.0}, "params": {"lr": "100%_x"}, "status": "KILLED"},
    ]
    return {row["name"]: make_run(store, start=T0 + 1000 * n, **row) for n, row in enumerate(rows)}


FILTERS = [
    ("", "abcdef"),
    ("metrics.acc > 0.85", "ad"),
    ("metrics.acc >= 0.9", "ad"),
    ("metrics.acc < 0.9", "bf"),
    ("metrics.acc <= 0.9", "abf"),
    ("metrics.acc = 0.9", "a"),
    ("metrics.acc == 0.9", "a"),
    ("metrics.loss != 1", "f"),
    ("metrics.loss = -2", "f"),
    ("metrics.loss < 1e3 and metrics.loss > -1E-3", "a"),
    ("metrics.`top 5/acc` = 0.5", "d"),
    ('metrics."top 5/acc" = 0.5', "d"),
    ("metric.acc > 0.85 AND param.lr = '0.1'", "a"),
    ("params.lr = '0.1'", "ac"),
    ('params.lr = "0.1"', "ac"),
    ("params.lr != '0.1'", "bf"),
    ("parameters.model LIKE 'Random%'", "a"),
    ("params.model ILIKE 'random%'", "ab"),
    ("params.model LIKE '_VM'", "e"),
    ("params.`größe` = 'ü'", "e"),
    ("params.lr LIKE '%x'", "f"),
    ('tags.team = "it\'s"', "c"),
    ("tag.`x y` = '1'", "b"),
    ("tags.mlflow.note = 'x'", "e"),
    ("tags.team IS NOT NULL", "ce"),
    ("params.lr is null", "de"),
    ("metrics.loss IS NULL", "bcde"),
    ("metrics.acc IS NAN", "c"),
    ("metrics.acc is not nan", "abdf"),
    ("metrics.acc is finite", "ab"),
    ("metrics.acc IS NOT FINITE", "cdf"),
    ("max(metrics.nobody) is not finite", ""),
    ("attributes.status = 'FINISHED'", "abce"),
    ("status != 'FINISHED'", "df"),
    ("attribute.run_name = 'a'", "a"),
    ("run_name IN ('a', 'c', \"zz\")", "ac"),
    ("attr.run_name NOT IN ('a','b','c')", "def"),
    ("run_name LIKE '%'", "abcdef"),
    (f"start_time > {T0 + 2000}", "def"),
    (f"attributes.start_time <= {T0}", "a"),
    ("params.lr IN ('0.1', '0.01')", "abc"),
    ("metrics.acc > 0.85 or params.model = 'SVM'", "ade"),
    ("metrics.acc > 0.85 and params.lr = '0.1' or tags.team = 'B'", "ae"),
    ("metrics.acc > 0.85 and (params.lr = '0.1' or status = 'FAILED')", "ad"),
    ("(tags.team = 'B' OR tags.`x y` = '1') AND (params.model ILIKE '%m%' AND status = 'FINISHED')", "be"),
    ("((metrics.acc<0.85))", "bf"),
    ("params.nobody = 'x'", ""),
    ("metrics.nobody != 1", ""),
    ("params.nobody IS NULL and run_name = 'a'", "a"),
]
BROKEN = [
    "metrics.acc >", "metrics.acc", "> 1", "metrics.acc > 'x'", "metrics.acc LIKE '1%'", "params.lr > ", "foo.bar = 1",
    "(metrics.acc > 1", "metrics.acc > 1)", "metrics.acc > 1 and", "or metrics.acc > 1", "metrics.acc ~ 1",
    "params.lr = 0.1.2",    "params.lr = 'x", "metrics.`acc > 1", "metrics.acc > 1 metrics.acc < 2",
    "params.a IN ('x'", "params.a IN ()",
    "attributes.nobody = 'x'", "metrics. > 1", "'a' = 'a'", "()", "metrics.acc = 1; drop table runs",
    "status = FINISHED", "metrics.acc is high", "params.lr is nan", "metrics.acc not is nan",
]  # fmt: skip
ORDERS = [
    ([], "fedcba"),
    (["attributes.start_time ASC"], "abcdef"),
    (["start_time"], "abcdef"),
    (["run_name DESC"], "fedcba"),
    (["metrics.acc DESC"], "dabfce"),
    (["metrics.acc ASC"], "fbadce"),
    (["metrics.acc"], "fbadce"),
    (["metrics.`top 5/acc` DESC", "run_name ASC"], "dabcef"),
    (["params.lr", "run_name desc"], "bcafed"),
    (["params.lr DESC", "run_name"], "facbde"),
    (["status ASC", "start_time DESC"], "decbaf"),
    (["tags.team ASC", "run_name"], "ecabdf"),
    (["metrics.nobody", "run_name"], "abcdef"),
]


class SearchPromises(Promises):
    """What a store promises about search."""

    def test_search_filters_find_exactly_the_runs_that_fit(self, store: Store) -> None:
        fill(store)
        wrong = {}
        for reader in (store, self.fresh(store)):
            for text, expected in FILTERS:
                found = "".join(r.info.run_name for r in reader.search_runs(filter_string=text, order_by=["run_name"]))
                if found != expected:
                    wrong[text] = (found, expected)
        assert wrong == {}

    def test_search_by_run_id(self, store: Store) -> None:
        ids = fill(store)
        for text in (f"attributes.run_id = '{ids['c']}'", f"run_id IN ('{ids['c']}', '{'0' * 21}')"):
            assert [r.run_id for r in store.search_runs(filter_string=text)] == [ids["c"]]

    @pytest.mark.parametrize("text", BROKEN)
    def test_search_broken_filter_says_where(self, store: Store, text: str) -> None:
        with pytest.raises(FilterSyntaxError, match=r"filter"):
            store.search_runs(filter_string=text)
        with pytest.raises(FilterSyntaxError, match=r"filter"):
            store.run_table(filter_string=text)

    @pytest.mark.parametrize(
        "text", ["metrics.acc SIDEWAYS", "", "nobody.acc", "metrics.", "metrics.a ASC DESC", "acc > 1"]
    )
    def test_search_broken_order_is_refused(self, store: Store, text: str) -> None:
        with pytest.raises(FilterSyntaxError, match="order"):
            store.search_runs(order_by=[text])

    def test_search_order_by_numbers_then_nan_then_missing(self, store: Store) -> None:
        fill(store)
        wrong = {}
        for reader in (store, self.fresh(store)):
            for order, expected in ORDERS:
                found = "".join(r.info.run_name for r in reader.search_runs(order_by=order))
                if found != expected:
                    wrong[tuple(order)] = (found, expected)
        assert wrong == {}

    def test_search_pages_join_to_the_whole(self, store: Store) -> None:
        for i in range(23):
            make_run(store, f"{i:02d}", metrics={"m": i % 4}, start=T0 + i)
        for order in ([], ["metrics.m"], ["metrics.m DESC", "run_name"], ["run_name"]):
            whole = [r.run_id for r in store.search_runs(order_by=order)]
            paged: list[str] = []
            for offset in range(0, 40, 5):
                page = self.fresh(store).search_runs(order_by=order, max_results=5, offset=offset)
                paged += [r.run_id for r in page]
            assert paged == whole
            assert len(whole) == 23

    def test_search_max_results_is_kept(self, store: Store) -> None:
        for i in range(7):
            make_run(store, start=T0 + i)
        assert len(store.search_runs(max_results=3)) == 3
        assert store.search_runs(max_results=0) == []
        for arguments in ({"max_results": -1}, {"offset": -1}):
            with pytest.raises(InvalidInputError, match=next(iter(arguments))):
                store.search_runs(**arguments)  # type: ignore[arg-type]

    def test_search_by_experiment(self, store: Store) -> None:
        one, two = store.create_experiment("one"), store.create_experiment("two")
        runs = {ident: make_run(store, experiment_id=ident) for ident in ("0", one, two)}
        other = self.fresh(store)
        assert {r.run_id for r in other.search_runs()} == set(runs.values())
        assert [r.run_id for r in other.search_runs([one])] == [runs[one]]
        assert {r.run_id for r in other.search_runs(["0", two])} == {runs["0"], runs[two]}
        assert other.search_runs(["4711"]) == []
        assert other.search_runs([]) == [] or {r.run_id for r in other.search_runs([])} == set(runs.values())

    def test_search_live_runs_are_up_to_date(self, store: Store) -> None:
        reader = self.fresh(store)
        writer = store.create_run()
        for step in range(20):
            writer.log_metrics({"m": float(step)})
            assert [r.run_id for r in reader.search_runs(filter_string=f"metrics.m = {step}")] == [writer.run_id]
            assert reader.search_runs(filter_string=f"metrics.m = {step - 1}") == []
        writer.end("FAILED")
        (run,) = reader.search_runs(filter_string="status = 'FAILED'")
        assert run.summaries["m"].count == 20

    def test_search_gives_what_get_run_gives(self, store: Store) -> None:
        for run_id in fill(store).values():
            store.edit_run(run_id, tags={"edited": "1"})
        for reader in (store, self.fresh(store)):
            for found in reader.search_runs():
                one = reader.get_run(found.run_id)
                assert (found.info, found.data.params, found.data.tags) == (one.info, one.data.params, one.data.tags)
                assert repr(dict(found.data.metrics)) == repr(dict(one.data.metrics))
                assert repr(found.summaries) == repr(one.summaries)
