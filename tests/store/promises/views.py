"""What the run table asks beside runs: which columns there are, and the views saved of it."""

from __future__ import annotations

import math

import pytest

from nbtrack.errors import InvalidInputError, InvalidNameError, NotFoundError
from nbtrack.store.base import Store
from nbtrack.store.catalog import catalog_of_table

from .base import Promises, make_run


class ViewPromises(Promises):
    """What a store promises about ``run_catalog``, ``list_views`` and ``save_view``."""

    def test_run_catalog_says_what_the_whole_table_says(self, store: Store) -> None:
        make_run(
            store, "a", params={"lr": 1, "kind": "x", "same": 1}, metrics={"m": 0.5, "n": math.nan}, tags={"t": "1"}
        )
        make_run(store, "b", params={"lr": "1e-3", "kind": "y", "same": 1}, metrics={"m": 0.5})
        trashed = make_run(store, "c", params={"only": 1, "lr": 7})
        store.edit_run(trashed, deleted=True)
        for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL"):
            for reader in (store, self.fresh(store)):
                assert reader.run_catalog(view=view) == catalog_of_table(reader.run_table(view=view))
        columns = {(one.kind, one.key): one for one in store.run_catalog().columns}
        assert ("param", "only") not in columns
        assert (columns["param", "lr"].varies, columns["param", "lr"].numeric) == (True, True)
        assert (columns["param", "kind"].varies, columns["param", "kind"].numeric) == (True, False)
        assert (columns["param", "same"].varies, columns["param", "same"].count) == (False, 2)
        assert (columns["metric", "m"].varies, columns["metric", "n"].varies) == (False, True)

    def test_run_catalog_of_a_filter_counts_only_what_fits(self, store: Store) -> None:
        ids = [make_run(store, str(i), params={"lr": i, "odd": i % 2}) for i in range(6)]
        catalog = store.run_catalog(filter_string="params.odd = '1'")
        assert catalog.total == 3
        assert [(c.key, c.count, c.varies) for c in catalog.columns if c.kind == "param"] == [
            ("lr", 3, True), ("odd", 3, False),
        ]  # fmt: skip
        assert store.run_catalog(run_ids=ids[:2]).total == 2
        assert store.run_catalog().revision == store.revision()

    def test_number_of_a_param_sorts_and_compares_as_a_number(self, store: Store) -> None:
        for name, lr in (("a", "10"), ("b", "9"), ("c", "1e-2"), ("d", "fast"), ("e", "0")):
            make_run(store, name, params={"lr": lr})
        make_run(store, "f")
        for reader in (store, self.fresh(store)):
            for clause, expected in (("number(params.lr)", "ecba"), ("number(params.lr) DESC", "abce")):
                assert "".join(r.info.run_name for r in reader.search_runs(order_by=[clause]))[:4] == expected
            found = reader.search_runs(filter_string="number(params.lr) < 9.5", order_by=["run_name"])
            assert "".join(r.info.run_name for r in found) == "bce"

    def test_views_are_kept_by_name_and_the_last_one_counts(self, store: Store) -> None:
        assert list(store.list_views()) == []
        store.save_view("mine", {"version": 1, "sort": [{"column": "metric:acc"}]}, "ada")
        store.save_view("andere ✓", {"version": 1})
        store.save_view("mine", {"version": 1, "filter": "<b>"}, "bo")
        views = self.fresh(store).list_views()
        assert [(v.name, dict(v.view), v.user) for v in views] == [
            ("andere ✓", {"version": 1}, ""), ("mine", {"version": 1, "filter": "<b>"}, "bo"),
        ]  # fmt: skip
        store.save_view("mine", None)
        assert [v.name for v in self.fresh(store).list_views()] == ["andere ✓"]

    def test_views_of_no_or_too_much_are_refused(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match="'gone': is not in this store"):
            store.save_view("gone", None)
        with pytest.raises(InvalidNameError, match="view name: expected at least one visible character"):
            store.save_view(" ", {})
        with pytest.raises(InvalidInputError, match="at most 256,000 bytes"):
            store.save_view("big", {"x": "y" * 300_000})
        assert list(store.list_views()) == []
