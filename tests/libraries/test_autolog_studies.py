"""autolog of Optuna and statsmodels."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nbtrack
from nbtrack.tracking import get_store
from tests.capture.conftest import notebook, workdir  # noqa: F401 - fixtures
from tests.libraries.conftest import curve, library, said

optuna = library("optuna")
sm = library("statsmodels.api")
xgboost = library("xgboost")


@pytest.fixture
def ready(notebook):  # noqa: F811
    notebook.ok(
        "import numpy as np, pandas as pd, nbtrack, optuna, xgboost as xgb, statsmodels.api as sm\n"
        "import statsmodels.formula.api as smf\noptuna.logging.set_verbosity(optuna.logging.WARNING)\n"
        "rng = np.random.default_rng(0)\nX = pd.DataFrame(rng.normal(size=(80, 2)), columns=['a', 'b'])\n"
        "y = 2 * X.a - X.b + rng.normal(size=80) / 10"
    )
    return notebook


def family(notebook):  # noqa: F811
    """The run of the last study, and its trials in order."""
    runs = notebook.runs
    parent = next(run for run in reversed(runs) if not run.info.run_name.startswith("trial "))
    return parent, [run for run in runs if run.data.tags.get("nbtrack.parent_run_id") == parent.run_id]


@pytest.mark.parametrize("jobs", [1, 2])
def test_trials_are_child_runs_with_what_trains_in_them(ready, jobs):
    ready.ok(
        "%%track\nd = xgb.DMatrix(X, y)\ndef objective(trial):\n"
        "    depth = trial.suggest_int('depth', 1, 3)\n    eta = trial.suggest_float('eta', 0.1, 1.0)\n"
        "    kept = {}\n"
        "    xgb.train({'max_depth': depth, 'eta': eta, 'nthread': 1}, d, 4, evals=[(d, 'train')], evals_result=kept,"
        " verbose_eval=False)\n"
        "    return kept['train']['rmse'][-1]\n"
        "study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))\n"
        f"study.optimize(objective, n_trials=5, n_jobs={jobs})"
    )
    parent, children = family(ready)
    study = ready.names["study"]
    assert len(children) == 5
    for trial in study.trials:
        (child,) = [one for one in children if one.info.run_name == f"trial {trial.number}"]
        assert {
            "depth": str(trial.params["depth"]),
            "eta": str(trial.params["eta"]),
        }.items() <= child.data.params.items()
        assert child.data.metrics["value"] == trial.value
        assert set(child.artifacts) == {"xgboost/importance.json"}
        assert curve(child, "train-rmse")[1][-1] == trial.value
        assert (child.info.status, child.data.tags["optuna.state"]) == ("FINISHED", "COMPLETE")
    assert "train-rmse" not in parent.data.metrics
    assert parent.data.metrics["best_value"] == study.best_value
    assert len(curve(parent, "value")[0]) == 5
    assert parent.data.params["best__depth"] == str(study.best_params["depth"])
    assert {"n_trials": "5", "sampler": "RandomSampler"}.items() <= parent.data.params.items()
    assert said(parent, "optuna") == ["optuna: 5 trials as child runs"]
    assert "func" not in parent.data.params


def test_pruned_and_failed_trials_say_so_and_errors_pass(ready):
    before = vars(optuna.study.Study)["optimize"], vars(optuna.trial.Trial)["report"]
    ready.ok(
        "%%track\ndef objective(trial):\n"
        "    for step in range(3):\n        trial.report(float(step), step)\n"
        "    if trial.number == 1:\n        raise optuna.TrialPruned\n"
        "    if trial.number == 2:\n        raise ValueError('mine')\n"
        "    return 1.0\n"
        "study = optuna.create_study(direction='maximize')\nstudy.optimize(objective, n_trials=4, catch=ValueError)"
    )
    _, children = family(ready)
    states = {one.info.run_name: (one.info.status, one.data.tags["optuna.state"]) for one in children}
    assert states == {
        "trial 0": ("FINISHED", "COMPLETE"),
        "trial 1": ("FINISHED", "PRUNED"),
        "trial 2": ("FAILED", "FAIL"),
        "trial 3": ("FINISHED", "COMPLETE"),
    }
    assert [str(t.state.name) for t in ready.names["study"].trials] == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]
    assert curve(children[0], "intermediate_value") == ([0, 1, 2], [0.0, 1.0, 2.0])
    result = ready.run("%%track\nstudy.optimize(objective_that_fails := lambda trial: 1 / 0, n_trials=1)")
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert (vars(optuna.study.Study)["optimize"], vars(optuna.trial.Trial)["report"]) == before


def test_several_objectives_have_a_metric_each(ready):
    ready.ok(
        "%%track\nstudy = optuna.create_study(directions=['minimize', 'maximize'])\n"
        "study.optimize(lambda t: (t.suggest_float('x', 0, 1), 2.0), n_trials=2)"
    )
    _, children = family(ready)
    assert [set(child.data.metrics) for child in children] == [{"value_0", "value_1"}] * 2


# -- statsmodels -------------------------------------------------------------------------------------------------------
def test_linear_model_gives_its_fit_coefficients_and_summary(ready):
    before = vars(sm.OLS).get("fit")
    ready.ok("%%track\nresults = sm.OLS(y, sm.add_constant(X)).fit()")
    run, results = ready.last, ready.names["results"]
    assert run.data.metrics["rsquared"] == pytest.approx(results.rsquared)
    assert {"aic", "bic", "llf", "nobs", "f_pvalue"} <= set(run.data.metrics)
    assert run.data.params["model"] == "OLS"
    table = json.loads(get_store().read_blob(run.artifacts["statsmodels/coefficients.json"].digest))["coefficients"]
    assert [row["name"] for row in table] == ["const", "a", "b"]
    assert [row["coefficient"] for row in table] == pytest.approx(results.params.tolist())
    assert b"OLS Regression Results" in get_store().read_blob(run.artifacts["statsmodels/summary.txt"].digest)
    assert said(run, "statsmodels") == ["statsmodels: fit of OLS"]
    (shown,) = run.capture["models"]
    assert (shown["variable"], shown["columns"]) == ("results", 3)
    assert vars(sm.OLS).get("fit") is before


def test_formula_binary_and_time_series_models(ready):
    ready.ok("%%track\nf = smf.ols('y ~ a + np.abs(b)', X.assign(y=y)).fit()")
    run = ready.last
    assert run.data.params["formula"] == "y ~ a + np.abs(b)"
    loaded = nbtrack.load_model(f"runs:/{run.run_id}/model")
    assert np.allclose(loaded.predict(ready.names["X"]), ready.names["f"].predict(ready.names["X"]))
    ready.ok("%%track\nlogit = sm.Logit((y > 0).astype(int), sm.add_constant(X)).fit(disp=0)")
    assert 0 < ready.last.data.metrics["prsquared"] <= 1
    assert said(ready.last, "statsmodels") == ["statsmodels: fit of Logit"]
    ready.ok("%%track\narima = sm.tsa.ARIMA(np.cumsum(y.to_numpy()), order=(1, 0, 0)).fit()")
    assert said(ready.last, "statsmodels") == ["statsmodels: fit of ARIMA"]
    assert "aic" in ready.last.data.metrics
