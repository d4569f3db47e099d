"""The kernel's side of a notebook's steps: whether a cell may be reused, what it leaves, and what that is kept as.

It is asked between the cells, through expressions that no hook and no history sees; all answers are JSON text.
"""

from __future__ import annotations

import ast
import json
import pickle
import random
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from nbtrack.capture import CellTracker
from nbtrack.capture.slice_flow import Done, Flow
from nbtrack.capture.slice_known import NUMPY, PYTHON, TORCH
from nbtrack.errors import RunStateError
from nbtrack.pipelines.codes import UnknownError, cell_digest, file_digest, used
from nbtrack.pipelines.keeping import MOST_BYTES, Kept, find, keep_more, put_all
from nbtrack.reprs.numbers import clean
from nbtrack.tracking import pending
from nbtrack.tracking.location import store_for_writing

DRAWS: Final = "<draws>"
CELL_FLAGS: Final = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_SEEDERS: Final = {"random.seed": PYTHON, "numpy.random.seed": NUMPY, "torch.manual_seed": TORCH}
_loaded: list[Kernel] = []


def answer(function: str, arguments: str) -> str:
    """Call one of the functions below with arguments in JSON, and return its answer in JSON."""
    if not _loaded:
        _loaded.append(Kernel())
    return json.dumps(getattr(_loaded[0], function)(*json.loads(arguments)))


class Kernel:
    """What is known of the variables of this kernel."""

    def __init__(self) -> None:
        from IPython.core.getipython import get_ipython

        self.shell = get_ipython()
        tracker = getattr(self.shell, "_nbtrack_tracker", None)
        if not isinstance(tracker, CellTracker):
            raise RunStateError("pipeline: nbtrack is not loaded in this kernel.")
        self.tracker = tracker
        self.names: dict[str, Any] = self.shell.user_ns
        self.known: dict[str, str] = {}  # name -> digest of what the store keeps of it, while nothing has touched it
        self.origin: dict[str, str] = {}  # name -> the step that made it
        self._open: dict[str, Any] = {}

    def opened(self) -> bool:
        """Be there, and decide about the steps of this kernel from now on."""
        self.tracker.steps = None
        return True

    def before(self, step: str, source: str, forced: bool, wanted: Sequence[str]) -> dict[str, Any]:
        """Return whether a step need not run, as its variables are there now; else remember how things are before it.

        `wanted` are the names that later cells use.
        """
        tree, why = self._parsed(source)
        loaded, bound = used(tree) if tree is not None else (set[str](), set[str]())
        takes = {name: self.origin[name] for name in sorted(loaded) if name in self.origin}
        states = random_states()
        key = ""
        if tree is not None:
            names = {name: value for name, value in self.names.items() if name not in bound}
            try:
                code = compile(tree, "<step>", "exec", CELL_FLAGS)
                known = {id(self.names[name]): digest for name, digest in self.known.items() if name in self.names}
                key = sha256(json.dumps([step, cell_digest(code, names, known)]).encode()).hexdigest()
            except UnknownError as error:
                why = str(error)
        self._open = {
            "key": key,
            "why": why,
            "wanted": wanted,
            "random": {name: digest_of(state) for name, state in states.items()},
            "seeds": seeded_first(tree, self.names) if tree is not None else set(),
        }
        if key and not forced and (found := find(store_for_writing(), key, lambda one: self._fits(one, wanted))):
            run_id, kept = found
            self._take(step, kept)
            return {"reused": run_id, "takes": takes, "outputs": [name for name in kept if name != DRAWS]}
        return {"reused": "", "takes": takes}

    def after(self, step: str) -> dict[str, Any]:
        """Look at what the cell that just ran has bound or changed; of a step, keep it. Return what became of it."""
        execution, done = self._last()
        written = [name for name in dict.fromkeys((*done.writes, *execution.changed)) if name in self.names]
        written = [name for name in written if not name.startswith("_")]
        for name in (*written, *execution.gone):
            self.known.pop(name, None)
            self.origin.pop(name, None)
        if not step:
            return {}
        self.origin.update(dict.fromkeys(written, step))
        run_id = self.tracker.last_run_id or ""
        why = str(self._open["why"])
        if self._open["key"] and run_id:
            # Random numbers that nothing seeded are no input: they are others each time.
            seeded = execution.moved - set(done.unseeded)
            moved = {name: digest for name, digest in self._open["random"].items() if name in seeded}
            why = self._keep(run_id, written, moved, done.paths)
        return {"run_id": run_id, "outputs": written, "not_kept": why}

    def failed(self) -> dict[str, Any]:
        """Return the run of the cell that just failed."""
        pending.wait()
        return {"run_id": self.tracker.last_run_id or ""}

    def leave(self, names: Sequence[str]) -> dict[str, Any]:
        """Put variables into the store: see :func:`~nbtrack.pipelines.keeping.put_all`."""
        return put_all(store_for_writing(), self.names, names)

    # -- parts -----------------------------------------------------------------------------------------------------
    def _parsed(self, source: str) -> tuple[ast.Module | None, str]:
        try:
            return ast.parse(self.shell.transform_cell(source)), ""
        except (SyntaxError, ValueError) as error:
            return None, f"it is no Python ({clean(error)})"

    def _last(self) -> tuple[Any, Done]:
        history = self.tracker.history
        execution = history.executions[-1]
        with history.lock:
            flow = history.flow
            if flow is None:
                flow = history.flow = Flow(history)
            flow.advance(execution.index)
        return execution, flow.done[execution.index]

    def _fits(self, record: Mapping[str, Any], wanted: Sequence[str]) -> bool:
        """Whether what an earlier run kept will do: files and random numbers as they were, and nothing lacking."""
        if set(record.get("lacking") or ()) & set(wanted):
            return False
        if any(self._open["random"].get(name) != digest for name, digest in (record.get("random") or {}).items()):
            return False
        return all(file_digest(path) == digest for path, digest in (record.get("read") or {}).items())

    def _take(self, step: str, kept: Mapping[str, Kept]) -> None:
        values = {name: one.load() for name, one in kept.items()}
        set_random_states(values.pop(DRAWS, {}))
        self.names.update(values)
        self.known.update({name: kept[name].digest for name in values})
        self.origin.update(dict.fromkeys(values, step))

    def _keep(self, run_id: str, written: Sequence[str], moved: Mapping[str, str], paths: Sequence[str]) -> str:
        """Keep what a step has left with its run; return why a later pipeline cannot reuse it, or nothing."""
        pending.wait(run_id)
        store = store_for_writing()
        found = put_all(store, self.names, written)
        if found["size"] > MOST_BYTES:
            return f"{found['size']:,} bytes are more than is kept"
        self.known.update(found["left"])
        more: dict[str, Any] = {"lacking": list(found["failed"])} if found["failed"] else {}
        read = {path: digest for path in paths if (digest := file_digest(path))}
        more |= {"read": read} if read else {}
        states: dict[str, Any] = {}
        if moved:
            more["random"] = {name: digest for name, digest in moved.items() if name not in self._open["seeds"]}
            states = {DRAWS: {name: state for name, state in random_states().items() if name in moved}}
        kept = {name: Kept(store, digest) for name, digest in found["left"].items()}
        keep_more(store, run_id, self._open["key"], states, kept, **more)
        return "; ".join(why for name, why in found["failed"].items() if name in self._open["wanted"])


# -- the global random generators --------------------------------------------------------------------------------------
def random_states() -> dict[str, Any]:
    """Return the state of each global random generator that is in use."""
    found: dict[str, Any] = {PYTHON: random.getstate()}
    if (numpy := sys.modules.get("numpy.random")) is not None:
        found[NUMPY] = numpy.get_state()
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "get_rng_state"):
        found[TORCH] = torch.get_rng_state().numpy().tobytes()
    return found


def seeded_first(tree: ast.Module, names: Mapping[str, Any]) -> set[str]:
    """Return the generators that a cell seeds before it calls anything else: what they were before does not matter."""
    found: set[str] = set()
    for statement in tree.body:
        calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
        if not calls or isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            continue
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call) or len(calls) != 1 or not (call.args or call.keywords):
            break
        root, _, rest = ast.unparse(call.func).partition(".")
        module = getattr(names.get(root), "__name__", "")
        seeder = _SEEDERS.get(f"{module}.{rest}")
        if seeder is None:
            break
        found.add(seeder)
    return found


def set_random_states(states: Mapping[str, Any]) -> None:
    if PYTHON in states:
        random.setstate(states[PYTHON])
    if NUMPY in states:
        import numpy as np

        np.random.set_state(states[NUMPY])
    if TORCH in states:
        import numpy as np
        import torch

        torch.set_rng_state(torch.from_numpy(np.frombuffer(states[TORCH], np.uint8).copy()))


def digest_of(state: Any) -> str:
    return sha256(pickle.dumps(state)).hexdigest()
