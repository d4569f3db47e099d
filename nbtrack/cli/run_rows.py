"""Runs as rows of a table and as JSON: what ``runs list``, ``compare`` and ``demo`` print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtrack.cli.output import print_table, say, when
from nbtrack.reprs.compare import split_columns
from nbtrack.reprs.numbers import format_duration, format_number, plural, short_id

if TYPE_CHECKING:
    from nbtrack.store.base import RunTable, Store

MAX_COLUMNS = 5  # params shown beside a run; as many metrics


def attributes(table: RunTable) -> dict[str, Sequence[Any]]:
    """Return the columns that every run has, by key."""
    return {column.key: column.values for column in table.columns if column.kind == "attribute"}


def experiment_names(store: Store) -> dict[str, str]:
    """Return experiment id -> name, also of those in the trash."""
    return {experiment.experiment_id: experiment.name for experiment in store.list_experiments("ALL")}


def run_records(store: Store, table: RunTable) -> list[dict[str, Any]]:
    """Return one plain mapping a run: attributes, and its params, metrics (last values) and tags by key."""
    known = experiment_names(store)
    own = attributes(table)
    records: list[dict[str, Any]] = []
    for row, run_id in enumerate(table.run_ids):
        record: dict[str, Any] = {"run_id": run_id}
        record |= {key: values[row] for key, values in own.items()}
        record["experiment"] = known.get(str(record.get("experiment_id")), "")
        for kind, plural_kind in (("param", "params"), ("metric", "metrics"), ("tag", "tags")):
            record[plural_kind] = {
                column.key: column.values[row]
                for column in table.columns
                if column.kind == kind and column.values[row] is not None
            }
        records.append(record)
    return records


def _cell(kind: str, value: Any) -> str | None:
    if value is None:
        return None
    return format_number(float(value)) if kind == "metric" else str(value)


def took(start_ms: int | None, end_ms: int | None) -> str | None:
    """Return how long something took, as people read it; None where it has not ended."""
    return None if start_ms is None or end_ms is None else format_duration(max(0, end_ms - start_ms) / 1000)


def print_runs(store: Store, table: RunTable, with_times: bool = True) -> None:
    """Print runs as a table: what they are, the params that differ between them first, and their metrics."""
    own = attributes(table)
    known = experiment_names(store)
    changing, same, metrics = split_columns(table)
    shown = [*[*changing, *same][:MAX_COLUMNS], *metrics[:MAX_COLUMNS]]
    several = len({*own["experiment_id"]}) > 1
    head = ["run", "name", *(["experiment"] if several else []), "status"]
    head += [*(["started", "took"] if with_times else []), *(column.key for column in shown)]
    rows: list[list[object]] = []
    for row, run_id in enumerate(table.run_ids):
        cells: list[object] = [short_id(run_id), own["run_name"][row]]
        cells += [known.get(str(own["experiment_id"][row]), "")] if several else []
        cells.append(str(own["status"][row]).lower())
        if with_times:
            start, end = own["start_time"][row], own["end_time"][row]
            cells += [when(start), took(start, end)]
        cells += [_cell(column.kind, column.values[row]) for column in shown]
        rows.append(cells)
    numeric = range(len(head) - len(shown), len(head))
    print_table(head, rows, right=numeric)
    hidden = len(changing) + len(same) + len(metrics) - len(shown)
    beyond = table.total - len(table.run_ids)
    notes = [f"{plural(beyond, 'more run')}: raise --max, or narrow with --filter"] if beyond > 0 else []
    notes += [f"{plural(hidden, 'more column')}: see --json"] if hidden else []
    if notes:
        say(" · ".join(notes))
