"""Long curves that were just looked at, so that a zoom into twenty of them need not read them all again.

A whole curve, and as long as it is enough a part of one, is drawn from the store's overview of it. What lies closer
comes from the history itself, which is read while the user still looks at the overview.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nbtrack.plots.curves import Axis, Curve, Extent, curve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from nbtrack.store.base import MetricHistory
    from nbtrack.store.overview import Overview

LONG: Final = 100_000  # points; a shorter curve is read as quickly as it is found here
MOST_BYTES: Final = 256 << 20
FORGET_S: Final = 60.0
SOON_S: Final = 0.2
WAIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Window:
    """What is drawn of a curve: see :func:`nbtrack.plots.curves.curve`."""

    max_points: int = 1000
    axis: Axis = "step"
    low: float | None = None
    high: float | None = None
    smooth: float = 0.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """A history in half the room: steps that count on as a start and a stride, times as differences where they fit."""

    revision: str
    step: np.ndarray[Any, Any] | tuple[int, int]
    value: np.ndarray[Any, Any]
    time: np.ndarray[Any, Any]
    base: int
    rising: frozenset[str]  # the axes along which it is in order

    @property
    def size_bytes(self) -> int:
        step = 0 if isinstance(self.step, tuple) else self.step.nbytes
        return step + self.value.nbytes + self.time.nbytes

    def part(self, key: str, window: Window) -> MetricHistory:
        """Return what lies in a window, and the nearest point on either side; everything if that cannot be told."""
        import numpy as np

        from nbtrack.store.base import MetricHistory

        count = len(self.value)
        first, last = 0, count
        if window.smooth <= 0 and window.axis in self.rising:
            if window.low is not None:
                first = max(0, self._place(window.axis, window.low, after=False) - 1)
            if window.high is not None:
                last = min(count, self._place(window.axis, window.high, after=True) + 1)
        step = self.step
        if isinstance(step, tuple):
            step = step[0] + step[1] * np.arange(first, last, dtype=np.int64)
        else:
            step = step[first:last]
        return MetricHistory(key, step, self.value[first:last], self.time[first:last].astype(np.int64) + self.base)

    def _place(self, axis: Axis, x: float, *, after: bool) -> int:
        """Return how many points lie before `x`, or with `after` not beyond it."""
        places: Any = self.time
        if axis == "time":
            x -= self.base
        elif axis == "step":
            start, stride = self.step if isinstance(self.step, tuple) else (0, 0)
            places = range(start, start + stride * len(self.value), stride) if stride else self.step
        return (bisect_right if after else bisect_left)(places, x)


def _packed(history: MetricHistory, revision: str) -> _Kept:
    import numpy as np

    step: Any = history.step
    base = int(history.timestamp.min())
    after = history.timestamp - base
    stride = int(step[1] - step[0])
    rising = set()
    if (
        stride > 0
        and int(step[-1]) - int(step[0]) == stride * (len(step) - 1)
        and bool((np.diff(step) == stride).all())
    ):
        step = (int(step[0]), stride)
        rising.add("step")
    elif bool((step[1:] >= step[:-1]).all()):
        rising.add("step")
    if bool((after[1:] >= after[:-1]).all()):
        rising |= {"time", "relative"}
    short = after.astype(np.int32) if after.max() < 2**31 else after
    return _Kept(revision, step, history.value, short, base, frozenset(rising))


def _from_overview(found: Overview, window: Window) -> Curve | None:
    """Return the curve if the overview shows the window as well as the history would."""
    import numpy as np

    if window.smooth > 0:
        return None
    points = found.points
    start = int(points.timestamp.min())
    x = points.step if window.axis == "step" else points.timestamp - (start if window.axis == "relative" else 0)
    if not bool((x[1:] >= x[:-1]).all()) or not bool((points.timestamp >= points.timestamp[0]).all()):
        return None
    low, high = (-np.inf if window.low is None else window.low), (np.inf if window.high is None else window.high)
    if np.count_nonzero((x >= low) & (x <= high)) < min(window.max_points, len(x)):
        return None
    extent = Extent(found.count, start)
    return curve(points, window.max_points, window.axis, window.low, window.high, whole=extent)


class RecentHistories:
    """Draws metric histories; keeps long ones for a minute, as long as nothing in their store changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._reading = [threading.Lock() for _ in range(64)]  # one for some places, so that none is read twice
        self._timer: threading.Timer | None = None
        self._wanted: dict[tuple[str, str, str], tuple[str, Callable[[], MetricHistory]]] = {}
        self._busy = False
        self._drawing = 0  # curves that somebody waits for now
        self._idle = threading.Condition(self._lock)

    def draw(
        self,
        place: tuple[str, str, str],
        revision: str,
        window: Window,
        read: Callable[[], MetricHistory],
        overview: Callable[[], Overview | None],
    ) -> Curve | None:
        """Return what is drawn of one metric; None if it has no value.

        Parameters
        ----------
        place
            The store's URI, the run's id, the metric's key.
        revision
            Of the store: another one than that of the history at hand makes it worthless.
        window
            What is asked for.
        read
            Reads the history from the store.
        overview
            Asks the store for an overview of it.
        """
        with self._awaited():
            kept = self._at_hand(place, revision)
            if kept is None:
                few = overview()
                drawn = None if few is None else _from_overview(few, window)
                if drawn is not None:
                    if window.low is not None or window.high is not None:  # whoever zooms in will do so again
                        self._prepare(place, revision, read)
                    return drawn
                found = self._read(place, revision, read)
                if not isinstance(found, _Kept):
                    return self._drawn(found, window) if len(found) else None
                kept = found
            part = kept.part(place[2], window)
            return self._drawn(part, window, Extent(len(kept.value), kept.base))

    @contextmanager
    def _awaited(self) -> Iterator[None]:
        """Let whatever reads ahead wait."""
        with self._lock:
            self._drawing += 1
        try:
            yield
        finally:
            with self._lock:
                self._drawing -= 1
                self._idle.notify_all()

    def _read(
        self, place: tuple[str, str, str], revision: str, read: Callable[[], MetricHistory]
    ) -> _Kept | MetricHistory:
        """Read a history, once for all who want it now; kept if it is long."""
        with self._reading[hash(place) % len(self._reading)]:
            kept = self._at_hand(place, revision)
            if kept is not None:
                return kept
            history = read()
            if len(history) < LONG:
                return history
            kept = _packed(history, revision)
            self._keep(place, kept)
            return kept

    @staticmethod
    def _drawn(history: MetricHistory, window: Window, whole: Extent | None = None) -> Curve:
        return curve(history, window.max_points, window.axis, window.low, window.high, window.smooth, whole)

    def _at_hand(self, place: tuple[str, str, str], revision: str) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(place)
            if kept is None or kept.revision != revision:
                return None
            self._kept.move_to_end(place)
            return kept

    def _prepare(self, place: tuple[str, str, str], revision: str, read: Callable[[], MetricHistory]) -> None:
        """Read a history soon, after what is being answered now, one after another."""
        with self._lock:
            self._wanted[place] = revision, read
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        time.sleep(SOON_S)
        while True:
            with self._lock:
                # Whoever waits for a curve comes first: what is read ahead would only slow that down.
                self._idle.wait_for(lambda: not self._drawing, timeout=WAIT_S)
                if not self._wanted:
                    self._busy = False
                    return
                place, (revision, read) = self._wanted.popitem()
            with suppress(Exception):  # whoever then asks is told what is wrong
                self._read(place, revision, read)

    def _keep(self, place: tuple[str, str, str], kept: _Kept) -> None:
        with self._lock:
            self._kept[place] = kept
            self._kept.move_to_end(place)
            room = MOST_BYTES - sum(one.size_bytes for one in self._kept.values())
            while room < 0 and self._kept:
                room += self._kept.popitem(last=False)[1].size_bytes
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(FORGET_S, self.forget)
            self._timer.daemon = True
            self._timer.start()

    def forget(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._kept.clear()


recent = RecentHistories()
