"""Long curves that were just looked at, so that a zoom into twenty of them need not read them all again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from nbtrack.store.base import MetricHistory

LONG: Final = 100_000  # points; a shorter curve is read as quickly as it is found here
MOST_BYTES: Final = 256 << 20
FORGET_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """A history in half the room: steps that count on as a start and a stride, times as differences where they fit."""

    revision: str
    step: np.ndarray[Any, Any] | tuple[int, int]
    value: np.ndarray[Any, Any]
    time: np.ndarray[Any, Any]
    base: int

    @property
    def size_bytes(self) -> int:
        step = 0 if isinstance(self.step, tuple) else self.step.nbytes
        return step + self.value.nbytes + self.time.nbytes


def _packed(history: MetricHistory, revision: str) -> _Kept:
    import numpy as np

    step: Any = history.step
    stride = int(step[1] - step[0])
    if bool((np.diff(step) == stride).all()):
        step = (int(step[0]), stride)
    base = int(history.timestamp.min())
    time = history.timestamp - base
    return _Kept(revision, step, history.value, time.astype(np.int32) if time.max() < 2**31 else time, base)


def _unpacked(kept: _Kept, key: str) -> MetricHistory:
    import numpy as np

    from nbtrack.store.base import MetricHistory

    step = kept.step
    if isinstance(step, tuple):
        step = step[0] + step[1] * np.arange(len(kept.value), dtype=np.int64)
    return MetricHistory(key, step, kept.value, kept.time.astype(np.int64) + kept.base)


class RecentHistories:
    """Reads metric histories; keeps long ones for a minute, as long as nothing in their store changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def get(self, place: tuple[str, str, str], revision: str, read: Callable[[], MetricHistory]) -> MetricHistory:
        """Return one history: the one at hand, or what `read` gives.

        Parameters
        ----------
        place
            The store's URI, the run's id, the metric's key.
        revision
            Of the store: another one than that of the history at hand makes it worthless.
        read
            Reads it from the store.
        """
        with self._lock:
            kept = self._kept.get(place)
            if kept is not None and kept.revision == revision:
                self._kept.move_to_end(place)
            else:
                kept = None
        if kept is not None:
            return _unpacked(kept, place[2])
        history = read()
        if len(history) >= LONG:
            self._keep(place, _packed(history, revision))
        return history

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
