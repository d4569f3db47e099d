"""``nbtrack/serve/ID/…``: the model servers of this user, for a browser that sits on another machine.

Authentication and the guard against forged requests are the Jupyter server's. The model sees neither its cookies nor
its token, and nothing is reached but the ports that nbtrack's own servers hold.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from nbtrack.errors import NotFoundError
from nbtrack.lab.handlers import AUTH_RESOURCE

TIMEOUT_S: Final = 120.0
MAX_ANSWER_BYTES: Final = 512 << 20
_TAKEN: Final = ("Content-Type", "Accept", "X-Request-Id")
_GIVEN: Final = (
    *("Content-Type", "Content-Security-Policy", "X-Content-Type-Options", "Cache-Control", "X-Nbtrack-Model"),
    *("X-Nbtrack-Note", "Server-Timing", "Retry-After", "Allow"),
)


def _target(server_id: str) -> tuple[str, str]:
    """Return the address and the token of a running server of this user.

    Raises
    ------
    NotFoundError
        If there is none of this id.
    """
    from nbtrack.serving import records

    record = records.read_record(server_id)
    if record is None or not records.is_locked(server_id):
        raise records.no_server(server_id)
    return record.url, record.token


class ServeHandler(JupyterHandler):  # type: ignore[misc]
    """Hands requests on to a model server, and its answers back."""

    auth_resource = AUTH_RESOURCE

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self, server_id: str, path: str | None) -> None:
        """Get a page or a document of the server."""
        if path is None:  # its own links are relative
            self.redirect(f"{server_id}/")
            return
        self.xsrf_token  # noqa: B018 - the page sends it back: asking for it sets its cookie
        await self._hand_on(server_id, path, None)

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def post(self, server_id: str, path: str | None) -> None:
        """Ask the model."""
        await self._hand_on(server_id, path or "", self.request.body)

    async def _hand_on(self, server_id: str, path: str, body: bytes | None) -> None:
        try:
            url, token = await asyncio.to_thread(_target, server_id)
        except NotFoundError as error:
            raise web.HTTPError(404, str(error)) from None
        headers = {name: value for name in _TAKEN if (value := self.request.headers.get(name)) is not None}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        query = f"?{self.request.query}" if self.request.query else ""
        request = HTTPRequest(
            f"{url}/{quote(path)}{query}",
            method="GET" if body is None else "POST",
            body=body,
            headers=headers,
            follow_redirects=False,
            decompress_response=False,
            request_timeout=TIMEOUT_S,
        )
        client = AsyncHTTPClient(force_instance=True, max_body_size=MAX_ANSWER_BYTES)
        try:
            answer = await client.fetch(request, raise_error=False)
        finally:
            client.close()
        if answer.code == 599:
            raise web.HTTPError(502, f"the model server {server_id} does not answer.")
        self.set_status(answer.code)
        for name in _GIVEN:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        await self.finish(answer.body or b"")


def add_proxy(app: Any) -> None:
    """Add the handler to a Jupyter server's web application, below its base URL."""
    base = app.settings["base_url"].rstrip("/")
    app.add_handlers(".*$", [(rf"{base}/nbtrack/serve/([0-9a-f]{{12}})(?:/(.*))?", ServeHandler)])
