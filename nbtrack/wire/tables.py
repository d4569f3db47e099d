"""Requests and answers about the table of runs: its rows, its columns, its groups, and the views saved of it.

Part of the vocabulary of ``messages.py``, in a file of its own for its length.
"""

from __future__ import annotations

from typing import Any, Literal

from nbtrack.wire.base import Answer, Number, Request


# -- requests ----------------------------------------------------------------------------------------------------------
class ListRuns(Request, frozen=True, tag="runs"):
    """Runs as columns. `run_ids` restricts to these, in the store's order.

    `columns` restricts what is told beside attributes, and `also` adds to it: keys and expressions in the language of
    `search_runs`, such as ``params.lr`` or ``min(metrics.loss)``. A table of more than `max_cells` (0: any number) or
    more runs than `limit` comes back without rows, its columns without values, and is asked for block by block.

    `since` is the revision of the answer to the same question that is at hand: then only changes need be told.
    """

    filter: str = ""
    order_by: list[str] = []
    experiment: str | None = None
    run_ids: list[str] | None = None
    limit: int = 1000
    offset: int = 0
    deleted: bool = False
    columns: list[str] | None = None
    also: list[str] = []
    max_cells: int = 0
    since: str = ""


class GetCatalog(Request, frozen=True, tag="catalog"):
    """Which columns the runs that fit have, without their values."""

    filter: str = ""
    experiment: str | None = None
    run_ids: list[str] | None = None
    deleted: bool = False


class GroupRuns(Request, frozen=True, tag="groups"):
    """Runs grouped by the values of one column, `by`, with the mean, lowest and highest of each of `metrics`."""

    by: str
    metrics: list[str]
    filter: str = ""
    experiment: str | None = None
    deleted: bool = False


class ListViews(Request, frozen=True, tag="views"):
    """The saved views of the run table."""


class SaveView(Request, frozen=True, tag="save_view"):
    """Save a view of the run table under a name, or (null) take it away."""

    name: str
    view: dict[str, Any] | None


# -- answers -----------------------------------------------------------------------------------------------------------
class Column(Answer, frozen=True):
    """One column: `values` has one entry a run, null where the run has no such key.

    `better` is the direction of a metric where it is known; `varies` says whether the shown runs differ in it.
    """

    kind: Literal["attribute", "param", "metric", "tag"]
    key: str
    values: list[float | str | None]
    varies: bool
    numeric: bool
    better: Literal["higher", "lower"] | None = None


class Changes(Answer, frozen=True):
    """Says that an answer holds only the rows that changed; `order` is all run ids (null: the same as before)."""

    order: list[str] | None


class Runs(Answer, frozen=True):
    """Runs as columns; `colors` gives each run its stable colour and shape (an index into 8 colours by 8 shapes).

    `offset` is the place of the first run among the `total` that fit. Not `whole`: too many for one answer.
    With `changed`, these are only the runs that changed since; `colors` are those of its order.
    """

    run_ids: list[str]
    columns: list[Column]
    colors: list[int]
    total: int
    revision: str
    offset: int = 0
    whole: bool = True
    changed: Changes | None = None


class CatalogColumn(Answer, frozen=True):
    """A column without its values; `count` runs have one."""

    kind: Literal["attribute", "param", "metric", "tag"]
    key: str
    count: int
    varies: bool
    numeric: bool
    better: Literal["higher", "lower"] | None = None


class Catalog(Answer, frozen=True):
    """The columns that the runs which fit have."""

    columns: list[CatalogColumn]
    total: int
    revision: str


class Spread(Answer, frozen=True):
    """A metric over the runs of a group that have it; nothing where none has."""

    count: int
    mean: Number | None = None
    min: Number | None = None
    max: Number | None = None


class Group(Answer, frozen=True):
    """Runs with the same value in the grouping column (null: none); `metrics` in the order of the request."""

    value: float | str | None
    count: int
    metrics: list[Spread]


class Groups(Answer, frozen=True):
    """Groups, largest first; `total` counts all, of which at most a thousand are told."""

    groups: list[Group]
    total: int
    revision: str


class SavedView(Answer, frozen=True):
    """A saved view: whatever the table wrote, with when and by whom."""

    name: str
    view: dict[str, Any]
    at: int
    user: str


class Views(Answer, frozen=True):
    """All saved views, sorted by name."""

    views: list[SavedView]


ANSWERS: dict[str, type[Answer]] = {
    "runs": Runs,
    "catalog": Catalog,
    "groups": Groups,
    "views": Views,
    "save_view": Views,
}
