"""Whatever is sent: an answer or a refusal that gives nothing away, never a failure of the server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nbtrack.entities import Column, ModelManifest, Signature
from nbtrack.serving.app import App
from nbtrack.serving.scorer import Scorer
from nbtrack.serving.served import Served
from nbtrack.serving.target import Target

NAMES = ["a", "b", "c", "d", "e", "f"]
TYPES = ["double", "long", "string", "boolean", "datetime", "float"]
MIXED = Signature(inputs=tuple(Column(n, t, required=n != "c") for n, t in zip(NAMES, TYPES, strict=True)))
DOUBLES = Signature(inputs=tuple(Column(n, "double") for n in NAMES[:3]))
UNNAMED = Signature(inputs=(Column(None, "double"), Column(None, "long")))
SECRET = "s3cr3t"


def picky(data: Any) -> Any:
    """A model that fails on what it does not like, with the data in its message."""
    if len(data) % 5 == 4:
        raise RuntimeError(f"cannot take {SECRET} {data!r}")
    return np.arange(len(data))


def application(signature: Signature | None) -> App:
    manifest = ModelManifest(flavor="sklearn", model_class="M", files={}, signature=signature)
    scorer = Scorer(picky, signature)
    target = Target("models:/m/1", "m", 1, "digest", manifest, scorer.example)
    return App([Served(scorer, target)], max_body_bytes=100_000)


APPS = {"mixed": application(MIXED), "doubles": application(DOUBLES), "unnamed": application(UNNAMED)}
APPS["without"] = application(None)


def send(app: App, body: bytes, content_type: str) -> tuple[int, bytes]:
    """Send one request straight to the application."""
    headers = [(b"host", b"localhost"), (b"content-type", content_type.encode("latin-1", "replace"))]
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers}
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Any) -> None:
        said.append(message)

    asyncio.run(app(scope, receive, collect))
    return said[0]["status"], said[1]["body"]


def check(app: App, body: bytes, content_type: str = "application/json") -> None:
    status, answer = send(app, body, content_type)
    told = json.loads(answer)
    if status == 200:
        assert isinstance(told["predictions"], list)
        return
    assert status in {400, 413, 415}, (status, answer, body)
    assert set(told) <= {"error_code", "message", "path", "expected", "example"}
    assert told["message"]
    assert SECRET.encode() not in answer
    assert b"Traceback" not in answer


numbers = st.one_of(
    st.floats(allow_nan=True), st.integers(), st.integers(-(2**70), 2**70), st.sampled_from([1e308, -0.0, 2**53 + 1])
)
texts = st.one_of(
    st.text(max_size=8), st.sampled_from([SECRET, "1", "1.5", "nan", "true", "2020-01-01", "\ud7ff", "'"])
)
scalars = st.one_of(numbers, texts, st.booleans(), st.none())
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))
keys = st.sampled_from([*NAMES, "x", "", "columns", "data"])
rows = st.lists(st.lists(scalars, max_size=7), max_size=6)
records = st.lists(st.dictionaries(keys, scalars, max_size=7), max_size=6)
split = st.fixed_dictionaries(
    {},
    optional={"columns": st.lists(keys | st.integers(), max_size=7) | values, "data": rows | values, "index": values},
)
forms = st.one_of(rows, records, values, st.dictionaries(keys, st.lists(scalars, max_size=5) | scalars, max_size=7))
bodies = st.one_of(
    st.fixed_dictionaries({"dataframe_split": split | values}),
    st.fixed_dictionaries({"dataframe_records": records | values}),
    st.fixed_dictionaries({"inputs": forms}, optional={"params": values}),
    st.fixed_dictionaries({"instances": forms}, optional={"inputs": forms}),
    split,
    forms,
    values,
)
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))  # 3200 make it more than 50,000 requests in all
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Models that raise are logged, each with its traceback: not here."""
    logging.getLogger("nbtrack.serving").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("nbtrack.serving").setLevel(logging.NOTSET)


@pytest.mark.parametrize("kind", APPS)
@fuzz
@example(body={"columns": [], "data": [[0.0]]})
@example(body={"inputs": {"": [], SECRET: {}}})
@given(body=bodies)
def test_any_json_is_answered_or_refused(kind: str, body: Any) -> None:
    check(APPS[kind], json.dumps(body).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("kind", APPS)
@fuzz
@given(
    names=st.lists(keys | texts, max_size=7),
    lines=st.lists(st.lists(texts | numbers.map(str), max_size=8), max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\n", '"\n', "\0"]),
)
def test_any_csv_is_answered_or_refused(kind: str, names: list[str], lines: list[list[str]], end: str) -> None:
    text = end.join([",".join(names), *(",".join(line) for line in lines)])
    check(APPS[kind], text.encode("utf-8", "surrogatepass"), "text/csv")


@pytest.mark.parametrize("kind", APPS)
@fuzz
@given(body=st.binary(max_size=200), content_type=st.sampled_from(["application/json", "text/csv"]) | texts)
def test_any_bytes_are_answered_or_refused(kind: str, body: bytes, content_type: str) -> None:
    check(APPS[kind], body, content_type)


@pytest.mark.parametrize("kind", APPS)
@fuzz
@given(data=st.data())
def test_a_good_body_with_one_place_spoilt_is_answered_or_refused(kind: str, data: st.DataObject) -> None:
    good = json.dumps(APPS[kind].served[0].live.scorer.example).encode()
    place = data.draw(st.integers(0, len(good) - 1))
    spoilt = good[:place] + data.draw(st.binary(max_size=3)) + good[place + data.draw(st.integers(0, 3)) :]
    check(APPS[kind], spoilt)
