"""A new metric for old runs: computed from the models they saved, on one data set that is pinned by its fingerprint."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nbtrack.entities import MANIFEST_NAME, Run
from nbtrack.errors import InvalidInputError, NbtrackError
from nbtrack.models import load_model
from nbtrack.names import check_key
from nbtrack.reprs.numbers import clean, format_number, plural, short_id
from nbtrack.store.lines import to_float
from nbtrack.tracking import get_store
from nbtrack.tracking.datasets import describe_dataset
from nbtrack.tracking.location import active_experiment_id

if TYPE_CHECKING:
    import pandas as pd

    from nbtrack.store import Store

CAPTURED: Final = "backfilled"


@dataclass(frozen=True, slots=True)
class Filled:
    """One run: the value that its model got, or the reason why there is none."""

    run_id: str
    run_name: str
    model: str
    value: float | None = None
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Backfill:
    """What a backfill did, or with `dry_run` would do.

    Attributes
    ----------
    metric, data : str
        What was computed, and the fingerprint of the data it was computed on.
    runs : tuple of Filled
        Every run with a model that lacked the metric on this data. In a dry run only the first has a value: it was
        tried, to know what the rest will take.
    known : int
        How many runs have the metric on this very data already.
    without_model : int
        How many runs saved no model, and are left out.
    expected_seconds : float
        What all of it takes, judging by the first.
    """

    metric: str
    data: str
    dry_run: bool
    runs: tuple[Filled, ...]
    known: int
    without_model: int
    expected_seconds: float

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame, a row a run: ``run_id``, ``run_name``, ``model``, the metric, ``error``, ``seconds``."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"run_id": r.run_id, "run_name": r.run_name, "model": r.model, self.metric: r.value, "error": r.error}
                | {"seconds": r.seconds}
                for r in self.runs
            ],
            columns=["run_id", "run_name", "model", self.metric, "error", "seconds"],
        )

    def __repr__(self) -> str:
        failed = [one for one in self.runs if one.error]
        rest = f" {plural(self.known, 'run')} had it already." if self.known else ""
        rest += f" {plural(self.without_model, 'run')} saved no model." if self.without_model else ""
        if self.dry_run:
            told = f"{self.metric} would be computed for {plural(len(self.runs), 'run')}"
            told += f" in about {self.expected_seconds:.1f} s.{rest} Pass dry_run=False to do it."
        else:
            told = f"{self.metric} computed for {plural(len(self.runs) - len(failed), 'run')}.{rest}"
        lines = [told, *(f"  {one.run_name} {short_id(one.run_id)}: {one.error}" for one in failed[:20])]
        lines += [
            f"  {one.run_name} {short_id(one.run_id)}: {format_number(one.value)}"
            for one in self.runs[:20]
            if one.value is not None
        ]
        return "\n".join(clean(line, 300) for line in lines)


def backfill(
    metric: str,
    score: Callable[[Any, Any], Any],
    data: Any,
    *,
    filter_string: str = "",
    experiment_ids: Sequence[str] | None = None,
    dry_run: bool = True,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Backfill:
    """Compute a metric for past runs from their saved models, all on the same data.

    The values are added to the runs, marked as backfilled, with the fingerprint of the data. A run that has the metric
    on this very data is left alone, so a backfill that was stopped goes on where it was.

    Parameters
    ----------
    metric
        The key of the metric.
    score
        Called as ``score(model, data)``; returns one number. An exception costs only that run.
    data
        Handed to `score`, and told by its content: a DataFrame, an array, or the path of a file.
    filter_string, experiment_ids
        Which runs, as for `search_runs`; without ids the active experiment, or all where none was set.
    dry_run
        Only tell which runs, and how long it takes, after trying the first.
    force
        Compute it again also where the run has it.
    progress
        Told ``(done, total)`` after each run.

    Raises
    ------
    InvalidInputError
        If the key or the data cannot be used, or a run logged the metric by itself: its own values are never replaced.
    """
    check_key(metric, "metric key")
    if not callable(score):
        raise InvalidInputError(f"backfill: expected a function of model and data, got {type(score).__name__}.")
    store = get_store()
    digest = describe_dataset(data).digest
    if experiment_ids is None and (active := active_experiment_id(store)) is not None:
        experiment_ids = [active]
    todo: list[tuple[Run, str]] = []
    known = without_model = 0
    for found in store.search_runs(experiment_ids, filter_string, max_results=10**9):
        run = store.get_run(found.run_id)
        before = run.capture.get(CAPTURED, {}).get(metric)
        model = _model_of(run)
        if before is None and metric in run.data.metrics:
            raise InvalidInputError(
                f"backfill: run {run.run_id} logged {metric!r} itself. Choose another key,"
                " or leave the run out by filter_string."
            )
        if model is None:
            without_model += 1
        elif before is not None and before.get("data") == digest and not force:
            known += 1
        else:
            todo.append((run, model))
    filled = []
    for run, model in todo[:1] if dry_run else todo:
        filled.append(_fill(store, run, model, metric, score, data, digest, keep=not dry_run))
        if progress is not None:
            progress(len(filled), len(todo))
    expected = filled[0].seconds * len(todo) if filled else 0.0
    filled += [Filled(run.run_id, run.info.run_name, model) for run, model in todo[len(filled) :]]
    return Backfill(metric, digest, dry_run, tuple(filled), known, without_model, expected)


def _model_of(run: Run) -> str | None:
    """Return the path of the model that a run saved, the first if there are several."""
    folders = sorted(path.rpartition("/")[0] for path in run.artifacts if path.rpartition("/")[2] == MANIFEST_NAME)
    return folders[0] if folders else None


def _fill(
    store: Store,
    run: Run,
    model: str,
    metric: str,
    score: Callable[[Any, Any], Any],
    data: Any,
    digest: str,
    *,
    keep: bool,
) -> Filled:
    started = time.perf_counter()
    uri = f"runs:/{run.run_id}/{model}"
    try:
        value = to_float(metric, score(load_model(uri, store=store), data))
    except Exception as error:  # whatever the user's function or an old model raises
        told = str(error) if isinstance(error, NbtrackError) else f"{type(error).__name__}: {error}"
        return Filled(run.run_id, run.info.run_name, model, None, told, time.perf_counter() - started)
    if keep:
        marks: Mapping[str, Any] = {**run.capture.get(CAPTURED, {}), metric: {"data": digest, "model": uri}}
        store.edit_run(run.run_id, metrics={metric: value}, capture={CAPTURED: marks})
    return Filled(run.run_id, run.info.run_name, model, value, "", time.perf_counter() - started)
