"""The card of a cell that takes long, while it runs: its status, how far it is, its curves.

The main thread is the user's. One thread of ours, idle until a tracked cell runs, looks at it now and then; what has
changed goes out as one update of the one output of the cell, at most five times a second, and less often where making
it takes long.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture import progress
from nbtrack.capture.early import note_early
from nbtrack.reprs.alerts import to_tag
from nbtrack.reprs.numbers import json_number
from nbtrack.tracking.resumed import joined_history, resumed_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbtrack.capture.cell import Cell

SHOW_AFTER_S: Final = 1.0  # a cell that is over by then needs no running card
LOOK_EVERY_S: Final = 0.2  # five times a second
IDLE_UPDATE_S: Final = 2.0  # nothing new: still say that it lives
SHARE: Final = 15  # an update is followed by a pause this many times as long as it took
KEEP_EVERY_S: Final = 5.0  # how often the progress is written into the run
MAX_CURVES: Final = 6
MAX_POINTS: Final = 120  # of one curve
EXACT_POINTS: Final = 4000  # beyond, a curve is what was seen five times a second


class Curves:
    """The curves of a running cell, thinned, and known without reading the run again and again."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[list[int], list[float]]] = {}
        self._counts: dict[str, int] = {}
        self._before: dict[str, str] | None = None  # the runs that this one goes on from

    def update(self, cell: Cell) -> bool:
        """Look at the metrics; return whether there is anything new."""
        summaries = cell.run.summaries()
        changed = False
        store, run_id = cell.run.store, cell.run.run_id
        if self._before is None:
            self._before = resumed_runs(store, [run_id]) if cell.options.resume else {}
        for key, summary in summaries.items():
            count = summary.count
            if self._counts.get(key) == count:
                continue
            changed = True
            self._counts[key] = count
            steps, values = self._seen.setdefault(key, ([], []))
            if count <= EXACT_POINTS and len(self._seen) <= MAX_CURVES:
                history = joined_history(store, run_id, key, self._before)
                self._seen[key] = (history.step.tolist(), history.value.tolist())
            else:
                steps.append(summary.step)
                values.append(summary.last)
        return changed

    @property
    def most(self) -> int:
        """The number of values of the metric that has most."""
        return max(self._counts.values(), default=0)

    def curves(self) -> dict[str, tuple[list[int], list[float]]]:
        """Return key -> (steps, values) of metrics with several values, each thinned."""
        found: dict[str, tuple[list[int], list[float]]] = {}
        for key, (steps, values) in self._seen.items():
            if len(steps) < 2 or len(found) >= MAX_CURVES:
                continue
            found[key] = _thinned(steps, values)
        return found


def _thinned(steps: list[int], values: list[float]) -> tuple[list[int], list[float]]:
    """Return the first, the last, and the lowest and highest value of each piece of a curve."""
    pieces = MAX_POINTS // 2 - 1
    if len(steps) <= MAX_POINTS:
        return steps, values
    kept = {0, len(values) - 1}
    for piece in range(pieces):
        within = range(piece * len(values) // pieces, (piece + 1) * len(values) // pieces)
        kept |= {min(within, key=values.__getitem__), max(within, key=values.__getitem__)}
    return [steps[i] for i in sorted(kept)], [values[i] for i in sorted(kept)]


def _place(found: dict[str, Any] | None) -> Any:
    return found and (found["source"], found["done"], found["total"])


class Watched:
    """One running cell, as the thread that looks at it knows it."""

    def __init__(self, cell: Cell, show: Callable[[Cell, dict[str, Any]], None]) -> None:
        self.cell = cell
        self.show = show
        self.began_s = time.monotonic()
        self.began_at_s = time.time()
        self.curves = Curves()
        self.lock = threading.Lock()
        self.over = False
        self._next_s = self.began_s + SHOW_AFTER_S
        self._shown_s = 0.0
        self._kept_s = 0.0
        self._noted = False
        self.last: dict[str, Any] | None = None  # the progress seen last
        self.alerts = to_tag([])  # those seen last

    def look(self) -> None:
        """Take a sample, and show what is new."""
        with self.lock:
            if self.over:
                return
            cell = self.cell
            if cell.usage.due:
                cell.usage.sample()
            now = time.monotonic()
            if now < self._next_s:
                return
            if not self._noted:
                self._noted = True
                note_early(cell)
            if not cell.wants_card:
                self._next_s = now + IDLE_UPDATE_S
                return
            changed = self.curves.update(cell)
            found = self.progress(now - self.began_s)
            alerts = to_tag(cell.run.raised)
            moved = _place(found) != _place(self.last) or alerts != self.alerts
            if not changed and not moved and now - self._shown_s < IDLE_UPDATE_S:
                return
            self.last, self.alerts = found or self.last, alerts
            self.show(cell, self.view(found, now - self.began_s))
            self._shown_s = time.monotonic()
            self._next_s = self._shown_s + max(LOOK_EVERY_S, SHARE * (self._shown_s - now))
            if found and now - self._kept_s > KEEP_EVERY_S:
                self._kept_s = now
                cell.run.log_capture({"progress": found})

    def progress(self, elapsed_s: float) -> dict[str, Any] | None:
        """Return how far the cell is, if anything tells."""
        cell = self.cell
        held = [cell.names.get(name) for name in cell.trainers]
        tail = cell.streams.peek() if cell.streams is not None else ""
        found = None
        with suppress(Exception):  # other libraries' insides: what cannot be read there says nothing
            found = progress.from_lightning(held, elapsed_s) or progress.from_tqdm(self.began_at_s)
        found = (
            found
            or progress.from_text(tail, elapsed_s)
            or progress.from_steps(self.curves.most, cell.expected_steps(), elapsed_s)
        )
        if found is not None:
            found |= {"elapsed_s": round(elapsed_s, 1), "at_ms": time.time_ns() // 1_000_000}
        return found

    def view(self, found: dict[str, Any] | None, elapsed_s: float) -> dict[str, Any]:
        """Return what our own front end needs to show the running cell without asking anybody."""
        summaries = self.cell.run.summaries()
        return {
            "at": time.time_ns() // 1_000_000,
            "elapsed_s": round(elapsed_s, 1),
            "progress": found,
            "metrics": {
                key: [json_number(one.last), json_number(one.min), json_number(one.max), one.count, one.step]
                for key, one in list(summaries.items())[:40]
            },
            "series": [
                {"key": key, "step": steps, "value": [json_number(float(f"{value:.7g}")) for value in values]}
                for key, (steps, values) in self.curves.curves().items()
            ],
            "alerts": self.alerts,
        }

    def end(self) -> None:
        """Look no more; an update that is on its way goes out before."""
        if self.lock.acquire(timeout=2.0):
            self.over = True
            self.lock.release()
        self.over = True


class Pulse:
    """The thread that looks at running cells. It starts with the first one, and sleeps while there is none."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._watched: list[Watched] = []
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, watched: Watched) -> None:
        """Look at a cell from now on."""
        self._watched.append(watched)
        if self._thread is None or not self._thread.is_alive():  # a forked child has no thread
            self._thread = threading.Thread(target=self._run, name="nbtrack-live", daemon=True)
            self._thread.start()
        self._wake.set()

    def end(self, watched: Watched) -> None:
        """Look at it no more."""
        if watched in self._watched:
            self._watched.remove(watched)
        watched.end()

    def _run(self) -> None:
        while True:
            if not self._watched:
                self._wake.clear()
                if not self._watched:
                    self._wake.wait()
            time.sleep(LOOK_EVERY_S)
            for one in list(self._watched):
                try:
                    one.cell.context.run(one.look)
                except Exception as error:
                    self._failed(error)
