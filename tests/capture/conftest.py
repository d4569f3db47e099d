"""Real shells and real kernels to run cells in."""

from __future__ import annotations

import atexit
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

import nbtrack
from nbtrack.entities import VIEW_MIME, Run
from nbtrack.tracking import get_store, pending, stack

ROOT = Path(nbtrack.__file__).parent.parent


class Notebook:
    """A shell with nbtrack loaded, in a folder of its own."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def run(self, cell: str, **arguments: Any) -> ExecutionResult:
        return self.shell.run_cell(cell, store_history=True, **arguments)

    def ok(self, cell: str) -> Any:
        result = self.run(cell)
        assert result.success, result.error_in_exec or result.error_before_exec
        return result.result

    @property
    def names(self) -> dict[str, Any]:
        return self.shell.user_ns

    @property
    def outputs(self) -> list[dict[str, Any]]:
        return [output["data"] for output in self.shell.display_pub.outputs]

    @property
    def cards(self) -> list[dict[str, Any]]:
        return [data for data in self.outputs if VIEW_MIME in data]

    @property
    def runs(self) -> list[Run]:
        """All runs, the first one first."""
        store = get_store()
        found = store.search_runs(order_by=["attributes.start_time ASC"], view="ALL")
        return [store.get_run(run.run_id) for run in sorted(found, key=lambda run: run.run_id)]

    @property
    def last(self) -> Run:
        """The run of the last tracked cell; candidates of a search come after it."""
        return next(run for run in reversed(self.runs) if not (run.info.run_name or "").startswith("candidate "))


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("NBTRACK_TRACKING_URI", "NBTRACK_EXPERIMENT_NAME", "NBTRACK_NOTEBOOK", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    nbtrack.set_tracking_uri(None)
    return folder


@pytest.fixture
def notebook(workdir: Path) -> Iterator[Notebook]:
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    shell.display_pub = CapturingDisplayPublisher()
    shell.run_line_magic("load_ext", "nbtrack")
    try:
        yield Notebook(shell)
    finally:
        shell.run_line_magic("unload_ext", "nbtrack")
        pending.wait()
        for run in stack.open_runs():
            run.end("KILLED")
        atexit.unregister(shell.atexit_operations)
        InteractiveShell.clear_instance()


@dataclass
class Reply:
    """What a kernel answered to one cell."""

    status: str
    error: str = ""
    traceback: str = ""
    text: str = ""
    tracebacks: int = 0
    result: str = ""
    displays: list[dict[str, Any]] = field(default_factory=list)
    updates: list[tuple[float, dict[str, Any]]] = field(default_factory=list)  # when it came, of update_display_data

    @property
    def cards(self) -> list[dict[str, Any]]:
        return [data for data in self.displays if VIEW_MIME in data]


class Kernel:
    """A real ipykernel in a process of its own."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.manager import start_new_kernel

        env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_", "NBTRACK_"))}
        env |= {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython"), "NO_COLOR": "1"}
        self.folder = folder
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(folder), env=env)

    def run(self, cell: str, *, interrupt_when: str | None = None, timeout: float = 60, **content: Any) -> Reply:
        """Run a cell; once its output holds `interrupt_when`, interrupt the kernel."""
        asked = self.client.execute(cell, **content)
        reply = Reply("")
        until = time.monotonic() + timeout
        sent = False
        while time.monotonic() < until:
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != asked:
                continue
            body = message["content"]
            if message["msg_type"] == "stream":
                reply.text += body["text"]
            elif message["msg_type"] == "error":
                reply.tracebacks += 1
                reply.traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(body["traceback"]))
            elif message["msg_type"] == "execute_result":
                reply.result = body["data"]["text/plain"]
            elif message["msg_type"] == "display_data":
                reply.displays.append(body["data"])
            elif message["msg_type"] == "update_display_data":
                reply.updates.append((time.monotonic(), body["data"]))
            elif message["msg_type"] == "status" and body["execution_state"] == "idle":
                break
            if interrupt_when is not None and not sent and interrupt_when in reply.text:
                sent = True
                self.manager.interrupt_kernel()
        while True:
            shell = self.client.get_shell_msg(timeout=timeout)
            if shell["parent_header"].get("msg_id") == asked:
                reply.status = shell["content"]["status"]
                reply.error = shell["content"].get("ename", "")
                return reply

    def runs(self) -> list[Run]:
        from nbtrack.store import open_store

        store = open_store(self.folder / ".nbtrack")
        return [store.get_run(run.run_id) for run in sorted(store.search_runs(view="ALL"), key=lambda run: run.run_id)]

    def last(self, timeout_s: float = 10) -> Run:
        """The run started last, once it has ended."""
        until = time.monotonic() + timeout_s
        while True:
            run = self.runs()[-1]
            if run.info.status != "RUNNING" or time.monotonic() > until:
                return run
            time.sleep(0.02)

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    one = Kernel(tmp_path_factory.mktemp("kernel"))
    try:
        reply = one.run("%load_ext nbtrack\nimport nbtrack")
        assert reply.status == "ok", reply.traceback
        yield one
    finally:
        one.stop()
