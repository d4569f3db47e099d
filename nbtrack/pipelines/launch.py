"""Runs a project's entry point, a script or a notebook as one run of the store, and keeps what it printed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from nbtrack.errors import InvalidInputError, MissingLibraryError, NotebookError, PipelineError
from nbtrack.pipelines.environments import wrapped
from nbtrack.pipelines.projects import EntryPoint, Project, command_of, read_project, values_of
from nbtrack.tracking import begin_run
from nbtrack.tracking.joined import PARENT_ID, RUN_ID
from nbtrack.tracking.location import get_or_create_experiment, store_for_writing
from nbtrack.tracking.redaction import Redactor

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from nbtrack.entities import Status
    from nbtrack.pipelines.execution import Conductor
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
    force: bool | Sequence[str] = False,
) -> Launched:
    """Run an entry point of a project, a script, or a notebook, as one run; return when it has ended.

    What the program itself logs with nbtrack, or with MLflow where that is installed, goes to the same run; tracked
    cells of a notebook become its children, and those that are steps are reused while nothing they depend on changes.

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
    force
        Run all steps of a notebook, or those of these names, even if nothing has changed.

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
    conductor = None
    if is_notebook(entry) and entry.file is not None:
        from nbtrack.pipelines.cells import Cells, steps_of

        conductor = Cells(steps_of(read_notebook(entry.file)), force)
    tags = conductor.tags() if conductor is not None else None
    launch = Launch(project, entry, given, env_manager=env_manager, tags=tags, conductor=conductor)
    return launch.run(experiment_name, run_name or entry.name, output)


class Launch:
    """One entry point with its parameters, checked and ready to run.

    Parameters
    ----------
    project, entry, given, env_manager
        As for :func:`run_project`.
    lines
        Lines of Python that give a notebook further values.
    tags
        Further tags of the run.
    conductor
        Who follows a notebook's cells.

    Raises
    ------
    InvalidInputError
        If a parameter is missing or wrong, or an environment cannot be honoured.
    """

    def __init__(
        self,
        project: Project,
        entry: EntryPoint,
        given: Mapping[str, str],
        *,
        env_manager: str = "local",
        lines: Sequence[str] = (),
        tags: Mapping[str, Any] | None = None,
        conductor: Conductor | None = None,
    ) -> None:
        if env_manager not in ENV_MANAGERS:
            raise InvalidInputError(f"run: expected env_manager {' or '.join(ENV_MANAGERS)}, got {env_manager!r}.")
        values = values_of(entry, given, project.folder)
        self.project, self.entry, self.conductor = project, entry, conductor
        self.told = {**values, **given}  # paths as they were given
        self.tags = {TAG_PROJECT: project.name, TAG_ENTRY: entry.name, **(tags or {})}
        self.notebook = _prepared(entry, values, lines) if is_notebook(entry) else None
        command = [] if self.notebook is not None else command_of(entry, values, "python", posix=os.name != "nt")
        self.command = wrapped(command, project, env_manager)

    def run(self, experiment: str | None, run_name: str, output: IO[bytes] | None = None) -> Launched:
        """Run it and return when it has ended.

        Raises
        ------
        NotebookError
            If a cell fails, or the kernel does; `nbtrack_run_id` of the error is the run.
        PipelineError
            If the program cannot be started, or calls itself by way of its own entry point.
        """
        store = store_for_writing()
        with _not_in_circles(self.project, self.entry) as going_on:
            run_id = self._begin(store, experiment, run_name)
            env = {**os.environ, **_environment(store, run_id, self.notebook is not None), GOING_ON: going_on}
            if self.notebook is not None:
                return _notebook(store, run_id, self.entry, self.notebook, env, self.conductor)
            return _program(store, run_id, self.command, self.project.folder, env, output)

    def _begin(self, store: Store, experiment: str | None, name: str) -> str:
        """Start the run, log its params, and let go of it, so that the program can go on with it."""
        experiment_id = get_or_create_experiment(store, experiment).experiment_id if experiment else None
        run = begin_run(None, experiment_id, name, nested=True, tags=self.tags, store=store)
        run.log_params({key: Redactor().value(key, value) for key, value in self.told.items()})
        run.release().end("SCHEDULED")
        return run.run_id


def is_notebook(entry: EntryPoint) -> bool:
    """Whether an entry point is a notebook."""
    return entry.file is not None and entry.file.suffix == ".ipynb"


def _environment(store: Store, run_id: str, is_notebook: bool) -> dict[str, str]:
    joined = {PARENT_ID: run_id} if is_notebook else {RUN_ID: run_id}
    mlflow = {"MLFLOW_TRACKING_URI": f"nbtrack://{Path(store.uri).as_posix()}", "MLFLOW_RUN_ID": run_id}
    if "://" in store.uri:  # a team's server, where the run gets an id of its own later on
        mlflow = {"MLFLOW_TRACKING_URI": store.uri}
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
    env.setdefault("PYTHONUNBUFFERED", "1")  # what a program said before it was killed is not lost
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


def read_notebook(file: Path) -> NotebookNode:
    """Return a notebook that has code in it; raises InvalidInputError if there is none, or it is damaged."""
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
        import nbformat
    except ImportError as error:
        raise MissingLibraryError(
            f"run {file}: a notebook needs {error.name}, which is not installed. Run: pip install 'nbtrack[lab]'"
        ) from None
    try:
        notebook = nbformat.read(file, as_version=4)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        language = str(notebook.metadata.get("kernelspec", {}).get("language") or "python")
    except OSError as error:
        raise InvalidInputError(f"run {file}: cannot be read ({error.strerror or error}).") from error
    except (ValueError, KeyError, AttributeError, TypeError, nbformat.reader.NotJSONError) as error:
        raise InvalidInputError(f"run {file}: is no notebook ({' '.join(str(error).split())[:200]}).") from error
    if not cells:
        raise InvalidInputError(f"run {file}: the notebook has no code cell.")
    if language.lower() not in {"python", "ipython"}:
        raise InvalidInputError(f"run {file}: expected a notebook in Python, got one in {language!r:.40}.")
    return notebook


def _prepared(entry: EntryPoint, values: Mapping[str, str], lines: Sequence[str]) -> NotebookNode:
    """Return the notebook of an entry point with its parameters; raises InvalidInputError if it cannot be run."""
    from nbtrack.pipelines.injection import injected

    assert entry.file is not None  # noqa: S101 - asked by the caller
    return injected(read_notebook(entry.file), values, lines)


def _notebook(
    store: Store,
    run_id: str,
    entry: EntryPoint,
    notebook: NotebookNode,
    env: Mapping[str, str],
    conductor: Conductor | None,
) -> Launched:
    import nbformat

    from nbtrack.pipelines.execution import Execution, execute_notebook

    assert entry.file is not None  # noqa: S101 - asked by the caller
    status: Status = "FINISHED"
    record: dict[str, Any] = {}
    folder = entry.file.absolute().parent
    try:
        execute_notebook(Execution(notebook, folder, (), None, answer="", timeout_s=None, env=env, conductor=conductor))
    except NotebookError as error:
        status, record = "FAILED", {"error": {"type": "NotebookError", "value": Redactor().text(str(error))}}
        error.nbtrack_run_id = run_id  # type: ignore[attr-defined]
        raise
    except BaseException:
        status = "KILLED"
        raise
    finally:
        writer = store.resume_run(run_id)
        writer.log_artifact(nbformat.writes(notebook).encode(), f"notebooks/{entry.file.name}")
        record |= conductor.record() if conductor is not None else {}
        if record:
            writer.log_capture(record)
        writer.end(status)
    return Launched(run_id, status, 0)
