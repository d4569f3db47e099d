"""The Open Inference Protocol: the same answers in another dialect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .helpers import Reply, Served


def get(served: Served, path: str) -> Reply:
    return served.ask(None, None, method="GET", path=path)


def tensor(name: str, values: Any, datatype: str = "FP64") -> dict[str, Any]:
    array = np.asarray(values)
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": array.reshape(-1).tolist()}


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/wine/ready"])
def test_v2_of_a_ready_server_answers(wine: Served, path: str) -> None:
    assert get(wine, path).status == 200


def test_v2_metadata_lists_the_columns_as_tensors(wine: Served, array: Served) -> None:
    told = get(wine, "/v2/models/wine").json
    assert (told["name"], told["versions"]) == ("wine", ["1"])
    assert told["inputs"][0] == {"name": "alcohol", "datatype": "FP64", "shape": [-1]}
    assert get(array, "/v2/models/array/versions/1").json["inputs"] == [
        {"name": "input", "datatype": "FP64", "shape": [-1, 3]}
    ]


@pytest.mark.parametrize("path", ["/v2/models/wine/infer", "/v2/models/wine/versions/1/infer"])
def test_v2_infer_with_a_tensor_for_each_column_answers_as_the_notebook(wine: Served, path: str) -> None:
    data = wine.data.iloc[::9]
    flat = [tensor(name, data[name]) for name in data.columns[::-1]]
    upright = [tensor(name, data[[name]]) for name in data.columns]
    for inputs in (flat, upright):
        reply = wine.ask({"id": "abc", "inputs": inputs}, path=path)
        assert reply.status == 200, reply.text
        (output,) = reply.json["outputs"]
        assert (output["shape"], output["datatype"]) == ([len(data)], "INT64")
        assert output["data"] == wine.model.predict(data).tolist()
        assert (reply.json["id"], reply.json["model_name"], reply.json["model_version"]) == ("abc", "wine", "1")


def test_v2_infer_with_one_tensor_of_all_columns_answers_as_the_notebook(array: Served) -> None:
    whole = tensor("input", array.data)
    nested = whole | {"data": array.data.tolist()}
    for each in (whole, nested):
        reply = array.ask({"inputs": [each]}, path="/v2/models/array/infer")
        assert reply.status == 200, reply.text
        np.testing.assert_allclose(reply.json["outputs"][0]["data"], array.model.predict(array.data), rtol=1e-13)
        assert reply.json["outputs"][0]["datatype"] == "FP64"


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        ("{", "", "an inference request"),
        ({"inputs": 5}, "", "an inference request"),
        ({"inputs": []}, "$.inputs", "one tensor a column, or one of all columns"),
        ({"inputs": [tensor("alcohol", [1.0])]}, "$.inputs", "column 'malic_acid'"),
        ({"inputs": [tensor("x", [[1.0, 2.0]])]}, "$.inputs[0].data[0]", "13 values"),
        ({"inputs": [tensor("x", [1.0]) | {"shape": [2]}]}, "$.inputs[0].data", "shape [2]"),
        ({"inputs": [tensor("x", [1.0]) | {"shape": [1, 1, 1]}]}, "$.inputs[0].shape", "[rows] or [rows, columns]"),
        ({"inputs": [tensor("a", [1.0]), tensor("b", [1.0, 2.0])]}, "$.inputs[1].shape", "[1]"),
        ({"inputs": [tensor("a", [1.0])] * 2}, "$.inputs", ""),
    ],
)
def test_v2_infer_with_wrong_input_says_where_and_what_was_expected(
    wine: Served, body: Any, path: str, expected: str
) -> None:
    reply = wine.ask(body, path="/v2/models/wine/infer")
    assert reply.status == 400
    assert (reply.json.get("path", ""), reply.json.get("expected", "")) == (path, expected)


def test_v2_infer_with_text_in_a_double_names_the_value(wine: Served) -> None:
    inputs = [tensor(name, [1.0, 2.0]) for name in wine.data.columns]
    inputs[2]["data"][1] = "s3cr3t"
    reply = wine.ask({"inputs": inputs}, path="/v2/models/wine/infer")
    assert (reply.status, reply.json["path"], reply.json["expected"]) == (400, "$.inputs[2].data[1]", "double")
    assert "s3cr3t" not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/models/wine/versions/2/infer", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/wine/infer", 405),
        ("POST", "/v2/models/wine", 405),
    ],
)
def test_v2_of_another_model_or_method_is_refused(wine: Served, method: str, path: str, status: int) -> None:
    body = {"inputs": [tensor("x", [[1.0] * 13])]} if method == "POST" else None
    assert wine.ask(body, method=method, path=path).status == status
