"""The profile of training data: shares and limits of each column, never a row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

import nbtrack
from nbtrack import models
from nbtrack.models.profile import PROFILE_NAME, as_numbers, profile_of


def test_profile_of_every_kind_of_column() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": np.where(np.arange(1000) % 4 == 0, np.nan, rng.normal(size=1000)),
            "n": pd.array([1, 2, 3, None] * 250, dtype="Int64"),
            "city": ["Rome"] * 600 + ["Oslo"] * 300 + [None] * 100,
            "on": [True, False] * 500,
            "at": pd.date_range("2020-01-01", periods=1000, tz="Europe/Rome"),
            "none": [np.nan] * 1000,
        }
    )
    profile = profile_of(frame)
    assert profile is not None and profile["rows"] == 1000
    by_name = {column["name"]: column for column in json.loads(json.dumps(profile))["columns"]}
    assert by_name["x"]["missing"] == 0.25 and len(by_name["x"]["edges"]) == 9
    assert np.allclose(by_name["x"]["shares"], 0.1, atol=0.01)
    assert (by_name["x"]["low"], by_name["x"]["high"]) == (frame["x"].min(), frame["x"].max())
    assert (by_name["n"]["edges"], by_name["n"]["missing"]) == ([1.0, 2.0, 3.0], 0.25)
    assert np.allclose(by_name["n"]["shares"], [1 / 3, 1 / 3, 1 / 3, 0])
    assert by_name["city"] == {"name": "city", "missing": 0.1, "values": {"Rome": 0.666667, "Oslo": 0.333333}}
    assert by_name["on"]["values"] == {"True": 0.5, "False": 0.5}
    assert by_name["at"]["low"] == frame["at"].min().timestamp() * 1000
    assert (by_name["none"]["missing"], by_name["none"]["edges"]) == (1.0, [])


def test_what_is_no_table_or_too_short_has_no_profile() -> None:
    for data in (None, [[1.0]], {"a": [1]}, np.zeros((29, 2)), np.zeros(50), pd.DataFrame({"a": [1] * 29})):
        assert profile_of(data) is None
    assert as_numbers(np.array(["a"])) is None


def test_model_keeps_the_profile_of_its_training_data_and_no_row_of_it(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(60, 2)) + 12345.678
    model = LinearRegression().fit(data, data[:, 0])
    nbtrack.save_model(model, tmp_path / "told", input_example=data[:2], training_data=data)
    nbtrack.save_model(model, tmp_path / "from the example", input_example=data)
    nbtrack.save_model(model, tmp_path / "without", input_example=data[:2])
    told, example, without = (
        models.read_model(tmp_path / name).files.get(PROFILE_NAME) for name in ("told", "from the example", "without")
    )
    assert told is not None and told == example and without is None
    assert json.loads(told)["rows"] == 60
