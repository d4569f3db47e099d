"""The functions one calls: each works on the run that is active here, and starts one where there is none."""

from __future__ import annotations

import atexit
import functools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from nbtrack.entities import TAG_NOTE, TAG_PARENT, TAG_SOURCE, TAG_USER, Run, Status
from nbtrack.errors import RunStateError
from nbtrack.names import check_run_id, check_run_name
from nbtrack.tracking import joined, pending, stack
from nbtrack.tracking.location import experiment_id_for_new_run, store_for_writing
from nbtrack.tracking.run import ActiveRun, decorated
from nbtrack.tracking.user import user_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.entities import DatasetInput
    from nbtrack.store.base import Store

_MAYBE_SECRET: Final = re.compile(r"(?i)[a-z]*\d[a-z0-9]{7}|[a-z0-9]{7,}\d|pass|pwd|secret|credential|key|tok|://|@")
_last_run: tuple[Store, str] | None = None
_notebook: Path | None = None
_runs_here = stack.here.get


def set_source(path: Path | None) -> None:
    """Remember which notebook this process runs; new runs name it as their source."""
    global _notebook  # noqa: PLW0603 - a kernel runs one notebook
    _notebook = path


def _without_secrets(path: str) -> str:
    """Return a path without what looks like a key. Few paths could hold one: only for them the shapes are loaded."""
    if _MAYBE_SECRET.search(path) is None:
        return path
    from nbtrack.tracking.redaction import redact

    return redact(path)


def source_tag(store: Store, path: Path | None = None) -> str | None:
    """Return the notebook or script that runs here (or `path`), relative to the folder that holds the store."""
    path = path or _notebook
    if path is None:
        session = os.environ.get("JPY_SESSION_NAME", "")
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        if session.endswith(".ipynb"):
            path = Path(session)
        elif script and not script.startswith("<") and "ipykernel" not in script and not hasattr(sys, "ps1"):
            path = Path(script)
    if path is None:
        return None
    try:
        if "://" in store.uri:  # a server, which has no folder that the user knows
            return _without_secrets(path.absolute().as_posix())
        return _without_secrets(Path(os.path.relpath(path.absolute(), Path(store.uri).parent)).as_posix())
    except (ValueError, OSError):  # another drive, or a store that is no folder
        return _without_secrets(path.as_posix())


def begin_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    *,
    scope: Literal["block", "cell"] = "block",
    store: Store | None = None,
) -> ActiveRun:
    """Start a run and make it the active one: what :func:`start_run` does, for the rooms above."""
    global _last_run  # noqa: PLW0603
    store = store or store_for_writing()
    around = stack.current() if nested or scope == "block" else None
    own = stack.current(inherited=False)
    if own is not None and not nested and scope == "block":
        if own.scope != "cell":
            raise RunStateError(
                f"start_run: the run {own.run_id} is still active here. end_run() ends it; nested=True starts this one"
                " inside it."
            )
        nested, around = True, own  # a run inside a tracked cell is a part of what the cell does
    if run_id is None and around is None and parent_run_id is None:
        run_id, parent_run_id = joined.take_run_id() if scope == "block" else None, joined.parent_id()
    if run_id is not None:
        writer = store.resume_run(check_run_id(run_id))
        if run_name is not None:
            writer.set_name(check_run_name(run_name))
        if tags:
            writer.set_tags(tags)
    else:
        if run_name is not None:
            check_run_name(run_name)
        all_tags = dict(tags or {})
        if parent_run_id is None and nested and around is not None:
            parent_run_id = around.run_id
        if parent_run_id is not None:
            all_tags[TAG_PARENT] = check_run_id(parent_run_id)
        if description:
            all_tags[TAG_NOTE] = description
        if user := user_name():
            all_tags.setdefault(TAG_USER, user)
        if TAG_SOURCE not in all_tags and (source := source_tag(store)) is not None:
            all_tags[TAG_SOURCE] = source
        parent_experiment = None
        if experiment_id is None and nested and around is not None and around.store is store:
            parent_experiment = around.experiment_id
        chosen = parent_experiment or experiment_id_for_new_run(store, experiment_id)
        writer = store.create_run(chosen, run_name, tags=all_tags)
    run = ActiveRun(store, writer, scope=scope)
    if run_id is None:
        run.experiment_id = chosen
    stack.push(run, shared=scope == "cell")
    _last_run = (store, run.run_id)
    return run


_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def start_run(run_id: _F) -> _F: ...


@overload
def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> ActiveRun: ...


def start_run(
    run_id: str | Callable[..., Any] | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> Any:
    """Start a run and make it the active one, or go on with an ended one.

    Use it as a context manager (the run ends with the block: FINISHED, FAILED on an exception, KILLED on Ctrl-C), on
    its own (``end_run`` ends it), or as a decorator, with or without arguments (each call of the function is a run).

    Parameters
    ----------
    run_id
        Go on with this run instead of starting a new one.
    experiment_id
        Where the run belongs; the experiment chosen by `set_experiment`, or the default one, if not given.
    run_name
        1 to 250 characters; a readable one is made up if not given.
    nested
        Start it as a child of the run that is active here. Inside a tracked cell that is so anyway.
    parent_run_id
        The parent, where it is not the run that is active here.
    tags
        Key -> value.
    description
        A note for people.

    Raises
    ------
    RunStateError
        If a run is active here and `nested` is false, or the run to go on with is still live.

    Examples
    --------
    >>> import nbtrack
    >>> with nbtrack.start_run(run_name="baseline") as run:  # doctest: +SKIP
    ...     nbtrack.log_metric("accuracy", 0.9)
    """
    arguments = (experiment_id, run_name, nested, parent_run_id, tags, description)
    if callable(run_id):
        return decorated(run_id, functools.partial(begin_run, None, *arguments))
    run = begin_run(run_id, *arguments)
    if run_id is None:
        run.recreate = functools.partial(begin_run, None, *arguments)
    return run


def active_run() -> ActiveRun | None:
    """Return the run that is active here: in this thread, task or tracked cell; None if there is none."""
    return stack.current()


def last_active_run() -> Run | None:
    """Return the run that is active, or else the one started last in this process, as the store knows it."""
    run = stack.current()
    if run is not None:
        return run.store.get_run(run.run_id)
    if _last_run is None:
        return None
    store, run_id = _last_run
    pending.wait(run_id)
    return store.get_run(run_id)


def end_run(status: str = "FINISHED") -> None:
    """End the active run, if there is one, as FINISHED, FAILED or KILLED; a tracked cell ends its run itself."""
    run = stack.current()
    if run is not None and run.scope != "cell":
        run.end(status)


def _run() -> ActiveRun:
    return stack.current() or begin_run()


def log_param(key: str, value: Any) -> Any:
    """Set one param of the active run, once; return `value`."""
    return _run().log_param(key, value)


def log_params(params: Mapping[str, Any]) -> None:
    """Set params of the active run, as text."""
    _run().log_params(params)


def log_metric(key: str, value: Any, step: int | None = None, timestamp: int | None = None) -> None:
    """Append one value of a metric of the active run; see :meth:`ActiveRun.log_metric`."""
    if (append := stack.sole) is not None:  # the usual case, without a detour
        append(key, value, step, timestamp)
    elif (here := _runs_here()) and (entry := here[-1]) is stack.newest:
        entry.append(key, value, step, timestamp)
    else:
        (stack.current() or begin_run()).log_metric(key, value, step, timestamp)


def log_metrics(metrics: Mapping[str, Any], step: int | None = None, timestamp: int | None = None) -> None:
    """Append one value of each metric of the active run, all at the same step."""
    _run().log_metrics(metrics, step, timestamp)


def alert(title: str, text: str = "", level: str = "warn", wait_s: float = 60.0) -> None:
    """Ask for attention to the active run; see :meth:`ActiveRun.alert`.

    Parameters
    ----------
    title
        What happened, in a few words.
    text
        What there is to say about it.
    level
        ``"info"``, ``"warn"`` or ``"error"``.
    wait_s
        Seconds in which the same title is only counted.

    Examples
    --------
    >>> if loss != loss:  # doctest: +SKIP
    ...     nbtrack.alert("loss is NaN", f"learning rate {lr}", level="error")
    """
    _run().alert(title, text, level, wait_s)


def set_tag(key: str, value: Any) -> None:
    """Set one tag of the active run, as text; later wins."""
    _run().set_tag(key, value)


def set_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the active run, as text; later wins."""
    _run().set_tags(tags)


def delete_tag(key: str) -> None:
    """Remove a tag of the active run."""
    _run().delete_tag(key)


def log_artifact(local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
    """Store a file or folder with the active run, in its folder `artifact_path`."""
    _run().log_artifact(local_path, artifact_path)


def log_artifacts(local_dir: str | os.PathLike[str], artifact_path: str | None = None) -> None:
    """Store all files of a folder with the active run, in its folder `artifact_path`."""
    _run().log_artifacts(local_dir, artifact_path)


def log_text(text: str, artifact_file: str) -> None:
    """Store text as a file of the active run."""
    _run().log_text(text, artifact_file)


def log_dict(dictionary: Any, artifact_file: str) -> None:
    """Store a dict or list as a JSON or YAML file of the active run."""
    _run().log_dict(dictionary, artifact_file)


def log_figure(figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None) -> None:
    """Store a matplotlib, plotly or altair figure as a file of the active run."""
    _run().log_figure(figure, artifact_file, save_kwargs=save_kwargs)


def log_image(image: Any, artifact_file: str | None = None, key: str | None = None, step: int | None = None) -> None:
    """Store an image, or one of a series, as a file of the active run."""
    _run().log_image(image, artifact_file, key, step)


def log_table(data: Any, artifact_file: str) -> None:
    """Store a table as a JSON file of the active run, after the rows already there."""
    _run().log_table(data, artifact_file)


def log_input(
    dataset: Any, context: str | None = None, tags: Mapping[str, str] | None = None, *, name: str | None = None
) -> DatasetInput:
    """Record the data that the active run reads: its content hash, shape, columns and types."""
    return _run().log_input(dataset, context, tags, name=name)


def _seal_forgotten_runs() -> None:
    """End what is still open when Python exits, and say of it what is true.

    A run whose block or cell never got to its end was KILLED; one that nobody ended is FAILED if the program died of
    an exception, else FINISHED. Those of a forked parent are the parent's affair.
    """
    pending.wait(timeout_s=10.0)
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    interactive = "IPython" in sys.modules and hasattr(sys.modules["IPython"], "get_ipython")
    for run in reversed(stack.open_runs()):
        status: Status = "FINISHED"
        if run.entered or run.scope == "cell":
            status = "KILLED"
        elif error is not None and not (interactive and sys.modules["IPython"].get_ipython() is not None):
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        try:
            run.end(status)
        except Exception as failure:  # the store may be gone by now; the other runs still want their end
            sys.stderr.write(f"nbtrack: the run {run.run_id} could not be ended: {failure}\n")


atexit.register(_seal_forgotten_runs)
