"""xgboost: the value of every metric on every data set after each round, params, importances.

The callbacks of a training are in one container, which xgboost itself calls after each round: to look on there is to
see every training, whether of ``train``, ``cv`` or an estimator, without touching its arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from nbtrack.capture.autolog import hooks as looking
from nbtrack.capture.autolog.importance import keep_importance
from nbtrack.capture.autolog.runs import Watch, hook_run, started

if TYPE_CHECKING:
    from nbtrack.capture.autolog.hooks import Hooks

NAME: Final = "xgboost"


@dataclass(slots=True)
class _Training:
    watch: Watch
    prefix: str | None
    rounds: int = 0
    data: Any = None


def install(hooks: Hooks, xgboost: Any) -> None:
    """Look on at the container of callbacks, and at the params of boosters."""
    from xgboost.callback import CallbackContainer

    trainings: WeakKeyDictionary[Any, _Training] = WeakKeyDictionary()
    params: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()

    def made(args: tuple[Any, ...], kwargs: dict[str, Any], _: None) -> None:
        given = args[1] if len(args) > 1 else kwargs.get("params")
        if isinstance(given, (dict, list)):
            params[args[0]] = dict(given)

    def before(args: tuple[Any, ...], kwargs: dict[str, Any], model: Any) -> None:
        if (watch := started(NAME)) is None:
            return
        trainings[args[0]] = _Training(watch, watch.recorder.training(NAME))
        if not looking.inside("sklearn") and model in params:
            watch.recorder.found_params(params[model], NAME)

    def round_over(args: tuple[Any, ...], kwargs: dict[str, Any], stop: bool) -> None:
        container, training = args[0], trainings.get(args[0])
        if training is None:
            return
        epoch = args[2] if len(args) > 2 else kwargs["epoch"]
        training.rounds += 1
        if training.data is None and not container.is_cv:
            training.data = args[3] if len(args) > 3 else kwargs.get("dtrain")
        if training.prefix is None:
            return
        last = {f"{data}-{name}": v[-1] for data, metrics in container.history.items() for name, v in metrics.items()}
        values = {f"{training.prefix}{key}": v[0] if isinstance(v, tuple) else v for key, v in last.items()}
        training.watch.recorder.metrics(values, int(epoch))

    def over(args: tuple[Any, ...], kwargs: dict[str, Any], model: Any) -> None:
        training = trainings.pop(args[0], None)
        if training is None:
            return
        recorder = training.watch.recorder
        rounds = f"{training.rounds} round{'' if training.rounds == 1 else 's'}"
        count = recorder.trainings(NAME)
        recorder.say(NAME, rounds if count == 1 else f"{count} trainings, the last of {rounds}")
        if not args[0].is_cv:
            best = getattr(model, "best_iteration", None) if model.attr("best_iteration") else None
            if best is not None:
                recorder.metrics({"best_iteration": best, "best_score": model.best_score})
            keep_importance(recorder, NAME, model, lambda booster: booster.get_score(importance_type="gain"))
            if not looking.inside("sklearn"):  # there the estimator is the model
                recorder.found_model(model, _first_rows(training.data))
        training.watch.close()

    for owner in (xgboost, xgboost.training):
        hook_run(hooks, owner, "train")
        hook_run(hooks, owner, "cv")
    hooks.after(xgboost.Booster, "__init__", made)
    hooks.after(CallbackContainer, "before_training", before)
    hooks.after(CallbackContainer, "after_iteration", round_over)
    hooks.after(CallbackContainer, "after_training", over)


def _first_rows(data: Any, rows: int = 5) -> Any:
    """Return the first rows of a DMatrix as a frame; None where they cannot be had."""
    import numpy as np
    import pandas as pd

    if data is None or type(data).__name__ != "DMatrix" or data.num_row() < rows:
        return None
    part = data.slice(list(range(rows))).get_data().tocoo()
    dense = np.full((rows, data.num_col()), np.nan)
    dense[part.row, part.col] = part.data  # what is missing is not in there
    names = data.feature_names
    return pd.DataFrame(dense, columns=names) if names else dense
