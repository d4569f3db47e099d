"""A model server reached through the Jupyter server: by our own handler, and by jupyter-server-proxy."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

import nbtrack
from nbtrack.serving import ModelServer, records

BODY = json.dumps({"inputs": [[3.0]]})
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    folder = tmp_path_factory.mktemp("proxied")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBTRACK_RUNTIME_DIR", str(folder / "run"))
        nbtrack.save_model(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]), folder / "m", input_example=[[1.0]])
        with nbtrack.serve(folder / "m", token="a-token-of-the-model") as server:
            yield server


async def test_model_is_reached_with_the_login_of_jupyter_alone(jp_fetch: Any, served: ModelServer) -> None:
    place = ("nbtrack", "serve", served.server_id)
    reply = await jp_fetch(*place, "invocations", method="POST", body=BODY, headers=dict(JSON))
    assert json.loads(reply.body)["predictions"] == pytest.approx([7.0])
    assert reply.headers["X-Nbtrack-Model"] == "m"
    page = await jp_fetch(*place, "docs")
    assert b"served by nbtrack" in page.body
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    with pytest.raises(HTTPClientError, match="302") as moved:  # relative links need the slash
        await jp_fetch(*place, follow_redirects=False)
    assert moved.value.response is not None
    assert moved.value.response.headers["Location"] == f"{served.server_id}/"
    with pytest.raises(HTTPClientError, match="400") as refused:
        await jp_fetch(*place, "invocations", method="POST", body='{"inputs": [["x"]]}', headers=dict(JSON))
    assert refused.value.response is not None
    assert json.loads(refused.value.response.body)["path"] == "$.inputs[0][0]"


@pytest.mark.parametrize(
    "path",
    ["f" * 12, "../../etc/passwd", "%2e%2e", "x", "ffffffffffff/../../../api", "127.0.0.1:22"],
)
async def test_what_is_no_server_of_ours_is_not_reached(jp_fetch: Any, served: ModelServer, path: str) -> None:
    with pytest.raises(HTTPClientError, match="404"):
        await jp_fetch("nbtrack", "serve", path, "ping")


async def test_record_of_a_dead_server_opens_no_port(jp_fetch: Any, served: ModelServer) -> None:
    found = records.read_record(served.server_id)
    assert found is not None
    from dataclasses import replace

    with socket.create_server(("127.0.0.1", 0)) as other:  # somebody else's port
        dead = replace(found, server_id="0123456789ab", port=other.getsockname()[1], status="ready")
        records.write_record(dead)
        with pytest.raises(HTTPClientError, match="404"):
            await jp_fetch("nbtrack", "serve", "0123456789ab", "ping")


async def test_without_the_login_nothing_is_answered(
    jp_fetch: Any, jp_base_url: str, jp_http_port: int, served: ModelServer
) -> None:
    base = f"http://127.0.0.1:{jp_http_port}{jp_base_url}nbtrack/serve/{served.server_id}"
    client = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 60, "connect_timeout": 60})
    for method, body in (("GET", None), ("POST", BODY)):
        for path in ("", "invocations", "health", "metrics", "openapi.json"):
            with pytest.raises(HTTPClientError, match=r"403|405|302"):
                await client.fetch(
                    f"{base}/{path}", method=method, body=body, headers=dict(JSON), follow_redirects=False
                )
    client.close()


async def test_forged_post_with_the_cookies_of_the_user_is_refused(
    jp_fetch: Any, jp_base_url: str, jp_http_port: int, jp_auth_header: dict[str, str], served: ModelServer
) -> None:
    base = f"http://127.0.0.1:{jp_http_port}{jp_base_url}"
    token = jp_auth_header["Authorization"].split()[-1]
    client = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 60, "connect_timeout": 60})
    login = await client.fetch(f"{base}nbtrack/serve/{served.server_id}/?token={token}")
    cookies = [line.split(";")[0] for line in login.headers.get_list("Set-Cookie")]
    xsrf = next((one.split("=", 1)[1] for one in cookies if one.startswith("_xsrf=")), None)
    assert xsrf is not None, cookies
    url = f"{base}nbtrack/serve/{served.server_id}/invocations"
    headers = {**JSON, "Cookie": "; ".join(cookies)}
    with pytest.raises(HTTPClientError, match="403"):
        await client.fetch(url, method="POST", body=BODY, headers=headers)
    with pytest.raises(HTTPClientError, match="403"):
        await client.fetch(url, method="POST", body=BODY, headers={**headers, "X-XSRFToken": "guessed"})
    good = await client.fetch(url, method="POST", body=BODY, headers={**headers, "X-XSRFToken": xsrf})
    assert good.code == 200
    client.close()


class Upstream:
    """A stand-in for the model's port that keeps what reaches it, byte for byte."""

    def __init__(self) -> None:
        import threading

        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.seen = b""
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        connection, _ = self.socket.accept()
        connection.settimeout(5)
        while b"\r\n\r\n" not in self.seen or not self.seen.endswith(BODY.encode()):
            self.seen += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: evil=1\r\nX-Evil: 1\r\n\r\n{}")
        connection.close()
        self.socket.close()


async def test_cookies_and_tokens_of_jupyter_never_reach_the_model(
    jp_fetch: Any, served: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = Upstream()
    found = records.read_record(served.server_id)
    assert found is not None
    from dataclasses import replace

    monkeypatch.setattr(records, "read_record", lambda _: replace(found, port=upstream.port))
    reply = await jp_fetch(
        "nbtrack", "serve", served.server_id, "invocations", method="POST", body=BODY,
        headers={**JSON, "Cookie": "secret-cookie=1", "X-Forwarded-For": "6.6.6.6", "X-Request-Id": "r1"},
    )  # fmt: skip
    head = upstream.seen.decode()
    assert f"Host: 127.0.0.1:{upstream.port}" in head and "X-Request-Id: r1" in head
    assert "secret-cookie" not in head and "token " not in head.lower() and "X-Forwarded" not in head
    assert "Authorization: Bearer a-token-of-the-model" in head
    assert "X-Evil" not in reply.headers
    assert not any(one.startswith("evil=") for one in reply.headers.get_list("Set-Cookie"))


@pytest.fixture
def jupyter_with_proxy(tmp_path: Path) -> Iterator[str]:
    """The address of a real Jupyter server with jupyter-server-proxy, its token in the query."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "jupyter_server", f"--ServerApp.root_dir={tmp_path}", f"--ServerApp.port={port}"),
        *("--ServerApp.open_browser=False", "--IdentityProvider.token=t0ken", "--ServerApp.allow_root=True"),
        "--ServerApp.allow_remote_access=True",
    ]
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )  # it knows the proxy by itself
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(15)


@pytest.mark.slow
async def test_model_is_reached_through_jupyter_server_proxy(
    jupyter_with_proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBTRACK_RUNTIME_DIR", str(tmp_path / "run"))
    nbtrack.save_model(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]), tmp_path / "m", input_example=[[1.0]])
    client = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 60, "connect_timeout": 60})
    with nbtrack.serve(tmp_path / "m", allowed_hosts=["hub.example.org"]) as server:
        url = f"{jupyter_with_proxy}/proxy/{server.port}"
        login = {"Authorization": "token t0ken"}
        page = await client.fetch(f"{url}/", headers=login)
        assert b"served by nbtrack" in page.body
        for host in (None, "hub.example.org"):
            headers = {**JSON, **login} | ({"Host": host} if host else {})
            reply = await client.fetch(f"{url}/invocations", method="POST", body=BODY, headers=headers)
            assert json.loads(reply.body)["predictions"] == pytest.approx([7.0])
        with pytest.raises(HTTPClientError, match="403"):
            await client.fetch(
                f"{url}/invocations", method="POST", body=BODY, headers={**JSON, **login, "Host": "evil.example"}
            )
        with pytest.raises(HTTPClientError, match="403"):
            await client.fetch(f"{url}/invocations", method="POST", body=BODY, headers=dict(JSON))
        assert "t0ken" not in server.logs()
    client.close()
