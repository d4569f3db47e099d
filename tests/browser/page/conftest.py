"""Our components on a page of their own, in a real Chromium, over a real store: quicker than a whole JupyterLab."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Route

import nbtrack
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import answer_json

JS = Path(__file__).parents[3] / "js"
COLORS = {
    "light": {
        "layout-color1": "#fff", "layout-color2": "#eee", "ui-font-color1": "rgba(0,0,0,.87)",
        "ui-font-color2": "rgba(0,0,0,.6)", "border-color1": "#bdbdbd", "border-color2": "#e0e0e0",
        "brand-color1": "#1976d2", "ui-inverse-font-color0": "#fff",
    },
    "dark": {
        "layout-color1": "#212121", "layout-color2": "#424242", "ui-font-color1": "rgba(255,255,255,.87)",
        "ui-font-color2": "rgba(255,255,255,.7)", "border-color1": "#616161", "border-color2": "#424242",
        "brand-color1": "#2196f3", "ui-inverse-font-color0": "#000",
    },
}  # fmt: skip


def html(theme: str) -> str:
    """The page, with the variables by which JupyterLab tells its colours."""
    colors = "".join(f"--jp-{name}:{value};" for name, value in COLORS[theme].items())
    return (
        f'<!doctype html><html lang="en" style="{colors}"><meta charset="utf-8"><title>nbtrack</title>'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css">'
        "<style>body{margin:16px;font-family:system-ui;background:var(--jp-layout-color1);"
        "color:var(--jp-ui-font-color1)}</style>"
        f'<body data-jp-theme-light="{str(theme == "light").lower()}"><script type="module" src="/harness.js"></script>'
    )


class Handler(BaseHTTPRequestHandler):
    """Serves the page, its program, and what the store answers."""

    protocol_version = "HTTP/1.1"
    store: Store

    def _send(self, body: bytes, kind: str, status: int = 200) -> None:
        with suppress(ConnectionError):  # the page may have gone on to another
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        files = {"/harness.js": "text/javascript", "/style.css": "text/css"}
        gallery = {"/gallery/": "index.html", "/gallery/gallery.js": "gallery.js", "/gallery/style.css": "style.css"}
        kinds = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}
        if path in gallery:
            file = JS / "lib" / "gallery" / gallery[path]
            self._send(file.read_bytes(), kinds[file.suffix])
        elif path in files:
            self._send((JS / "lib" / "harness" / path[1:]).read_bytes(), files[path])
        elif path == "/":
            theme = "dark" if "theme=dark" in self.path else "light"
            self._send(html(theme).encode(), "text/html; charset=utf-8")
        else:
            self._send(b"", "text/plain", 404)

    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(answer_json(self.store, json.dumps(call["request"]).encode()), "application/json")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def harness() -> Path:
    """The program of the page, built from the sources as they are."""
    done = subprocess.run(["node", "tests/harness.mjs"], cwd=JS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return JS / "lib" / "harness" / "harness.js"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of this test's own, which the functions of nbtrack log to."""
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    yield open_store(tmp_path / "store")
    nbtrack.set_tracking_uri(None)


@dataclass
class StorePage:
    """A page over a store."""

    page: Page
    url: str
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, view: str = "compare", theme: str = "light", **options: str) -> Page:
        self.page.goto(f"{self.url}/?{urlencode({'view': view, 'theme': theme, **options})}")
        self.page.wait_for_function("() => window.nbtState !== undefined")
        return self.page


@pytest.fixture(scope="session")
def serve_store() -> Iterator[Callable[[Store], str]]:
    """Serve the page over a store; return its address."""
    servers: list[ThreadingHTTPServer] = []

    def served(store: Store) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("StoreHandler", (Handler,), {"store": store}))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield served
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def store_page(
    harness: Path, store: Store, browser: Browser, serve_store: Callable[[Store], str]
) -> Iterator[StorePage]:
    """A fresh page; the test fails if it raised, or asked anything outside this machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(30_000)
    opened = StorePage(context.new_page(), serve_store(store))

    def hold(route: Route, request: Request) -> None:
        if urlsplit(request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            opened.outside.append(request.url)
            route.abort()

    context.route(lambda url: url.startswith(("http", "ws")), hold)
    opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
    yield opened
    context.close()
    assert opened.outside == [], "the page asked outside of this machine"
    assert opened.errors == [], "the page raised"
