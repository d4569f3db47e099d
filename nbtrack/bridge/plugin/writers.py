"""The open logs of one store in this process: who starts a run writes its own log, everybody else joins it."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, ref

from nbtrack.bridge.plugin.place import invalid
from nbtrack.bridge.plugin.words import TAG_UNORDERED
from nbtrack.store.joining import join_run, set_status

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from nbtrack.entities import Status
    from nbtrack.store import FileStore, RunWriter

_IN_SERVER: Final = "_MLFLOW_SERVER_FILE_STORE"  # set in the workers of `mlflow server`
_OPEN_AT_ONCE: Final = 64
_TRUSTED_S: Final = 1.0  # for so long a run that was not in the trash is taken to be still none


_known: WeakKeyDictionary[FileStore, Writers] = WeakKeyDictionary()
_guard = threading.Lock()


def writers_of(store: FileStore) -> Writers:
    """Return the writers of a store, the same ones for everybody in this process."""
    with _guard:
        found = _known.get(store)
        if found is None:
            found = _known[store] = Writers(store, shared=_IN_SERVER in os.environ)
        return found


class Writers:
    """Writers by run. With `shared`, no run has a log that its life hangs on: the processes of a server come and go."""

    def __init__(self, store: FileStore, shared: bool) -> None:
        self._store = ref(store)
        self.shared = shared
        self._own: dict[str, RunWriter] = {}
        self._joined: OrderedDict[str, RunWriter] = OrderedDict()
        self._checked: dict[str, float] = {}
        self._latest: dict[tuple[str, str], tuple[int, int, float]] = {}
        self._params: dict[str, dict[str, str]] = {}  # of runs that this process alone writes to
        self._unordered: set[str] = set()
        self._trash: set[str] = set()
        self._lock = threading.RLock()
        self._pid = os.getpid()
        atexit.register(_close, ref(self))

    @property
    def store(self) -> FileStore:
        """The store, which must be alive: whoever asks holds it."""
        store = self._store()
        if store is None:
            raise RuntimeError("the store of these writers is gone")
        return store

    def started(self, writer: RunWriter) -> None:
        """Keep the writer of a run that was just started, or, `shared`, let the run go on without it."""
        if self.shared:
            writer.end("RUNNING")
        else:
            with self._lock:
                self._own[writer.run_id] = writer

    def of(self, run_id: str) -> RunWriter:
        """Return a writer for a run; raises MlflowException if it is in the trash or not there."""
        with self._lock:
            own = self._own.get(run_id)
            if own is not None and not own.ended and run_id not in self._trash:
                return own
            self.check_active(run_id)
            writer = self._joined.get(run_id)
            if writer is None or writer.ended:
                writer = self._joined[run_id] = join_run(self.store, run_id)
            self._joined.move_to_end(run_id)
            while len(self._joined) > _OPEN_AT_ONCE:
                self._joined.popitem(last=False)[1].end()
            return writer

    def check_active(self, run_id: str) -> None:
        """Raise MlflowException if a run is in the trash or not there; looked up once a second at most."""
        now = time.monotonic()
        if now - self._checked.get(run_id, -1e9) > _TRUSTED_S:
            if self.store.get_run(run_id).info.lifecycle_stage == "deleted":
                raise invalid(f"The run {run_id} must be in the 'active' state. Current state is deleted.")
            self._checked[run_id] = now

    def is_own(self, run_id: str) -> bool:
        """Whether this process alone writes to the run."""
        return run_id in self._own

    def params(self, run_id: str) -> dict[str, str]:
        """Return the params that a run has; whoever logs further ones to a run of its own adds them here."""
        if not self.is_own(run_id):
            return dict(self.store.get_run(run_id).data.params)
        if run_id not in self._params:
            self._params[run_id] = dict(self.store.get_run(run_id).data.params)
        return self._params[run_id]

    def log_metric(self, run_id: str, metric: Metric) -> None:
        """Append one value; note where MLflow and we would not mean the same by the latest one."""
        key, place = metric.key, (run_id, metric.key)
        now = (metric.step or 0, metric.timestamp, metric.value)
        if type(now[0]) is not int or type(now[1]) is not int:
            now = (_whole(now[0]), int(now[1]), now[2])  # `time.time() * 1000` is a time, too
        with self._lock:  # MLflow's asynchronous logging writes from ten threads at once
            writer = self._own.get(run_id)
            if writer is None or writer.ended or run_id in self._trash:
                writer = self.of(run_id)
            before = self._latest.get(place)
            if before is None and not self.is_own(run_id):
                known = self.store.get_run(run_id).summaries.get(key)
                before = None if known is None else (known.step, known.timestamp, known.last)
            if metric.model_id is not None and before is not None and now <= before and self._has(run_id, key, now):
                return  # MLflow says once more what a run has, to say that it is a model's, too
            writer.log_metric(key, metric.value, now[0], now[1])
            if before is None or now >= before:
                self._latest[place] = now
            elif run_id not in self._unordered:
                self._unordered.add(run_id)
                writer.set_tags({TAG_UNORDERED: "yes"})

    def _has(self, run_id: str, key: str, wanted: tuple[int, int, float]) -> bool:
        history = self.store.get_metric_history(run_id, key)
        step, at, value = wanted
        return bool(((history.step == step) & (history.timestamp == at) & (history.value == value)).any())

    def end(self, run_id: str, status: Status, end_time_ms: int | None) -> None:
        """Note how a run ended, or that it goes on."""
        with self._lock:
            own = self._own.get(run_id)
            going_on = status in {"RUNNING", "SCHEDULED"}
            if own is not None and not own.ended:
                if not (status == "RUNNING" and end_time_ms is None):
                    own.end(status, end_time_ms)
                    self.forget(run_id)
                return
            if going_on and status == "RUNNING" and not self.shared:
                run = self.store.get_run(run_id)
                if run.info.status != "RUNNING":
                    self.forget(run_id)
                    self._own[run_id] = self.store.resume_run(run_id)
                return
            set_status(self.store, run_id, status, None if going_on else end_time_ms)
            if not going_on:
                self.forget(run_id)

    def forget(self, run_id: str) -> None:
        """Close what is open for a run."""
        with self._lock:
            own, joined = self._own.pop(run_id, None), self._joined.pop(run_id, None)
            if own is not None and not own.ended:
                own.end("KILLED")
            if joined is not None:
                joined.end()
            self._checked.pop(run_id, None)
            self._params.pop(run_id, None)
            for place in [place for place in self._latest if place[0] == run_id]:
                del self._latest[place]

    def trashed(self, run_id: str, deleted: bool) -> None:
        """Learn that a run was moved to the trash, or restored."""
        self._checked.pop(run_id, None)
        (self._trash.add if deleted else self._trash.discard)(run_id)

    def close(self) -> None:
        """Seal the logs that this process joined; its own runs are ended by whoever started them."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            while self._joined:
                self._joined.popitem()[1].end()


def _close(writers: ref[Writers]) -> None:
    if (found := writers()) is not None:
        found.close()


def _whole(value: Any) -> Any:
    """Return the whole number that a number of some other type is; what is none, as it is, for the store to refuse."""
    return int(value) if value == int(value) else value


def plain(value: Any) -> str:
    """Return the text of a tag or param as MLflow writes it."""
    return "" if value is None else str(value)
