"""How far something is: a bar on a terminal; for the demo lines elsewhere, nothing where only JSON is wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress

    from nbtrack.pipelines.execution import Cell, Watcher


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
        with _rich_bar() as progress:
            yield Bar(progress)


@contextmanager
def counting(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give a function that is told ``(done, total)`` and moves a bar on stderr; None where nobody looks on."""
    if not sys.stderr.isatty():
        yield None
        return
    with _rich_bar() as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _rich_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    label = TextColumn("{task.description:<9}", markup=False)
    columns = (label, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
