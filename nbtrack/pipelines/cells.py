"""A notebook as a pipeline: its cells that begin with ``%%track --step NAME`` are the steps."""

from __future__ import annotations

import ast
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack.errors import InvalidInputError, NbtrackError, NotebookError
from nbtrack.pipelines.board import Board
from nbtrack.pipelines.codes import used
from nbtrack.pipelines.execution import forced_step, tracked_step
from nbtrack.pipelines.injection import as_text
from nbtrack.pipelines.launch import Launch, read_notebook
from nbtrack.pipelines.projects import read_project
from nbtrack.pipelines.results import TAG_PIPELINE, PipelineResult, StepResult, Steps, Watch, reused_card

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from nbtrack.pipelines.execution import Ask


def has_steps(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a notebook with cells that are steps."""
    file = Path(path)
    return file.suffix == ".ipynb" and file.is_file() and bool(steps_of(read_notebook(file)))


def run_cells(
    path: str | os.PathLike[str],
    name: str | None,
    *,
    params: Mapping[str, Any] | None,
    force: bool | Sequence[str],
    tags: Mapping[str, Any] | None,
    progress: bool,
    watch: Watch | None,
) -> PipelineResult:
    """Run the steps of one notebook: see :func:`~nbtrack.pipelines.steps.run_pipeline`."""
    file = Path(path)
    given = {key: as_text(value) for key, value in (params or {}).items()}
    conductor = Cells(steps_of(read_notebook(file)), force, watch)
    project = read_project(file)
    launch = Launch(
        project, project.entry("main"), given, tags={**conductor.tags(), **(tags or {})}, conductor=conductor
    )
    with Board(Steps(conductor.done), wanted=progress) as board:
        conductor.board = board
        done = launch.run(None, name or file.stem)
    return PipelineResult(done.run_id, tuple(conductor.done.values()), dict(params or {}), board.shown_in)


class Cells:
    """Follows the cells of a notebook: has a step that need not run passed over, and tells what becomes of each.

    Parameters
    ----------
    names
        The steps, as :func:`steps_of` gives them; there may be none.
    force, watch
        As for :func:`~nbtrack.pipelines.steps.run_pipeline`.
    returns
        Variables to keep when the notebook has run.

    Raises
    ------
    InvalidInputError
        If two steps share a name, or `force` names none.
    """

    def __init__(
        self,
        names: Sequence[str],
        force: bool | Sequence[str] = False,
        watch: Watch | None = None,
        returns: Sequence[str] = (),
    ) -> None:
        if twice := {one for one in names if names.count(one) > 1}:
            raise InvalidInputError(
                f"pipeline: expected cells that are different steps, got {sorted(twice)!r} more than once."
                " Name them with %%track --step NAME."
            )
        check_force(names, force)
        self.left: dict[str, str] = {}  # variable -> its digest in the store
        self.failed: dict[str, str] = {}  # variable -> why it could not be kept
        self._returns = list(returns)
        self.done = {name: StepResult(name) for name in names}
        self.board: Board | None = None
        self._force, self._watch = force, watch
        self._started = 0.0
        self._sources: list[str] = []

    def tags(self) -> dict[str, str]:
        """Return the tags of the run of a notebook that has steps."""
        return {TAG_PIPELINE: " → ".join(self.done)} if self.done else {}

    def record(self) -> dict[str, Any]:
        """Return what the notebook's run is to remember of its steps."""
        return {} if not self.done else {"pipeline": {"steps": [asdict(one) for one in self.done.values()]}}

    def _tell(self, one: StepResult) -> None:
        self.done[one.name] = one
        if self.board is not None:
            self.board.update()
        if self._watch is not None:
            self._watch(one)

    async def opened(self, ask: Ask, notebook: NotebookNode) -> None:
        """Load nbtrack in the kernel, so that it knows what the first cells do."""
        self._sources = [str(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
        if not self.done and not self._returns:
            return
        await ask("str(__import__('nbtrack').load() or 'null')")
        await ask(in_kernel("opened"))

    async def before(self, ask: Ask, node: NotebookNode) -> bool:
        """Return whether a cell is to run: every one but a step that is reused."""
        source = self._sources.pop(0)
        step = tracked_step(source)
        if not step:
            return True
        self._started = time.perf_counter()
        self._tell(StepResult(step, "running"))
        forced = forced_step(source) or self._force is True
        forced = forced or (not isinstance(self._force, bool) and step in self._force)
        answer = await ask(in_kernel("before", step, source, forced, sorted(_names(self._sources))))
        self._tell(StepResult(step, "running", inputs=answer["takes"]))
        if not answer["reused"]:
            return True
        seconds = time.perf_counter() - self._started
        outputs = tuple(answer["outputs"])
        self._tell(StepResult(step, "reused", answer["reused"], seconds, answer["takes"], outputs))
        node.outputs = [_reused(step, answer["reused"], outputs)]
        return False

    async def after(self, ask: Ask, node: NotebookNode, error: NotebookError | None) -> None:
        """Have what a step left kept, or see which run failed."""
        step = tracked_step(str(node.source))
        seconds = time.perf_counter() - self._started
        if error is not None:
            if step:
                self._tell(replace(self.done[step], status="failed", seconds=seconds))
                try:
                    found = await ask(in_kernel("failed"))
                    self._tell(replace(self.done[step], run_id=found["run_id"]))
                except NbtrackError:  # the kernel is gone
                    return
            return
        if not self.done:
            return
        answer = await ask(in_kernel("after", step))
        if step:
            told = replace(self.done[step], status="ran", run_id=answer["run_id"], seconds=seconds)
            self._tell(replace(told, outputs=tuple(answer["outputs"]), not_kept=answer["not_kept"]))

    async def closing(self, ask: Ask) -> None:
        """Have the variables kept that the notebook leaves to later steps."""
        if self._returns:
            answer = await ask(in_kernel("leave", self._returns))
            self.left, self.failed = answer["left"], answer["failed"]
            if missing := answer["missing"]:
                raise NotebookError(f"notebook: it leaves no variable {missing[0]!r}, which returns= names.")


def steps_of(notebook: NotebookNode) -> list[str]:
    """Return the steps of a notebook, in order."""
    found = (tracked_step(str(cell.source)) for cell in notebook.cells if cell.cell_type == "code")
    return [step for step in found if step]


def check_force(names: Sequence[str], force: bool | Sequence[str]) -> None:
    """Raise InvalidInputError if `force` names a step that there is not."""
    if not isinstance(force, bool) and (unknown := [one for one in force if one not in names]):
        raise InvalidInputError(f"run_pipeline: force names {unknown!r}; the steps are {list(names)!r}.")


def in_kernel(function: str, *arguments: Any) -> str:
    """Return the expression that calls a function of the kernel's side with plain arguments."""
    text = json.dumps(arguments)
    return f"__import__('nbtrack.pipelines.cells_kernel', fromlist=['x']).answer({function!r}, {text!r})"


def _names(sources: Sequence[str]) -> set[str]:
    """Return the names that cells have from before, as far as they can be read."""
    found: set[str] = set()
    made: set[str] = set()
    for source in sources:
        lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
        try:
            loaded, bound = used(ast.parse("\n".join(lines)))
        except (SyntaxError, ValueError):
            found.update(re.findall(r"\w+", source))
            continue
        found |= loaded - made
        made |= bound
    return found


def _reused(step: str, run_id: str, outputs: Sequence[str]) -> NotebookNode:
    """Return what stands under a cell that was not run."""
    from nbformat.v4 import new_output

    return new_output("display_data", reused_card(step, run_id, outputs))
