"""Steps are functions, notebooks, scripts and entry points; what one returns is what later ones may ask for by name."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from nbtrack.errors import InvalidInputError
from nbtrack.names import check_run_name
from nbtrack.pipelines.board import Board
from nbtrack.pipelines.cells import check_force, has_steps, run_cells
from nbtrack.pipelines.file_steps import FileStep, as_file_step
from nbtrack.pipelines.keeping import TAG_STEP, Values, find, keep, key_of
from nbtrack.pipelines.results import TAG_PIPELINE, PipelineResult, StepResult, Steps, Watch
from nbtrack.tracking import ActiveRun, active_run, begin_run, log_params, start_run
from nbtrack.tracking.location import store_for_writing, working_in

_SIMPLE: Final = (str, int, float, bool, type(None))
_F = TypeVar("_F", bound=Callable[..., Any])
Step = Callable[..., Any] | str | os.PathLike[str]


@overload
def step(function: _F) -> _F: ...


@overload
def step(function: str | os.PathLike[str], **options: Any) -> FileStep: ...


@overload
def step(*, name: str | None = None, reuse: bool = True, store: str | Path | None = None) -> Callable[[_F], _F]: ...


def step(
    function: _F | str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    reuse: bool = True,
    store: str | Path | None = None,
    **options: Any,
) -> Any:
    """Name a function as a step of pipelines, which can still be called like any other; or make one of a file.

    Parameters
    ----------
    function
        The function; or a notebook, a script, or a folder with an ``MLproject`` file.
    name
        What the step is called; the function's own name, or the file's, if not given.
    reuse
        Whether a pipeline may take what an earlier one's step returned, if code, params and inputs are the same. Say no
        for a step that reads what may change elsewhere, such as a database.
    store
        The store for what the step logs, such as one for tuning only; that of the pipeline if not given.
    **options
        For a file: see :class:`~nbtrack.pipelines.file_steps.FileStep`.

    Examples
    --------
    >>> @step(name="train the model")
    ... def train(n_estimators):
    ...     return {"model": n_estimators}
    >>> step_name(train)
    'train the model'
    >>> nbtrack.step("train.ipynb", returns=["model"])  # doctest: +SKIP
    """
    if isinstance(function, (str, os.PathLike)):
        return FileStep(function, name=name, reuse=reuse, store=store, **options)
    if options:
        raise InvalidInputError(
            f"step: {next(iter(options))!r} is an option of files; this is a function."
            " What it returns goes by the keys of a dict, else by the name of the step."
        )

    def mark(marked: _F) -> _F:
        marked.__dict__["_nbtrack_step"] = check_run_name(name or marked.__name__)
        marked.__dict__["_nbtrack_reuse"] = reuse
        marked.__dict__["_nbtrack_store"] = None if store is None else str(store)
        return marked

    return mark(function) if function is not None else mark


def step_name(function: Callable[..., Any]) -> str:
    """Return what a step is called."""
    marked: str | None = getattr(function, "_nbtrack_step", None)
    return marked or check_run_name(getattr(function, "__name__", type(function).__name__))


def run_pipeline(
    steps: Sequence[Step] | str | os.PathLike[str],
    name: str | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    force: bool | Sequence[str] = False,
    tags: Mapping[str, Any] | None = None,
    progress: bool = True,
    watch: Watch | None = None,
) -> PipelineResult:
    """Run steps one after the other, each as a child run of one parent run.

    A function is called with those of its arguments, by name, that `params` gives or an earlier step returned. A step
    that returns a dict returns each of its values under its key; anything else is returned under the step's name.
    Simple arguments (text, numbers) become the params of the step's run. Notebooks, scripts and entry points are steps
    too: :func:`step` tells how they are given values and what they return. Of a single notebook, the cells that begin
    with ``%%track --step NAME`` are the steps: it runs in a kernel of its own, and later cells use what they leave.

    A step whose code, params and inputs are those of an earlier run is not run again: what it returned then is used. So
    a pipeline that failed goes on where it stopped when it is run again. The code is that of the function and of
    everything of yours that it refers to; a param that names a file stands for the file's content.

    Parameters
    ----------
    steps
        Functions and files, in order; or one notebook.
    name
        The name of the parent run; ``pipeline``, or the notebook's, if not given.
    params
        Values that the steps may ask for; simple ones become params of the parent run.
    force
        Run all steps, or those of these names, even if nothing has changed.
    tags
        Tags of the parent run.
    progress
        Show how far it is, in a notebook or on a terminal.
    watch
        Called with what is known of a step whenever that changes.

    Returns
    -------
    PipelineResult
        With ``run_id``, ``steps``, ``step_run_ids`` (step name -> run id) and ``values``.

    Raises
    ------
    InvalidInputError
        Before anything runs: if there is no step, two share a name, or `force` names none of them. Before a step runs:
        if nobody gives one of its arguments; the parent run is then FAILED.
    NotebookError
        If a cell of a notebook fails, or its kernel does not start or dies.
    PipelineError
        If a script ends with an exit code that is not 0.
    Exception
        Whatever a step raises: its run and the parent are FAILED, later steps are not run.

    Examples
    --------
    >>> nbtrack.run_pipeline([train, evaluate], "wine", params={"n_estimators": 100})  # doctest: +SKIP
    >>> nbtrack.run_pipeline("wine.ipynb", params={"n_estimators": 100}, force=["train"])  # doctest: +SKIP
    """
    if isinstance(steps, (str, os.PathLike)):
        if has_steps(steps):
            return run_cells(steps, name, params=params, force=force, tags=tags, progress=progress, watch=watch)
        name, steps = name or Path(steps).stem, [steps]
    made = [as_file_step(one) if isinstance(one, (str, os.PathLike)) else one for one in steps]
    names = _checked_names(made, force)
    values = Values(params or {})
    nested = active_run() is not None
    all_tags = {TAG_PIPELINE: " → ".join(names), **(tags or {})}
    done = {called: StepResult(called) for called in names}
    with (
        start_run(run_name=name or "pipeline", nested=nested, tags=all_tags) as parent,
        Board(Steps(done), wanted=progress) as board,
    ):
        log_params(_simple(params or {}))

        def tell(one: StepResult) -> None:
            done[one.name] = one
            parent.log_capture({"pipeline": {"steps": [asdict(each) for each in done.values()]}})
            board.update()
            if watch is not None:
                watch(one)

        for function, called in zip(made, names, strict=True):
            forced = force is True or (not isinstance(force, bool) and called in force)
            with working_in(getattr(function, "_nbtrack_store", None)):
                _one(function, called, values, tell, parent, forced=forced)
    return PipelineResult(parent.run_id, tuple(done.values()), values, board.shown_in)


def _checked_names(steps: Sequence[Callable[..., Any]], force: bool | Sequence[str]) -> list[str]:
    names = [step_name(function) for function in steps]
    if not names:
        raise InvalidInputError(
            "run_pipeline: expected at least one step, got none. Pass the functions in their order."
        )
    if twice := {found for found in names if names.count(found) > 1}:
        raise InvalidInputError(
            f"run_pipeline: expected steps with different names, got {sorted(twice)!r} more than once."
            " Name them with @nbtrack.step(name=…)."
        )
    check_force(names, force)
    return names


def _one(
    function: Callable[..., Any], called: str, values: Values, tell: Watch, parent: ActiveRun, *, forced: bool
) -> None:
    """Run one step, or take over what an earlier run of it returned."""
    started = time.perf_counter()
    store = store_for_writing()
    place = "" if store.uri == parent.store.uri else store.uri
    asked = _asked(function, called, values)
    inputs = {name: values.origin[name] for name in asked}
    tell(StepResult(called, "running", "", 0.0, inputs, store=place))
    key, why = key_of(called, function, asked, values)
    if not getattr(function, "_nbtrack_reuse", True):
        key, why = "", "it is marked reuse=False"
    if key and not forced and (found := find(store, key)) is not None:
        run_id, kept = found
        values.take(called, {}, kept)
        seconds = time.perf_counter() - started
        tell(StepResult(called, "reused", run_id, seconds, inputs, tuple(kept), store=place))
        return
    run_id = ""
    try:
        if isinstance(function, FileStep):
            run_id, outputs, why = function.run(called, {name: values[name] for name in asked}, values, key, why)
            values.take(called, {}, outputs)
            returned = tuple(outputs)
        else:
            with begin_run(None, None, called, nested=True, tags={TAG_STEP: called}, store=store) as child:
                run_id = child.run_id
                tell(StepResult(called, "running", run_id, 0.0, inputs, store=place))
                arguments = {name: values[name] for name in asked}
                log_params(_simple(arguments))
                result = function(**arguments)
                given = result if isinstance(result, dict) else {called: result}
                kept, why = keep(child, key, given) if key else ({}, why)
                values.take(called, given, kept)
                returned = tuple(given)
    except BaseException as error:
        run_id = getattr(error, "nbtrack_run_id", run_id)
        tell(StepResult(called, "failed", run_id, time.perf_counter() - started, inputs, store=place))
        raise
    tell(StepResult(called, "ran", run_id, time.perf_counter() - started, inputs, returned, why, place))


def _simple(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, _SIMPLE)}


def _asked(function: Callable[..., Any], called: str, values: Values) -> list[str]:
    """Return the names of what `function` asks for and there is; raises InvalidInputError if something is not there."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return list(values)
    wanted = [p for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    missing = [p.name for p in wanted if p.name not in values.origin and p.default is p.empty]
    if missing:
        raise InvalidInputError(
            f"step {called!r}: nobody gives it {', '.join(map(repr, missing))}; there are:"
            f" {', '.join(map(repr, values)) or 'none'}. Return it from an earlier step as {{name: value}}, or"
            " pass it in params."
        )
    return [p.name for p in wanted if p.name in values.origin]
