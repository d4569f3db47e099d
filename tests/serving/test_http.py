"""Everything about a model server but scoring: its other pages, its limits, and who is turned away."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
import threading
import time
from typing import Any

import pytest

import nbtrack
from nbtrack._version import __version__
from nbtrack.store.base import Store

from .helpers import Served, ask

GOOD = {"inputs": []}


@pytest.mark.parametrize(
    "path", ["/ping", "/health", "/version", "/schema", "/openapi.json", "/metrics", "/requests", "/"]
)
def test_page_of_a_ready_server_answers_and_names_its_model(wine: Served, path: str) -> None:
    reply = wine.ask(None, None, method="GET", path=path)
    assert reply.status == 200
    assert reply.headers["x-nbtrack-model"] == "wine/1"
    assert reply.headers["x-content-type-options"] == "nosniff"
    head = wine.ask(None, None, method="HEAD", path=path)
    assert (head.status, head.text) == (200, "")


def test_health_of_a_ready_server_tells_model_and_version(wine: Served) -> None:
    told = wine.ask(None, None, method="GET", path="/health").json
    assert (told["status"], told["model"], told["version"]) == ("ready", "wine", "1")


def test_version_answers_the_version_of_nbtrack(wine: Served) -> None:
    assert wine.ask(None, None, method="GET", path="/version").text == __version__


def test_schema_lists_the_columns_in_order(wine: Served) -> None:
    told = wine.ask(None, None, method="GET", path="/schema").json
    assert [column["name"] for column in told["inputs"]] == list(wine.data.columns)
    assert {column["type"] for column in told["inputs"]} == {"double"}


def test_openapi_describes_a_body_that_the_server_accepts(mixed: Served) -> None:
    told = mixed.ask(None, None, method="GET", path="/openapi.json").json
    content = told["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]
    record = content["schema"]["oneOf"][1]["properties"]["dataframe_records"]["items"]
    assert record["properties"]["level"] == {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
    assert record["properties"]["score"]["type"] == ["number", "null"]
    assert "score" not in record["required"]
    assert mixed.ask(content["example"]).status == 200


def test_metrics_count_requests_rows_and_time(store: Store, wine_uri: str, wine: Served) -> None:
    def value(name: str) -> float:
        text = wine.ask(None, None, method="GET", path="/metrics").text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    names = ['nbtrack_requests_total{status="200"}', 'nbtrack_requests_total{status="400"}', "nbtrack_rows_total"]
    names += ["nbtrack_latency_seconds_count", 'nbtrack_latency_seconds_bucket{le="+Inf"}']
    before = [value(name) for name in names]
    requests = wine.server.info.requests
    assert wine.ask({"inputs": wine.data.head(5).to_numpy().tolist()}).status == 200
    assert wine.ask("{").status == 400
    assert [value(name) - b for name, b in zip(names, before, strict=True)] == [1, 1, 5, 1, 1]
    assert wine.server.info.requests == requests + 2


def test_requests_lists_the_last_ones_without_their_data(wine: Served) -> None:
    assert wine.ask({"inputs": [[123.456] * 13] * 2}).status == 200
    assert wine.ask('{"inputs": "s3cr3t"}').status == 400
    reply = wine.ask(None, None, method="GET", path="/requests")
    bad, good = reply.json["requests"][:2]
    assert (good["status"], good["rows"], good["model"], bad["status"]) == (200, 2, "wine/1", 400)
    assert good["ms"] > 0
    assert reply.json["total"] == wine.server.info.requests
    assert "123.456" not in reply.text
    assert "s3cr3t" not in reply.text


def test_page_runs_only_its_own_script_and_holds_nothing_from_outside(wine: Served) -> None:
    reply = wine.ask(None, None, method="GET", path="/")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", reply.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"""(src|href)=["'](https?:)?//""", reply.text)
    assert "alcohol" in reply.text


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/invocations", 405, "POST"),
        ("PUT", "/invocations", 405, "POST"),
        ("POST", "/ping", 405, "GET, HEAD"),
        ("DELETE", "/", 405, "GET, HEAD"),
        ("GET", "/nothing", 404, ""),
        ("GET", "/../../etc/passwd", 404, ""),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404, ""),
        ("POST", "/invocations/", 404, ""),
    ],
)
def test_request_of_another_path_or_method_is_refused(
    wine: Served, method: str, path: str, status: int, allow: str
) -> None:
    reply = wine.ask(None if method == "GET" else {}, method=method, path=path)
    assert reply.status == status
    assert reply.headers.get("allow", "") == allow


FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "localhost.evil.example:{port}",
    "127.0.0.1:x",
    "[::1",
    "0.0.0.0:{port}",
    "",
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_request_under_a_foreign_host_name_is_refused(wine: Served, host: str) -> None:
    reply = wine.ask(GOOD, headers={"Host": host.format(port=wine.server.port)})
    assert reply.status == 403
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:{port}", "localhost:1", "LocalHost", "localhost.", "[::1]:{port}", "[::1]"]
)
def test_request_under_a_name_of_this_machine_is_answered(wine: Served, host: str) -> None:
    assert wine.ask(GOOD, headers={"Host": host.format(port=wine.server.port)}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
    ids=str,
)
def test_request_from_a_foreign_page_is_refused(wine: Served, headers: dict[str, str]) -> None:
    reply = wine.ask(GOOD, headers=headers)
    assert reply.status == 403
    assert reply.json["error_code"] == "FORBIDDEN"
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_request_from_its_own_page_or_a_followed_link_is_answered(wine: Served) -> None:
    own = {"Origin": f"http://127.0.0.1:{wine.server.port}", "Sec-Fetch-Site": "same-origin"}
    assert wine.ask(GOOD, headers=own).status == 200
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert wine.ask(None, None, method="GET", path="/", headers=followed).status == 200


def test_preflight_of_a_foreign_page_is_refused(wine: Served) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    reply = wine.ask(None, None, method="OPTIONS", headers=headers)
    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_compressed_body_is_refused_without_unpacking_it(wine: Served) -> None:
    assert wine.ask(b"\x1f\x8b" + bytes(100), headers={"Content-Encoding": "gzip"}).status == 415


def test_body_that_says_it_is_too_large_is_refused_before_it_is_read(wine: Served) -> None:
    with socket.create_connection(("127.0.0.1", wine.server.port), timeout=10) as sock:
        sock.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
            b"Content-Length: 1000000000\r\n\r\n"
        )
        answer = sock.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


def test_endless_body_is_refused_and_other_clients_are_served(wine: Served) -> None:
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    statuses: list[int] = []
    done = threading.Event()

    def others() -> None:
        while not done.is_set():
            statuses.append(wine.ask(GOOD).status)
            time.sleep(0.02)

    asking = threading.Thread(target=others)
    asking.start()
    try:
        with socket.create_connection(("127.0.0.1", wine.server.port), timeout=30) as sock:
            sock.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            answer = b""
            try:
                for _ in range(300):
                    sock.sendall(chunk)
            except OSError:
                pass
            try:
                answer = sock.recv(4096)
            except ConnectionError:
                answer = b"HTTP/1.1 413 "  # it was closed on us while we were still sending
    finally:
        done.set()
        asking.join()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert statuses
    assert set(statuses) == {200}


@pytest.mark.parametrize(
    "head",
    [
        b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\n{}",
        b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"\x00\x01\x02\r\n\r\n",
        b"GET /ping HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET http://localhost/ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX-A: 1\n continued\r\n\r\n",
    ],
)
def test_malformed_request_is_closed_and_the_server_lives(wine: Served, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", wine.server.port), timeout=10) as sock:
        sock.sendall(head)
        answer = sock.recv(4096)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert wine.ask(None, None, method="GET", path="/ping").status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Filler: 0123456789\r\n" * 10_000,
    ],
    ids=["a long path", "many headers"],
)
def test_head_that_is_too_large_is_closed_and_the_server_lives(wine: Served, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", wine.server.port), timeout=10) as sock:
        try:
            sock.sendall(head)
            answer = sock.recv(4096)
        except ConnectionError:  # closed while we were still sending
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    assert wine.ask(None, None, method="GET", path="/ping").status == 200


def test_head_that_never_ends_is_closed_while_others_are_kept() -> None:
    import uvicorn

    from nbtrack.serving.protocol import GuardedProtocol, close_slow_heads

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def main() -> tuple[bytes, bytes, float]:
        server = uvicorn.Server(uvicorn.Config(application, http=GuardedProtocol, log_config=None, lifespan="off"))
        sweeping = asyncio.create_task(close_slow_heads(server.server_state.connections, limit_s=0.2))
        with socket.create_server(("127.0.0.1", 0)) as sock:
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            port = sock.getsockname()[1]
            while not server.started:
                await asyncio.sleep(0.01)
            slow_reader, slow = await asyncio.open_connection("127.0.0.1", port)
            good_reader, good = await asyncio.open_connection("127.0.0.1", port)
            good.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            slow.write(b"GET / HTTP/1.1\r\nHost: local")
            started = time.monotonic()
            nothing = await slow_reader.read()
            seconds = time.monotonic() - started
            answer = await good_reader.read()
            for writer in (slow, good):
                writer.close()
            server.should_exit = True
            await serving
        sweeping.cancel()
        return nothing, answer, seconds

    nothing, answer, seconds = asyncio.run(main())
    assert nothing == b""
    assert seconds < 0.9
    assert answer.startswith(b"HTTP/1.1 204 ")


def test_two_host_headers_are_refused(wine: Served) -> None:
    with socket.create_connection(("127.0.0.1", wine.server.port), timeout=10) as sock:
        sock.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert sock.recv(4096)[:13] in {b"HTTP/1.1 403 ", b"HTTP/1.1 400 "}


def test_server_with_a_token_answers_nothing_but_ping_without_it(store: Store, wine_uri: str) -> None:
    import psutil

    token = "a-token-that-nobody-guesses"
    with nbtrack.serve(wine_uri, host="0.0.0.0", store=store, token=token) as server:
        for path in ("/", "/health", "/version", "/schema", "/openapi.json", "/metrics", "/requests", "/nothing"):
            assert ask(server.port, None, None, method="GET", path=path).status == 401
        assert ask(server.port, GOOD).status == 401
        assert ask(server.port, GOOD, headers={"Authorization": "Bearer wrong"}).status == 401
        assert ask(server.port, None, None, method="GET", path="/ping").status == 200
        assert ask(server.port, GOOD, headers={"Authorization": f"Bearer {token}"}).status == 200
        assert len(server.predict([[1.0] * 13])) == 1
        worker = psutil.Process(server.info.pid)
        shown = " ".join(worker.cmdline()) + repr(worker.environ()) + server.logs() + repr(server) + repr(server.info)
        shown += str(server._repr_mimebundle_())
        assert token not in shown
