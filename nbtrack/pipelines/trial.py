"""One trial of a sweep, in whatever process it runs: a run of its own under the sweep's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from nbtrack.errors import InvalidInputError
from nbtrack.store import Store, open_store
from nbtrack.tracking import begin_run
from nbtrack.tracking.run import status_of

TAG_TRIAL: Final = "nbtrack.trial"
_functions: dict[str, Callable[..., Any]] = {}  # what this process has unpacked, by digest
_stores: dict[str, Store] = {}


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a trial is to do; travels to the process that does it. `code` is the pickled function, `digest` its hash."""

    store_uri: str
    experiment_id: str
    parent_id: str
    name: str
    number: int
    params: Mapping[str, Any]
    metric: str
    digest: str
    code: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial. `value` is None if it failed, and `error` says why."""

    number: int
    run_id: str
    params: Mapping[str, Any]
    value: float | None
    error: str
    seconds: float


def run_trial(todo: Assignment) -> Outcome:
    """Call the function with the params of one trial, as a run; an exception of the function fails only that run."""
    started = time.perf_counter()
    store = _stores.get(todo.store_uri)
    if store is None:
        store = _stores[todo.store_uri] = open_store(todo.store_uri)
    run = begin_run(
        None,
        todo.experiment_id,
        f"{todo.name}-{todo.number}",
        nested=True,
        parent_run_id=todo.parent_id,
        tags={TAG_TRIAL: todo.number},
        store=store,
    )
    value, error = None, ""
    try:
        with run:
            run.log_params(todo.params)
            value = _measured(_function(todo)(**todo.params), todo.metric, run)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    except BaseException as raised:
        if status_of(raised) == "KILLED":
            raise
        error = repr(raised)
    return Outcome(todo.number, run.run_id, todo.params, value, error, time.perf_counter() - started)


@contextmanager
def packed(function: Callable[..., Any], pool: Executor) -> Iterator[tuple[str, bytes]]:
    """Give digest and pickle of a function; for threads the function itself is kept, and the pickle is empty.

    Raises
    ------
    InvalidInputError
        If it cannot be sent to another process.
    """
    if isinstance(pool, ThreadPoolExecutor):
        digest = f"threads {id(function)} {time.monotonic_ns()}"
        _functions[digest] = function
        try:
            yield digest, b""
        finally:
            del _functions[digest]
        return
    import cloudpickle

    try:
        code = cloudpickle.dumps(function)
    except Exception as error:
        raise InvalidInputError(
            f"sweep: the function cannot be sent to another process ({error}). Make what it needs inside it, or pass"
            " executor='threads'."
        ) from error
    yield sha256(code).hexdigest(), code


def _function(todo: Assignment) -> Callable[..., Any]:
    function = _functions.get(todo.digest)
    if function is None:
        import cloudpickle

        function = _functions[todo.digest] = cloudpickle.loads(todo.code)
    return function


def _measured(returned: Any, metric: str, run: Any) -> float:
    """Log what the function returned and return the value of `metric`; raises InvalidInputError if there is none."""
    if isinstance(returned, Mapping):
        run.log_metrics(returned)
    elif returned is not None:
        run.log_metric(metric, returned)
    found = run.summaries().get(metric)
    if found is None:
        raise InvalidInputError(
            f"sweep: the trial neither returned nor logged the metric {metric!r}; it has"
            f" {', '.join(map(repr, run.summaries())) or 'none'}. Return a number or {{{metric!r}: value}}, or log it."
        )
    return float(found.last)
