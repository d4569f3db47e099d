"""Runs side by side: what differs between them, and which is best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from nbtrack.entities import TAG_ALERTS
from nbtrack.reprs.alerts import alerts_in_short
from nbtrack.reprs.directions import better_direction
from nbtrack.reprs.html import ACCENT, DIM, LINE, WARN, box, dim, esc, sparkline, status_mark, table
from nbtrack.reprs.numbers import clean, format_number, number_format, plural, short_id

MAX_ROWS = 30
MAX_COLUMNS = 12
MARK = "display:inline-block;width:12px;text-align:left;font-size:9px"


class Column(Protocol):
    """One column of a table of runs: ``None`` where the run has no such key."""

    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def values(self) -> Sequence[Any]: ...


class Table(Protocol):
    """Runs as columns, as the store gives them."""

    @property
    def run_ids(self) -> Sequence[str]: ...
    @property
    def columns(self) -> Sequence[Any]: ...
    @property
    def total(self) -> int: ...


def _as_float(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def varies(values: Sequence[Any]) -> bool:
    """Return whether the values differ; a run without the key differs from one with it."""
    return any(value != values[0] for value in values[1:])


STORE_COLUMN: Final = "store"  # the attribute of runs from several stores that says where each lies


def _is_store(column: Column) -> bool:
    return (column.kind, column.key) == ("attribute", STORE_COLUMN)


def split_columns(table: Table) -> tuple[list[Column], list[Column], list[Column]]:
    """Return the params that vary, the params that are the same in all runs, and all metrics.

    Which of several stores a run lies in counts as a param.
    """
    params = [column for column in table.columns if column.kind == "param" or _is_store(column)]
    alone = len(table.run_ids) == 1  # then nothing varies, and everything is worth showing
    changing = [column for column in params if alone or varies(column.values)]
    same = [column for column in params if column not in changing]
    return changing, same, [column for column in table.columns if column.kind == "metric"]


def extremes(values: Sequence[Any]) -> tuple[float | None, float | None]:
    """Return the least and the greatest number; None and None where there are not two different ones."""
    numbers = [n for n in map(_as_float, values) if n is not None]
    if not numbers or min(numbers) == max(numbers):
        return None, None
    return min(numbers), max(numbers)


def _attributes(table: Table) -> dict[str, Sequence[Any]]:
    return {column.key: column.values for column in table.columns if column.kind == "attribute"}


def alerts_by_row(table_of_runs: Table) -> list[str]:
    """Return in a few words what each run was alerted of; "" for nothing."""
    tags = next((c.values for c in table_of_runs.columns if (c.kind, c.key) == ("tag", TAG_ALERTS)), None)
    return [alerts_in_short({TAG_ALERTS: text}) if text else "" for text in tags or [None] * len(table_of_runs.run_ids)]


def _metric_cell(
    column: Column, row: int, limits: tuple[float | None, float | None], form: Callable[[float], str]
) -> str:
    number = _as_float(column.values[row])
    if number is None:
        return f'<span style="padding-right:12px">{dim("–") if column.values[row] is None else "NaN"}</span>'
    shown = form(number)
    low, high = limits
    if low is None or number not in (low, high):
        return f'<span style="padding-right:12px">{shown}</span>'  # as wide as a mark
    sign, word = ("▲", "highest") if number == high else ("▼", "lowest")
    mark = f'<span style="color:{DIM};{MARK}" title="{word}">&nbsp;{sign}</span>'
    best = {"higher": high, "lower": low}.get(better_direction(column.key) or "")
    if number == best:
        mark = f'<span style="color:{ACCENT};{MARK}" title="{word}: best">&nbsp;{sign}</span>'
        return f'<b style="border-bottom:2px solid {ACCENT}">{shown}</b>{mark}'
    return shown + mark


def _metric_head(key: str) -> str:
    arrow = {"higher": "↑", "lower": "↓"}.get(better_direction(key) or "", "")
    told = {"↑": "higher is better", "↓": "lower is better"}.get(arrow, "")
    return esc(key, 32) + (f'<span title="{told}" style="color:{DIM};font-weight:400"> {arrow}</span>' if arrow else "")


def compare_html(
    table_of_runs: Table,
    *,
    curves: Mapping[tuple[str, str], Sequence[float]] | None = None,
    colors: Sequence[str] | None = None,
    max_rows: int = MAX_ROWS,
    max_columns: int = MAX_COLUMNS,
    none: str = "",
) -> str:
    """Return runs side by side as HTML that is complete without a script: only params that vary, then all metrics.

    In each metric the highest value is marked ▲, the lowest ▼, and the better of them, where the name tells, is bold
    and underlined.

    Parameters
    ----------
    table_of_runs
        Runs as columns, as ``Store.run_table`` gives them.
    curves
        ``(run id, metric key)`` -> values, for metrics with several steps: drawn as a small curve.
    colors
        One CSS colour a run: the one it has in the plots beside.
    max_rows, max_columns
        What is beyond is counted, not shown.
    none
        What to say where there are no runs, if not that there are none yet.
    """
    count = len(table_of_runs.run_ids)
    if not count and none:
        return box(dim(esc(none, 400)))
    if not count:
        return box(dim("No runs to compare yet. Put <code>%%track</code> in the first line of a cell and run it."))
    changing, same, metrics = split_columns(table_of_runs)
    shown_params = changing[: max_columns // 2 if metrics else max_columns]
    shown_metrics = metrics[: max_columns - len(shown_params)]
    hidden = len(changing) + len(metrics) - len(shown_params) - len(shown_metrics)
    attributes, alerts = _attributes(table_of_runs), alerts_by_row(table_of_runs)
    limits = [extremes(column.values) for column in shown_metrics]
    forms = [number_format([n for n in map(_as_float, c.values) if n is not None]) for c in shown_metrics]
    rows = []
    for row, run_id in enumerate(list(table_of_runs.run_ids)[:max_rows]):
        dot = f'<span style="color:{esc(colors[row], 40)}">●</span> ' if colors and row < len(colors) else ""
        name = esc(attributes["run_name"][row] or short_id(run_id), 40)
        told = f'<br><span style="color:{WARN}">{esc(alerts[row], 60)}</span>' if alerts[row] else ""
        cells = [f'{dot}<span title="run {esc(run_id)}">{name}</span>{told}']
        cells.append(status_mark(str(attributes["status"][row])))
        cells += [dim("–") if c.values[row] is None else esc(c.values[row], 40) for c in shown_params]
        for column, limit, form in zip(shown_metrics, limits, forms, strict=True):
            values = (curves or {}).get((run_id, column.key), ())
            curve = sparkline(values, f"{clean(column.key)} by step", 48)
            cells.append(curve + _metric_cell(column, row, limit, form))
        rows.append(cells)
    head = ["run", "status", *(esc(c.key, 32) for c in shown_params), *(_metric_head(c.key) for c in shown_metrics)]
    body = table(head, rows, left=2)
    return box(f'<div style="overflow-x:auto">{body}</div>{_foot(table_of_runs, same, hidden, max_rows)}', LINE)


def _foot(table_of_runs: Table, same: Sequence[Column], hidden: int, max_rows: int) -> str:
    parts = []
    beyond = table_of_runs.total - min(len(table_of_runs.run_ids), max_rows)
    if beyond > 0:
        parts.append(f"{plural(beyond, 'more run')} not shown")
    if hidden:
        parts.append(f"{plural(hidden, 'more column')} not shown")
    if same and len(table_of_runs.run_ids) > 1:
        listed = ", ".join(f"{esc(c.key, 40)} = {esc(c.values[0], 40)}" for c in same[:8])
        parts.append(f"same in all: {listed}" + (f" and {len(same) - 8} more" if len(same) > 8 else ""))
    if len(table_of_runs.run_ids) > 1:
        parts.append("▲ highest, ▼ lowest, <b>best</b>")
    if not parts:
        return ""
    return f'<div style="margin-top:6px;font-size:12px;color:{DIM};overflow-wrap:anywhere">{" · ".join(parts)}</div>'


def compare_text(
    table_of_runs: Table, *, max_rows: int = MAX_ROWS, max_columns: int = MAX_COLUMNS, none: str = ""
) -> str:
    """Return runs side by side as plain text, for terminals and consoles."""
    if not table_of_runs.run_ids:
        return clean(none, 400) or "No runs to compare yet. Put %%track in the first line of a cell and run it."
    changing, _, metrics = split_columns(table_of_runs)
    columns = [*changing, *metrics][:max_columns]
    attributes, alerts = _attributes(table_of_runs), alerts_by_row(table_of_runs)
    rows = [["run", "status", *(clean(column.key, 24) for column in columns)]]
    for row, run_id in enumerate(list(table_of_runs.run_ids)[:max_rows]):
        cells = [clean(attributes["run_name"][row] or short_id(run_id), 32), str(attributes["status"][row]).lower()]
        for column in columns:
            value = column.values[row]
            number = _as_float(value) if column.kind == "metric" else None
            cells.append("–" if value is None else format_number(number) if number is not None else clean(value, 24))
            low, high = extremes(column.values) if number is not None else (None, None)
            cells[-1] += "" if low is None else " ▲" if number == high else " ▼" if number == low else ""
        rows.append([*cells, clean(alerts[row], 60)] if any(alerts) else cells)
    if any(alerts):
        rows[0].append("alerts")
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    beyond = table_of_runs.total - (len(rows) - 1)
    if beyond > 0:
        lines.append(f"… and {plural(beyond, 'more run')}")
    return "\n".join(lines)
