"""Optuna: each trial as a child run, with what its objective trains in it; the best value so far, live."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.autolog.hooks import anew, bound, guarded
from nbtrack.capture.autolog.recorder import Recorder, open_recorder
from nbtrack.capture.autolog.runs import Watch, started
from nbtrack.tracking import begin_run, stack

if TYPE_CHECKING:
    from nbtrack.capture.autolog.hooks import Call, Hooks
    from nbtrack.tracking import ActiveRun

NAME: Final = "optuna"
MAX_CHILDREN: Final = 500
TAG_STATE: Final = "optuna.state"


class _Trials:
    """The trials of one call of ``optimize``, of whatever thread."""

    def __init__(self, study: Any, recorder: Recorder) -> None:
        self.recorder = recorder
        self.count = 0
        self._down = [direction.name == "MINIMIZE" for direction in study.directions]
        self._best: float | None = None
        self._lock = threading.Lock()

    def begin(self, trial: Any) -> ActiveRun | None:
        with self._lock:
            self.count += 1
            if self.count > MAX_CHILDREN:
                return None
        parent = self.recorder.run
        name = f"trial {trial.number}"
        run = begin_run(None, parent.experiment_id, name, True, parent.run_id, store=parent.store)
        # a model of each trial would cost more than most trials: the best params are there to fit it again
        recorder = open_recorder(run, lambda part: part != "model" and self.recorder.wants(part))
        run.before_end.append(recorder.close)
        return run

    def end(self, run: ActiveRun | None, trial: Any, value: Any, error: BaseException | None) -> None:
        pruned = type(error).__name__ == "TrialPruned"
        if run is not None:
            try:
                run.log_params({k: v for k, v in trial.params.items() if k not in run.logged_params})
                if error is None:
                    run.log_metrics(self._named(value))
                run.set_tag(TAG_STATE, "PRUNED" if pruned else "FAIL" if error is not None else "COMPLETE")
            finally:
                run.end("FINISHED" if error is None or pruned else "FAILED")
        if error is None:
            self._improve(trial, value)

    def _named(self, value: Any) -> dict[str, float]:
        values = [float(one) for one in value] if isinstance(value, (list, tuple)) else [float(value)]
        return {"value": values[0]} if len(values) == 1 else {f"value_{i}": one for i, one in enumerate(values)}

    def _improve(self, trial: Any, value: Any) -> None:
        named = self._named(value)
        with self._lock:
            self.recorder.metrics(named, trial.number)
            if len(named) > 1:
                return
            found = named["value"]
            if self._best is None or (found < self._best if self._down[0] else found > self._best):
                self._best = found
            self.recorder.metrics({"best_value": self._best}, trial.number)


def install(hooks: Hooks, optuna: Any) -> None:
    """Look on at ``Study.optimize``, through the objective that it is given."""
    hooks.around(optuna.study.Study, "optimize", _begin, _end)
    hooks.after(optuna.trial.Trial, "report", _reported)


def _begin(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    call = bound(original, args, kwargs)
    watch = started(NAME) if call is not None else None
    if call is None or watch is None:
        return None
    given, study = call.arguments, args[0]
    watch.what = study, (trials := _Trials(study, watch.recorder))
    watch.recorder.training(NAME)
    settings = {key: given[key] for key in ("n_trials", "timeout") if given.get(key) is not None}
    settings |= {"sampler": type(study.sampler).__name__, "pruner": type(study.pruner).__name__}
    watch.recorder.found_params(settings, NAME)
    given["func"] = _in_run_of_its_own(given["func"], trials)
    return watch, call.args, call.kwargs


def _in_run_of_its_own(objective: Callable[[Any], Any], trials: _Trials) -> Callable[[Any], Any]:
    @functools.wraps(objective, updated=())
    def call(trial: Any) -> Any:
        __tracebackhide__ = True
        run = guarded(NAME, lambda: trials.begin(trial))
        try:
            with anew():
                value = objective(trial)
        except BaseException as error:
            raised = error
            guarded(NAME, lambda: trials.end(run, trial, None, raised))
            raise
        guarded(NAME, lambda: trials.end(run, trial, value, None))
        return value

    return call


def _reported(args: tuple[Any, ...], kwargs: dict[str, Any], _: None) -> None:
    run = stack.current()
    value = args[1] if len(args) > 1 else kwargs["value"]
    step = args[2] if len(args) > 2 else kwargs["step"]
    if run is not None:
        run.log_metric("intermediate_value", value, int(step))


def _end(watch: Watch | None, result: Any, error: BaseException | None) -> None:
    if watch is None:
        return
    study, trials = watch.what
    recorder = watch.recorder
    recorder.say(NAME, f"{trials.count} trial{'' if trials.count == 1 else 's'} as child runs")
    if trials.count > MAX_CHILDREN:
        recorder.say(NAME, f"{trials.count} trials, the first {MAX_CHILDREN} as child runs")
    if len(study.directions) == 1:
        best = guarded(NAME, lambda: study.best_trial) if recorder.run.logged_metrics & {"best_value"} else None
        if best is not None:
            recorder.found_params({f"best__{name}": value for name, value in best.params.items()}, NAME)
    watch.close(error)
