"""A table that is drawn again while something goes on: in place in a notebook or on a terminal, else in lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nbtrack.reprs.numbers import clean


class Shown(Protocol):
    """What a board shows: the same rows as text and as HTML."""

    def lines(self) -> Sequence[Sequence[str]]:
        """Return the rows, the first one the heads."""

    def html(self) -> str:
        """Return all of it as HTML."""


class Board:
    """Shows a table for as long as the block runs; `update` draws it again, `said` is a line for where none can be."""

    def __init__(self, shown: Shown, wanted: bool = True, say: Callable[[str], None] | None = None) -> None:
        self._shown, self._wanted, self._say = shown, wanted, say
        self._handle: Any = None
        self._live: Any = None
        self.shown_in: int | None = None  # the execution count of the cell whose output shows it

    def __enter__(self) -> Board:
        if not self._wanted:
            return self
        if (shell := _kernel_shell()) is not None:
            from IPython.display import display

            self._handle = display(self._bundle(), raw=True, display_id=True)
            self.shown_in = shell.execution_count
        elif sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(self._table(), console=Console(stderr=True), auto_refresh=False, transient=True)
            self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.update()
        if self._live is not None:
            self._live.__exit__(None, None, None)

    def update(self, said: str = "") -> None:
        """Draw it again; where nothing can be drawn twice, say that line instead."""
        if self._handle is not None:
            self._handle.update(self._bundle(), raw=True)
        elif self._live is not None:
            self._live.update(self._table(), refresh=True)
        elif said and self._wanted and self._say is not None:
            self._say(said)

    def _bundle(self) -> dict[str, str]:
        return {"text/html": self._shown.html(), "text/plain": as_text(self._shown.lines())}

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        head, *rows = self._shown.lines()
        table = Table(box=None, pad_edge=False)
        for one in head:
            table.add_column(one, no_wrap=True)
        for row in rows:
            table.add_row(*(Text(clean(one, 80)) for one in row))
        return table


def as_text(lines: Sequence[Sequence[str]]) -> str:
    """Return rows as text in columns.

    Examples
    --------
    >>> print(as_text([["pipeline", "time"], ["wine", "1 s"]]))
    pipeline  time
    wine      1 s
    """
    shown = [[clean(one, 300) for one in row] for row in lines]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return "\n".join(
        "  ".join(one.ljust(width) for one, width in zip(row, widths, strict=True)).rstrip() for row in shown
    )


def was_shown_here(count: int | None) -> bool:
    """Whether the cell of that execution count is the one that runs: its output shows the board already."""
    shell = _kernel_shell()
    return count is not None and shell is not None and bool(shell.execution_count == count)


def _kernel_shell() -> Any:
    """Return the shell of a notebook's kernel; None elsewhere, and in threads that no cell waits for."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None
