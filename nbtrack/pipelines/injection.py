"""Parameters of a notebook, as papermill has them: a cell after the one tagged ``parameters`` sets them anew."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from nbtrack.errors import InvalidInputError

if TYPE_CHECKING:
    from nbformat import NotebookNode

TAG: Final = "parameters"
INJECTED: Final = "injected-parameters"


def injected(notebook: NotebookNode, values: Mapping[str, str]) -> NotebookNode:
    """Return a copy of a notebook without outputs, and with a cell that sets `values`, if there are any.

    A value that reads as a Python literal (``5``, ``0.1``, ``[1, 2]``, ``True``) becomes that; anything else is text.

    Raises
    ------
    InvalidInputError
        If a name cannot be one of Python's, or no cell is tagged ``parameters``.
    """
    from copy import deepcopy

    from nbformat.v4 import new_code_cell

    copy = deepcopy(notebook)
    copy.cells = [cell for cell in copy.cells if INJECTED not in _tags(cell)]
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if not values:
        return copy
    bad = [name for name in values if not name.isidentifier()]
    if bad:
        raise InvalidInputError(f"run: {bad[0]!r} cannot be a variable of the notebook. Use letters, digits and _.")
    places = [at for at, cell in enumerate(copy.cells) if TAG in _tags(cell)]
    if not places:
        raise InvalidInputError(
            "run: the notebook takes no parameters: no cell is tagged `parameters`. Tag the one with the defaults."
        )
    lines = [f"{name} = {_literal(value)}" for name, value in values.items()]
    cell = new_code_cell("# Parameters\n" + "\n".join(lines), metadata={"tags": [INJECTED]})
    if not any("id" in one for one in copy.cells):
        cell.pop("id", None)
    copy.cells.insert(places[0] + 1, cell)
    return copy


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", []))


def _literal(text: str) -> str:
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return repr(text)
