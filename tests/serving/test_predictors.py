"""Compiled arrays and the model itself: the same answers from both, and each asked where it is the better one."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import BayesianRidge

import nbtrack
from nbtrack.models import load_bundle
from nbtrack.serving.predictors import CompiledFirst, Handover, ModelItself
from nbtrack.serving.schema import Schema

from .helpers import ask, wait_until


@pytest.fixture
def saved(tmp_path: Path, wine_model: Any, wine_data: tuple[pd.DataFrame, pd.Series]) -> Path:
    nbtrack.save_model(wine_model, tmp_path / "model", input_example=wine_data[0].head(3))
    return tmp_path / "model"


def compiled_first(folder: Path, loop_thread: int = 0) -> CompiledFirst:
    loaded = load_bundle(folder)
    assert loaded.compiled is not None
    return CompiledFirst(loaded, loaded.compiled, Schema(loaded.manifest.signature), loop_thread)


def test_compiled_arrays_and_the_model_itself_answer_as_the_notebook(
    saved: Path, wine_model: Any, wine_data: tuple[pd.DataFrame, pd.Series]
) -> None:
    data = wine_data[0]
    first = compiled_first(saved)
    loaded = load_bundle(saved)
    itself = ModelItself(loaded, Schema(loaded.manifest.signature))
    for each in (first, itself):
        np.testing.assert_array_equal(each(data.to_numpy()), wine_model.predict(data))
        np.testing.assert_array_equal(each(data), wine_model.predict(data))


def test_model_itself_is_not_loaded_by_what_the_arrays_cover(saved: Path) -> None:
    code = f"""
import sys, threading
sys.modules["sklearn"] = None
from nbtrack.models import load_bundle
from nbtrack.serving.predictors import CompiledFirst
from nbtrack.serving.schema import Schema
loaded = load_bundle({str(saved)!r})
import numpy as np
ask = CompiledFirst(loaded, loaded.compiled, Schema(loaded.manifest.signature), threading.get_ident())
assert len(ask(np.ones((2000, 13)))) == 2000
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_missing_values_are_for_the_model_itself_and_never_on_the_event_loop(
    saved: Path, wine_model: Any, wine_data: tuple[pd.DataFrame, pd.Series]
) -> None:
    first = compiled_first(saved, loop_thread=threading.get_ident())
    gap = np.full((1, 13), np.nan)
    with pytest.raises(Handover):
        first(gap)
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(first(gap)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(told[0], wine_model.predict(pd.DataFrame(gap, columns=wine_data[0].columns)))


def test_params_of_a_request_reach_the_model(tmp_path: Path, runtime: Path) -> None:
    data = np.linspace(0, 1, 12).reshape(6, 2)
    model = BayesianRidge().fit(data, data.sum(axis=1))
    signature = nbtrack.infer_signature(data, model.predict(data), {"return_std": False})
    nbtrack.save_model(model, tmp_path / "model", signature=signature, input_example=data[:2])
    with nbtrack.serve(tmp_path / "model") as server:
        body = {"inputs": data.tolist(), "params": {"return_std": True}}
        mean, std = ask(server.port, body).json["predictions"]
        expected = model.predict(data, return_std=True)
        np.testing.assert_allclose((mean, std), expected, rtol=1e-12)
        refused = ask(server.port, body | {"params": {"return_std": "yes"}})
        assert (refused.status, refused.json["path"]) == (400, "$.params.return_std")


def test_many_rows_of_a_forest_go_to_the_model_itself_once_it_is_there(
    saved: Path, wine_model: Any, wine_data: tuple[pd.DataFrame, pd.Series]
) -> None:
    data = pd.concat([wine_data[0]] * 60).to_numpy()
    expected = wine_model.predict(pd.DataFrame(data, columns=wine_data[0].columns))
    first = compiled_first(saved)
    first._row_s = 1.0  # as if the arrays were slow
    np.testing.assert_array_equal(first(data), expected)
    assert wait_until(lambda: first._itself_row_s > 0, 20)
    first._row_s = 1.0
    started = time.perf_counter()
    np.testing.assert_array_equal(first(data), expected)
    assert time.perf_counter() - started < 5
    assert first._row_s == 1.0  # the arrays were not asked
