"""Steps are functions; what one returns is what later ones may ask for by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, overload

from nbtrack.errors import InvalidInputError
from nbtrack.names import check_run_name
from nbtrack.tracking import ActiveRun, active_run, log_params, start_run

TAG_PIPELINE: Final = "nbtrack.pipeline"
TAG_STEP: Final = "nbtrack.step"
_SIMPLE: Final = (str, int, float, bool, type(None))
_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What a pipeline did: its parent run, the run of each step, and the values that the steps returned."""

    run_id: str
    step_run_ids: Mapping[str, str]
    values: Mapping[str, Any]


@overload
def step(function: _F) -> _F: ...


@overload
def step(*, name: str) -> Callable[[_F], _F]: ...


def step(function: _F | None = None, *, name: str | None = None) -> Any:
    """Name a function as a step of pipelines; it can still be called like any other.

    Parameters
    ----------
    function
        The function.
    name
        What the step is called; the function's own name if not given.

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
        return marked

    return mark(function) if function is not None else mark


def step_name(function: Callable[..., Any]) -> str:
    """Return what a step is called."""
    marked: str | None = getattr(function, "_nbtrack_step", None)
    return marked or check_run_name(getattr(function, "__name__", type(function).__name__))


def run_pipeline(
    steps: Sequence[Callable[..., Any]], name: str = "pipeline", *, params: Mapping[str, Any] | None = None
) -> PipelineResult:
    """Run functions one after the other, each as a child run of one parent run.

    A step is called with those of its arguments, by name, that `params` gives or an earlier step returned. A step that
    returns a dict returns each of its values under its key; anything else is returned under the step's name. Simple
    arguments (text, numbers) become the params of the step's run.

    Parameters
    ----------
    steps
        Functions, in order.
    name
        The name of the parent run.
    params
        Values that the steps may ask for; simple ones become params of the parent run.

    Returns
    -------
    PipelineResult
        With ``run_id``, ``step_run_ids`` (step name -> run id) and ``values``.

    Raises
    ------
    InvalidInputError
        Before anything runs: if there is no step, or two share a name. Before a step runs: if nobody gives one of its
        arguments; the parent run is then FAILED.
    Exception
        Whatever a step raises: its run and the parent are FAILED, later steps are not run.

    Examples
    --------
    >>> nbtrack.run_pipeline([train, evaluate], "wine", params={"n_estimators": 100})  # doctest: +SKIP
    """
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
    values = dict(params or {})
    runs: dict[str, str] = {}
    nested = active_run() is not None
    with start_run(run_name=name, nested=nested, tags={TAG_PIPELINE: " → ".join(names)}) as parent:
        log_params(_simple(values))
        for function, called in zip(steps, names, strict=True):
            arguments = _arguments(function, called, values)
            with start_run(run_name=called, nested=True, tags={TAG_STEP: called}) as child:
                runs[called] = _run_id(child)
                log_params(_simple(arguments))
                returned = function(**arguments)
            values.update(returned if isinstance(returned, dict) else {called: returned})
        return PipelineResult(_run_id(parent), runs, values)


def _run_id(run: ActiveRun) -> str:
    return run.info.run_id


def _simple(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, _SIMPLE)}


def _arguments(function: Callable[..., Any], called: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `function` asks for; raises InvalidInputError if that is not there."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(values)
    wanted = [p for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    missing = [p.name for p in wanted if p.name not in values and p.default is p.empty]
    if missing:
        raise InvalidInputError(
            f"step {called!r}: nobody gives it {', '.join(map(repr, missing))}; there are:"
            f" {', '.join(map(repr, values)) or 'none'}. Return it from an earlier step as {{name: value}}, or"
            " pass it in params."
        )
    return {p.name: values[p.name] for p in wanted if p.name in values}
