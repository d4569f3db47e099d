"""What goes over the wire for many widgets: the program once a page, however many views there are."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, WebSocket, expect

VIEWS = 4


class Traffic:
    """The frames that the page's websockets received, and how many of them held the program."""

    def __init__(self, page: Page, program: bytes) -> None:
        self.program = program[200:400]  # unlikely to be anywhere else
        self.frames: list[bytes] = []
        page.on("websocket", self._watch)

    def _watch(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda data: self.frames.append(data.encode() if isinstance(data, str) else data))

    @property
    def programs(self) -> int:
        return sum(self.program in frame for frame in self.frames)


def test_many_widgets_bring_their_program_once_and_a_reloaded_page_asks_for_it(
    new_notebook: Callable[..., Any], page: Page, root: Path
) -> None:
    source = (root / "nbtrack" / "widget" / "static" / "view.js").read_bytes()
    traffic = Traffic(page, gzip.compress(source, 9, mtime=0))
    track = "import nbtrack\nwith nbtrack.start_run(run_name='one'):\n    nbtrack.log_metric('acc', 0.5)"
    # Widgets of their own, as in a host without our extension: each is an output that its own model draws.
    view = "from nbtrack.widget.view import View\nfrom nbtrack.tracking import get_store\nView(get_store())"
    notebook = new_notebook(track, *[view] * VIEWS, fresh=True)
    notebook.run_all()
    drawn = page.locator(".jp-Notebook .jp-OutputArea [data-nbt=compare]")
    for index in range(1, VIEWS + 1):
        notebook.scroll_to(index)
        expect(drawn.first).to_be_visible()
    for _ in range(100):  # what the page has received is told to us a little later
        if traffic.programs:
            break
        page.wait_for_timeout(100)
    assert traffic.programs == 1
    traffic.frames.clear()
    # The first view brings its program along in its state; the others have nothing to ask for.
    notebook.saved()
    notebook.reload()
    notebook.scroll_to(VIEWS)
    expect(drawn.first).to_be_visible()
    assert traffic.programs <= 1
