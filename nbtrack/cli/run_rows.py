"""Runs as rows of a table and as JSON: what ``runs list``, ``compare`` and ``demo`` print."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from nbtrack.cli.output import console, print_table, say, when
from nbtrack.reprs.compare import Column, alerts_by_row, split_columns
from nbtrack.reprs.numbers import clean, format_duration, format_number, plural, short_id

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


def _cell(kind: str, value: Any) -> str:
    if value is None:
        return "–"
    return format_number(float(value)) if kind == "metric" else clean(value, 40)


def took(start_ms: int | None, end_ms: int | None) -> str | None:
    """Return how long something took, as people read it; None where it has not ended."""
    return None if start_ms is None or end_ms is None else format_duration(max(0, end_ms - start_ms) / 1000)


def print_runs(store: Store, table: RunTable, with_times: bool = True) -> None:
    """Print runs as a table: what they are, the params that differ between them, and their metrics.

    On a narrow terminal some params and metrics are left out; a line below counts them. Without times, and where all
    have finished, there is no column of statuses either: the room belongs to the params.
    """
    own = attributes(table)
    known = experiment_names(store)
    head = ["run", "name"]
    rows = [[short_id(run_id), clean(own["run_name"][row], 40)] for row, run_id in enumerate(table.run_ids)]
    if with_times or {*own["status"]} != {"FINISHED"}:
        head.append("status")
        for row, cells in enumerate(rows):
            cells.append(str(own["status"][row]).lower())
    if len({*own["experiment_id"]}) > 1:
        head.append("experiment")
        for row, cells in enumerate(rows):
            cells.append(clean(known.get(str(own["experiment_id"][row]), ""), 40))
    if with_times:
        head += ["started", "took"]
        for row, cells in enumerate(rows):
            start, end = own["start_time"][row], own["end_time"][row]
            cells += [when(start) or "", took(start, end) or ""]
    if any(alerts := alerts_by_row(table)):
        head.append("alerts")
        for row, cells in enumerate(rows):
            cells.append(clean(alerts[row], 40))
    firm = range(len(head))
    changing, same, metrics = split_columns(table)
    params = changing if len(rows) > 1 else same  # one run differs in nothing: it shows what it has
    room = console().width - sum(max(map(len, column)) + 2 for column in zip(head, *rows, strict=True))
    shown = _fitting(params, metrics, room)
    for column in shown:
        head.append(column.key)
        for row, cells in enumerate(rows):
            cells.append(_cell(column.kind, column.values[row]))
    print_table(head, rows, right=range(len(firm), len(head)), firm=firm)
    hidden, beyond = len(params) + len(metrics) - len(shown), table.total - len(rows)
    notes = [f"{plural(beyond, 'more run')}: raise --max, or narrow with --filter"] if beyond > 0 else []
    notes += [f"{plural(hidden, 'more column')}: see --json"] if hidden else []
    if notes:
        say(" · ".join(notes))


def _fitting(params: Sequence[Column], metrics: Sequence[Column], room: int) -> list[Column]:
    """Return the params and metrics that fit into `room` characters: by turns, metrics first, in their order."""
    chosen = []
    for pair in zip_longest(metrics[:MAX_COLUMNS], params[:MAX_COLUMNS]):
        for column in pair:
            if column is None:
                continue
            width = max([min(len(column.key), 12), *(len(_cell(column.kind, v)) for v in column.values)]) + 2
            if width <= room:
                chosen.append(column)
                room -= width
    return [column for column in (*params, *metrics) if column in chosen]
