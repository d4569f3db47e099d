"""Attempts on a running server: every route without its token, addresses that a server must not fetch, texts made to
be slow to read, and requests made from the server's own OpenAPI document."""

from __future__ import annotations

import io
import json
import socket
import time
import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbtrack
from nbtrack.errors import NbtrackError
from nbtrack.serving import RequestLogging, records
from nbtrack.store.base import Store

from .helpers import Served, ask

TOKEN = "a-token-that-nobody-guesses"
OTHER = "another-token-that-is-new"


def test_no_route_answers_without_the_token(runtime: Path, store: Store, wine_uri: str, mixed: Served) -> None:
    paths = [
        *("/", "/docs", "/health", "/version", "/schema", "/openapi.json", "/metrics", "/requests", "/drift"),
        *("/invocations", "/models/wine/", "/models/wine/invocations", "/models/wine/health", "/models/no/ping"),
        *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/wine", "/v2/models/wine/infer"),
        *("/ping/", "//ping", "/ping/../health", "/%70ing/x", "/PING", "/nothing"),
    ]
    with nbtrack.serve(wine_uri, store=store, token=TOKEN, log_requests=RequestLogging(share=0.5)) as server:
        listed = json.loads(ask(server.port, None, None, method="GET", path="/openapi.json",
                                headers={"Authorization": f"Bearer {TOKEN}"}).text)["paths"]  # fmt: skip
        for path in {*paths, *listed} - {"/ping"}:
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
                assert ask(server.port, None, None, method=method, path=path).status == 401, (method, path)
        assert ask(server.port, None, None, method="GET", path="/ping").status == 200
        for wrong in ("", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer"):
            assert (
                ask(server.port, None, None, method="GET", path="/health", headers={"Authorization": wrong}).status
                == 401
            )


def test_token_that_is_replaced_opens_nothing_any_more(runtime: Path, store: Store, wine_uri: str) -> None:
    with nbtrack.serve(wine_uri, store=store, token=TOKEN) as server:
        port = server.port
    with nbtrack.serve(wine_uri, store=store, token=OTHER, port=port) as server:
        assert ask(port, {"inputs": []}, headers={"Authorization": f"Bearer {TOKEN}"}).status == 401
        assert ask(port, {"inputs": []}, headers={"Authorization": f"Bearer {OTHER}"}).status == 200
        assert records.record_path(server.server_id).stat().st_mode & 0o077 == 0
        assert records.log_path(server.server_id).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "uri", ["http://{at}/m", "https://{at}/m", "ftp://{at}/m", "s3://bucket/m", "//{at}/m", "models:/http://{at}/1"]
)
def test_no_address_is_fetched_for_a_model(runtime: Path, store: Store, uri: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        at = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(NbtrackError, match=r"."):
            nbtrack.serve(uri.format(at=at), store=store)
        with pytest.raises(TimeoutError, match="timed out"):
            listening.accept()


def test_no_address_in_a_request_is_fetched(mixed: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.3)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        frame = mixed.data.head(2).assign(city=url)
        split = {"columns": list(frame.columns), "data": json.loads(frame.to_json(orient="values", date_format="iso"))}
        mixed.ask({"dataframe_split": split})
        mixed.ask({"inputs": url})
        mixed.ask(url, "text/csv")
        with pytest.raises(TimeoutError, match="timed out"):
            listening.accept()


SLOW_TEXTS = ["a" * 50_000 + "!", "1" * 50_000, "-" * 50_000, "2020-01-01T" * 4_000, "%" * 50_000, "((((" * 12_000]


@pytest.mark.parametrize("text", SLOW_TEXTS, ids=lambda text: text[:4])
def test_no_text_is_slow_to_read(mixed: Served, text: str) -> None:
    frame = mixed.data.head(1)
    good = {"columns": list(frame.columns), "data": json.loads(frame.to_json(orient="values", date_format="iso"))}
    for place in range(len(frame.columns)):
        row = list(good["data"][0])
        row[place] = text
        started = time.perf_counter()
        mixed.ask({"dataframe_split": good | {"data": [row]}})
        assert time.perf_counter() - started < 1
    for headers in ({"X-Request-Id": text[:8000]}, {"Accept": text[:8000]}, {"Cookie": text[:8000]}):
        started = time.perf_counter()
        assert mixed.ask({"dataframe_split": good}, headers=headers).status == 200
        mixed.ask("x", text[:8000])
        assert time.perf_counter() - started < 1


def test_bombs_are_refused_and_take_no_memory(wine: Served) -> None:
    import psutil

    worker = psutil.Process(wine.server.info.pid)
    before = worker.memory_info().rss
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", b"0" * 20_000_000)
    nested = b"[" * 500_000 + b"]" * 500_000
    parquet = io.BytesIO()
    pd.DataFrame({f"c{i}": np.zeros(300_000) for i in range(500)}).to_parquet(parquet, compression="zstd")
    for body, kind in (
        (packed.getvalue(), "application/zip"),
        (packed.getvalue(), "application/json"),
        (nested, "application/json"),
        (b'{"inputs":' + nested + b"}", "application/json"),
        (parquet.getvalue(), "application/vnd.apache.parquet"),
        (b"9" * 1_000_000, "application/json"),
    ):
        assert wine.ask(body, kind).status in {400, 413, 415}
    for encoding in ("gzip", "deflate", "br", "zstd"):
        assert wine.ask(packed.getvalue(), headers={"Content-Encoding": encoding}).status == 415
    assert worker.memory_info().rss - before < 256e6
    assert wine.ask(None, None, method="GET", path="/ping").status == 200


PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "number": st.floats(-1e6, 1e6),
    "integer": st.integers(-1000, 1000),
    "string": st.text(max_size=8),
    "boolean": st.booleans(),
    "null": st.none(),
}


def fitting(schema: Any) -> st.SearchStrategy[Any]:
    """Return values that fit a schema, as far as our documents go."""
    if "const" in schema:
        return st.just(schema["const"])
    for either in ("oneOf", "anyOf"):
        if either in schema:
            return st.one_of(*map(fitting, schema[either]))
    kinds = schema.get("type", list(PLAIN))
    if kinds == "object":
        known = {name: fitting(inner) for name, inner in schema.get("properties", {}).items()}
        required = {name: known.get(name, st.none()) for name in schema.get("required", ())}
        return st.fixed_dictionaries(required, optional={k: v for k, v in known.items() if k not in required})
    if kinds == "array" and "prefixItems" in schema:
        return st.tuples(*map(fitting, schema["prefixItems"])).map(list)
    if kinds == "array":
        return st.lists(fitting(schema.get("items", {})), max_size=4)
    if schema.get("format") == "date-time":
        return st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(datetime.isoformat)
    return st.one_of(*(PLAIN[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)))


@pytest.mark.slow
def test_bodies_made_from_the_openapi_document_are_answered(wine: Served, mixed: Served, array: Served) -> None:
    for served in (wine, mixed, array):
        document = served.ask(None, None, method="GET", path="/openapi.json").json
        pid = served.server.info.pid
        for path, verbs in document["paths"].items():
            if "get" in verbs:
                assert served.ask(None, None, method="GET", path=path).status == 200
        body_schema = document["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        answers: Counter[int] = Counter()

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(body=fitting(body_schema))
        def check(body: Any) -> None:
            reply = served.ask(body)  # noqa: B023 - called at once
            answers[reply.status] += 1  # noqa: B023
            assert reply.status in {200, 400}, (body, reply)
            assert "Traceback" not in reply.text

        check()
        assert answers[200] > 0 and served.server.info.pid == pid
