"""The slice of a tracked cell: the fewest executed cells, in order, that produced what it used."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.slice_flow import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.capture.cell import Cell
    from nbtrack.capture.slice_history import Execution, History
    from nbtrack.store.base import RunWriter
    from nbtrack.tracking.redaction import Redactor

MAX_RECORD: Final = 32_000  # bytes; a longer slice becomes an artifact
SLICE_PATH: Final = "nbtrack/slice.json"
_REDACTED: Final = re.compile(r"\[redacted:[\w-]+\]")


@dataclass(frozen=True, slots=True)
class SliceCell:
    """One execution of a cell: its text, the names that it read from others, and those that it bound or changed."""

    execution_count: int | None
    cell_id: str | None
    source: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    this: bool = False
    python: str = ""  # the same without magics, as IPython ran it
    watched: bool = True  # nbtrack was loaded when it ran: what it changed was seen


@dataclass(frozen=True, slots=True)
class Slice:
    """The cells, in execution order, the tracked one last; `missing` says what may keep them from giving the same."""

    cells: tuple[SliceCell, ...]
    missing: tuple[str, ...]
    paths: tuple[str, ...]  # files that these cells read and that none of them wrote

    @property
    def complete(self) -> bool:
        """Whether these cells alone should give the same result again."""
        return not self.missing

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names that the tracked cell read and that another cell made."""
        return self.cells[-1].reads

    def record(self, redactor: Redactor) -> dict[str, Any]:
        """Return plain values for the run's record, without secrets."""
        cells, missing = [], list(self.missing)
        for cell in self.cells:
            source = redactor.source(cell.source)
            if source != cell.source and _REDACTED.search(source) and not _REDACTED.search(cell.source):
                missing.append(f"{label(cell.execution_count)}: a secret was taken out of its text")
            cells.append(
                {
                    "execution_count": cell.execution_count,
                    "cell_id": cell.cell_id,
                    "source": source,
                    "reads": list(cell.reads),
                    "writes": list(cell.writes),
                    "this": cell.this,
                }
            )
        files = {"files": [redactor.text(path) for path in self.paths]} if self.paths else {}
        return {"cells": cells, "complete": not missing, "missing": missing, **files}


def label(count: int | None) -> str:
    """Return how a notebook calls an execution."""
    return f"In [{' ' if count is None else count}]"


def slice_of(cell: Cell) -> Slice | None:
    """Return the slice of a tracked cell that has ended; None where its executions were not followed.

    Cheap when asked again. May be called from any thread.
    """
    execution = cell.execution
    return execution.history.slice_at(execution, cell.names) if execution is not None and execution.history else None


def find_slice(history: History, execution: Execution, names: Mapping[str, Any]) -> Slice:
    """Return the slice of one execution.

    Parameters
    ----------
    history
        All executions of the kernel.
    execution
        The tracked one.
    names
        The user's variables, to tell a name that nothing made from one that was caught as an error.
    """
    flow = history.flow
    if flow is None:
        flow = history.flow = Flow(history)
    needed = flow.needed(execution.index)
    hidden = getattr(history.shell, "user_ns_hidden", {})
    cells, missing, paths = [], dict[str, None](), dict[str, None]()
    made = {name for index in needed for name in flow.done[index].writes}
    for index in needed:
        one, done = history.executions[index], flow.done[index]
        told_of = label(one.count)
        told = list(done.missing)
        told += [
            f"{name}: no cell that is known made it"
            for name in done.unknown
            if name in names
            and name not in hidden
            and name not in made
            and not re.fullmatch(r"_+|_i*\d*|__\w+__", name)
        ]
        told += [f"draws random numbers from {name.strip('<>')}, which nothing seeded" for name in done.unseeded]
        source = one.raw
        if done.stopped_at is not None and index != execution.index:
            source = _until(one, done.stopped_at)
            told.append(f"stopped with an error at line {done.stopped_at}; what that line did is left out")
        missing.update(dict.fromkeys(f"{told_of}: {text}" for text in told))
        paths.update(dict.fromkeys(path for path in done.paths if _is_file(path)))
        this = index == execution.index
        python = flow.python_of(one)
        cells.append(SliceCell(one.count, one.cell_id, source, done.reads, done.writes, this, python, one.known))
    return Slice(tuple(cells), tuple(missing), tuple(paths))


def _until(execution: Execution, line: int) -> str:
    lines = execution.raw.splitlines()
    return "\n".join([*lines[: line - 1], f"# here the cell stopped with an error (line {line})"])


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def capture_slice(cell: Cell, writer: RunWriter) -> dict[str, Any]:
    """Return the entry of a run's record: the slice itself, or where `writer` put it if it is long."""
    found = slice_of(cell)
    if found is None:
        return {}
    record = found.record(cell.redactor)
    text = json.dumps(record, ensure_ascii=False)
    if len(text.encode()) <= MAX_RECORD:
        return {"slice": record}
    writer.log_artifact(text.encode(), SLICE_PATH)
    return {"slice": {"path": SLICE_PATH, "cells": len(found.cells), "complete": record["complete"]}}
