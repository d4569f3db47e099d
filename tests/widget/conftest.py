"""A real kernel, spoken to as a notebook's front end does."""

from __future__ import annotations

import json
import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"


class FrontEnd:
    """What JupyterLab is to a kernel: runs cells, keeps their outputs, talks over comms."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.pushed: list[dict[str, Any]] = []
        self._count = 0

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell; return its outputs. Fails the test if the cell fails."""
        outputs: list[dict[str, Any]] = []

        def keep(message: dict[str, Any]) -> None:
            self._note(message)
            if message["msg_type"] in {"display_data", "execute_result", "stream", "error"}:
                outputs.append(message["content"])

        reply = self.client.execute_interactive(code, timeout=60, output_hook=keep)
        assert reply["content"]["status"] == "ok", reply["content"]
        return outputs

    def send(self, comm_id: str, request: Any) -> str:
        """Send a request to a widget, return its id."""
        self._count += 1
        message_id = f"m{self._count}"
        data = {"method": "custom", "content": {"id": message_id, "request": request}}
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        self.client.shell_channel.send(message)
        return message_id

    def answer(self, message_id: str, timeout_s: float = 30) -> Any:
        """Wait for the reply of a request."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            content = self._note(message)
            if content is not None and content.get("id") == message_id:
                return json.loads(bytes(message["buffers"][0]))
        raise AssertionError(f"no reply to {message_id} in {timeout_s} s")

    def call(self, comm_id: str, request: Any) -> Any:
        """Ask and wait."""
        return self.answer(self.send(comm_id, request))

    def wait_for_push(self, timeout_s: float = 20) -> dict[str, Any]:
        """Wait until the kernel tells of a change by itself."""
        until = time.monotonic() + timeout_s
        while not self.pushed and time.monotonic() < until:
            try:
                self._note(self.client.get_iopub_msg(timeout=0.5))
            except queue.Empty:
                continue
        assert self.pushed, "the kernel told of nothing"
        return self.pushed.pop(0)

    def _note(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["msg_type"] != "comm_msg" or message["content"]["data"].get("method") != "custom":
            return None
        content: dict[str, Any] = message["content"]["data"]["content"]
        if "revision" in content:
            self.pushed.append(content)
        return content


@pytest.fixture
def host() -> dict[str, str]:
    """What the environment of a kernel says of its host: here, that a Jupyter server started it."""
    return {"JPY_SESSION_NAME": "notebook.ipynb"}


@pytest.fixture
def front_end(tmp_path: Path, host: dict[str, str]) -> Iterator[FrontEnd]:
    manager = KernelManager(kernel_name="python3")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "VSCODE_"))}
    manager.start_kernel(cwd=str(tmp_path), env={**bare, **host})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        front_end = FrontEnd(client)
        front_end.run("import nbtrack")
        yield front_end
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
