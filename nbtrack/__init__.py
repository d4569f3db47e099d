"""nbtrack: the notebook is the experiment tracker, the model registry and the model server.

::

    %load_ext nbtrack

    %%track
    model = RandomForestClassifier(n_estimators=100).fit(X_train, y_train)
    accuracy = model.score(X_test, y_test)

Every public name is resolved when it is first used, so ``import nbtrack`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbtrack._version import __version__ as __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbtrack.capture.autolog import autolog
    from nbtrack.capture.differences import diff
    from nbtrack.capture.libraries import (
        keras,
        lightgbm,
        lightning,
        onnx,
        optuna,
        pyfunc,
        pytorch,
        sklearn,
        statsmodels,
        xgboost,
    )
    from nbtrack.capture.lineage import lineage
    from nbtrack.magics import load
    from nbtrack.models import infer_signature, load_model, log_model, predict, save_model, select_best
    from nbtrack.pipelines import run_pipeline, step, sweep
    from nbtrack.pipelines.backfilling import backfill
    from nbtrack.pipelines.declared import pipeline
    from nbtrack.pipelines.launch import run_project
    from nbtrack.pipelines.reproduce import reproduce
    from nbtrack.pipelines.retraining import retrain_all
    from nbtrack.registry import (
        Client,
        approve,
        get_model,
        history,
        list_models,
        promote,
        register_model,
        set_alias,
        set_gates,
        set_line,
        set_policy,
        set_stages,
        undo,
    )
    from nbtrack.serving import ModelServer, serve
    from nbtrack.tracking import (
        ActiveRun,
        active_run,
        alert,
        create_experiment,
        delete_run,
        delete_tag,
        end_run,
        get_experiment,
        get_experiment_by_name,
        get_metric_history,
        get_run,
        get_tracking_uri,
        last_active_run,
        log_artifact,
        log_artifacts,
        log_dict,
        log_figure,
        log_image,
        log_input,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        log_table,
        log_text,
        restore_run,
        search_runs,
        set_experiment,
        set_tag,
        set_tags,
        set_tracking_uri,
        start_run,
    )
    from nbtrack.tracking.plotting import plot
    from nbtrack.tracking.reading import download_artifacts, list_artifacts, load_dict, load_table, load_text
    from nbtrack.widget import compare
    from nbtrack.wire import report

# Which room each public name lives in; the imports above say the same to type checkers.
_ROOMS = {
    "capture.autolog": "autolog",
    "capture.differences": "diff",
    "capture.lineage": "lineage",
    "capture.libraries": "keras lightgbm lightning onnx optuna pyfunc pytorch sklearn statsmodels xgboost",
    "magics": "load",
    "models": "infer_signature load_model log_model predict save_model select_best",
    "pipelines": "run_pipeline step sweep",
    "pipelines.backfilling": "backfill",
    "pipelines.declared": "pipeline",
    "pipelines.launch": "run_project",
    "pipelines.reproduce": "reproduce",
    "pipelines.retraining": "retrain_all",
    "registry": """Client approve get_model history list_models promote register_model set_alias set_gates set_line
        set_policy set_stages undo""",
    "serving": "ModelServer serve",
    "tracking": """ActiveRun active_run alert create_experiment delete_run delete_tag end_run get_experiment
        get_experiment_by_name get_metric_history get_run get_tracking_uri last_active_run log_artifact log_artifacts
        log_dict log_figure log_image log_input log_metric log_metrics log_param log_params log_table log_text
        restore_run search_runs set_experiment set_tag set_tags set_tracking_uri start_run""",
    "tracking.plotting": "plot",
    "tracking.reading": "download_artifacts list_artifacts load_dict load_table load_text",
    "widget": "compare",
    "wire": "report",
}
_HOME = {name: f"nbtrack.{room}" for room, names in _ROOMS.items() for name in names.split()}

__all__ = [
    "ActiveRun",
    "Client",
    "ModelServer",
    "active_run",
    "alert",
    "approve",
    "autolog",
    "backfill",
    "compare",
    "create_experiment",
    "delete_run",
    "delete_tag",
    "diff",
    "download_artifacts",
    "end_run",
    "get_experiment",
    "get_experiment_by_name",
    "get_metric_history",
    "get_model",
    "get_run",
    "get_tracking_uri",
    "history",
    "infer_signature",
    "keras",
    "last_active_run",
    "lightgbm",
    "lightning",
    "lineage",
    "list_artifacts",
    "list_models",
    "load",
    "load_dict",
    "load_model",
    "load_table",
    "load_text",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_image",
    "log_input",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "onnx",
    "optuna",
    "pipeline",
    "plot",
    "predict",
    "promote",
    "pyfunc",
    "pytorch",
    "register_model",
    "report",
    "reproduce",
    "restore_run",
    "retrain_all",
    "run_pipeline",
    "run_project",
    "save_model",
    "search_runs",
    "select_best",
    "serve",
    "set_alias",
    "set_experiment",
    "set_gates",
    "set_line",
    "set_policy",
    "set_stages",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "sklearn",
    "start_run",
    "statsmodels",
    "step",
    "sweep",
    "undo",
    "xgboost",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'nbtrack' has no attribute {name!r}")
    module = import_module(home)
    value = getattr(module, name) if hasattr(module, name) else import_module(f"{home}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Make ``%load_ext nbtrack`` work: adds ``%%track``, ``%track`` and ``%nbtrack`` to this notebook."""
    from nbtrack.magics import load_ipython_extension as load_magics

    load_magics(ipython)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Make ``%unload_ext nbtrack`` work: takes the magics and hooks away again."""
    from nbtrack.magics import unload_ipython_extension as unload_magics

    unload_magics(ipython)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "lab/labextension", "dest": "nbtrack"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "nbtrack.lab"}]
