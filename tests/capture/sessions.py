"""Runs notebook sessions in processes of their own: one warm process forks one for every session.

Asked in lines of JSON on stdin, it answers in lines of JSON on stdout. Without ``fork`` every session starts anew.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

WARM = (
    *("IPython.core.interactiveshell", "matplotlib", "pandas", "sklearn.datasets", "sklearn.ensemble"),
    *("sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection", "sklearn.pipeline", "sklearn.svm"),
    *("nbtrack.magics", "nbtrack.models.flavors.sklearn", "nbtrack.store"),
)
HERE = Path(__file__).resolve()


def _shell() -> Any:
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"

    class Shell(InteractiveShell):
        def enable_gui(self, gui: Any = None) -> None:
            """Nothing to show windows with; a kernel has its own."""

    sys.path.insert(0, "")  # as a kernel has it
    shell = Shell.instance(config=config)
    shell.display_pub = CapturingDisplayPublisher()
    return shell


def notebook(request: dict[str, Any]) -> dict[str, Any]:
    """Run cells in a shell with nbtrack; return what the last run recorded."""
    from nbtrack.capture.replay import slice_cells
    from nbtrack.entities import TAG_PARENT
    from nbtrack.store import open_store
    from nbtrack.tracking import pending

    shell = _shell()
    late = request.get("load_before", 0)  # nbtrack is loaded before this cell
    errors = []
    for number, cell in enumerate(request["cells"]):
        if number == late:
            shell.run_line_magic("load_ext", "nbtrack")
        result = shell.run_cell(cell, store_history=True)
        error = result.error_in_exec or result.error_before_exec
        errors.append(None if error is None else f"{type(error).__name__}: {error}")
    pending.wait()
    store = open_store(Path(".nbtrack"))
    ids = sorted(store.run_table(view="ALL", keys=[]).run_ids)
    if not ids:
        return {"errors": errors, "metrics": {}, "params": {}}
    found = [store.get_run(one) for one in ids]
    run = next(one for one in reversed(found) if TAG_PARENT not in one.data.tags)
    return {
        "errors": errors,
        "status": run.info.status,
        "params": dict(run.data.params),
        "metrics": {key: repr(value) for key, value in run.data.metrics.items()},
        "series": {key: store.get_metric_history(run.run_id, key).value.tolist() for key in run.data.metrics},
        "slice": run.capture.get("slice"),
        "cells": slice_cells(run, store),
        "not_captured": run.capture.get("not_captured"),
        "run_id": run.run_id,
    }


def script(request: dict[str, Any]) -> dict[str, Any]:
    """Run a script as ``python`` would; return the numbers that it leaves."""
    import types

    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.path.insert(0, str(Path.cwd()))
    exec(compile(request["script"], "<script>", "exec"), main.__dict__)
    numbers = {}
    for name, value in vars(main).items():
        with contextlib.suppress(TypeError, ValueError):
            if not name.startswith("_") and not isinstance(value, (str, bytes, bool)):
                numbers[name] = repr(float(value))
    return {"numbers": {name: text for name, text in numbers.items() if not math.isnan(float(text))}}


def perform(request: dict[str, Any]) -> dict[str, Any]:
    """Do one request in its folder."""
    folder = Path(request["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in request.get("files", {}).items():
        (folder / name).write_text(text)
    os.chdir(folder)
    try:
        return {"notebook": notebook, "script": script}[request["what"]](request)
    except BaseException:
        return {"failed": traceback.format_exc()}


def _in_child(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("r", suffix=".json", delete=False) as answer:
        path = Path(answer.name)
    try:
        child = os.fork()
        if child == 0:
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            sys.stdout, sys.stderr = open(os.devnull, "w"), open(os.devnull, "w")  # noqa: PTH123, SIM115
            path.write_text(json.dumps(perform(request), default=str))
            os._exit(0)
        os.waitpid(child, 0)
        text = path.read_text()
        return json.loads(text) if text else {"failed": "the process died"}
    finally:
        path.unlink()


def _in_new_process(request: dict[str, Any]) -> dict[str, Any]:
    code = "import json, sys; from sessions import perform; out = sys.stdout; sys.stdout = sys.stderr;"
    code += " json.dump(perform(json.load(sys.stdin)), out, default=str)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(request),
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    return json.loads(done.stdout) if done.stdout else {"failed": done.stderr}


def serve() -> None:
    """Answer requests until stdin ends."""
    if hasattr(os, "fork"):
        for name in WARM:
            importlib.import_module(name)
    run = _in_child if hasattr(os, "fork") else _in_new_process
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


class Server:
    """The warm process, and how to ask it."""

    def __init__(self, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "failed" not in answer, answer["failed"]
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


if __name__ == "__main__":
    serve()
