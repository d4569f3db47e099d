"""Experiments: named groups of runs."""

from __future__ import annotations

import pytest

from nbtrack.entities import DEFAULT_EXPERIMENT_ID, DEFAULT_EXPERIMENT_NAME
from nbtrack.errors import AlreadyExistsError, InvalidNameError, NotFoundError
from nbtrack.store.base import Store

from .base import Promises, make_run


class ExperimentPromises(Promises):
    """What a store promises about experiments."""

    def test_experiments_new_store_has_the_default_one(self, store: Store) -> None:
        only = store.list_experiments()
        assert [(e.experiment_id, e.name, e.lifecycle_stage) for e in only] == [
            (DEFAULT_EXPERIMENT_ID, DEFAULT_EXPERIMENT_NAME, "active")
        ]
        assert store.get_experiment(DEFAULT_EXPERIMENT_ID).name == DEFAULT_EXPERIMENT_NAME

    def test_create_experiment_gives_an_id_that_others_see(self, store: Store) -> None:
        first = store.create_experiment("wine", tags={"team": "rot"})
        second = store.create_experiment("größe ✓ / sub")
        assert len({DEFAULT_EXPERIMENT_ID, first, second}) == 3
        other = self.fresh(store)
        found = other.get_experiment(first)
        assert (found.name, dict(found.tags), found.lifecycle_stage) == ("wine", {"team": "rot"}, "active")
        by_name = other.get_experiment_by_name("größe ✓ / sub")
        assert by_name is not None and by_name.experiment_id == second
        assert [e.experiment_id for e in other.list_experiments()] == [DEFAULT_EXPERIMENT_ID, first, second]

    def test_create_experiment_known_name_is_refused(self, store: Store) -> None:
        ident = store.create_experiment("wine")
        with pytest.raises(AlreadyExistsError, match="wine"):
            store.create_experiment("wine")
        store.edit_experiment(ident, deleted=True)
        with pytest.raises(AlreadyExistsError, match="wine"):
            self.fresh(store).create_experiment("wine")
        with pytest.raises(AlreadyExistsError, match=DEFAULT_EXPERIMENT_NAME):
            store.create_experiment(DEFAULT_EXPERIMENT_NAME)

    def test_get_experiment_unknown_raises_or_is_none(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match="4711"):
            store.get_experiment("4711")
        with pytest.raises(NotFoundError, match="4711"):
            store.edit_experiment("4711", name="x")
        assert store.get_experiment_by_name("nobody") is None

    def test_edit_experiment_renames_and_tags(self, store: Store) -> None:
        ident = store.create_experiment("wine", tags={"a": "1", "b": "2"})
        answer = store.edit_experiment(ident, name="vine", tags={"a": "3", "b": None, "c": "4"})
        for found in (answer, self.fresh(store).get_experiment(ident)):
            assert (found.name, dict(found.tags)) == ("vine", {"a": "3", "c": "4"})
        assert store.get_experiment_by_name("wine") is None
        assert store.create_experiment("wine") != ident

    def test_edit_experiment_to_a_taken_name_is_refused(self, store: Store) -> None:
        store.create_experiment("a")
        ident = store.create_experiment("b")
        with pytest.raises(AlreadyExistsError, match="'a'"):
            store.edit_experiment(ident, name="a")
        assert self.fresh(store).get_experiment(ident).name == "b"

    def test_edit_experiment_trash_and_restore(self, store: Store) -> None:
        ident = store.create_experiment("wine")
        run_id = make_run(store, experiment_id=ident)
        store.edit_experiment(ident, deleted=True)
        other = self.fresh(store)
        assert [e.name for e in other.list_experiments()] == [DEFAULT_EXPERIMENT_NAME]
        assert [e.name for e in other.list_experiments("DELETED_ONLY")] == ["wine"]
        assert [e.name for e in other.list_experiments("ALL")] == [DEFAULT_EXPERIMENT_NAME, "wine"]
        assert other.get_experiment(ident).lifecycle_stage == "deleted"
        other.edit_experiment(ident, deleted=False)
        assert [e.name for e in store.list_experiments()] == [DEFAULT_EXPERIMENT_NAME, "wine"]
        assert store.get_run(run_id).info.experiment_id == ident

    @pytest.mark.parametrize("name", ["", "  ", "a\x00b", "a\nb", "x" * 300, "../up", None, 7])
    def test_create_experiment_bad_name_is_refused(self, store: Store, name: str) -> None:
        with pytest.raises(InvalidNameError, match="experiment name"):
            store.create_experiment(name)
        assert len(self.fresh(store).list_experiments("ALL")) == 1
