"""Trials of a sweep, in whatever process they run: each a run of its own under the sweep's."""

from __future__ import annotations

import time
from collections import deque
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
_PORTION_S: Final = 0.1
_MOST: Final = 32
_functions: dict[str, Callable[..., Any]] = {}  # what this process has unpacked, by digest
_stores: dict[str, Store] = {}


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one call of an executor is to do: a few trials, one after the other. Travels to the process that does it.

    `trials` are pairs of number and params; `code` is the pickled function, `digest` its hash.
    """

    store_uri: str
    experiment_id: str
    parent_id: str
    name: str
    trials: tuple[tuple[int, Mapping[str, Any]], ...]
    metric: str
    digest: str
    code: bytes


class Portions:
    """How many trials go to an executor in one call: a call to a cluster costs more than a trial that takes a moment.

    Parameters
    ----------
    at_once
        How many calls run at once.
    left
        How many trials there are to do.
    learns
        Whether what is tried next depends on what came of the trials before: one at a time then.
    """

    def __init__(self, at_once: int, left: int, *, learns: bool) -> None:
        self.at_once, self._left, self._learns = at_once, left, learns
        self._seconds: deque[float] = deque(maxlen=4 * at_once)

    def size(self) -> int:
        """Return how many the next call is to do: what takes a tenth of a second, and leaves enough for all others."""
        if self._learns or not self._seconds:
            return 1
        quick = int(_PORTION_S / max(*self._seconds, 1e-6))
        return max(1, min(quick, _MOST, self._left // (4 * self.at_once)))

    def give(self, count: int) -> None:
        """Note that so many were handed out."""
        self._left -= count

    def see(self, seconds: float) -> None:
        """Note how long one took."""
        self._seconds.append(seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial. `value` is None if it failed, and `error` says why."""

    number: int
    run_id: str
    params: Mapping[str, Any]
    value: float | None
    error: str
    seconds: float


def run_trials(todo: Assignment) -> list[Outcome]:
    """Call the function with the params of each trial, as a run; an exception of the function fails only that run."""
    return [_run_trial(todo, number, params) for number, params in todo.trials]


def _run_trial(todo: Assignment, number: int, params: Mapping[str, Any]) -> Outcome:
    started = time.perf_counter()
    store = _stores.get(todo.store_uri)
    if store is None:
        store = _stores[todo.store_uri] = open_store(todo.store_uri)
    run = begin_run(
        None,
        todo.experiment_id,
        f"{todo.name}-{number}",
        nested=True,
        parent_run_id=todo.parent_id,
        tags={TAG_TRIAL: number},
        store=store,
    )
    value, error = None, ""
    try:
        with run:
            run.log_params(params)
            value = _measured(_function(todo)(**params), todo.metric, run)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    except BaseException as raised:
        if status_of(raised) == "KILLED":
            raise
        error = repr(raised)
    return Outcome(number, run.run_id, params, value, error, time.perf_counter() - started)


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
