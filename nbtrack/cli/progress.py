"""How far the demo is: a bar on a terminal, lines elsewhere, nothing where only JSON is wanted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress

    from nbtrack.cli.execution import Cell, Watcher


class Silent:
    """Says nothing."""

    def started(self, cell: Cell) -> None:
        """Say nothing."""

    def finished(self, cell: Cell, seconds: float) -> None:
        """Say nothing."""


class Lines:
    """Prints one line a cell on stderr."""

    def started(self, cell: Cell) -> None:
        """Print nothing yet: a line is printed whole, with its time."""

    def finished(self, cell: Cell, seconds: float) -> None:
        """Print the cell's place, step and time."""
        click.echo(f"[{cell.number}/{cell.total}] {cell.step:<8} {seconds:5.1f} s", err=True)


class Bar:
    """Moves a bar on the terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("kernel", total=None)

    def started(self, cell: Cell) -> None:
        """Name the step that is running."""
        self._progress.update(self._task, description=cell.step, total=cell.total, completed=cell.number - 1)

    def finished(self, cell: Cell, seconds: float) -> None:
        """Move on."""
        self._progress.update(self._task, completed=cell.number)


@contextmanager
def shown_progress(silent: bool) -> Iterator[Watcher]:
    """Give a watcher that suits stderr, for as long as the block runs."""
    if silent:
        yield Silent()
    elif not sys.stderr.isatty():
        yield Lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description:<9}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield Bar(progress)
