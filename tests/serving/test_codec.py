"""Requests as data for a model: whatever way they are read, the types are those that it was fitted on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbtrack.entities import Column, Signature
from nbtrack.serving.codec import Codec, encode
from nbtrack.serving.refusal import Refusal

WHOLE = Signature(inputs=(Column("n", "long"), Column("x", "double"), Column("k", "integer")))


def split(*rows: list[Any], names: tuple[str, ...] = ("n", "x", "k")) -> bytes:
    return json.dumps({"dataframe_split": {"columns": names, "data": rows}}).encode()


def frame(data: Any, codec: Codec) -> pd.DataFrame:
    return codec.schema.frame_of(data) if isinstance(data, np.ndarray) else data


@pytest.mark.parametrize(
    ("body", "straight"),
    [
        (split([1, 2.5, 3], [-4, None, 5]), True),
        (split([3, 2.5, 1], [5, None, -4], names=("k", "x", "n")), False),
        (json.dumps([{"n": 1, "x": 2.5, "k": 3}, {"n": -4, "x": None, "k": 5}]).encode(), False),
    ],
)
def test_decode_of_whole_and_other_numbers_keeps_their_types(body: bytes, straight: bool) -> None:
    codec = Codec(WHOLE)
    data = codec.decode(body, "application/json").data
    assert isinstance(data, np.ndarray) is straight
    found = frame(data, codec)
    assert {name: str(kind) for name, kind in found.dtypes.items()} == {"n": "int64", "x": "float64", "k": "int32"}
    assert found["n"].tolist() == [1, -4]
    assert found["k"].tolist() == [3, 5]
    np.testing.assert_array_equal(found["x"], [2.5, np.nan])


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
def test_decode_of_whole_numbers_that_no_double_holds_keeps_every_digit(value: int) -> None:
    codec = Codec(WHOLE)
    found = frame(codec.decode(split([value, 0.5, 1]), "application/json").data, codec)
    assert found["n"].tolist() == [value]


@pytest.mark.parametrize(
    ("row", "path", "expected"),
    [
        ([1.5, 0.0, 1], "$.dataframe_split.data[0][0]", "long"),
        ([None, 0.0, 1], "$.dataframe_split.data[0][0]", "long"),
        ([2**63, 0.0, 1], "$.dataframe_split.data[0][0]", "long"),
        ([1, 0.0, 2**31], "$.dataframe_split.data[0][2]", "integer"),
        ([1, 0.0, -(2**31) - 1], "$.dataframe_split.data[0][2]", "integer"),
        ([1, "x", 1], "$.dataframe_split.data[0][1]", "double"),
    ],
)
def test_decode_of_a_number_that_does_not_fit_says_where(row: list[Any], path: str, expected: str) -> None:
    with pytest.raises(Refusal, match="must be") as refused:
        Codec(WHOLE).decode(split(row), "application/json")
    assert (refused.value.path, refused.value.expected) == (path, expected)


def test_decode_of_an_optional_column_that_is_left_out_fills_it() -> None:
    codec = Codec(Signature(inputs=(Column("a", "double"), Column("b", "double", required=False))))
    body = json.dumps({"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}).encode()
    np.testing.assert_array_equal(codec.decode(body, "application/json").data, [[1.0, np.nan]])
    assert codec.decode(b"a\n1\n", "text/csv").rows == 1


def test_decode_of_params_completes_and_checks_them() -> None:
    params = (Column("top", "long", default=3), Column("weights", "double", default=[1.0]))
    codec = Codec(Signature(inputs=(Column("a", "double"),), params=params))

    def read(given: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"inputs": [[1.0]], "params": given}).encode()
        return codec.decode(body, "application/json").params

    assert read({}) == {}
    assert read({"weights": [4]}) == {"top": 3, "weights": [4.0]}
    assert read({"top": 5, "weights": [1, 2], "unknown": "x"}) == {"top": 5, "weights": [1.0, 2.0]}
    with pytest.raises(Refusal, match="must be long") as refused:
        read({"top": "many"})
    assert refused.value.path == "$.params.top"


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (np.array([1, 2]), [1, 2]),
        (np.array([0.1, np.nan, np.inf]), [0.1, None, None]),
        (np.array([0.1], dtype=np.float32), [float(np.float32(0.1))]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", None], dtype=object), ["a", None]),
        (np.array([True]), [True]),
        (np.array([[1.5, 2.5]])[:, ::-1], [[2.5, 1.5]]),
        (np.array(["2020-01-01"], dtype="datetime64[s]"), ["2020-01-01T00:00:00"]),
        (pd.Series([1, 2], index=[5, 6]), [1, 2]),
        (pd.DataFrame({"a": [1], "b": ["x"]}), [{"a": 1, "b": "x"}]),
        ([np.int64(1), 2.5], [1, 2.5]),
        ([np.array([1, 2])], [[1, 2]]),
        ({"a": np.array([1])}, {"a": [1]}),
    ],
    ids=repr,
)
def test_encode_of_predictions_of_any_kind_is_plain_json(predictions: Any, expected: Any) -> None:
    assert json.loads(encode(predictions)) == {"predictions": expected}
