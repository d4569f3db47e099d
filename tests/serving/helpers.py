"""What the tests of serving share: a served model, and a client that sends exactly what it is told to."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

import nbtrack
from nbtrack.serving import ModelServer
from nbtrack.store.base import Store


@dataclass
class Served:
    """A model as the notebook has it, and its server."""

    model: Any
    data: Any
    server: ModelServer

    def ask(
        self,
        body: Any,
        content_type: str | None = "application/json",
        *,
        method: str = "POST",
        path: str = "/invocations",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one request, with exactly these headers."""
        return ask(self.server.port, body, content_type, method=method, path=path, headers=headers)


@dataclass
class Reply:
    """What came back."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(
    port: int,
    body: Any,
    content_type: str | None = "application/json",
    *,
    method: str = "POST",
    path: str = "/invocations",
    headers: dict[str, str] | None = None,
) -> Reply:
    data = body if isinstance(body, (bytes, type(None))) else body.encode() if isinstance(body, str) else None
    if data is None and body is not None:
        data = json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=bool(headers and "Host" in headers), skip_accept_encoding=True)
        if content_type is not None:
            connection.putheader("Content-Type", content_type)
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(data)
        response = connection.getresponse()
        return Reply(response.status, response.read().decode(), {k.lower(): v for k, v in response.getheaders()})
    finally:
        connection.close()


def log(store: Store, model: Any, name: str, example: Any) -> str:
    """Log and register a model; return the URI of its version."""
    nbtrack.set_tracking_uri(store.uri)
    with nbtrack.start_run():
        info = nbtrack.log_model(model, "model", input_example=example, registered_model_name=name)
    return f"models:/{name}/{info.registered_model_version}"


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.01)
    return true()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def answers(port: int) -> bool:
    try:
        return ask(port, None, None, method="GET", path="/ping").status == 200
    except OSError:
        return False
