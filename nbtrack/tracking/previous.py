"""Which run a card shows the change against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nbtrack.entities import TAG_CELL, TAG_PARENT, TAG_SOURCE

if TYPE_CHECKING:
    from nbtrack.entities import Run
    from nbtrack.store.base import Store

_LOOKED_AT: Final = 10  # runs before it, of which the newest that has metrics counts


def same_cell(run: Run) -> str:
    """Return the filter that fits the runs of the same cell of the same notebook; "" where none is known."""
    tags = run.data.tags
    if not tags.get(TAG_CELL):
        return ""
    return " and ".join(f"tags.`{key}` = {_quoted(tags[key])}" for key in (TAG_CELL, TAG_SOURCE) if key in tags)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def previous_run(store: Store, run: Run) -> Run | None:
    """Return the run before this one in its experiment that has metrics: of the same cell if there is one.

    Runs that are a part of another do not count.
    """
    before = f"attributes.start_time < {run.info.start_time}"
    cell = same_cell(run)
    for text in ([f"{before} and {cell}"] if cell else []) + [before]:
        found = store.search_runs(
            [run.info.experiment_id], text, ["attributes.start_time DESC"], max_results=_LOOKED_AT
        )
        for one in found:
            if one.data.metrics and TAG_PARENT not in one.data.tags:
                return one
    return None
