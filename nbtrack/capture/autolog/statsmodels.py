"""statsmodels: what was fitted and how, how well it fits, coefficients, the summary, the results."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.autolog.runs import Watch, started

if TYPE_CHECKING:
    from types import FrameType

    from nbtrack.capture.autolog.hooks import Call, Hooks
    from nbtrack.capture.autolog.recorder import Recorder

NAME: Final = "statsmodels"
_STATISTICS: Final = (
    *("rsquared", "rsquared_adj", "prsquared", "fvalue", "f_pvalue", "llf", "aic", "bic", "deviance", "pearson_chi2"),
    *("llr_pvalue", "nobs", "mse_resid"),
)


def install(hooks: Hooks, base: Any) -> None:
    """Look on at ``fit`` of all models."""
    hooks.every_class(base.Model, ("fit", "fit_regularized"), _begin, _end)


def _begin(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return None if _asked_by_itself() else started(NAME, args[0]), args, kwargs


def _asked_by_itself() -> bool:
    """Return whether the library fits for its own purposes: the null model of a pseudo R², an inflation factor."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("nbtrack.capture.autolog"):
        frame = frame.f_back
    return frame is not None and str(frame.f_globals.get("__name__", "")).startswith("statsmodels.")


def _end(watch: Watch | None, result: Any, error: BaseException | None) -> None:
    if watch is None:
        return
    recorder, model = watch.recorder, watch.what
    if error is None and hasattr(result, "params"):
        prefix = recorder.training(NAME)
        params = {"model": type(model).__name__, "formula": getattr(model, "formula", None)}
        robust = getattr(result, "cov_type", None)
        params |= {"cov_type": robust if robust != "nonrobust" else None}
        recorder.found_params(params, NAME)
        if prefix is not None:
            recorder.metrics({f"{prefix}{name}": value for name, value in _statistics(result).items()})
        count, name = recorder.trainings(NAME), type(model).__name__
        recorder.say(NAME, f"fit of {name}" if count == 1 else f"{count} fits, the last of {name}")
        recorder.found_model(result, _inputs(model))
        recorder.later[NAME] = lambda: _tables(recorder, result)
    watch.close(error)


def _statistics(result: Any) -> dict[str, float]:
    """Return what the results say of themselves; some of it is not defined for some models."""
    found = {}
    for name in _STATISTICS:
        try:
            value = float(getattr(result, name))
        except (AttributeError, TypeError, ValueError, NotImplementedError):
            continue
        if math.isfinite(value):
            found[name] = value
    return found


def _inputs(model: Any) -> Any:
    """Return the table that a new prediction would need the columns of."""
    frame = getattr(model.data, "frame", None)
    if getattr(model, "formula", None) and frame is not None:
        ends = str(model.formula).partition("~")[0].strip()
        return frame[[name for name in frame.columns if name != ends]]
    return getattr(model.data, "orig_exog", None)


def _tables(recorder: Recorder, result: Any) -> None:
    import numpy as np

    names = list(map(str, getattr(result.model, "param_names", None) or result.model.exog_names))
    columns = {"coefficient": result.params, "std_error": result.bse, "p_value": result.pvalues}
    rows = {key: [float(one) for one in np.ravel(np.asarray(values))] for key, values in columns.items()}
    table = [{"name": name, **{key: values[i] for key, values in rows.items()}} for i, name in enumerate(names)]
    recorder.run.log_dict({"coefficients": table}, f"{NAME}/coefficients.json")
    recorder.run.log_text(str(result.summary()), f"{NAME}/summary.txt")
