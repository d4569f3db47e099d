"""Saved views of the run table: the fold of numbered commits, so that two people who save at once lose nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orjson import dumps

from nbtrack.errors import InvalidInputError, NotFoundError, StoreReadOnlyError
from nbtrack.names import check_key
from nbtrack.store.commits import CommitLog
from nbtrack.store.layout import now_ms

if TYPE_CHECKING:
    from nbtrack.entities import ViewType
    from nbtrack.store.base import RunTable
    from nbtrack.store.catalog import RunCatalog

MAX_VIEW_BYTES: Final = 256_000


@dataclass(frozen=True, slots=True)
class SavedView:
    """A table's columns, order, filter and so on under a name, as the user interface wrote them."""

    name: str
    view: Mapping[str, Any]
    at_ms: int
    user: str


class Views:
    """The saved views of one store."""

    def __init__(self, folder: str) -> None:
        self.log = CommitLog(folder, "saved views")

    def list(self) -> list[SavedView]:
        """All views, sorted by name."""
        found: dict[str, SavedView] = {}
        for commit in self.log.read():
            name, view = commit.get("name"), commit.get("view")
            if not isinstance(name, str):
                continue
            if isinstance(view, Mapping):
                found[name] = SavedView(name, view, int(commit.get("t", 0)), str(commit.get("user", "")))
            else:
                found.pop(name, None)
        return [found[name] for name in sorted(found)]

    def save(self, name: str, view: Mapping[str, Any] | None, user: str = "") -> None:
        """Save a view under a name, over an older one of that name; None takes it away."""
        check_key(name, "view name")
        if view is None and name not in {one.name for one in self.list()}:
            raise NotFoundError(f"view {name!r}: is not in this store. Look at the list again.")
        if view is not None and len(dumps(view)) > MAX_VIEW_BYTES:
            raise InvalidInputError(
                f"view {name!r}: expected at most {MAX_VIEW_BYTES:,} bytes of JSON, got {len(dumps(view)):,}."
            )
        self.log.append({"t": now_ms(), "name": name, "view": view, "user": user})


@dataclass(frozen=True, slots=True)
class RunChanges:
    """Which runs are others than at an earlier revision, up to `revision`.

    With `moved`, runs came or went, or their order may be another.
    """

    run_ids: Sequence[str]
    moved: bool
    revision: str


class TableViews(ABC):
    """What the run table asks of a store beside runs: which columns there are, and the views saved of it."""

    name: str

    @abstractmethod
    def run_table(self, *args: Any, **options: Any) -> RunTable:
        """See :meth:`nbtrack.store.base.Store.run_table`."""

    def _catalog(
        self, experiment_ids: Sequence[str] | None, filter_string: str, view: ViewType, run_ids: Sequence[str] | None
    ) -> RunCatalog:
        from nbtrack.store.catalog import catalog_of_table

        return catalog_of_table(self.run_table(experiment_ids, filter_string, view=view, run_ids=run_ids))

    def _views(self) -> Views | None:
        return None

    def run_catalog(
        self,
        experiment_ids: Sequence[str] | None = None,
        filter_string: str = "",
        view: ViewType = "ACTIVE_ONLY",
        run_ids: Sequence[str] | None = None,
    ) -> RunCatalog:
        """Which params, metrics and tags the runs that fit have, and in which of them they differ."""
        return self._catalog(experiment_ids, filter_string, view, run_ids)

    def changes_since(self, revision: str) -> RunChanges | None:
        """Which runs are others than at a revision that :meth:`run_table` told of; None if all must be asked for."""
        return None

    def list_views(self) -> list[SavedView]:
        """The saved views of the run table, sorted by name."""
        views = self._views()
        return [] if views is None else views.list()

    def save_view(self, name: str, view: Mapping[str, Any] | None, user: str = "") -> None:
        """Save a view of the run table under a name; None takes it away, and raises NotFoundError if there is none."""
        views = self._views()
        if views is None:
            raise StoreReadOnlyError(
                f"view {name!r}: the store {self.name!r} keeps no views. Save it in the store of a folder."
            )
        views.save(name, view, user)
