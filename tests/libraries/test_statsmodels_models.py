"""Results of statsmodels: arrays, formulas, time series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import InvalidInputError, UntrustedModelError
from nbtrack.models import load_bundle
from tests.libraries.conftest import library

sm = library("statsmodels.api")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    frame["y"] = 1 + 2 * frame["a"] - frame["b"] + rng.normal(size=60) / 10
    return frame


def test_results_come_back_with_their_summary(store, data):
    X = sm.add_constant(data[["a", "b"]])
    results = sm.OLS(data["y"], X).fit()
    with nbtrack.start_run():
        info = nbtrack.statsmodels.log_model(results, "ols", input_example=X.head())
    loaded = nbtrack.statsmodels.load_model(info.model_uri)
    assert loaded.params.to_dict() == results.params.to_dict()
    assert str(loaded.rsquared) in str(results.rsquared)
    assert [c.name for c in info.signature.inputs] == ["const", "a", "b"]
    assert np.array_equal(load_bundle(info.model_uri).predict(X[["b", "a", "const"]]), results.predict(X))


def test_formula_and_array_and_generalised_models_predict(tmp_path, data):
    formula = sm.formula.ols("y ~ a + np.abs(b)", data).fit() if hasattr(sm, "formula") else None
    if formula is None:
        import statsmodels.formula.api as smf

        formula = smf.ols("y ~ a + np.abs(b)", data).fit()
    array = sm.OLS(data["y"].to_numpy(), data[["a", "b"]].to_numpy()).fit()
    logit = sm.Logit((data["y"] > 1).astype(int), sm.add_constant(data[["b"]])).fit(disp=0)
    for name, results, rows in (
        ("formula", formula, data[["b", "a"]]),
        ("array", array, data[["a", "b"]].to_numpy()),
        ("logit", logit, sm.add_constant(data[["b"]])),
    ):
        nbtrack.save_model(results, tmp_path / name, input_example=rows[:5])
        predicted = nbtrack.predict(tmp_path / name, rows)
        assert np.allclose(np.asarray(predicted), np.asarray(results.predict(rows))), name


def test_time_series_is_asked_for_a_span(tmp_path):
    series = np.cumsum(np.random.default_rng(0).normal(size=80))
    results = sm.tsa.ARIMA(series, order=(1, 1, 0)).fit()
    nbtrack.save_model(results, tmp_path / "m")
    predicted = nbtrack.predict(tmp_path / "m", {"start": [80], "end": [84]})
    assert np.allclose(predicted, results.predict(80, 84))


def test_stranger_s_results_and_what_are_none_are_refused(tmp_path, data, stranger):
    model = sm.OLS(data["y"], data[["a"]])
    nbtrack.save_model(model.fit(), tmp_path / "m")
    with stranger(), pytest.raises(UntrustedModelError, match="results of statsmodels are a pickle"):
        nbtrack.load_model(tmp_path / "m")
    with pytest.raises(InvalidInputError, match=r"expected the results that fit\(\) returns, got int"):
        nbtrack.statsmodels.save_model(3, tmp_path / "n")


def test_predict_replaced_on_the_results_survives(tmp_path, data):
    results = sm.OLS(data["y"], data[["a", "b"]]).fit()
    before = results.predict
    results.predict = lambda rows: before(rows).round(1)
    nbtrack.save_model(results, tmp_path / "m", input_example=data[["a", "b"]].head())
    rows = data[["a", "b"]]
    assert list(nbtrack.predict(tmp_path / "m", rows)) == list(results.predict(rows))
