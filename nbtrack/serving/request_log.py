"""What a server was asked and what it answered: a sample of it, in the store, up to a size, with columns masked.

The log of a server is a run in the experiment "serving": each piece of the log an artifact of it, the drift of each
column a metric. Nothing of this can hold up or fail a request: the event loop only puts a request aside, a thread of
its own does the rest, and a disk that is full costs the log and nothing else.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from nbtrack.errors import NbtrackError
from nbtrack.names import check_key
from nbtrack.serving.codec import plain
from nbtrack.serving.drift import MIN_ROWS, Drift

if TYPE_CHECKING:
    from nbtrack.store.base import Store
    from nbtrack.tracking import ActiveRun

EXPERIMENT: Final = "serving"
MASK: Final = "***"
ROWS_OF_A_REQUEST: Final = 20  # that the log keeps; all count for the drift
LOOK_S: Final = 1.0
PIECE_S: Final = 60.0
PIECE_BYTES: Final = 1 << 20
_WAITING: Final = 2_000  # requests that may wait for the thread
_WAITING_ROWS: Final = 200_000
_log = logging.getLogger("nbtrack.serving")


class RequestLog:
    """Logs the requests of one model.

    Parameters
    ----------
    store
        Where the run goes.
    name
        What the model is called.
    share
        How many of all requests are looked at, from 0 to 1.
    max_bytes
        How large the log may become; the drift is watched beyond that.
    mask
        Columns whose values are not to be written.
    """

    def __init__(self, store: Store, name: str, share: float, max_bytes: int, mask: Collection[str] = ()) -> None:
        self._store = store
        self._name = name
        self._share = share
        self._max_bytes = max_bytes
        self._mask = frozenset(mask)
        self._names: list[str] = []
        self._drift: Drift | None = None
        self._lock = threading.Lock()  # of the drift: the event loop reads what the thread counts
        self._waiting: deque[tuple[int, Any, int, Any, float, str]] = deque()
        self._waiting_rows = 0
        self._piece = bytearray()
        self._piece_since = time.monotonic()
        self._pieces = self._bytes = self._logged = self._dropped = self._in_piece = 0
        self._run: ActiveRun | None = None
        self._failed = ""

    def describe(self, names: Sequence[str], profile: bytes | None) -> None:
        """Take the columns and the training profile of the version that answers now."""
        try:
            drift = Drift(json.loads(profile)) if profile is not None else None
        except (ValueError, KeyError, TypeError):  # a stranger's file: then there is no drift to see
            drift = None
        with self._lock:
            self._names = list(names)
            self._drift = drift

    @property
    def counts(self) -> dict[str, Any]:
        """What became of the requests."""
        run_id = self._run.run_id if self._run is not None else None
        told = {"run_id": run_id, "logged": self._logged, "dropped": self._dropped, "size_bytes": self._bytes}
        return told | {"error": self._failed}

    def see(self, data: Any, rows: int, predictions: Any, ms: float, label: str) -> None:
        """Put a request aside, if it is in the sample. Costs the event loop next to nothing."""
        if self._share < 1 and random.random() >= self._share:
            return
        if len(self._waiting) >= _WAITING or self._waiting_rows > _WAITING_ROWS:
            self._dropped += 1
            return
        self._waiting_rows += rows
        self._waiting.append((time.time_ns() // 1_000_000, data, rows, predictions, ms, label))

    def drift_report(self) -> dict[str, Any]:
        """Return how the rows differ from the training data, so far."""
        with self._lock:
            if self._drift is None:
                why = "this model was logged without training data to compare with."
                return {"rows": 0, "columns": [], "why": why}
            return self._drift.report()

    def run(self, stop: threading.Event) -> None:
        """Write, until `stop` is set, and then the rest."""
        while not stop.wait(LOOK_S):
            self._guarded(self._take)
            if len(self._piece) >= PIECE_BYTES or (self._piece and time.monotonic() - self._piece_since > PIECE_S):
                self._guarded(self._write)
        self.finish()

    def finish(self) -> None:
        """Write what is left, and end the run."""
        self._guarded(self._take)
        self._guarded(self._write)
        run, self._run = self._run, None
        if run is not None:
            self._guarded(run.end)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # a full disk, a store that is gone: serving goes on
            if not self._failed:
                _log.warning("the request log cannot be written; serving goes on", exc_info=True)
            self._failed = str(error) if isinstance(error, NbtrackError) else f"{type(error).__name__}: {error}"

    def _take(self) -> None:
        """Count what waits, and make lines of it."""
        while self._waiting:
            at_ms, data, rows, predictions, ms, label = self._waiting.popleft()
            self._waiting_rows -= rows
            with self._lock:
                if self._drift is not None:
                    self._drift.see(data)
            line = self._line(at_ms, data, rows, predictions, ms, label)
            if self._bytes + len(self._piece) + len(line) > self._max_bytes:
                self._dropped += 1
            else:
                self._piece += line
                self._in_piece += 1

    def _line(self, at_ms: int, data: Any, rows: int, predictions: Any, ms: float, label: str) -> bytes:
        head: Any = []
        if rows:
            head = data.iloc[:ROWS_OF_A_REQUEST] if hasattr(data, "iloc") else data[:ROWS_OF_A_REQUEST]
        told: dict[str, Any] = {"at_ms": at_ms, "model": label, "rows": rows, "ms": round(ms, 3)}
        if hasattr(head, "columns"):
            names = [str(name) for name in head.columns]
            values = [head.iloc[:, place].tolist() for place in range(len(names))]
            told |= {"columns": names, "data": [list(row) for row in zip(*values, strict=True)]}
        else:
            names = self._names
            told |= {"columns": names or None, "data": np.asarray(head).tolist()}
        masked = [place for place, name in enumerate(names) if name in self._mask]
        for row in told["data"] if masked else ():
            for place in masked:
                row[place] = MASK
        told["predictions"] = plain(predictions)
        if hasattr(told["predictions"], "__getitem__") and not isinstance(told["predictions"], Mapping):
            told["predictions"] = told["predictions"][:ROWS_OF_A_REQUEST]
        return orjson.dumps(told, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS) + b"\n"

    def _write(self) -> None:
        """Put the piece into the store."""
        if not self._piece:
            return
        piece, count = bytes(self._piece), self._in_piece
        self._piece, self._in_piece, self._piece_since = bytearray(), 0, time.monotonic()
        try:
            run = self._run or self._begin()
            self._pieces += 1
            run.log_bytes(piece, f"requests/{self._pieces:06}.jsonl")
        except Exception:
            self._dropped += count
            raise
        self._logged += count
        self._bytes += len(piece)
        self._failed = ""
        report = self.drift_report()
        if report["rows"] >= MIN_ROWS:
            found = {f"drift/{each['column']}": each["index"] for each in report["columns"] if _is_key(each["column"])}
            run.log_metrics(found, step=self._pieces)

    def _begin(self) -> ActiveRun:
        from nbtrack.tracking import ActiveRun

        found = self._store.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found is not None else self._store.create_experiment(EXPERIMENT)
        run = ActiveRun(self._store, self._store.create_run(experiment, f"{self._name} served"))
        self._run = run
        run.log_params({"model": self._name, "share of requests": self._share})
        return run


def _is_key(name: object) -> bool:
    try:
        check_key(f"drift/{name}", "metric")
    except NbtrackError:
        return False
    return name is not None
