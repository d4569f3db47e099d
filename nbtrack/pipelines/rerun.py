"""A slice in a clean kernel: the notebook to execute, and what readies the kernel for it beside the cells."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.options import parse_options
from nbtrack.capture.pins import pins_of_run, set_pin
from nbtrack.capture.replay import code_cell, code_of, notebook
from nbtrack.capture.transform import track_line
from nbtrack.errors import InvalidInputError, NotebookError
from nbtrack.tracking import get_store, source_tag

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from nbtrack.entities import Run
    from nbtrack.pipelines.execution import Ask
    from nbtrack.store.base import Store

CELL_LABEL: Final = "In ["  # how the cells of the slice are called while they run
_NUMBERED: Final = re.compile(r"(?<![\w.])(?:_\d+|Out\[|In\[)")


def _track_line(source: str) -> str:
    """Return the ``%%track`` line for the cell when it runs again: what it asks for, not where it was filed."""
    try:
        options = parse_options(track_line(source) or "")
    except InvalidInputError:  # {variables} in it, which the clean kernel may not know
        return "%%track"
    asked = [f" -p {shlex.quote(one)}" for one in options.params]
    asked += [f" -m {shlex.quote(one)}" for one in options.metrics]
    left_out = sorted({*options.no_capture, "model", "git", "figures"})
    return "%%track" + "".join(asked) + f" --no-capture {','.join(left_out)}"


def notebook_of(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the notebook to execute: the cells of the slice, the tracked one to be tracked again."""
    made = []
    for number, cell in enumerate(cells):
        source, count = str(cell.get("source", "")), cell.get("execution_count")
        code = f"{_track_line(source)}\n{code_of(source)}" if cell.get("this") else code_of(source)
        label = f"{CELL_LABEL}{count if isinstance(count, int) else ' '}]"
        made.append({**code_cell(code, _cell_id(number)), "metadata": {"tags": [label]}})
    return {**notebook([]), "cells": made}


def _cell_id(number: int) -> str:
    return f"cell-{number}"


def _loaded_at(cells: list[dict[str, Any]]) -> int:
    """Return before which cell nbtrack was loaded then: what ran earlier has no cell id, as far as there are any."""
    if not any(cell.get("this") and cell.get("cell_id") for cell in cells):
        return 0
    return next(number for number, cell in enumerate(cells) if cell.get("cell_id"))


def pinned_values(run: Run, store: Store) -> list[tuple[str, str]]:
    """Return (kind, key) of the values of a run that were found only because its user pinned them."""
    kept = {"param": run.data.params, "metric": run.data.metrics}
    pinned = [pin.partition(":")[::2] for pin, choice in pins_of_run(store, run).items() if choice == "pinned"]
    return [(kind, key) for kind, key in pinned if key in kept.get(kind, ())]


def pin_here(pins: list[tuple[str, str]]) -> None:
    """Pin values of the notebook that this kernel runs, in the store in use."""
    from IPython.core.getipython import get_ipython

    from nbtrack.capture.notebook import notebook_path

    store = get_store()
    source = source_tag(store, notebook_path(get_ipython().user_ns))
    for kind, key in pins:
        set_pin(store, source, kind, key, "pinned")


def _steps(expressions: list[str]) -> str:
    """Return an expression that evaluates these in turn, and answers nothing."""
    return f"[{', '.join(expressions)}] and 'null'"


class Rerun:
    """Readies the kernel beside the cells, so that their history and their names are those of the slice alone."""

    def __init__(self, cells: list[dict[str, Any]], uri: str, pins: list[tuple[str, str]]) -> None:
        self._open = [f"__import__('nbtrack').set_tracking_uri({uri!r})"]
        self._load = [*self._open, "__import__('nbtrack').load()"]
        if pins:
            self._load.append(f"__import__({__name__!r}, fromlist=['pin_here']).pin_here({pins!r})")
        tracked = [number for number, cell in enumerate(cells) if cell.get("this")]
        self._loading = {_cell_id(number) for number in (_loaded_at(cells), *tracked)}  # a cell may have opened another
        numbered = any(_NUMBERED.search(str(cell.get("source", ""))) for cell in cells)
        counts = {_cell_id(number): cell.get("execution_count") for number, cell in enumerate(cells) if numbered}
        self._counts = {cell_id: count for cell_id, count in counts.items() if isinstance(count, int)}

    def record(self) -> dict[str, Any]:
        """Return nothing: the run says it all."""
        return {}

    async def opened(self, ask: Ask, notebook: NotebookNode) -> None:
        """Open the store: what any cell logs goes there."""
        await ask(_steps(self._open))

    async def before(self, ask: Ask, node: NotebookNode) -> bool:
        """Load nbtrack where it was loaded then, and number the cell so that _5 and Out[5] mean what they meant."""
        if node.id in self._loading:
            await ask(_steps(self._load))
        if node.id in self._counts:
            await ask(_steps([f"setattr(get_ipython(), 'execution_count', {self._counts[node.id]})"]))
        return True

    async def after(self, ask: Ask, node: NotebookNode, error: NotebookError | None) -> None:
        """Leave the cell as it is."""

    async def closing(self, ask: Ask) -> None:
        """Leave the kernel as it is."""
