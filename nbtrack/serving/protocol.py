"""uvicorn's HTTP protocol with limits of its own: on the size of a request's head, and on the time it may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 << 10
HEAD_TIMEOUT_S: Final = 15.0
MAX_CONNECTIONS: Final = 1000
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class GuardedProtocol(HttpToolsProtocol):
    """Closes on heads that are too large, too slow, or name a server as only a proxy is asked."""

    head_since: float | None = None  # when the head that is still coming began
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        self.head_since = time.monotonic()
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """Begin to wait for the end of a head."""
        self.head_since = time.monotonic()
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Take a request whose head is whole."""
        self.head_since = None
        if not self.url.startswith(b"/"):  # http://name/path goes around the check of Host
            raise ValueError("absolute-form")  # the parser makes it a 400
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take bytes; those that leave a head unfinished count."""
        super().data_received(data)
        if self.head_since is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()


async def close_slow_heads(connections: Collection[Any], limit_s: float = HEAD_TIMEOUT_S) -> None:
    """Close, for ever, connections whose head takes longer than `limit_s`."""
    while True:
        await asyncio.sleep(limit_s / 3)
        before = time.monotonic() - limit_s
        for each in list(connections):
            if getattr(each, "head_since", None) is not None and each.head_since < before:
                each.transport.close()
