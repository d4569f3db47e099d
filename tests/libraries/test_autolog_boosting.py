"""autolog of xgboost and lightgbm: a curve of each metric on each data set, params, importances, the model."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nbtrack
from nbtrack.tracking import get_store
from tests.capture.conftest import notebook, workdir  # noqa: F401 - fixtures
from tests.libraries.conftest import curve, library, said

xgboost = library("xgboost")
lightgbm = library("lightgbm")

SETUP = """
import numpy as np, pandas as pd, xgboost as xgb, lightgbm as lgb
rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
y = (X.a + X.b > 0).astype(int)
"""


@pytest.fixture
def ready(notebook):  # noqa: F811
    notebook.ok(SETUP)
    return notebook


def test_xgboost_train_gives_live_curves_params_importances_and_the_booster(ready):
    ready.ok(
        "%%track\n"
        "dtrain, dtest = xgb.DMatrix(X[:200], y[:200]), xgb.DMatrix(X[200:], y[200:])\n"
        "params = {'max_depth': 2, 'eta': 0.3, 'objective': 'binary:logistic', 'eval_metric': ['logloss', 'error']}\n"
        "result = {}\n"
        "bst = xgb.train(params, dtrain, 12, evals=[(dtrain, 'train'), (dtest, 'test')], evals_result=result,"
        " verbose_eval=False)"
    )
    run = ready.last
    result = ready.names["result"]
    for data in ("train", "test"):
        for metric in ("logloss", "error"):
            assert curve(run, f"{data}-{metric}") == (list(range(12)), result[data][metric])
    assert {k: run.data.params[k] for k in ("max_depth", "eta", "objective")} == {
        "max_depth": "2", "eta": "0.3", "objective": "binary:logistic",
    }  # fmt: skip
    assert said(run, "xgboost") == ["xgboost: 12 rounds"]
    importance = json.loads(get_store().read_blob(run.artifacts["xgboost/importance.json"].digest))
    assert importance == pytest.approx(ready.names["bst"].get_score(importance_type="gain"))
    assert list(importance.values()) == sorted(importance.values(), reverse=True)
    (shown,) = run.capture["models"]
    assert (shown["class"], shown["variable"], shown["columns"]) == ("Booster", "bst", 3)
    loaded = nbtrack.load_model(f"runs:/{run.run_id}/model")
    dtest = ready.names["dtest"]
    assert np.array_equal(loaded.predict(dtest), ready.names["bst"].predict(dtest))


@pytest.mark.parametrize("fit", ["xgb.XGBClassifier", "lgb.LGBMClassifier"])
def test_estimators_give_curves_and_one_model(ready, fit):
    more = ", verbosity=-1" if fit.startswith("lgb") else ", early_stopping_rounds=3"
    evals = (
        "eval_X=(X[200:],), eval_y=(y[200:],)"
        if fit.startswith("lgb")
        else "eval_set=[(X[200:], y[200:])], verbose=False"
    )
    ready.ok(
        f"%%track\nmodel = {fit}(n_estimators=8, max_depth=2{more})\nmodel.fit(X[:200], y[:200], {evals})\n"
        "accuracy = model.score(X[200:], y[200:])"
    )
    run = ready.last
    (key,) = [key for key in run.summaries if "logloss" in key]
    steps, values = curve(run, key)
    assert steps == list(range(8))
    assert values[-1] < values[0]
    (shown,) = run.capture["models"]
    assert (shown["variable"], shown["columns"]) == ("model", 3)
    assert {"n_estimators": "8", "max_depth": "2"}.items() <= run.data.params.items()
    assert len(run.data.params) <= 5  # what the user said, not three dozen defaults
    assert "accuracy" in run.data.metrics
    assert list(run.artifacts).count("model/nbtrack-model.json") == 1


def test_lightgbm_train_gives_curves_of_all_sets_and_the_booster(ready):
    ready.ok(
        "%%track\n"
        "def train(rounds):\n"
        "    from lightgbm import train as fit_it\n"
        "    data = lgb.Dataset(X[:200], y[:200])\n"
        "    test = data.create_valid(X[200:], y[200:])\n"
        "    kept = {}\n"
        "    params = {'objective': 'binary', 'num_leaves': 4, 'verbosity': -1, 'metric': ['auc', 'binary_logloss']}\n"
        "    bst = fit_it(params, data, rounds, valid_sets=[data, test], valid_names=['train', 'test'],"
        " callbacks=[lgb.record_evaluation(kept)])\n"
        "    return bst, kept\n"
        "bst, kept = train(7)"
    )
    run = ready.last
    for data, metrics in ready.names["kept"].items():
        for metric, values in metrics.items():
            assert curve(run, f"{data}-{metric}") == (list(range(7)), values)
    assert run.data.params["num_leaves"] == "4"
    assert said(run, "lightgbm") == ["lightgbm: 7 rounds"]
    assert json.loads(get_store().read_blob(run.artifacts["lightgbm/importance.json"].digest))
    assert run.capture["models"][0]["class"] == "Booster"


def test_cross_validations_are_one_curve_each(ready):
    ready.ok(
        "%%track\n"
        "a = xgb.cv({'objective': 'binary:logistic'}, xgb.DMatrix(X, y), 4, nfold=3, metrics='logloss')\n"
        "b = lgb.cv({'objective': 'binary', 'verbosity': -1}, lgb.Dataset(X, y), 5, nfold=3)"
    )
    run = ready.last
    assert curve(run, "test-logloss")[1] == pytest.approx(ready.names["a"]["test-logloss-mean"].tolist())
    assert curve(run, "valid binary_logloss-mean")[1] == ready.names["b"]["valid binary_logloss-mean"]
    assert [key for key in run.summaries if "2." in key] == []
    assert said(run, "lightgbm") == ["lightgbm: cross-validation of 5 rounds"]


def test_second_training_of_a_cell_has_curves_of_its_own_and_a_search_none(ready):
    ready.ok(
        "%%track\nfor depth in (1, 3):\n"
        "    m = xgb.XGBRegressor(n_estimators=3, max_depth=depth).fit(X, y, eval_set=[(X, y)], verbose=False)\n"
        "from sklearn.model_selection import GridSearchCV\n"
        "search = GridSearchCV(xgb.XGBRegressor(n_estimators=2), {'max_depth': [1, 2]}, cv=2)\n"
        "search.fit(X, y, eval_set=[(X, y)], verbose=False)"
    )
    run = ready.last
    assert {"validation_0-rmse", "xgboost2.validation_0-rmse"} == {k for k in run.summaries if k.endswith("rmse")}
    children = [r for r in ready.runs if r.info.run_name.startswith("candidate ")]
    assert [child.data.params for child in children] == [{"max_depth": "1"}, {"max_depth": "2"}]
    scores = ready.names["search"].cv_results_["mean_test_score"].tolist()
    assert [child.data.metrics["mean_test_score"] for child in children] == scores
    assert {child.data.tags["nbtrack.parent_run_id"] for child in children} == {run.run_id}


def test_explicit_logging_wins_and_errors_of_the_user_pass(ready):
    ready.ok(
        "%%track\nimport nbtrack\n"
        "class Mine(xgb.callback.TrainingCallback):\n"
        "    def after_iteration(self, model, epoch, evals_log):\n"
        "        nbtrack.log_metric('train-rmse', 100 + epoch, step=epoch)\n"
        "d = xgb.DMatrix(X, y)\n"
        "bst = xgb.train({'max_depth': 2}, d, 3, evals=[(d, 'train')], verbose_eval=False, callbacks=[Mine()])\n"
        "nbtrack.log_param('max_depth', 'two')"
    )
    run = ready.last
    assert curve(run, "train-rmse") == ([0, 1, 2], [100, 101, 102])
    assert run.data.params["max_depth"] == "two"
    ready.ok(
        "%%track\nclass Late(xgb.callback.TrainingCallback):\n"
        "    def after_iteration(self, model, epoch, evals_log):\n"
        "        if epoch > 1:\n            nbtrack.log_metric('train-rmse', 100 + epoch, step=epoch)\n"
        "bst = xgb.train({}, d, 4, evals=[(d, 'train')], verbose_eval=False, callbacks=[Late()])"
    )
    assert curve(ready.last, "train-rmse")[0] == [0, 1, 2, 3]
    assert curve(ready.last, "train-rmse")[1][2:] == [102, 103]
    result = ready.run(
        "%%track\nclass Bad(xgb.callback.TrainingCallback):\n"
        "    def after_iteration(self, model, epoch, evals_log):\n"
        "        raise KeyError('mine')\n"
        "xgb.train({}, d, 3, evals=[(d, 'train')], verbose_eval=False, callbacks=[Bad()])"
    )
    assert repr(result.error_in_exec) == "KeyError('mine')"
    assert ready.last.info.status == "FAILED"


def test_booster_that_is_trained_on_and_evaluated_by_hand_is_left_alone(ready):
    ready.ok(
        "%%track\ndata = lgb.Dataset(X, y)\nbst = lgb.Booster({'objective': 'binary', 'verbosity': -1}, data)\n"
        "for _ in range(3):\n    stop = bst.update()\n"
    )
    assert said(ready.last, "lightgbm") == ["lightgbm: 3 rounds"]
    assert ready.names["bst"].current_iteration() == 3
