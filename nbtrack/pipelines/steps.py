"""Steps are functions; what one returns is what later ones may ask for by name."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeVar, overload

from nbtrack.errors import InvalidInputError
from nbtrack.names import check_run_name
from nbtrack.pipelines.keeping import Values, find, keep, key_of
from nbtrack.reprs.html import ACCENT, BAD, DIM, GOOD, box, dim, esc, table
from nbtrack.reprs.numbers import format_duration, short_id
from nbtrack.tracking import active_run, log_params, start_run
from nbtrack.tracking.location import store_for_writing

TAG_PIPELINE: Final = "nbtrack.pipeline"
TAG_STEP: Final = "nbtrack.step"
_SIGNS: Final = {"ran": ("✓", GOOD), "reused": ("↺", ACCENT), "failed": ("✗", BAD), "not run": ("○", DIM)}
_SIMPLE: Final = (str, int, float, bool, type(None))
_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step.

    `status` is ``"ran"``, ``"reused"`` (its code, params and inputs were those of an earlier run, `run_id`),
    ``"failed"`` or ``"not run"``. `inputs` tells for each argument which step returned it, ``""`` for a param;
    `not_kept` why a later pipeline cannot reuse it, empty if it can.
    """

    name: str
    status: str = "not run"
    run_id: str = ""
    seconds: float = 0.0
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    not_kept: str = ""


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What a pipeline did: its parent run, each step, and the values that the steps returned."""

    run_id: str
    steps: tuple[StepResult, ...]
    values: Mapping[str, Any]

    @property
    def step_run_ids(self) -> Mapping[str, str]:
        """Step name -> the run that did it, also where that was an earlier pipeline's."""
        return {step.name: step.run_id for step in self.steps}

    def __repr__(self) -> str:
        told = ", ".join(f"{step.name} {step.status}" for step in self.steps)
        return f"<PipelineResult {self.run_id}: {told}>"

    def _repr_html_(self) -> str:
        rows = []
        for step in self.steps:
            sign, colour = _SIGNS[step.status]
            status = f'<span style="color:{colour};white-space:nowrap">{sign} {step.status}</span>'
            takes = ", ".join(
                f"{esc(name, 40)} ← {esc(source or 'params', 40)}" for name, source in step.inputs.items()
            )
            note = dim(f"runs each time: {esc(step.not_kept, 160)}") if step.not_kept else ""
            told = [esc(step.name, 60), status, takes, esc(short_id(step.run_id)), note]
            rows.append([*told, format_duration(step.seconds)])
        return box(table(["step", "", "takes", "run", "", "time"], rows, left=5))


@overload
def step(function: _F) -> _F: ...


@overload
def step(*, name: str | None = None, reuse: bool = True) -> Callable[[_F], _F]: ...


def step(function: _F | None = None, *, name: str | None = None, reuse: bool = True) -> Any:
    """Name a function as a step of pipelines; it can still be called like any other.

    Parameters
    ----------
    function
        The function.
    name
        What the step is called; the function's own name if not given.
    reuse
        Whether a pipeline may take what an earlier one's step returned, if code, params and inputs are the same. Say no
        for a step that reads what may change elsewhere, such as a database.

    Examples
    --------
    >>> @step(name="train the model")
    ... def train(n_estimators):
    ...     return {"model": n_estimators}
    >>> step_name(train)
    'train the model'
    """

    def mark(marked: _F) -> _F:
        marked.__dict__["_nbtrack_step"] = check_run_name(name or marked.__name__)
        marked.__dict__["_nbtrack_reuse"] = reuse
        return marked

    return mark(function) if function is not None else mark


def step_name(function: Callable[..., Any]) -> str:
    """Return what a step is called."""
    marked: str | None = getattr(function, "_nbtrack_step", None)
    return marked or check_run_name(getattr(function, "__name__", type(function).__name__))


def run_pipeline(
    steps: Sequence[Callable[..., Any]],
    name: str = "pipeline",
    *,
    params: Mapping[str, Any] | None = None,
    force: bool | Sequence[str] = False,
) -> PipelineResult:
    """Run functions one after the other, each as a child run of one parent run.

    A step is called with those of its arguments, by name, that `params` gives or an earlier step returned. A step that
    returns a dict returns each of its values under its key; anything else is returned under the step's name. Simple
    arguments (text, numbers) become the params of the step's run.

    A step whose code, params and inputs are those of an earlier run is not run again: what it returned then is used. So
    a pipeline that failed goes on where it stopped when it is run again. The code is that of the function and of
    everything of yours that it refers to; a param that names a file stands for the file's content.

    Parameters
    ----------
    steps
        Functions, in order.
    name
        The name of the parent run.
    params
        Values that the steps may ask for; simple ones become params of the parent run.
    force
        Run all steps, or those of these names, even if nothing has changed.

    Returns
    -------
    PipelineResult
        With ``run_id``, ``steps``, ``step_run_ids`` (step name -> run id) and ``values``.

    Raises
    ------
    InvalidInputError
        Before anything runs: if there is no step, two share a name, or `force` names none of them. Before a step runs:
        if nobody gives one of its arguments; the parent run is then FAILED.
    Exception
        Whatever a step raises: its run and the parent are FAILED, later steps are not run.

    Examples
    --------
    >>> nbtrack.run_pipeline([train, evaluate], "wine", params={"n_estimators": 100})  # doctest: +SKIP
    """
    names = _checked_names(steps, force)
    values = Values(params or {})
    nested = active_run() is not None
    with start_run(run_name=name, nested=nested, tags={TAG_PIPELINE: " → ".join(names)}) as parent:
        log_params(_simple(params or {}))
        done = {called: StepResult(called) for called in names}
        for function, called in zip(steps, names, strict=True):
            forced = force is True or (not isinstance(force, bool) and called in force)
            try:
                _one(function, called, values, done, forced=forced)
            finally:
                parent.log_capture({"pipeline": {"steps": [asdict(one) for one in done.values()]}})
        return PipelineResult(parent.run_id, tuple(done.values()), values)


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
    if not isinstance(force, bool) and (unknown := [one for one in force if one not in names]):
        raise InvalidInputError(f"run_pipeline: force names {unknown!r}; the steps are {names!r}.")
    return names


def _one(
    function: Callable[..., Any], called: str, values: Values, done: dict[str, StepResult], *, forced: bool
) -> None:
    """Run one step, or take over what an earlier run of it returned."""
    asked = _asked(function, called, values)
    inputs = {name: values.origin[name] for name in asked}
    started = time.perf_counter()
    key, why = key_of(called, function, asked, values)
    if not getattr(function, "_nbtrack_reuse", True):
        key, why = "", "it is marked reuse=False"
    store = store_for_writing()
    if key and not forced and (found := find(store, key)) is not None:
        run_id, kept = found
        values.take(called, {}, kept)
        seconds = time.perf_counter() - started
        done[called] = StepResult(called, "reused", run_id, seconds, inputs, tuple(kept))
        return
    with start_run(run_name=called, nested=True, tags={TAG_STEP: called}) as child:
        done[called] = StepResult(called, "failed", child.run_id, 0.0, inputs)
        arguments = {name: values[name] for name in asked}
        log_params(_simple(arguments))
        result = function(**arguments)
        returned = result if isinstance(result, dict) else {called: result}
        kept, failed = keep(child, key, returned) if key else ({}, why)
        values.take(called, returned, kept)
    seconds = time.perf_counter() - started
    done[called] = StepResult(called, "ran", child.run_id, seconds, inputs, tuple(returned), failed)


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
