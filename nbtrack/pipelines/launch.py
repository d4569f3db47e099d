"""Runs a project's entry point, a script or a notebook as one run of the store, and keeps what it printed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from nbtrack.errors import InvalidInputError, NotebookError, PipelineError
from nbtrack.pipelines.environments import wrapped
from nbtrack.pipelines.projects import EntryPoint, Project, command_of, read_project, values_of
from nbtrack.tracking import begin_run
from nbtrack.tracking.joined import PARENT_ID, RUN_ID
from nbtrack.tracking.location import get_or_create_experiment, store_for_writing
from nbtrack.tracking.redaction import Redactor

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from nbtrack.store import Store

TAG_PROJECT: Final = "nbtrack.project"
TAG_ENTRY: Final = "nbtrack.entry_point"
GOING_ON: Final = "NBTRACK_ENTRY_POINTS"  # what is running around a process, to tell a circle
ENV_MANAGERS: Final = ("local", "uv")
_TAIL: Final = 16_000


@dataclass(frozen=True, slots=True)
class Launched:
    """What came of running an entry point: its run, how that ended, and the exit code (0: well)."""

    run_id: str
    status: str
    exit_code: int


def run_project(
    path: str | os.PathLike[str],
    entry_point: str = "main",
    parameters: Mapping[str, Any] | None = None,
    *,
    experiment_name: str | None = None,
    run_name: str | None = None,
    env_manager: str = "local",
    output: IO[bytes] | None = None,
) -> Launched:
    """Run an entry point of a project, a script, or a notebook, as one run; return when it has ended.

    What the program itself logs with nbtrack, or with MLflow where that is installed, goes to the same run; tracked
    cells of a notebook become its children.

    Parameters
    ----------
    path
        A folder with an ``MLproject`` file, or with scripts; or a ``.py``, ``.sh`` or ``.ipynb`` file.
    entry_point
        The name of an entry point, or of a script or notebook of the folder.
    parameters
        Name -> value; typed parameters are checked, further ones are passed on as ``--name value``.
    env_manager : {"local", "uv"}
        The packages that are installed here, or those that the project names, by ``uv run``.
    output
        Where to copy what the program prints, besides keeping the end of it.

    Raises
    ------
    InvalidInputError
        Before anything runs: nothing to run, a parameter missing or wrong, an environment that cannot be honoured.
    PipelineError
        If the program cannot be started, or calls itself by way of its own entry point.
    """
    project = read_project(Path(path))
    entry = project.entry(entry_point)
    given = {str(name): str(value) for name, value in (parameters or {}).items()}
    values = values_of(entry, given, project.folder)
    if env_manager not in ENV_MANAGERS:
        raise InvalidInputError(f"run: expected env_manager {' or '.join(ENV_MANAGERS)}, got {env_manager!r}.")
    is_notebook = entry.file is not None and entry.file.suffix == ".ipynb"
    notebook = _prepared(entry, values) if is_notebook else None
    command = [] if is_notebook else command_of(entry, values, "python", posix=os.name != "nt")
    command = wrapped(command, project, env_manager)
    store = store_for_writing()
    with _not_in_circles(project, entry) as going_on:
        told = {**values, **given}  # paths as they were given
        run_id = _begin(store, project, entry, told, experiment_name, run_name or entry.name)
        env = {**os.environ, **_environment(store, run_id, is_notebook), GOING_ON: going_on}
        if notebook is not None:
            return _notebook(store, run_id, entry, notebook, env)
        return _program(store, run_id, command, project.folder, env, output)


def _begin(
    store: Store, project: Project, entry: EntryPoint, values: Mapping[str, str], experiment: str | None, name: str
) -> str:
    """Start the run, log its params, and let go of it, so that the program can go on with it."""
    experiment_id = get_or_create_experiment(store, experiment).experiment_id if experiment else None
    tags = {TAG_PROJECT: project.name, TAG_ENTRY: entry.name}
    run = begin_run(None, experiment_id, name, nested=True, tags=tags, store=store)
    run.log_params({key: Redactor().value(key, value) for key, value in values.items()})
    run.release().end("SCHEDULED")
    return run.run_id


def _environment(store: Store, run_id: str, is_notebook: bool) -> dict[str, str]:
    joined = {PARENT_ID: run_id} if is_notebook else {RUN_ID: run_id}
    mlflow = {"MLFLOW_TRACKING_URI": f"nbtrack://{Path(store.uri).as_posix()}", "MLFLOW_RUN_ID": run_id}
    return {"NBTRACK_TRACKING_URI": store.uri, **joined, **({} if is_notebook else mlflow)}


@contextlib.contextmanager
def _not_in_circles(project: Project, entry: EntryPoint) -> Iterator[str]:
    this = f"{project.folder.resolve()}#{entry.name}"
    around = [one for one in os.environ.get(GOING_ON, "").split("\n") if one]
    if this in around:
        chain = " → ".join(one.rpartition("#")[2] for one in [*around[around.index(this) :], this])
        raise PipelineError(f"run: {entry.name!r} of {project.name!r} runs itself ({chain}). Call another entry point.")
    yield "\n".join([*around, this])


def _program(
    store: Store, run_id: str, command: list[str], folder: Path, env: dict[str, str], output: IO[bytes] | None
) -> Launched:
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    try:
        child = subprocess.Popen(  # noqa: S603 - an argument list; running it is what was asked for
            command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        _end(store, run_id, "FAILED", {"error": {"type": type(error).__name__, "value": str(error)}})
        raise PipelineError(f"run: {command[0]!r} cannot be started: {error.strerror or error}.") from error
    tail = bytearray()
    reader = threading.Thread(target=_copy, args=(child.stdout, output, tail), daemon=True)
    reader.start()
    try:
        code = child.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired):  # Ctrl-C has reached it, too
            child.wait(10)
        child.kill()
        code = child.wait()
        _end(store, run_id, "KILLED", _told(bytes(tail), code))
        raise
    reader.join(5)
    status = "FINISHED" if code == 0 else "KILLED" if code < 0 else "FAILED"
    _end(store, run_id, status, _told(bytes(tail), code))
    return Launched(run_id, status, code)


def _copy(source: IO[bytes] | None, output: IO[bytes] | None, tail: bytearray) -> None:
    """Copy what a program prints, and keep the end of it."""
    assert source is not None  # noqa: S101 - asked for as a pipe
    with source:
        for line in source:
            tail += line
            del tail[: -2 * _TAIL]
            if output is not None:
                output.write(line)
                output.flush()


def _told(tail: bytes, code: int) -> dict[str, Any]:
    text = tail.decode("utf-8", "replace")[-_TAIL:]
    return {"stdout": Redactor().text(text), "exit_code": code}


def _end(store: Store, run_id: str, status: str, record: Mapping[str, Any]) -> None:
    """Add what the outside knows, and end the run; a program that was killed has left its own log open."""
    writer = store.resume_run(run_id)
    writer.log_capture(record)
    writer.end(status)  # type: ignore[arg-type]


def _prepared(entry: EntryPoint, values: Mapping[str, str]) -> NotebookNode:
    """Return the notebook of an entry point with its parameters; raises InvalidInputError if it cannot be run."""
    import nbformat

    from nbtrack.pipelines.injection import injected

    assert entry.file is not None  # noqa: S101 - asked by the caller
    try:
        notebook = nbformat.read(entry.file, as_version=4)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    except (ValueError, KeyError, AttributeError, nbformat.reader.NotJSONError) as error:
        raise InvalidInputError(f"run {entry.file}: is no notebook ({' '.join(str(error).split())[:200]}).") from error
    if not cells:
        raise InvalidInputError(f"run {entry.file}: the notebook has no code cell.")
    return injected(notebook, values)


def _notebook(store: Store, run_id: str, entry: EntryPoint, notebook: NotebookNode, env: Mapping[str, str]) -> Launched:
    import nbformat

    from nbtrack.pipelines.execution import Execution, execute_notebook

    assert entry.file is not None  # noqa: S101 - asked by the caller
    error: NotebookError | None = None
    status, code = "FINISHED", 0
    try:
        execute_notebook(Execution(notebook, entry.file.parent, (), None, answer="", timeout_s=None, env=env))
    except NotebookError as raised:
        error, status, code = raised, "FAILED", 1
    except BaseException:
        status = "KILLED"
        raise
    finally:
        writer = store.resume_run(run_id)
        writer.log_artifact(nbformat.writes(notebook).encode(), f"notebooks/{entry.file.name}")
        if error is not None:
            writer.log_capture({"error": {"type": "NotebookError", "value": Redactor().text(str(error))}})
        writer.end(status)  # type: ignore[arg-type]
    if error is not None:
        raise error
    return Launched(run_id, status, code)
