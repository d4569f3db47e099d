"""Parameters of a notebook, as papermill has them: a cell after the one tagged ``parameters`` sets them anew."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nbtrack.errors import InvalidInputError

if TYPE_CHECKING:
    from nbformat import NotebookNode

TAG: Final = "parameters"
INJECTED: Final = "injected-parameters"


def injected(notebook: NotebookNode, values: Mapping[str, str], lines: Sequence[str] = ()) -> NotebookNode:
    """Return a copy of a notebook without outputs, and with a cell that sets `values`, if there are any.

    A value that reads as a Python literal (``5``, ``0.1``, ``[1, 2]``, ``True``) becomes that; anything else is text.
    `lines` are Python that follows them there.

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
    if not values and not lines:
        return copy
    bad = [name for name in values if not name.isidentifier()]
    if bad:
        raise InvalidInputError(f"run: {bad[0]!r} cannot be a variable of the notebook. Use letters, digits and _.")
    places = [at for at, cell in enumerate(copy.cells) if TAG in _tags(cell)]
    if not places:
        raise InvalidInputError(
            "run: the notebook takes no parameters: no cell is tagged `parameters`. Tag the one with the defaults."
        )
    told = [*(f"{name} = {_literal(value)}" for name, value in values.items()), *lines]
    cell = new_code_cell("# Parameters\n" + "\n".join(told), metadata={"tags": [INJECTED]})
    if not any("id" in one for one in copy.cells):
        cell.pop("id", None)
    copy.cells.insert(places[0] + 1, cell)
    return copy


def parameters_of(notebook: NotebookNode) -> list[str]:
    """Return the names that the cells tagged ``parameters`` assign to."""
    found: dict[str, None] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and TAG in _tags(cell):
            try:
                tree = ast.parse(cell.source)
            except SyntaxError:
                continue
            for node in tree.body:
                targets = node.targets if isinstance(node, ast.Assign) else []
                targets += [node.target] if isinstance(node, ast.AnnAssign) else []
                found.update(dict.fromkeys(one.id for one in targets if isinstance(one, ast.Name)))
    return list(found)


def as_text(value: object) -> str:
    """Return a value as text that :func:`injected` reads as that value.

    Examples
    --------
    >>> as_text(5), as_text("five"), as_text("5")
    ('5', 'five', "'5'")
    """
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str):
        return repr(value)
    return value if _literal(value) == repr(value) else repr(value)


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", []))


def _literal(text: str) -> str:
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return repr(text)
