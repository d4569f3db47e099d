"""A server that a real kernel owns: what the interrupt button, a restart and the end of the kernel do to it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.manager import KernelManager

from nbtrack.serving import list_servers
from nbtrack.store.base import Store

from .helpers import answers, gone, wait_until


class Notebook:
    """A kernel and what a front end says to it."""

    def __init__(self, folder: Path) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, wait: bool = True) -> str:
        if not wait:
            self.client.execute(code)
            return ""
        outputs: list[str] = []

        def collect(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                outputs.append(content["text"])
            if message["msg_type"] == "error":
                outputs.append("\n".join(content["traceback"]))

        self.client.execute_interactive(code, timeout=60, output_hook=collect)
        return "".join(outputs)

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture
def notebook(tmp_path: Path, runtime: Path) -> Iterator[Notebook]:
    opened = Notebook(tmp_path)
    yield opened
    opened.close()


def start(notebook: Notebook, store: Store, uri: str) -> dict[str, Any]:
    said = notebook.run(
        f"""
import json, nbtrack
nbtrack.set_tracking_uri({store.uri!r})
server = nbtrack.serve({uri!r})
print(json.dumps(dict(owner=server.info.owner, pid=server.info.pid, port=server.port)))
"""
    )
    return dict(json.loads(said))


def test_server_of_a_kernel_survives_the_interrupt_and_dies_with_a_killed_kernel(
    notebook: Notebook, store: Store, wine_uri: str
) -> None:
    told = start(notebook, store, wine_uri)
    assert told["owner"] == "kernel"
    notebook.run("import time; time.sleep(60)", wait=False)
    time.sleep(0.3)
    notebook.manager.interrupt_kernel()
    notebook.client.wait_for_ready(timeout=30)
    assert answers(told["port"])
    kernel = notebook.manager.provisioner.pid  # type: ignore[union-attr]
    psutil.Process(kernel).kill()
    assert wait_until(lambda: gone(told["pid"]), 1)
    assert list_servers() == []


def test_server_of_a_kernel_dies_when_the_kernel_is_restarted(notebook: Notebook, store: Store, wine_uri: str) -> None:
    told = start(notebook, store, wine_uri)
    notebook.manager.restart_kernel()
    assert wait_until(lambda: gone(told["pid"]), 2)
    assert list_servers() == []
