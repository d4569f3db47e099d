"""The one object that logs to a live run. Each call returns after the operating system has the bytes."""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, Final
from zlib import crc32

from nbtrack.entities import Artifact, DatasetInput, Status
from nbtrack.errors import CaptureWarning, InvalidInputError, RunStateError
from nbtrack.names import check_artifact_path, check_key, check_run_name
from nbtrack.store.appender import SEAL_BYTES, live
from nbtrack.store.layout import check_time, now_ms
from nbtrack.store.lines import MAX_INT, clean_text, encode_line, seal
from nbtrack.store.log import recount, seal_of
from nbtrack.store.metric_appender import MetricAppender
from nbtrack.store.state import COUNT, STEP, RunState, new_summary, summary_to_json

_END_STATUSES: Final = ("FINISHED", "FAILED", "KILLED", "SCHEDULED", "RUNNING")
_SYNC_AFTER_S: Final = 5.0  # a run shorter than this is left to the system's own write-back


class FileRunWriter(MetricAppender):
    """Appends to one log. Made by :class:`~nbtrack.store.file_store.FileStore`, never by hand."""

    def __init__(
        self,
        run_id: str,
        path: str,
        fd: int,
        base: int,
        header: Mapping[str, Any],
        *,
        size: int,
        put_blob: Callable[[bytes | str | Path], tuple[str, int]],
        open_fork_log: Callable[[FileRunWriter], tuple[str, int, int, int]],
        before: RunState | None = None,
    ) -> None:
        super().__init__(run_id, path, fd, size, base, before)
        self._header = header
        self._put_blob = put_blob
        self._open_fork_log = open_fork_log
        self._opened_at = monotonic()
        self._ended = False
        self._closing: tuple[str, int] | None = None
        self._params: dict[str, str] = {}
        self._tags: dict[str, str | None] = dict(header.get("tags") or {})
        self._name: str = header.get("name") or ""
        self._artifacts: set[str] = set()
        self._refs: list[tuple[int, int, int]] = []

    # -- params, tags, artifacts --------------------------------------------------------------------------------------
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Set params that are not known yet; the same value again is no error."""
        with self._lock:
            new = self._unknown(params)
            if new:
                self._write({"t": self._now(), "params": new})
                self._params.update(new)
                self._dirty = False

    def _unknown(self, params: Mapping[str, Any]) -> dict[str, str]:
        known = {**(self._before.params if self._before is not None else {}), **self._params}
        new: dict[str, str] = {}
        for key, value in params.items():
            text = clean_text(value)
            old = known.get(check_key(key, "param key"), text)
            if old != text:
                raise InvalidInputError(
                    f"param {key!r} of run {self.run_id}: is {old!r:.80} already; a param is written once, got"
                    f" {text!r:.80}. Start another run, or use a tag or a metric for what changes."
                )
            if key not in known:
                new[key] = text
        return new

    def set_early_params(self, params: Mapping[str, Any]) -> None:
        """Set the params of the run as long as it has not ended; those that were logged win."""
        texts = {check_key(key, "param key"): clean_text(value) for key, value in params.items()}
        with self._lock:
            self._write({"t": self._now(), "early": texts})
            self._dirty = False

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; later wins."""
        texts = {check_key(key, "tag key"): clean_text(value) for key, value in tags.items()}
        with self._lock:
            self._write({"t": self._now(), "tags": texts})
            self._tags.update(texts)
            self._dirty = False

    def delete_tag(self, key: str) -> None:
        """Remove a tag."""
        check_key(key, "tag key")
        with self._lock:
            self._write({"t": self._now(), "tags": {key: None}})
            self._tags[key] = None
            self._dirty = False

    def log_inputs(self, inputs: Sequence[DatasetInput]) -> None:
        """Add data sets that the run reads."""
        records = [
            {
                "name": i.name,
                "context": i.context,
                "digest": i.digest,
                "source": i.source,
                **({"profile": i.profile} if i.profile else {}),
            }
            for i in inputs
        ]
        with self._lock:
            self._write_ref({"t": self._now(), "inputs": records})

    def log_artifact(self, data: bytes | str | Path, artifact_path: str) -> Artifact:
        """Store bytes or a file, and note it under `artifact_path`."""
        path = check_artifact_path(artifact_path)
        with self._lock:
            self._check_open()
            self._check_place(path)
        digest, size = self._put_blob(data)
        with self._lock:
            self._write_ref({"t": self._now(), "artifact": path, "sha256": digest, "size": size})
            self._artifacts.add(path)
        return Artifact(path, digest, size)

    def _check_place(self, path: str) -> None:
        for known in self._artifacts:
            if known.startswith(path + "/") or path.startswith(known + "/"):
                raise InvalidInputError(
                    f"artifact {path!r} of run {self.run_id}: {known!r} is there already, and one cannot be a file"
                    " and a folder at once. Choose another path."
                )

    def log_capture(self, record: Mapping[str, Any]) -> None:
        """Merge plain JSON values into the run's capture."""
        with self._lock:
            self._write_ref({"t": self._now(), "capture": dict(record)})

    def set_name(self, run_name: str) -> None:
        """Rename the run."""
        name = check_run_name(run_name)
        with self._lock:
            self._write({"t": self._now(), "name": name})
            self._name = name
            self._dirty = False

    @property
    def ended(self) -> bool:
        """Whether the log is sealed."""
        return self._ended

    @property
    def run_name(self) -> str:
        """The name the run has now."""
        return self._name

    def _now(self) -> int:
        return time_ns() // 1_000_000 - self._base

    def _check_open(self) -> None:
        if self._ended:
            raise RunStateError(
                f"run {self.run_id}: has ended, its log is sealed. Go on with start_run(run_id={self.run_id!r}), or"
                " change tags and notes with the client."
            )

    # -- lines -----------------------------------------------------------------------------------------------------
    def _write(self, record: Mapping[str, Any]) -> None:
        self._check_open()
        line = encode_line(record)
        self._begin()
        self._append(line)

    def _write_ref(self, record: Mapping[str, Any]) -> None:
        """Append a line that the summary will point to."""
        self._check_open()
        line = encode_line(record)
        if self._stale:
            self._adopt_fork()
        self._begin()
        offset, kept = self._size, len(self._pending)
        self._append(line)
        if kept or self._pending:
            self._interrupted = True  # where it will lie is not known yet
        else:
            self._refs.append((offset, len(line), crc32(line)))
        self._dirty = False

    def _append_slowly(self, line: bytes) -> None:
        self._check_open()
        super()._append_slowly(line)

    # -- the end ---------------------------------------------------------------------------------------------------
    def end(self, status: Status = "FINISHED", end_time_ms: int | None = None) -> None:
        """Seal the log with a summary. Calling it again does nothing.

        With a full disk nothing is raised: what is missing stays in memory and is written when there is room.
        """
        if status not in _END_STATUSES:
            raise InvalidInputError(
                f"run {self.run_id}: expected status FINISHED, FAILED or KILLED at its end, got {status!r}."
            )
        at = now_ms() if end_time_ms is None else check_time("end time", end_time_ms)
        with self._lock:
            if self._ended:
                return
            self._ended = self._detour = True
            if self._stale:  # a forked child that logged nothing has nothing to end
                live.discard(self)
                return
            self._closing = (status, at)
            if not self._finish() and self._closing is not None:
                atexit.register(self._finish_at_exit)

    def discard(self) -> None:
        """Take the run back as if it had never been started; raises RunStateError once it has ended."""
        with self._lock:
            self._check_open()
            self._ended = self._detour = True
            if not self._stale:
                self._close(sync=False)
                os.unlink(self.path)

    def _finish(self) -> bool:
        """Write what is missing and the summary; return whether that worked."""
        if self._closing is None:
            return True
        status, at = self._closing
        if not self._flush_pending():
            return False
        if self._dirty or self._interrupted:
            self._recount()
        line = self._end_line(status, at)
        self._seal_at = MAX_INT  # nothing may follow the last line
        self._append(line)
        if self._pending:  # made anew on the next try
            self._pending = []
            return False
        self._closing = None
        self._detour = True
        self._close(sync=monotonic() - self._opened_at > _SYNC_AFTER_S)
        return True

    def beat(self) -> None:
        """Give a sign of life; and finish a run whose end found the disk full."""
        with self._lock:
            if self._closing is not None:
                self._finish()
                return
        super().beat()

    def _finish_at_exit(self) -> None:
        with self._lock:
            if self._stale or self._finish():
                return
            warnings.warn(
                f"run {self.run_id}: {sum(map(len, self._pending)):,} bytes of its log were never written, the disk"
                f" was full to the end. The rest is in {self.path}.",
                CaptureWarning,
                stacklevel=2,
            )

    def _recount(self) -> None:
        """Make the summary from the log itself, after a call was interrupted between its write and its bookkeeping."""
        self._size = os.fstat(self._fd).st_size
        digest, self._refs = recount(self._fd, self._size, self._base)
        self._stats, self._params = digest.metrics, digest.params
        self._tags = {**(self._header.get("tags") or {}), **digest.tags}
        self._name = digest.name or self._name
        self._dirty = self._interrupted = False

    def _end_line(self, status: str, at: int) -> bytes:
        crc, length = seal_of(self._fd, self._sealed_to, self._size)
        record: dict[str, Any] = {
            "end": status,
            "t": at - self._base,
            "seal": crc,
            "n": length,
            "bytes": self._size,
            "run": self.run_id,
            "start": self._base,
            "exp": self._header.get("exp", ""),
            "name": self._name,
        }
        if self._params:
            record["params"] = self._params
        if self._tags:
            record["tags"] = self._tags
        record["last"] = {k: summary_to_json(s, self._base) for k, s in self._stats.items() if s[COUNT]}
        if self._refs:
            record["refs"] = self._refs
        if self._header.get("fork"):
            record["fork"] = True
        return seal(record)

    # -- fork ------------------------------------------------------------------------------------------------------
    def after_fork(self) -> None:
        """In a forked child: let go of the parent's log."""
        super().after_fork()
        self._closing = None

    def _adopt_fork(self) -> None:
        """Open a log of this child's own at its first write."""
        self._stale = self._detour = self._dirty = self._interrupted = False
        self.path, self._fd, self._size, self._base = self._open_fork_log(self)
        self._sealed_to, self._seal_at = 0, SEAL_BYTES
        self._header = {**self._header, "fork": True, "tags": {}}
        self._stats = {key: new_summary(stat[STEP]) for key, stat in self._stats.items()}
        self._params, self._tags, self._refs = {}, {}, []
