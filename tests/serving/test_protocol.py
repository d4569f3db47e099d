"""The dialects of POST /invocations, asked of real servers: what is answered, what is refused and how."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from .helpers import Reply, Served


def split(frame: pd.DataFrame) -> dict[str, Any]:
    return json.loads(frame.to_json(orient="split", index=False, double_precision=15))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(frame.to_json(orient="records", double_precision=15))


def rows(frame: pd.DataFrame) -> list[list[Any]]:
    return split(frame)["data"]


DIALECTS = {
    "dataframe_split": lambda x: ({"dataframe_split": split(x)}, "application/json"),
    "dataframe_split with an index": lambda x: (
        {"dataframe_split": {**split(x), "index": list(range(len(x)))}},
        "application/json",
    ),
    "dataframe_records": lambda x: ({"dataframe_records": records(x)}, "application/json"),
    "instances as records": lambda x: ({"instances": records(x)}, "application/json"),
    "instances as rows": lambda x: ({"instances": rows(x)}, "application/json"),
    "inputs as records": lambda x: ({"inputs": records(x)}, "application/json"),
    "inputs as rows": lambda x: ({"inputs": rows(x)}, "application/json"),
    "inputs by column": lambda x: ({"inputs": x.to_dict(orient="list")}, "application/json"),
    "bare split of 2021": lambda x: (split(x), "application/json; format=pandas-split"),
    "bare split": lambda x: (split(x), "application/json"),
    "bare records": lambda x: (json.dumps(records(x)), "application/json; format=pandas-records"),
    "bare rows": lambda x: (json.dumps(rows(x)), "application/json"),
    "CSV": lambda x: (x.to_csv(index=False), "text/csv"),
    "CSV with an index and a BOM": lambda x: ("\ufeff" + x.to_csv(), "text/csv; charset=utf-8"),
    "charset": lambda x: ({"dataframe_split": split(x)}, "application/json; charset=UTF-8"),
    "params beside": lambda x: ({"dataframe_split": split(x), "params": {"unknown": 1}}, "application/json"),
    "an unknown key beside": lambda x: ({"inputs": records(x), "signature_name": "x"}, "application/json"),
    "other order, further columns": lambda x: (
        {"dataframe_split": split(x[x.columns[::-1]].assign(extra="text"))},
        "application/json",
    ),
    "numbers as text": lambda x: ({"dataframe_records": records(x.astype(str))}, "application/json"),
    "booleans for doubles": lambda x: ({"inputs": records(x.astype(bool))}, "application/json"),
    "whole numbers for doubles": lambda x: ({"inputs": records(x.round().astype(int))}, "application/json"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_invocations_in_every_dialect_answers_as_the_notebooks_model(wine: Served, dialect: str) -> None:
    data = wine.data.iloc[::9]
    if dialect == "whole numbers for doubles":
        data = data.round()
    if dialect == "booleans for doubles":
        data = data.astype(bool).astype(float)
    reply = wine.ask(*DIALECTS[dialect](data))
    assert reply.status == 200, reply.text
    assert reply.json == {"predictions": wine.model.predict(data).tolist()}
    assert reply.headers["x-nbtrack-model"] == "wine/1"


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if "numbers" not in name and "booleans" not in name])
def test_invocations_with_every_type_of_column_answers_as_the_notebooks_model(mixed: Served, dialect: str) -> None:
    data = mixed.data.iloc[:60]
    sent = data.assign(since=data["since"].dt.strftime("%Y-%m-%dT%H:%M:%S")).astype({"score": object})
    sent["score"] = sent["score"].where(data["score"].notna(), None)
    reply = mixed.ask(*DIALECTS[dialect](sent))
    assert reply.status == 200, reply.text
    assert reply.json["predictions"] == mixed.model.predict(data).tolist()


def test_invocations_of_a_model_without_names_takes_rows_by_position(array: Served) -> None:
    expected = array.model.predict(array.data).tolist()
    frame = pd.DataFrame(array.data)
    for body, kind in (
        ({"inputs": array.data.tolist()}, "application/json"),
        ({"instances": array.data.tolist()}, "application/json"),
        ({"dataframe_split": {"columns": ["a", "b", "c"], "data": array.data.tolist()}}, "application/json"),
        ({"dataframe_split": {"data": array.data.tolist()}}, "application/json"),
        (frame.to_csv(index=False), "text/csv"),
        (frame.to_csv(index=False, header=False), "text/csv"),
        (frame.to_csv(), "text/csv"),
    ):
        reply = array.ask(body, kind)
        assert reply.status == 200, reply.text
        np.testing.assert_allclose(reply.json["predictions"], expected, rtol=1e-13)


def test_invocations_with_rows_for_a_named_model_says_that_it_went_by_position(wine: Served) -> None:
    reply = wine.ask({"inputs": wine.data.head(2).to_numpy().tolist()})
    assert reply.headers["x-nbtrack-note"] == "columns taken by position"


def test_invocations_with_a_literal_nan_reads_it_as_missing(mixed: Served) -> None:
    body = (
        '{"dataframe_records": [{"age": 40, "city": "Oslo", "member": true, "score": NaN,'
        ' "since": "2021-01-01", "level": 3, "rate": 0.5}]}'
    )
    reply = mixed.ask(body)
    assert reply.status == 200, reply.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"dataframe_split": {"columns": ["alcohol"], "data": []}}, "application/json"),
        ({"dataframe_records": []}, "application/json"),
        ({"inputs": []}, "application/json"),
        ("[]", "application/json"),
    ],
)
def test_invocations_without_rows_answers_no_predictions(wine: Served, body: Any, kind: str) -> None:
    if isinstance(body, dict) and "dataframe_split" in body:
        body["dataframe_split"]["columns"] = list(wine.data.columns)
    reply = wine.ask(body, kind)
    assert (reply.status, reply.json) == (200, {"predictions": []})


SECRET = "s3cr3t-v4lue"
WINE_COLUMNS = 13


def spoilt(frame: pd.DataFrame, row: int, place: int, value: Any) -> dict[str, Any]:
    body = split(frame.head(4))
    body["data"][row][place] = value
    return {"dataframe_split": body}


WRONG: dict[str, tuple[Any, str | None, int, str, str]] = {
    # what is wrong: body, content type, status, where, what was expected
    "text in a double": (lambda x: spoilt(x, 0, 3, SECRET), None, 400, "$.dataframe_split.data[0][3]", "double"),
    "a list in a double": (lambda x: spoilt(x, 1, 1, [1]), None, 400, "$.dataframe_split.data[1][1]", "double"),
    "a number out of range": (
        lambda x: json.dumps(spoilt(x, 0, 2, 7e77)).replace("7e+77", "1e400"),
        None,
        400,
        "$.dataframe_split.data[0][2]",
        "",
    ),
    "a huge integer": (
        lambda x: json.dumps(spoilt(x, 0, 2, 77.5)).replace("77.5", "9" * 5000),
        None,
        400,
        "$.dataframe_split.data[0][2]",
        "",
    ),
    "a missing column": (
        lambda x: {"dataframe_split": split(x.head(2).drop(columns="alcohol"))},
        None,
        400,
        "$.dataframe_split.columns",
        "column 'alcohol'",
    ),
    "a missing column in one record": (
        lambda x: {"dataframe_records": [*records(x.head(1)), {"ash": 1.0}]},
        None,
        400,
        "$.dataframe_records[1]",
        "column 'alcohol'",
    ),
    "a ragged row": (
        lambda x: {"dataframe_split": {"columns": list(x.columns), "data": [x.iloc[0].tolist(), [1.0, 2.0]]}},
        None,
        400,
        "$.dataframe_split.data[1]",
        "13 values",
    ),
    "rows of the wrong width": (lambda x: {"inputs": [[1.0, 2.0]]}, None, 400, "$.inputs[0]", "13 values"),
    "columns without names": (
        lambda x: {"columns": [], "data": [[0.0]]},
        None,
        400,
        "$.data[0]",
        "0 values",
    ),
    "a column twice": (
        lambda x: {"dataframe_split": {"columns": ["alcohol"] * 2, "data": [[1, 2]]}},
        None,
        400,
        "$.dataframe_split.columns",
        "",
    ),
    "two formats at once": (lambda x: {"inputs": records(x), "instances": records(x)}, None, 400, "$", "one of"),
    "no format": (lambda x: {"rows": rows(x), "secret": SECRET}, None, 400, "$", "one of"),
    "rows of two kinds": (
        lambda x: {"inputs": [x.iloc[0].tolist(), records(x)[0]]},
        None,
        400,
        "$.inputs[1]",
        "a list",
    ),
    "a number instead of rows": (lambda x: {"inputs": 5}, None, 400, "$.inputs", ""),
    "values instead of rows": (lambda x: {"inputs": [1.0, 2.0]}, None, 400, "$.inputs[0]", "list or object"),
    "columns of two lengths": (
        lambda x: {"inputs": {name: [1.0] * (2 if name == "ash" else 1) for name in x.columns}},
        None,
        400,
        "$.inputs.ash",
        "lists of the same length",
    ),
    "a null that the model does not take": (
        lambda x: (
            spoilt(x.assign(ash=np.inf), 0, 0, 1.0)
            and '{"inputs": [{"alcohol": Infinity' + "".join(f', "{name}": 1.0' for name in x.columns[1:]) + "}]}"
        ),
        None,
        400,
        "row 0, column 'alcohol'",
        "a finite number",
    ),
    "broken JSON": (lambda x: '{"inputs": [[' + SECRET, None, 400, "", "JSON"),
    "cut off JSON": (lambda x: json.dumps({"inputs": rows(x)})[:-5], None, 400, "", "JSON"),
    "text after JSON": (lambda x: json.dumps({"inputs": rows(x)}) + SECRET, None, 400, "", "JSON"),
    "an empty body": (lambda x: "", None, 400, "", ""),
    "blanks": (lambda x: " \n\t ", None, 400, "", ""),
    "a bare number": (lambda x: "5", None, 400, "$", "object"),
    "a bare text": (lambda x: json.dumps(SECRET), None, 400, "$", "object"),
    "not UTF-8": (lambda x: b'{"inputs": [{"alcohol": "\xff\xfe"}]}', None, 400, "", "JSON in UTF-8"),
    "100,000 lists in each other": (lambda x: "[" * 100_000 + "]" * 100_000, None, 400, "", ""),
    "100,000 lists in each other, under a key": (
        lambda x: '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        None,
        400,
        "",
        "",
    ),
    "CSV without a column": (
        lambda x: x.drop(columns="ash").to_csv(index=False),
        "text/csv",
        400,
        "line 1",
        "column 'ash'",
    ),
    "CSV with text in a double": (
        lambda x: x.astype(object).assign(ash=[1.0, 2.0, SECRET, 4.0]).to_csv(index=False),
        "text/csv",
        400,
        "line 4, column 'ash'",
        "double",
    ),
    "CSV with a line too long": (
        lambda x: x.head(3).to_csv(index=False) + "1" + ",2" * 20,
        "text/csv",
        400,
        "line 5",
        "13 fields",
    ),
    "CSV with a column twice": (lambda x: "alcohol,alcohol\n1,2\n", "text/csv", 400, "line 1", ""),
    "CSV with an open quote": (lambda x: x.head(1).to_csv(index=False) + '"' + SECRET, "text/csv", 400, "", ""),
    "CSV that is not UTF-8": (lambda x: b"alcohol\n\xff\xfe\n", "text/csv", 400, "", "CSV in UTF-8"),
    "CSV that is empty": (lambda x: "", "text/csv", 400, "", ""),
    "no content type": (lambda x: {"inputs": rows(x)}, "", 415, "", "application/json or text/csv"),
    "plain text": (lambda x: SECRET, "text/plain", 415, "", "application/json or text/csv"),
    "a form": (lambda x: "a=1", "application/x-www-form-urlencoded", 415, "", "application/json or text/csv"),
    "another charset": (lambda x: {"inputs": []}, "application/json; charset=latin1", 415, "", "charset=utf-8"),
}


def assert_refused(reply: Reply, status: int, path: str, expected: str) -> None:
    told = reply.json
    assert reply.status == status, reply.text
    assert set(told) <= {"error_code", "message", "path", "expected", "example"}
    assert told["message"]
    assert told.get("path", "") == path
    assert told.get("expected", "").startswith(expected)
    for leak in (SECRET, "Traceback", "/nbtrack/", "site-packages", '.py"'):
        assert leak not in reply.text


@pytest.mark.parametrize("case", WRONG)
def test_invocations_with_wrong_input_says_where_and_what_was_expected(wine: Served, case: str) -> None:
    make, kind, status, path, expected = WRONG[case]
    reply = wine.ask(make(wine.data.head(4)), "application/json" if kind is None else kind or None)
    assert_refused(reply, status, path, expected)
    if status in {400, 415}:
        again = wine.ask(reply.json["example"])
        assert again.status == 200, again.text


MIXED_WRONG: dict[str, tuple[str, Any, str]] = {
    "a fraction in a long": ("age", 41.5, "long"),
    "text in a long": ("age", SECRET, "long"),
    "null in a long": ("age", None, "long"),
    "2**70 in a long": ("age", 2**70, "long"),
    "2**40 in an integer": ("level", 2**40, "integer"),
    "a number in a string": ("city", 5, "string"),
    "null in a string": ("city", None, "string"),
    "a number in a boolean": ("member", 1, "boolean"),
    "text in a boolean": ("member", SECRET, "boolean"),
    "text in a float": ("rate", SECRET, "float"),
    "no date in a datetime": ("since", SECRET, "datetime"),
    "a number in a datetime": ("since", 5, "datetime"),
    "an object in a double": ("score", {"a": SECRET}, "double"),
}


@pytest.mark.parametrize("case", MIXED_WRONG)
def test_invocations_with_a_value_of_a_wrong_type_names_it(mixed: Served, case: str) -> None:
    column, value, expected = MIXED_WRONG[case]
    sent = mixed.data.head(3).assign(since="2021-05-01T00:00:00").fillna(1.0)
    bodies = records(sent)
    bodies[1][column] = value
    assert_refused(mixed.ask({"dataframe_records": bodies}), 400, f"$.dataframe_records[1].{column}", expected)


@pytest.mark.parametrize(("column", "expected"), [("age", "long"), ("member", "boolean"), ("since", "datetime")])
def test_invocations_with_a_csv_value_of_a_wrong_type_names_line_and_column(
    mixed: Served, column: str, expected: str
) -> None:
    sent = mixed.data.head(3).astype(object)
    sent.iloc[1, sent.columns.get_loc(column)] = SECRET
    assert_refused(mixed.ask(sent.to_csv(index=False), "text/csv"), 400, f"line 3, column {column!r}", expected)


def test_invocations_with_a_category_the_model_never_saw_is_refused_without_naming_it(mixed: Served) -> None:
    sent = mixed.data.head(2).assign(since="2021-05-01", city=SECRET, score=1.0)
    reply = mixed.ask({"dataframe_records": records(sent)})
    assert reply.status == 400
    assert "ValueError" in reply.json["message"]
    assert SECRET not in reply.text


def test_invocations_with_a_whole_float_or_a_text_number_reads_it_as_an_integer(mixed: Served) -> None:
    sent = records(mixed.data.head(2).assign(since="2021-05-01", score=1.0))
    sent[0]["age"], sent[1]["age"] = 41.0, "41"
    assert mixed.ask({"dataframe_records": sent}).status == 200
