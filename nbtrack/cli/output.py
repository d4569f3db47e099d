"""What commands print: tables and JSON, in which text from a store is only ever text."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO

import click

from nbtrack.errors import NbtrackWarning
from nbtrack.reprs.numbers import clean

if TYPE_CHECKING:
    from rich.console import Console


def clean_lines(text: str) -> str:
    """Return text of several lines without control characters: nothing in it can drive the terminal."""
    return "\n".join(clean(line, len(line) + 1) for line in text.split("\n"))


def say(text: str, err: bool = False) -> None:
    """Print text as text, on stdout or stderr."""
    click.echo(clean_lines(text), err=err)


def bar_file() -> TextIO:
    """Return where a progress bar goes: nowhere if nobody looks at a terminal."""
    return sys.stderr if sys.stderr.isatty() else StringIO()


def plain(value: Any) -> Any:
    """Return `value` as JSON can carry it: NaN and infinities as text, mappings and sequences copied."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def print_json(document: Any) -> None:
    """Print one JSON document; characters beyond ASCII are escaped, so it is the same on every terminal."""
    click.echo(json.dumps(plain(document), indent=2))


def console() -> Console:
    """Return a rich console that reads no markup in what it prints; a pipe gets lines as long as they need to be."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 10_000
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=False, width=width)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: Collection[int] = (),
    firm: Collection[int] = (0,),
) -> None:
    """Print rows under column names; every cell is cleaned text, never markup.

    Parameters
    ----------
    columns
        The heads.
    rows
        One sequence of cells a row; None shows as a dash.
    right
        Numbers of the columns with figures: at the right, and never broken; their heads may be.
    firm
        Numbers of the columns that keep to one line on a narrow terminal; the others fold.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [["–" if cell is None else clean(cell, 120) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, show_header=any(columns))
    for index, head in enumerate(columns):
        figures = index in right
        table.add_column(
            Text(clean(head, 40)),
            justify="right" if figures else "left",
            no_wrap=index in firm,
            min_width=max((len(row[index]) for row in cells), default=1) if figures else None,
            overflow="fold",
        )
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def when(at_ms: int | None) -> str | None:
    """Return a moment in local time to the minute, such as ``2026-01-31 14:05``; None for None."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


def show_warnings_in_one_line() -> None:
    """Show nbtrack's own warnings as one line on stderr, and those of libraries not at all unless Python is told to."""
    if sys.warnoptions:
        return
    warnings.simplefilter("ignore")
    warnings.simplefilter("default", NbtrackWarning)

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(f"Warning: {message}", err=True)

    warnings.showwarning = show
