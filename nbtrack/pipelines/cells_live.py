"""Steps in the notebook that somebody works in: a cell that ran before, with nothing changed since, is not run again.

Where anything is uncertain, the cell runs.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.slice_flow import Flow
from nbtrack.pipelines.cells_kernel import (
    CELL_FLAGS,
    DRAWS,
    digest_of,
    random_states,
    seeded_first,
    set_random_states,
)
from nbtrack.pipelines.codes import UnknownError, cell_digest, file_digest, pickled, used
from nbtrack.pipelines.keeping import Kept, find, put_all, vouch
from nbtrack.pipelines.results import reused_card
from nbtrack.tracking import active_run, pending
from nbtrack.tracking.location import experiment_id_for_new_run, store_for_writing

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbtrack.capture import CellTracker
    from nbtrack.capture.cell import Cell
    from nbtrack.capture.options import TrackOptions

MOST_BYTES: Final = 1 << 28  # what a step leaves beyond that is not kept: the cell would take too long


@dataclass(frozen=True, slots=True)
class Before:
    """How things are before a step runs: what it depends on, or `why` that cannot be told."""

    key: str
    why: str
    asked: str
    random: Mapping[str, str]
    seeds: frozenset[str]


class LiveSteps:
    """Decides for one shell which steps need not run.

    Parameters
    ----------
    shell
        The shell.
    tracker
        What tracks its cells.
    """

    def __init__(self, shell: InteractiveShell, tracker: CellTracker) -> None:
        self._shell, self._tracker = shell, tracker
        self._names: dict[str, Any] = shell.user_ns
        self._before: Before | None = None
        self._newest: dict[str, str] = {}  # by key: the run of the step that ran last here
        self._nothing = _Nothing()

    def forget(self) -> None:
        """Let the cell run that is about to start."""
        self._before, self._nothing.wanted = None, False

    def unchanged(self, raw: str, options: TrackOptions) -> bool:
        """Return whether a step need not run; what it left is there then, and the cell does nothing but say so."""
        step = str(options.step)
        before = self._before = self._look(raw, options)
        if not before.key or options.force or options.resume or active_run() is not None:
            return False
        if before.key in self._newest:
            pending.wait(self._newest[before.key])  # it may not have ended yet: that goes on after its cell
        found = find(store_for_writing(), before.key, lambda record: _fits(record, before))
        if found is None:
            return False
        run_id, kept = found
        self._put_back(kept)
        self._nothing.wanted = True
        if self._nothing not in self._shell.ast_transformers:
            self._shell.ast_transformers.append(self._nothing)
        hint = "%%track --step NAME --force runs it all the same."
        card = reused_card(step, run_id, [name for name in kept if name != DRAWS], hint)
        self._shell.display_pub.publish(data=card, metadata={})
        return True

    def leave(self, cell: Cell) -> None:
        """Keep what a step that has just run left with its run, or say on its card why it will run each time."""
        before, execution = self._before, cell.execution
        if before is None or execution is None:
            return
        history = self._tracker.history
        with history.lock:
            flow = history.flow
            if flow is None:
                flow = history.flow = Flow(history)
            flow.advance(execution.index)
        done = flow.done[execution.index]
        why = before.why
        if not why and done.unseeded:
            why = "it draws random numbers that nothing has seeded"
        if not why:
            written = dict.fromkeys((*done.writes, *execution.changed))
            left = [name for name in written if name in self._names and not name.startswith("_")]
            why = self._keep(cell, before, left, execution.moved, done.paths)
        if why:
            cell.missing.append(f"reuse of this step ({why})")

    # -- parts -----------------------------------------------------------------------------------------------------
    def _look(self, raw: str, options: TrackOptions) -> Before:
        asked = {
            name: value for name, value in asdict(options).items() if name not in {"force", "no_capture"} and value
        }
        asked["experiment"] = options.experiment or experiment_id_for_new_run(store_for_writing())
        random = {name: digest_of(state) for name, state in random_states().items()}
        key, why, seeds = "", "", set[str]()
        try:
            tree = ast.parse(self._shell.transform_cell(raw))
            seeds = seeded_first(tree, self._names)
            _, bound = used(tree)
            names = {name: value for name, value in self._names.items() if name not in bound}
            code = cell_digest(compile(tree, "<step>", "exec", CELL_FLAGS), names, {})
            key = sha256(json.dumps([options.step, code]).encode()).hexdigest()
        except (SyntaxError, ValueError):
            why = "it is no Python"
        except UnknownError as error:
            why = str(error)
        return Before(key, why, json.dumps(asked, sort_keys=True), random, frozenset(seeds))

    def _put_back(self, kept: Mapping[str, Kept]) -> None:
        for name, one in kept.items():
            if name == DRAWS:
                set_random_states(one.load())
            elif name not in self._names or _digest(self._names[name]) != one.digest:
                self._names[name] = one.load()

    def _keep(self, cell: Cell, before: Before, left: list[str], moved: frozenset[str], paths: tuple[str, ...]) -> str:
        """Keep variables with the run of a cell, which has not ended yet; return why that cannot be, or nothing."""
        size = sum(sys.getsizeof(self._names[name]) for name in left)
        if size <= MOST_BYTES:
            found = put_all(cell.run.store, self._names, left)
            size = found["size"]
        if size > MOST_BYTES:
            return f"it leaves {size:,} bytes, which is more than is kept"
        if found["failed"]:
            return "; ".join(found["failed"].values())
        states = {name: state for name, state in random_states().items() if name in moved}
        if states:
            found["left"][DRAWS] = cell.run.store.put_blob(pickled(states))[0]
        kept = {}
        for number, (name, digest) in enumerate(found["left"].items()):
            kept[name] = Kept(cell.run.store, digest)
            cell.run.log_bytes(cell.run.store.blob_path(digest), f"outputs/{number}.pickle")
        more: dict[str, Any] = {"asked": before.asked}
        more["random"] = {name: before.random.get(name, "") for name in moved - before.seeds}
        more["read"] = {path: digest for path in paths if (digest := file_digest(path))}
        vouch(cell.run, before.key, kept, **more)
        self._newest[before.key] = cell.run.run_id
        return ""


class _Nothing(ast.NodeTransformer):
    """Makes the next cell do nothing."""

    def __init__(self) -> None:
        self.wanted = False

    def visit(self, node: Any) -> Any:
        if self.wanted and isinstance(node, ast.Module):
            self.wanted = False
            node.body = []
        return node


def _fits(record: Mapping[str, Any], before: Before) -> bool:
    if record.get("lacking") or record.get("asked", before.asked) != before.asked:
        return False
    if any(before.random.get(name) != digest for name, digest in (record.get("random") or {}).items()):
        return False
    return all(file_digest(path) == digest for path, digest in (record.get("read") or {}).items())


def _digest(value: Any) -> str:
    try:
        return sha256(pickled(value)).hexdigest()
    except UnknownError:
        return ""
