"""Sweeps: one function, many params, each trial a run; in processes here, or on the cluster that the user has."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from nbtrack.errors import InvalidInputError, RunStateError
from nbtrack.pipelines.executors import crew
from nbtrack.pipelines.spaces import Listed, Method, Params, Source, Suggested, check_space, draws, grid
from nbtrack.pipelines.trial import TAG_TRIAL, Assignment, Outcome, Portions, packed, run_trials
from nbtrack.reprs.directions import Direction, better_direction
from nbtrack.reprs.html import BAD, box, esc, sparkline, table
from nbtrack.reprs.numbers import format_number, plural
from nbtrack.tracking import ActiveRun, active_run, get_run, start_run

if TYPE_CHECKING:
    import pandas as pd

TAG_SWEEP: Final = "nbtrack.sweep"
_METHODS: Final = ("grid", "random", "optuna")


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: its number, its run, the params it was given, the metric's value (None: it failed), and the error."""

    number: int
    run_id: str
    params: Mapping[str, Any]
    value: float | None
    error: str = ""


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Attributes
    ----------
    run_id : str
        The sweep's own run, the parent of all trials; ``sweep(…, resume=run_id)`` goes on with it.
    metric, direction : str
        What was compared, and whether ``"higher"`` or ``"lower"`` is better.
    trials : tuple of Trial
        All of them, by number.
    best : Trial or None
        The best one; None if all failed.
    """

    run_id: str
    metric: str
    direction: Direction
    trials: tuple[Trial, ...]
    best: Trial | None

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame, a row a trial, the best first: ``run_id``, the metric, ``error``, ``params.<key>``."""
        import pandas as pd

        rows = [
            {
                "run_id": t.run_id,
                self.metric: t.value,
                "error": t.error,
                **{f"params.{k}": v for k, v in t.params.items()},
            }
            for t in self.trials
        ]
        frame = pd.DataFrame(rows, index=pd.Index([t.number for t in self.trials], name="trial"))
        return frame.sort_values(self.metric, ascending=self.direction == "lower", kind="stable")

    def __repr__(self) -> str:
        failed = sum(t.value is None for t in self.trials)
        told = f"{len(self.trials)} trials" + (f", {failed} failed" if failed else "")
        if self.best is None:
            return f"<SweepResult {self.run_id}: {told}>"
        best = f"best {self.metric}={self.best.value:.6g} with {dict(self.best.params)}"
        return f"<SweepResult {self.run_id}: {told}; {best}>"

    def _repr_html_(self) -> str:
        better = max if self.direction == "higher" else min
        values = [t.value for t in self.trials if t.value is not None]
        so_far = list(itertools.accumulate(values, better))
        failed = len(self.trials) - len(values)
        head = f"<b>{plural(len(self.trials), 'trial')}</b>" + (f", {failed} failed" if failed else "")
        if self.best is None:
            return box(head, BAD)
        head += f" · best {esc(self.metric)} {format_number(self.best.value or 0.0)}"
        head += sparkline(so_far, f"best {self.metric} so far")
        good = [t for t in self.trials if t.value is not None]
        good.sort(key=lambda t: t.value or 0.0, reverse=self.direction == "higher")
        keys = list(self.best.params)
        rows = [
            [str(t.number), *(esc(t.params.get(key, ""), 30) for key in keys), format_number(t.value or 0.0)]
            for t in good[:5]
        ]
        return box(head + table(["trial", *(esc(key, 30) for key in keys), esc(self.metric, 40)], rows, left=1))


def sweep(
    function: Callable[..., Any],
    space: Mapping[str, Any],
    *,
    metric: str = "objective",
    direction: Direction | None = None,
    method: Method = "grid",
    trials: int | None = None,
    executor: Any = None,
    workers: int | None = None,
    seed: int = 0,
    name: str = "sweep",
    resume: str | None = None,
    progress: bool = True,
) -> SweepResult:
    """Call `function` with many params and find the best; each trial is a run, all under one parent run.

    Parameters
    ----------
    function
        Called with the params as keyword arguments. It returns the metric's value, or a dict of metrics, or logs it.
    space
        Argument -> what it may be: a list; for random draws and Optuna also ``(low, high)`` (whole numbers if both
        are), ``(low, high, "log")``, and for random draws a frozen scipy distribution.
    metric
        The metric to compare.
    direction : {"higher", "lower"}
        Which way it gets better; told from its name where that says so, as with ``accuracy`` and ``rmse``.
    method : {"grid", "random", "optuna"}
        Every combination; independent draws; or what Optuna suggests from the trials before.
    trials
        How many; a grid has as many as there are combinations.
    executor
        Where trials run: processes of this machine if not given; ``"threads"``, any ``concurrent.futures`` executor, a
        Dask ``Client``, a ``joblib.Parallel``, or the ``ray`` module. Its workers must see the store's folder.
    workers
        How many trials run at once.
    seed
        Of the draws, and of Optuna.
    name
        Of the parent run; trials are called ``name-0``, ``name-1``, …
    resume
        The run of a sweep over the same space that was stopped: trials that finished are kept, the rest is done.
    progress
        Show a bar on a terminal or in a notebook.

    Returns
    -------
    SweepResult

    Raises
    ------
    InvalidInputError
        Before anything runs: an unusable space, direction, executor or number of trials; or `resume` is another sweep.
    KeyboardInterrupt
        On Ctrl-C: the parent run is KILLED, and `resume` goes on with it.

    Examples
    --------
    >>> def train(depth, lr):
    ...     return 1 / (depth + lr)
    >>> nbtrack.sweep(train, {"depth": [1, 2], "lr": [0.1]}, direction="higher").best.params  # doctest: +SKIP
    {'depth': 1, 'lr': 0.1}
    """
    better = _direction(metric, direction)
    count = _check(function, space, method, trials)
    plan = sha256(
        repr((sorted(space), {k: repr(v) for k, v in space.items()}, method, seed, metric)).encode()
    ).hexdigest()
    with (
        crew(executor, workers) as (pool, at_once),
        packed(function, pool) as (digest, code),
        _parent(name, resume, plan, method, count, metric) as parent,
    ):
        done = _finished(parent, metric) if resume else {}
        source = _source(space, method, count, better, seed, done)
        uri, experiment_id = parent.store.uri, parent.info.experiment_id

        def start(trials: Sequence[tuple[int, Params]]) -> Future[list[Outcome]]:
            todo = Assignment(uri, experiment_id, parent.run_id, name, tuple(trials), metric, digest, code)
            return pool.submit(run_trials, todo)

        with _bar(progress, count, len(done)) as tell:
            portions = Portions(at_once, count - len(done), learns=method == "optuna")
            try:
                trials_done = _drive(start, source, portions, parent, metric, better, done, tell)
            except KeyboardInterrupt as stopped:
                stopped.add_note(f"sweep: stopped; the same call with resume={parent.run_id!r} goes on where it was.")
                raise
        if executor not in (None, "processes", "threads"):
            _trash_doubles(parent, trials_done)
        result = _result(parent.run_id, metric, better, trials_done)
        if result.best is not None:
            parent.set_tags({"nbtrack.best_run_id": result.best.run_id})
        return result


def _direction(metric: str, direction: str | None) -> Direction:
    found = direction or better_direction(metric)
    if found == "higher":
        return "higher"
    if found == "lower":
        return "lower"
    raise InvalidInputError(
        f"sweep: whether a higher or a lower {metric!r} is better cannot be told from its name, and direction is"
        f" {direction!r}. Pass direction='higher' or direction='lower'."
    )


def _check(function: Any, space: Any, method: str, trials: int | None) -> int:
    """Return how many trials there are to be; raises InvalidInputError for what cannot be done."""
    if not callable(function):
        raise InvalidInputError(f"sweep: expected a function, got {type(function).__name__} {function!r:.60}.")
    if method not in _METHODS:
        raise InvalidInputError(f"sweep: expected method {', '.join(_METHODS)}, got {method!r}.")
    if method == "optuna":
        try:
            import optuna  # noqa: F401
        except ImportError:
            raise InvalidInputError(
                "sweep: method='optuna' needs Optuna, which is not installed. Run: pip install optuna"
            ) from None
    check_space(space, method)
    if method == "grid":
        count, _ = grid(space)
        if trials is not None and trials < 1:
            raise InvalidInputError(f"sweep: expected at least one trial, got trials={trials!r}.")
        return count if trials is None else min(count, trials)
    if trials is None or trials < 1:
        raise InvalidInputError(f"sweep: method={method!r} needs a number of trials, got trials={trials!r}.")
    return trials


@contextmanager
def _parent(name: str, resume: str | None, plan: str, method: str, count: int, metric: str) -> Iterator[ActiveRun]:
    if resume is None:
        tags = {TAG_SWEEP: plan}
        with start_run(run_name=name, nested=active_run() is not None, tags=tags) as run:
            run.log_params({"method": method, "trials": count, "metric": metric})
            yield run
        return
    known = get_run(resume).data.tags.get(TAG_SWEEP)
    if known != plan:
        what = "is no sweep" if known is None else "is a sweep over another space, method, seed or metric"
        raise InvalidInputError(f"sweep: the run {resume} {what}. Resume with the arguments it was started with.")
    try:
        run = start_run(run_id=resume)
    except RunStateError as error:
        raise RunStateError(f"sweep: {resume} is still going on. Stop it there first. ({error})") from error
    with run:
        yield run


def _finished(parent: ActiveRun, metric: str) -> dict[int, Trial]:
    """Return the trials of an earlier part of this sweep that need not be done again."""
    found: dict[int, Trial] = {}
    filter_string = f"tags.`nbtrack.parent_run_id` = '{parent.run_id}' and status = 'FINISHED'"
    for run in parent.store.search_runs(filter_string=filter_string, max_results=10**9):
        number, value = run.data.tags.get(TAG_TRIAL, ""), run.data.metrics.get(metric)
        if number.isdigit() and value is not None:
            found[int(number)] = Trial(int(number), run.run_id, dict(run.data.params), value)
    return found


def _trash_doubles(parent: ActiveRun, done: Mapping[int, Trial]) -> None:
    """Move the runs of trials that were done twice to the trash: a cluster does again what a lost worker had done."""
    kept = {trial.run_id for trial in done.values()}
    filter_string = f"tags.`nbtrack.parent_run_id` = '{parent.run_id}' and status = 'FINISHED'"
    for run in parent.store.search_runs(filter_string=filter_string, max_results=10**9):
        if run.run_id not in kept and TAG_TRIAL in run.data.tags:
            parent.store.edit_run(run.run_id, deleted=True)


def _source(
    space: Mapping[str, Any], method: Method, count: int, better: Direction, seed: int, done: Mapping[int, Trial]
) -> Source:
    if method == "optuna":
        known = {n: (_typed(space, trial.params), trial.value) for n, trial in done.items() if trial.value is not None}
        return Suggested(space, count, better == "higher", seed, known)
    listed = grid(space)[1] if method == "grid" else draws(space, seed)
    return Listed(itertools.islice(listed, count), frozenset(done))


def _typed(space: Mapping[str, Any], texts: Mapping[str, Any]) -> Params:
    """Return params, which are kept as text, as the values they were."""
    found: Params = {}
    for key, choices in space.items():
        text = texts.get(key)
        if text is None:
            continue
        if (
            isinstance(choices, tuple)
            and len(choices) in (2, 3)
            and all(isinstance(c, (int, float)) for c in choices[:2])
        ):
            whole = all(isinstance(c, int) for c in choices[:2])
            found[key] = int(text) if whole else float(text)
        else:
            found[key] = next((choice for choice in choices if str(choice) == text), text)
    return found


def _drive(
    start: Callable[[Sequence[tuple[int, Params]]], Future[list[Outcome]]],
    source: Source,
    portions: Portions,
    parent: ActiveRun,
    metric: str,
    better: Direction,
    done: dict[int, Trial],
    tell: Callable[[int, float | None], None],
) -> dict[int, Trial]:
    """Keep the workers busy until there is nothing left to try."""
    found, best = dict(done), _best(done.values(), better)
    open_: set[Future[list[Outcome]]] = set()
    exhausted = False
    while True:
        while not exhausted and len(open_) < portions.at_once * 2:
            following = list(itertools.islice(iter(source.next, None), portions.size()))
            exhausted = not following
            if following:
                portions.give(len(following))
                open_.add(start(following))
        if not open_:
            return found
        ready, open_ = wait(open_, return_when=FIRST_COMPLETED)
        for outcome in itertools.chain.from_iterable(future.result() for future in ready):
            portions.see(outcome.seconds)
            trial = Trial(outcome.number, outcome.run_id, outcome.params, outcome.value, outcome.error)
            found[trial.number] = trial
            source.tell(trial.number, trial.value)
            best = _best([trial] if best is None else [best, trial], better)
            if best is not None and best.value is not None:
                parent.log_metric(f"best_{metric}", best.value, step=len(found))
            tell(len(found), None if best is None else best.value)


def _best(trials: Iterable[Trial], better: Direction) -> Trial | None:
    good = [trial for trial in trials if trial.value is not None and not math.isnan(trial.value)]
    if not good:
        return None
    sign = 1 if better == "higher" else -1
    return max(good, key=lambda trial: sign * (trial.value or 0.0))


def _result(run_id: str, metric: str, better: Direction, found: Mapping[int, Trial]) -> SweepResult:
    trials = tuple(found[number] for number in sorted(found))
    return SweepResult(run_id, metric, better, trials, _best(trials, better))


@contextmanager
def _bar(wanted: bool, total: int, done: int) -> Iterator[Callable[[int, float | None], None]]:
    """Show how far the sweep is, and the best value so far."""
    if not wanted or not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        yield lambda _done, _best: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("best –", total=total, completed=done)

        def tell(count: int, best: float | None) -> None:
            bar.update(task, completed=count, description="best –" if best is None else f"best {best:.6g}")

        yield tell
