"""Signatures told from data, and data made to fit them."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nbtrack
from nbtrack.entities import Column, Signature
from nbtrack.errors import InvalidInputError, SignatureError
from nbtrack.models import conform


@pytest.mark.parametrize(
    ("values", "kind", "required"),
    [
        ([1, 2], "long", True),
        (np.array([1, 2], "int32"), "integer", True),
        (np.array([1, 2], "uint8"), "integer", True),
        (np.array([1, 2], "uint32"), "long", True),
        ([1.0, 2.5], "double", True),
        ([1.0, None], "double", False),
        (np.array([1, 2], "float32"), "float", True),
        ([True, False], "boolean", True),
        ([True, None], "boolean", False),
        (["a", "b"], "string", True),
        (["a", None], "string", False),
        (pd.array([1, None], "Int64"), "long", False),
        (pd.array([1, 2], "Int32"), "integer", True),
        (pd.array([True, None], "boolean"), "boolean", False),
        (pd.array([1.5, None], "Float64"), "double", False),
        (pd.Categorical(["a", "b"]), "string", True),
        (pd.Categorical([1, 2]), "long", True),
        (pd.to_datetime(["2026-01-01", "2026-01-02"]), "datetime", True),
        (pd.to_datetime(["2026-01-01", None]), "datetime", False),
        (pd.to_datetime(["2026-01-01"] * 2, utc=True), "datetime", True),
        ([{"a": 1}, {"b": 2}], "object", True),
        ([1, "a"], "object", True),
        ([None, None], "object", False),
        ([date(2026, 1, 1)] * 2, "object", True),
    ],
)
def test_column_type_is_told_from_its_values(values: Any, kind: str, required: bool) -> None:
    signature = nbtrack.infer_signature(pd.DataFrame({"c": values}))
    assert signature.inputs == (Column("c", kind, required),)


def test_signature_of_every_container() -> None:
    two = (Column(None, "double"), Column(None, "double"))
    assert nbtrack.infer_signature(np.zeros((3, 2))).inputs == two
    assert nbtrack.infer_signature([[0.0, 1.0]]).inputs == two
    assert nbtrack.infer_signature(np.array([[0.0, np.nan]])).inputs[0].required is False
    assert nbtrack.infer_signature(["a", "b"]).inputs == (Column(None, "string"),)
    assert nbtrack.infer_signature(pd.Series([1, 2], name="n")).inputs == (Column("n", "long"),)
    named = (Column("a", "long"), Column("b", "string"))
    assert nbtrack.infer_signature({"a": [1], "b": ["x"]}).inputs == named
    assert nbtrack.infer_signature({"a": 1, "b": "x"}).inputs == named
    assert nbtrack.infer_signature([{"a": 1, "b": "x"}]).inputs == named
    assert nbtrack.infer_signature(np.array([[1, "x"]], dtype=object)).inputs == (
        Column(None, "long"),
        Column(None, "string"),
    )
    assert nbtrack.infer_signature(None, [0, 1]).outputs == (Column(None, "long"),)
    assert nbtrack.infer_signature(None, np.array(["a"])).outputs == (Column(None, "string"),)


def test_signature_of_params_keeps_their_defaults() -> None:
    signature = nbtrack.infer_signature(params={"k": 3, "t": 0.5, "on": True, "names": ["a"]})
    assert [(c.name, c.type, c.default) for c in signature.params] == [
        ("k", "long", 3),
        ("t", "double", 0.5),
        ("on", "boolean", True),
        ("names", "string", ["a"]),
    ]
    with pytest.raises(InvalidInputError, match="param 'f': expected a boolean"):
        nbtrack.infer_signature(params={"f": print})


@pytest.mark.parametrize("data", [3, "text", np.float64(1), object()])
def test_signature_of_what_has_no_rows_is_refused(data: Any) -> None:
    with pytest.raises(InvalidInputError, match="expected model_input with rows"):
        nbtrack.infer_signature(data)


SIGNATURE = Signature(inputs=(Column("a", "long"), Column("b", "double"), Column("s", "string", required=False)))


def test_conform_orders_columns_casts_and_drops_the_rest() -> None:
    frame = pd.DataFrame({"x": [0], "b": [2], "a": [1.0]})
    fitted = conform(frame, SIGNATURE)
    assert list(fitted.columns) == ["a", "b", "s"]
    assert [str(dtype) for dtype in fitted.dtypes[:2]] == ["int64", "float64"]
    assert fitted.s.isna().all()
    assert conform([{"a": 1, "b": 2.0, "s": "x"}], SIGNATURE).s.tolist() == ["x"]
    exact = pd.DataFrame({"a": [1.0], "b": [2.0]})
    assert conform(exact, Signature(inputs=(Column("a", "double"), Column("b", "double")))) is exact


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (pd.DataFrame({"a": [1]}), "missing 1 of 3 columns: 'b'"),
        (pd.DataFrame({"a": ["x"], "b": [1.0]}), "column 'a' must be long"),
        (pd.DataFrame({"a": [1.5], "b": [1.0]}), "column 'a' must be long"),
        (pd.DataFrame([[1, 2, 3.0]], columns=["a", "a", "b"]), "occurs twice"),
        (np.zeros((2, 5)), r"expected 3 columns .* shape \(2, 5\)"),
        ({"a": [1, 2], "b": [1.0]}, "do not fit together"),
    ],
)
def test_conform_data_that_does_not_fit_names_what(data: Any, told: str) -> None:
    with pytest.raises(SignatureError, match=told):
        conform(data, SIGNATURE)


def test_conform_array_of_another_width_is_refused() -> None:
    with pytest.raises(SignatureError, match="expected 2 columns, got 3"):
        conform(np.zeros((1, 3)), nbtrack.infer_signature(np.zeros((1, 2))))
