"""Executes a notebook, cell by cell, on a real kernel of this Python, and asks that kernel what came out."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from nbtrack.capture.options import TrackOptions, parse_options
from nbtrack.capture.transform import track_line
from nbtrack.errors import InvalidInputError, NotebookError
from nbtrack.reprs.numbers import clean

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbformat import NotebookNode

Ask = Callable[[str], Awaitable[Any]]
CELL_TIMEOUT_S: Final = 600
STOP_POLL_S: Final = 0.1
# The kernel must find the store of its own folder, not the one that this shell happens to name.
FOREIGN_VARIABLES: Final = ("NBTRACK_TRACKING_URI", "NBTRACK_EXPERIMENT_NAME")


@dataclass(frozen=True, slots=True)
class Cell:
    """One code cell: its place among the code cells (from 1), how many there are, and the step that its tag names."""

    number: int
    total: int
    step: str


class Stopped(Exception):
    """The execution was ended before its time, as asked."""


class Watcher(Protocol):
    """Who wants to know how far the execution is."""

    def started(self, cell: Cell) -> None:
        """A cell begins."""

    def finished(self, cell: Cell, seconds: float) -> None:
        """A cell went well."""


class Conductor(Protocol):
    """Who decides which cells are executed. What it is given, `ask`, evaluates Python in the kernel and reads JSON."""

    def record(self) -> dict[str, Any]:
        """Return what the notebook's run is to remember."""

    async def opened(self, ask: Ask, notebook: NotebookNode) -> None:
        """Do what comes before the first cell."""

    async def before(self, ask: Ask, node: NotebookNode) -> bool:
        """Return whether this cell is to be executed."""

    async def after(self, ask: Ask, node: NotebookNode, error: NotebookError | None) -> None:
        """Look at a cell that was executed."""

    async def closing(self, ask: Ask) -> None:
        """Do what comes after the last cell, if all went well."""


@dataclass(slots=True)
class Execution:
    """What an execution needs to know, and the kernel's own output, read only if it dies."""

    notebook: NotebookNode
    folder: Path
    steps: tuple[str, ...]
    watcher: Watcher | None
    answer: str = "summary"
    timeout_s: int | None = CELL_TIMEOUT_S
    env: Mapping[str, str] | None = None  # of the kernel; that of this process, without its store, if not given
    stop: threading.Event | None = None  # set from another thread, it ends the execution
    conductor: Conductor | None = None
    log: IO[bytes] = field(default_factory=tempfile.TemporaryFile)

    def log_tail(self) -> str:
        """Return the last lines that the kernel wrote beside its cells."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        lines = [line for line in lines if "[IPKernelApp]" not in line]  # what every kernel says of itself
        return clean(" | ".join(lines[-3:]), 500)


_SILENT: Final = "without a word, as it does when the memory is full"


def environment() -> dict[str, str]:
    """Return the environment for kernels and servers that work in a folder with a store of its own."""
    kept = {key: value for key, value in os.environ.items() if key not in FOREIGN_VARIABLES}
    return {**kept, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # else the debugger prints a warning into the log


def _quiet_logger() -> logging.Logger:
    logger = logging.getLogger("nbtrack.execution")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def kernel_of_this_python(kernel_name: str = "python3") -> AsyncKernelManager:
    """Return a manager whose kernel is this interpreter, whatever a kernelspec called "python3" may start."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class ThisPython(KernelSpecManager):
        """Knows one kernel only."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            """Return the spec of this interpreter for any name."""
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python")

    return AsyncKernelManager(kernel_name=kernel_name, kernel_spec_manager=ThisPython(), log=_quiet_logger())


def step_of(cell: Mapping[str, Any], steps: tuple[str, ...]) -> str:
    """Return the first of `steps` among a cell's tags, else the step that it is tracked as, else ``"cell"``."""
    tags = cell.get("metadata", {}).get("tags", [])
    return next((tag for tag in tags if tag in steps), "") or tracked_step(str(cell.get("source", ""))) or "cell"


def tracked_step(source: str) -> str:
    """Return NAME of a cell that begins with ``%%track --step NAME``; empty for any other."""
    return _options(source).step or ""


def forced_step(source: str) -> bool:
    """Return whether a cell is a step that says ``--force``."""
    return _options(source).force


def _options(source: str) -> TrackOptions:
    line = track_line(source)
    if line is None or "--step" not in line:
        return TrackOptions()
    try:
        return parse_options(line)
    except InvalidInputError:  # IPython will say so when the cell runs
        return TrackOptions()


def execute_notebook(execution: Execution) -> dict[str, Any]:
    """Execute every code cell in place and return the dict that the notebook leaves under the name `answer`.

    Raises
    ------
    NotebookError
        If the kernel does not start or dies, a cell fails or takes too long; the message names the cell and why. The
        notebook then holds the outputs up to there.
    KeyboardInterrupt
        On Ctrl-C; the kernel is gone by then.
    Stopped
        If `execution.stop` was set; likewise.
    """
    received: list[int] = []
    try:
        if _in_loop():
            return _in_thread(execution)
        return asyncio.run(_execute(execution, received))
    except asyncio.CancelledError:
        if execution.stop is not None and execution.stop.is_set():
            raise Stopped from None
        if received and received[0] == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise KeyboardInterrupt from None
    finally:
        execution.log.close()


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_thread(execution: Execution) -> dict[str, Any]:
    """Execute with a loop of its own, where one runs already, as in a notebook; Ctrl-C ends that one, too."""
    tasks: list[asyncio.Task[dict[str, Any]]] = []

    async def work() -> dict[str, Any]:
        task = asyncio.current_task()
        if task is not None:
            tasks.append(task)
        return await _execute(execution, [])

    with ThreadPoolExecutor(1, "nbtrack-execution") as pool:
        future = pool.submit(asyncio.run, work())
        try:
            return future.result()
        except KeyboardInterrupt:
            for task in tasks:
                task.get_loop().call_soon_threadsafe(task.cancel)
            raise


async def _execute(execution: Execution, received: list[int]) -> dict[str, Any]:
    from nbclient import NotebookClient

    client = NotebookClient(
        execution.notebook,
        km=kernel_of_this_python(),
        timeout=execution.timeout_s,
        resources={"metadata": {"path": str(execution.folder)}},
        log=_quiet_logger(),
    )
    ready = False
    try:
        async with client.async_setup_kernel(
            cleanup_kc=True, env=execution.env or environment(), stdout=execution.log, stderr=execution.log
        ):
            ready = True
            _cancel_on_signal(received)
            stopping = asyncio.create_task(_cancel_on_stop(execution.stop, asyncio.current_task()))
            try:
                await _read_language(client)
                conductor, ask = execution.conductor, partial(_evaluate, client)
                if conductor is not None:
                    await conductor.opened(ask, execution.notebook)
                await _execute_cells(client, execution, ask)
                if conductor is not None:
                    await conductor.closing(ask)
                return await _ask(client, execution.answer) if execution.answer else {}
            finally:
                stopping.cancel()
    except RuntimeError as error:
        if ready or isinstance(error, NotebookError):
            raise
        raise NotebookError(
            f"kernel: {sys.executable} -m ipykernel_launcher did not start ({clean(error)}; {execution.log_tail()})."
            " Does `python -m ipykernel_launcher --version` work?"
        ) from error


def _cancel_on_signal(received: list[int]) -> None:
    """Make Ctrl-C and SIGTERM end the execution in order; nbclient's own handlers would only take its kernel away."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker: a coroutine runs in a task

    def cancel(number: int) -> None:
        received.append(number)
        task.cancel()

    if threading.current_thread() is not threading.main_thread():
        return  # signals reach the main thread only
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: asyncio.run itself answers Ctrl-C
            asyncio.get_running_loop().add_signal_handler(number, cancel, number)


async def _cancel_on_stop(stop: threading.Event | None, task: asyncio.Task[Any] | None) -> None:
    while stop is not None and task is not None and not task.done():
        if stop.is_set():
            task.cancel()
            return
        await asyncio.sleep(STOP_POLL_S)


async def _read_language(client: NotebookClient) -> None:
    reply = await client.async_wait_for_reply(client.kc.kernel_info())
    client.nb.metadata["language_info"] = reply["content"]["language_info"]


async def _execute_cells(client: NotebookClient, execution: Execution, ask: Ask) -> None:
    conductor = execution.conductor
    code = [(i, cell) for i, cell in enumerate(execution.notebook.cells) if cell.cell_type == "code"]
    for number, (index, node) in enumerate(code, 1):
        cell = Cell(number, len(code), step_of(node, execution.steps))
        where = f"notebook: cell {number} of {len(code)} (step {cell.step!r})"
        if execution.watcher is not None:
            execution.watcher.started(cell)
        begun = time.perf_counter()
        if conductor is None:
            await _execute_cell(client, execution, index, where)
        elif await conductor.before(ask, node):
            try:
                await _execute_cell(client, execution, index, where)
            except NotebookError as error:
                await conductor.after(ask, node, error)
                raise
            await conductor.after(ask, node, None)
        if execution.watcher is not None:
            execution.watcher.finished(cell, time.perf_counter() - begun)


async def _execute_cell(client: NotebookClient, execution: Execution, index: int, where: str) -> None:
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    try:
        await client.async_execute_cell(execution.notebook.cells[index], index)
    except CellExecutionError as error:
        raise NotebookError(f"{where} failed with {clean(error.ename)}: {clean(error.evalue, 1000)}") from error
    except CellTimeoutError as error:
        raise NotebookError(f"{where} was not done after {execution.timeout_s} s, so it was given up.") from error
    except DeadKernelError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # nbclient takes a cancelled wait for a dead kernel
            raise asyncio.CancelledError from None
        raise NotebookError(f"{where}: the kernel died ({execution.log_tail() or _SILENT}).") from error


async def _evaluate(client: NotebookClient, expression: str) -> Any:
    """Evaluate Python in the kernel that gives JSON text, beside the cells: no history and no hook sees it."""
    from nbclient.exceptions import DeadKernelError

    sent = client.kc.execute("", silent=True, store_history=False, user_expressions={"answer": expression})
    try:
        reply = await client.async_wait_for_reply(sent) or {"content": {}}
    except DeadKernelError as error:
        raise NotebookError(f"notebook: the kernel died between two cells ({clean(error)}).") from error
    answer = reply["content"].get("user_expressions", {}).get("answer", {})
    if answer.get("status") != "ok":
        raise NotebookError(f"notebook: the kernel could not answer ({clean(answer.get('evalue', ''), 300)}).")
    return json.loads(ast.literal_eval(answer["data"]["text/plain"]))


async def _ask(client: NotebookClient, name: str) -> dict[str, Any]:
    """Return the dict called `name` out of the kernel, by a cell that is not part of the notebook."""
    from nbclient.exceptions import CellExecutionError
    from nbformat.v4 import new_code_cell

    source = f"print(__import__('json').dumps({name}, default=str))"
    client.nb.cells.append(new_code_cell(source))
    try:
        cell = await client.async_execute_cell(client.nb.cells[-1], len(client.nb.cells) - 1, store_history=False)
        found = json.loads(cell.outputs[-1].text)
    except (CellExecutionError, IndexError, AttributeError, ValueError) as error:
        raise NotebookError(
            f"notebook: it must leave a dict called {name!r}, which could not be read ({clean(error, 300)})."
        ) from error
    finally:
        client.nb.cells.pop()
    if not isinstance(found, dict):
        raise NotebookError(f"notebook: expected a dict called {name!r}, got {type(found).__name__}.")
    return found
