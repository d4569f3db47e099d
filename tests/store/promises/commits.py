"""The registry's commits: numbered, whole, exclusive."""

from __future__ import annotations

from typing import Any

import pytest

from nbtrack.errors import ConflictError, InvalidNameError
from nbtrack.store.base import Store

from .base import Promises


class CommitPromises(Promises):
    """What a store promises about commits."""

    def test_commits_unknown_model_has_none(self, store: Store) -> None:
        assert store.list_models() == []
        assert store.read_commits("nobody") == []
        assert self.fresh(store).list_models() == []

    def test_append_commit_numbers_from_one_without_gaps(self, store: Store) -> None:
        bodies: list[dict[str, Any]] = [
            {"action": "register", "version": 1, "note": "größe ✓\n"},
            {"action": "stage", "changes": [{"version": 1, "from": "None", "to": "Staging"}], "at_ms": 1},
            {"action": "x", "nested": {"a": [1, 2.5, None, True]}, "empty": {}},
        ]
        assert [store.append_commit("clf", body) for body in bodies] == [1, 2, 3]
        other = self.fresh(store)
        commits = other.read_commits("clf")
        assert [c["number"] for c in commits] == [1, 2, 3]
        assert [{k: v for k, v in c.items() if k in body} for c, body in zip(commits, bodies, strict=True)] == bodies
        assert [c["number"] for c in other.read_commits("clf", after=1)] == [2, 3]
        assert other.read_commits("clf", after=3) == other.read_commits("clf", after=99) == []

    def test_append_commit_expect_holds_or_writes_nothing(self, store: Store) -> None:
        assert store.append_commit("clf", {"action": "a"}, expect=0) == 1
        assert store.append_commit("clf", {"action": "b"}, expect=1) == 2
        for wrong in (0, 1, 3, 99):
            with pytest.raises(ConflictError, match="clf"):
                self.fresh(store).append_commit("clf", {"action": "late"}, expect=wrong)
        assert [c["action"] for c in self.fresh(store).read_commits("clf")] == ["a", "b"]
        with pytest.raises(ConflictError, match="other"):
            store.append_commit("other", {"action": "a"}, expect=1)
        assert self.fresh(store).list_models() == ["clf"]

    def test_commits_of_two_objects_see_each_other(self, store: Store) -> None:
        other = self.fresh(store)
        for number in range(1, 21):
            writer, reader = (store, other) if number % 2 else (other, store)
            assert writer.append_commit("m", {"action": str(number)}) == number
            assert [c["action"] for c in reader.read_commits("m")] == [str(n) for n in range(1, number + 1)]

    def test_list_models_keeps_names_apart_and_sorted(self, store: Store) -> None:
        names = sorted(["b", "B", "a.b", "größe", "CON", "x" * 250, "ä" * 250, "ab c", "a-b_c", "模型"])
        for name in names:
            assert store.append_commit(name, {"action": name}) == 1
        other = self.fresh(store)
        assert other.list_models() == names
        assert [other.read_commits(name)[0]["action"] for name in names] == names

    @pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "C:x", "", ".", "..", "a\x00", "x" * 300, "a@b", None])
    def test_append_commit_bad_name_is_refused(self, store: Store, name: str) -> None:
        with pytest.raises(InvalidNameError, match="model name"):
            store.append_commit(name, {"action": "x"})
        assert self.fresh(store).list_models() == []
