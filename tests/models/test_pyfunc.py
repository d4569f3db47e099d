"""Functions and objects of the user's own as models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import InvalidInputError, UntrustedModelError
from nbtrack.models.flavors import flavors, pyfunc
from nbtrack.store.base import Store


class Doubler:
    """Answers with a multiple of the sum of each row."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def predict(self, data: Any, more: float = 0.0) -> Any:
        return np.asarray(data).sum(axis=1) * self.factor + more


def test_object_with_predict_comes_back_with_params(store: Store) -> None:
    with nbtrack.start_run():
        info = nbtrack.log_model(Doubler(2.0), input_example=pd.DataFrame({"a": [1.0], "b": [2.0]}))
    assert info.manifest.flavor == "pyfunc" and [c.name for c in info.manifest.signature.inputs] == ["a", "b"]  # type: ignore[union-attr]
    assert nbtrack.predict(info.model_uri, {"b": [2.0], "a": [5.0]}).tolist() == [14.0]
    assert nbtrack.predict(info.model_uri, {"b": [2.0], "a": [5.0]}, params={"more": 1.0}).tolist() == [15.0]


def test_function_written_in_the_notebook_is_a_model(tmp_path: Path) -> None:
    limit = 3
    nbtrack.pyfunc.save_model(
        lambda rows: [len(row) > limit for row in rows], tmp_path / "m", input_example=["abcd", "a"]
    )
    assert nbtrack.predict(tmp_path / "m", ["abc", "abcdef"]) == [False, True]


def test_strangers_code_is_refused_and_trusted_by_its_digest(tmp_path: Path, as_stranger: Any) -> None:
    nbtrack.pyfunc.save_model(Doubler(1), tmp_path / "m")
    with as_stranger(), pytest.raises(UntrustedModelError, match="brings code of its own") as refusal:
        nbtrack.load_model(tmp_path / "m")
    digest = str(refusal.value).rsplit("'", 2)[1]
    with as_stranger():
        assert nbtrack.pyfunc.load_model(tmp_path / "m", trust=digest).factor == 1


def test_what_cannot_predict_is_refused(store: Store) -> None:
    with (
        nbtrack.start_run(),
        pytest.raises(InvalidInputError, match="expected a function, or an object with a predict"),
    ):
        nbtrack.pyfunc.log_model(3)


def test_flavors_are_the_files_that_are_there() -> None:
    folder = Path(pyfunc.__file__).parent
    assert set(flavors()) == {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert list(flavors())[-1] == "pyfunc"
