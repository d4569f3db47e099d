"""Which run is active here: for this thread, this asyncio task, this notebook cell.

A context variable alone will not do: what an async cell sets in one is lost with the cell, and a thread starts without
any. A plain list will not do either: two tasks or threads would end each other's runs. So every active run stands in
one locked list together with the thread and the task that started it, and the context variable only adds what a child
task inherits.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtrack.tracking.run import ActiveRun


@dataclass(slots=True)
class _Entry:
    run: ActiveRun
    order: int
    thread: int
    task: weakref.ref[Any] | None
    shared: bool
    append: Callable[[str, Any, int | None, int | None], None]  # one value of a metric


_lock = threading.RLock()
_entries: list[_Entry] = []
_order = 0
newest: _Entry | None = None  # the last of the entries
sole: Callable[[str, Any, int | None, int | None], None] | None = None  # its `append`, if it is active for everybody
here: ContextVar[tuple[_Entry, ...]] = ContextVar("nbtrack_active_runs", default=())


def _current_task() -> Any:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _note_newest() -> None:
    global newest, sole  # noqa: PLW0603 - guarded by the lock
    newest = last = _entries[-1] if _entries else None
    for_all = last is not None and len(_entries) == 1 and (last.shared or (last.task is None and _in_main(last)))
    sole = last.append if last is not None and for_all else None


def _in_main(entry: _Entry) -> bool:
    return entry.thread == threading.main_thread().ident


def push(run: ActiveRun, shared: bool = False) -> None:
    """Make `run` the active one here; `shared` runs (those of a cell) are seen by every thread and task."""
    global _order  # noqa: PLW0603 - guarded by the lock
    task = _current_task()
    with _lock:
        _order += 1
        starter = None if task is None else weakref.ref(task)
        entry = _Entry(run, _order, threading.get_ident(), starter, shared, run.append_metric)
        _entries.append(entry)
        _note_newest()
    here.set((*(e for e in here.get() if not e.run.ended), entry))


def rewire(run: object, append: Callable[[str, Any, int | None, int | None], None]) -> None:
    """Let the values of metrics that are logged on `run` go to `append` from now on."""
    with _lock:
        for entry in _entries:
            if entry.run is run:
                entry.append = append
        _note_newest()


def remove(run: ActiveRun) -> None:
    """Take `run` off, wherever it stands."""
    with _lock:
        _entries[:] = filter(lambda entry: entry.run is not run, _entries)
        _note_newest()
    here.set(tuple(entry for entry in here.get() if entry.run is not run))


def _own(entry: _Entry, thread: int, task: Any) -> bool:
    if entry.thread != thread:
        return False
    if entry.shared:
        return True
    starter = None if entry.task is None else entry.task()
    return starter is None or starter is task or starter.done()


def current(inherited: bool = True) -> ActiveRun | None:
    """Return the run that is active here, or None.

    Parameters
    ----------
    inherited
        Whether a thread without a run of its own sees the one of the main thread.
    """
    inherit = here.get()
    with _lock:
        if not _entries:
            return None
        last = _entries[-1]
        if inherit and inherit[-1] is last and not last.run.ended:
            return last.run
        live = {id(entry) for entry in _entries}
        entries = list(_entries)
    thread, task = threading.get_ident(), _current_task()
    seen = [entry for entry in inherit if id(entry) in live]
    seen += [entry for entry in entries if _own(entry, thread, task)]
    seen = [entry for entry in seen if not entry.run.ended]
    if not seen and inherited:  # of two cells that run at once (subshells), each thread above saw its own
        main = threading.main_thread().ident
        live_entries = [entry for entry in entries if not entry.run.ended]
        seen = [entry for entry in live_entries if entry.shared]
        if not seen and thread != main:
            seen = [entry for entry in live_entries if entry.thread == main]
    return max(seen, key=lambda entry: entry.order).run if seen else None


def open_runs() -> list[ActiveRun]:
    """Return all runs that are active anywhere in this process, oldest first."""
    with _lock:
        entries = tuple(_entries)
    return [entry.run for entry in entries if not entry.run.ended]


def mark() -> int:
    """Return a mark; :func:`opened_since` lists the runs that became active after it."""
    return _order


def opened_since(mark: int) -> list[ActiveRun]:
    """Return the runs that became active in this thread after `mark` and still are, newest first."""
    thread = threading.get_ident()
    with _lock:
        backwards = _entries[::-1]
    return [e.run for e in backwards if e.order > mark and e.thread == thread and not e.run.ended]
