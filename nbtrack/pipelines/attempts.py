"""Reproductions in the background: for a button, which cannot wait for a kernel.

Imports what it needs when it needs it: every page asks whether something is under way, few ever begin anything.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from nbtrack.errors import InvalidInputError, NbtrackError, StoreReadOnlyError

if TYPE_CHECKING:
    from nbtrack.pipelines.execution import Cell
    from nbtrack.pipelines.reproduce import Reproduction
    from nbtrack.store.base import Store

State = Literal["running", "done", "stopped", "failed"]


@dataclass
class Attempt:
    """One reproduction of a run by this process; it is told how far the execution is, and ends it if asked."""

    run_id: str
    total: int
    state: State = "running"
    done: int = 0
    cell: str = ""
    error: str = ""
    result: Reproduction | None = None
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds(self) -> float:
        """How long it has taken so far, or took."""
        return (self.ended or time.monotonic()) - self.began

    def started(self, cell: Cell) -> None:
        """A cell begins."""
        if _of_slice(cell):
            self.cell = cell.step

    def finished(self, cell: Cell, seconds: float) -> None:
        """A cell went well."""
        self.done += _of_slice(cell)

    def run(self, store: Store) -> None:
        """Reproduce, and keep what came of it; never raises."""
        try:
            from nbtrack.pipelines.reproduce import reproduce_watched

            self.result = reproduce_watched(self.run_id, store, watcher=self, stop=self.stop)
            self.state = "done"
        except Exception as error:
            self.error = str(error) if isinstance(error, NbtrackError) else f"{type(error).__name__}: {error}"
            self.state = "stopped" if self.stop.is_set() else "failed"
        finally:
            self.ended = time.monotonic()


def _of_slice(cell: Cell) -> bool:
    from nbtrack.pipelines.rerun import CELL_LABEL

    return cell.step.startswith(CELL_LABEL)


_attempts: dict[tuple[str, str], Attempt] = {}
_lock = threading.Lock()


def attempt_of(run_id: str, store: Store) -> Attempt | None:
    """Return the newest reproduction of a run that this process began; None if there was none."""
    return _attempts.get((store.uri, run_id))


def start_attempt(run_id: str, store: Store) -> Attempt:
    """Reproduce a run in the background; one that is under way is returned as it is.

    Raises
    ------
    InvalidInputError
        If the run has no slice, or has not ended.
    StoreReadOnlyError
        If the result could not be written to the run.
    NotFoundError
        If there is no such run.
    """
    from nbtrack.pipelines.reproduce import reproducible

    run = store.get_run(run_id)
    cells = reproducible(run, store)
    if run.info.status == "RUNNING":
        raise InvalidInputError(f"reproduce: run {run.info.run_name!r} still runs. Wait until it has ended.")
    if not store.info()["writable"]:
        raise StoreReadOnlyError(
            f"reproduce: the store {store.name!r} is read-only, so the run could not be stamped. Use"
            " nbtrack.reproduce(run, stamp=False), which only says what it found."
        )
    with _lock:
        known = attempt_of(run.run_id, store)
        if known is not None and known.state == "running":
            return known
        attempt = _attempts[store.uri, run.run_id] = Attempt(run.run_id, len(cells))
        threading.Thread(target=attempt.run, args=(store,), name="nbtrack-reproduce", daemon=True).start()
    return attempt
