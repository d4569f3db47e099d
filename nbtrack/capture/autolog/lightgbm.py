"""lightgbm: the value of every metric on every data set after each round, params, importances.

A training asks its booster to evaluate itself after each round: to look on there is to see every training, whether of
``train`` or an estimator, without touching its arguments. ``cv`` is recorded as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from nbtrack.capture.autolog import hooks as looking
from nbtrack.capture.autolog.importance import keep_importance
from nbtrack.capture.autolog.runs import Watch, hook_run, started

if TYPE_CHECKING:
    from nbtrack.capture.autolog.hooks import Call, Hooks

NAME: Final = "lightgbm"


@dataclass(slots=True)
class _Training:
    watch: Watch
    prefix: str | None
    rounds: int = 0


def install(hooks: Hooks, lightgbm: Any) -> None:
    """Look on at boosters, and at ``cv``."""
    trainings: WeakKeyDictionary[Any, _Training] = WeakKeyDictionary()

    def made(args: tuple[Any, ...], kwargs: dict[str, Any], _: None) -> None:
        data = args[2] if len(args) > 2 else kwargs.get("train_set")
        watch = started(NAME) if data is not None else None
        if watch is None:
            return
        booster, recorder = args[0], watch.recorder
        trainings[booster] = _Training(watch, recorder.training(NAME))
        keep_importance(recorder, NAME, booster, _gains)
        if not looking.inside("sklearn"):  # there the estimator is the model
            recorder.found_params(args[1] if len(args) > 1 else kwargs.get("params") or {}, NAME)
            recorder.found_model(booster, _table(data))

    def updated(args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
        training = trainings.get(args[0])
        if training is not None:
            training.rounds += 1
            count, rounds = training.watch.recorder.trainings(NAME), f"{training.rounds} rounds"
            training.watch.recorder.say(NAME, rounds if count == 1 else f"{count} trainings, the last of {rounds}")

    def evaluated(args: tuple[Any, ...], kwargs: dict[str, Any], results: Any) -> None:
        training = trainings.get(args[0])
        if training is None or training.prefix is None or not training.rounds:
            return
        values = {f"{training.prefix}{one[0]}-{one[1]}": one[2] for one in results}
        if values:
            training.watch.recorder.metrics(values, training.rounds - 1)

    def freed(args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
        training = trainings.pop(args[0], None)  # the training is over: lightgbm lets go of its data
        if training is not None:
            training.watch.close()

    hooks.after(lightgbm.Booster, "__init__", made)
    hooks.after(lightgbm.Booster, "update", updated)
    hooks.after(lightgbm.Booster, "eval_train", evaluated)
    hooks.after(lightgbm.Booster, "eval_valid", evaluated)
    hooks.after(lightgbm.Booster, "free_dataset", freed)
    for owner in (lightgbm, lightgbm.engine):
        hook_run(hooks, owner, "train")
        hooks.around(owner, "cv", _begin_cv, _end_cv)


def _gains(booster: Any) -> dict[str, float]:
    gains = booster.feature_importance(importance_type="gain")
    return {name: float(gain) for name, gain in zip(booster.feature_name(), gains, strict=True) if gain > 0}


def _table(data: Any) -> Any:
    """Return the frame or array that a Dataset was made from, while lightgbm holds it."""
    table = getattr(data, "data", None)
    return table if hasattr(table, "shape") else None


def _begin_cv(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    watch = started(NAME)
    if watch is not None:
        watch.silence = looking.keep_quiet()
        watch.silence.__enter__()
        watch.recorder.found_params(args[0] if args else kwargs.get("params") or {}, NAME)
    return watch, args, kwargs


def _end_cv(watch: Watch | None, result: Any, error: BaseException | None) -> None:
    if watch is None:
        return
    if watch.silence is not None:
        watch.silence.__exit__(None, None, None)
    if error is None:
        recorder = watch.recorder
        prefix = recorder.training(NAME)
        curves = {key: values for key, values in result.items() if key.endswith("-mean") and isinstance(values, list)}
        rounds = max(map(len, curves.values()), default=0)
        recorder.say(NAME, f"cross-validation of {rounds} rounds")
        if prefix is not None:
            for step in range(rounds):
                recorder.metrics({f"{prefix}{key}": values[step] for key, values in curves.items()}, step)
    watch.close(error)
