"""What is known of a cell while it still runs: its settings, and the cells that it needs as far as its text tells.

It is written into the run early, so that a run whose process dies has them, too; what is found when a cell ends takes
its place.
"""

from __future__ import annotations

import ast
import json
import types
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.params import find_params
from nbtrack.capture.pins import keep
from nbtrack.capture.resolve import MISSING, literal
from nbtrack.capture.slice import MAX_RECORD, Slice, SliceCell, label
from nbtrack.capture.slice_flow import Flow
from nbtrack.capture.slice_objects import reach
from nbtrack.capture.upstream import upstream_params
from nbtrack.names import MAX_KEY
from nbtrack.tracking.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbtrack.capture.cell import Cell
    from nbtrack.capture.slice_history import Execution, History

MAX_FUNCTIONS: Final = 200
TOLD: Final = "the cell did not end, so the cells that it needs are told from the names in its text alone"


def mentioned(tree: ast.AST, names: Mapping[str, Any]) -> set[str]:
    """Return the names that a cell mentions, and those that the functions of the notebook do that it may call."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names}
    waiting, seen = list(found), 0
    while waiting and seen < MAX_FUNCTIONS:
        held = names.get(waiting.pop())
        if not isinstance(held, (types.FunctionType, type)) or held.__module__ != "__main__":
            continue
        seen += 1
        inner = {name for code in _codes(held) for name in code.co_names if name in names} - found
        found |= inner
        waiting.extend(inner)
    return found


def _codes(held: types.FunctionType | type) -> Iterable[types.CodeType]:
    functions = [held] if isinstance(held, types.FunctionType) else list(vars(held).values())
    waiting = [one.__code__ for one in functions if isinstance(one, types.FunctionType)]
    while waiting:
        code = waiting.pop()
        yield code
        waiting.extend(one for one in code.co_consts if isinstance(one, types.CodeType))


def early_slice(history: History, execution: Execution, tree: ast.AST, names: Mapping[str, Any]) -> Slice:
    """Return the cells that made what the text of a running cell mentions, and that cell itself."""
    with history.lock:
        flow = history.flow
        if flow is None:
            flow = history.flow = Flow(history)
        flow.advance(execution.index - 1)
        read = sorted(mentioned(tree, names) & flow.names.vars.keys())
        held = [flow.names.vars[name] for name in read]
        waiting = [maker for var in held for maker in var.makers]
        waiting += [writer for var in held for one in reach(var.objs) for writer in one.writers]
        needed: set[int] = set()
        while waiting:
            if (one := waiting.pop()) not in needed:
                needed.add(one)
                waiting.extend(flow.done[one].needs)
        bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        cells, missing = [], [f"{label(execution.count)}: {TOLD}"]
        for index in sorted(needed):
            ran, done = history.executions[index], flow.done[index]
            missing += [f"{label(ran.count)}: {text}" for text in done.missing]
            python = flow.python_of(ran)
            cells.append(SliceCell(ran.count, ran.cell_id, ran.raw, done.reads, done.writes, False, python))
        python = flow.python_of(execution)
    last = SliceCell(execution.count, execution.cell_id, execution.raw, tuple(read), tuple(bound), True, python)
    return Slice((*cells, last), tuple(missing), ())


def note_early(cell: Cell) -> None:
    """Write what is known of a running cell into its run."""
    if cell.scan is None or cell.tree is None:
        return
    redactor = Redactor()  # the cell's own counts what its end finds
    names = dict(cell.names)
    used = None
    execution = cell.execution
    if execution is not None and execution.history is not None and cell.wants("slice") and cell.wants("source"):
        used = early_slice(execution.history, execution, cell.tree, names)
        record = used.record(redactor)
        if len(json.dumps(record)) <= MAX_RECORD:
            cell.run.log_capture({"slice": record})
    if not cell.wants("params"):
        return
    # What the cell itself binds may still hold what it did before; what it is going to hold only a literal tells.
    for name, assignments in cell.scan.assigned.items():
        names.pop(name, None)
        if (
            len(assignments) == 1
            and not assignments[0].part
            and (stated := literal(assignments[0].value)) is not MISSING
        ):
            names[name] = stated
    found = keep("param", find_params(cell.scan, names, {}), cell.pins)[0]
    if used is not None:
        found |= keep("param", upstream_params(used, names, found), cell.pins)[0]
    texts = {key[:MAX_KEY]: redactor.value(key, str(value)) for key, value in found.items()}
    if texts:
        cell.run.set_early_params({key: text for key, text in texts.items() if key not in cell.run.logged_params})
