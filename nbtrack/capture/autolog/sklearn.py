"""scikit-learn: estimators and pipelines, and the candidates of a search as child runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.autolog import hooks as looking
from nbtrack.capture.autolog.runs import Watch, started
from nbtrack.capture.params import changed_settings
from nbtrack.entities import TAG_PARENT

if TYPE_CHECKING:
    from nbtrack.capture.autolog.hooks import Call, Hooks
    from nbtrack.capture.autolog.recorder import Recorder

NAME: Final = "sklearn"
MAX_CHILDREN: Final = 100


def install(hooks: Hooks, sklearn: Any) -> None:
    """Look on at ``fit`` of all estimators."""
    from sklearn.base import BaseEstimator

    hooks.every_class(BaseEstimator, ("fit",), _begin, _end)


def _begin(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    estimator = args[0]
    data = args[1] if len(args) > 1 else kwargs.get("X")
    # what a search or an ensemble trains is a part of it; the one model of a pipeline is not
    has_parts = not {"estimator", "estimators", "base_estimator"}.isdisjoint(estimator.get_params(deep=False))
    watch = started(NAME, (estimator, data))
    if watch is not None and has_parts:
        watch.silence = looking.keep_quiet()
        watch.silence.__enter__()
    return watch, args, kwargs


def _end(watch: Watch | None, result: Any, error: BaseException | None) -> None:
    if watch is None:
        return
    if watch.silence is not None:
        watch.silence.__exit__(None, None, None)
    estimator, data = watch.what
    recorder = watch.recorder
    if error is None:
        recorder.training(NAME)
        recorder.found_model(estimator, data)
        count, name = recorder.trainings(NAME), type(estimator).__name__
        recorder.say(NAME, f"fit of {name}" if count == 1 else f"{count} fits, the last of {name}")
        if recorder.run.scope != "cell":  # a cell finds them by itself, with the names of its variables
            recorder.found_params(changed_settings(estimator), name)
        if isinstance(getattr(estimator, "cv_results_", None), dict):
            _search(recorder, estimator)
    watch.close(error)


def _search(recorder: Recorder, search: Any) -> None:
    results = search.cv_results_
    candidates = results["params"]
    if isinstance(getattr(search, "best_score_", None), float):
        recorder.results["best_cv_score"] = float(search.best_score_)
    kept = min(len(candidates), MAX_CHILDREN)
    beyond = f", {len(candidates) - kept} worse ones left out" if len(candidates) > kept else ""
    recorder.say(NAME, f"{type(search).__name__}, {len(candidates)} candidates as child runs{beyond}")
    recorder.later[f"search {recorder.trainings(NAME)}"] = lambda: _children(recorder, results, kept)


def _children(recorder: Recorder, results: dict[str, Any], kept: int) -> None:
    """Make a run of each candidate, the best ones if there are very many."""
    rank = next((results[key] for key in sorted(results) if key.startswith("rank_test_")), range(kept))
    best = sorted(sorted(range(len(results["params"])), key=lambda i: rank[i])[:kept])
    columns = [key for key in results if key.startswith(("mean_", "std_", "rank_test_")) and key != "std_score_time"]
    parent = recorder.run
    experiment_id = parent.experiment_id or parent.info.experiment_id
    for i in best:
        child = parent.store.create_run(experiment_id, f"candidate {i + 1}", tags={TAG_PARENT: parent.run_id})
        try:
            child.log_params(results["params"][i])
            child.log_metrics({key: float(results[key][i]) for key in columns})
        finally:
            child.end("FINISHED")
