"""A team's MLflow server as a store: a mirror in a folder of ours, kept in step with the server.

Writing goes to the mirror and returns at once; a thread sends it in batches. Reading asks the mirror, which is brought
up to date at most every other second. While the server is away everything goes on with what is in the mirror, and what
was logged is sent once the server is back. The mirror outlives the process: nothing that was logged is lost with it.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from weakref import ref

from nbtrack.bridge.remote.ledger import Sent, SentFiles
from nbtrack.bridge.remote.models import RemoteModels
from nbtrack.bridge.remote.pull import Puller
from nbtrack.bridge.remote.push import Pusher
from nbtrack.bridge.remote.rest import Rest, ServerAwayError, ServerRefusedError
from nbtrack.entities import Experiment, Run
from nbtrack.errors import CaptureWarning, NotFoundError
from nbtrack.names import check_experiment_name
from nbtrack.store.base import MetricHistory, Problem, Progress
from nbtrack.store.file_store import FileStore
from nbtrack.store.files import replace
from nbtrack.store.joining import remove_run
from nbtrack.store.layout import STORE_FILE, new_id
from nbtrack.store.liveness import lock
from nbtrack.store.writer import FileRunWriter

_PUSH_EVERY_S: Final = 1.0
_PULL_EVERY_S: Final = 2.0
_REST_S: Final = 15.0  # a server that did not answer is left alone for so long
_AT_EXIT_S: Final = 10.0


def mirror_of(url: str) -> str:
    """Return the folder of the mirror of a server: in the user's data folder, or under ``NBTRACK_REMOTE_DIR``."""
    base = os.environ.get("NBTRACK_REMOTE_DIR")
    if not base:
        data = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_DATA_HOME")
        base = str(Path(data or Path.home() / ".local" / "share") / "nbtrack" / "remote")
    return str(Path(base) / sha256(url.rstrip("/").encode()).hexdigest()[:16])


def open_remote(url: str, create: bool = True) -> RemoteStore:
    """Return the store that mirrors the MLflow server at `url`; the server need not answer now."""
    root = mirror_of(url)
    if not Path(root, STORE_FILE).exists():
        FileStore.open(root, create=True)
    return RemoteStore(url, root)


class RemoteStore(FileStore):
    """The MLflow server at `url`, mirrored in the folder `root`."""

    def __init__(self, url: str, root: str) -> None:
        super().__init__(root)
        self.rest = Rest(url)
        self.uri, self.name = self.rest.url, self.rest.url.partition("://")[2]
        self.sent = SentFiles(self.root)
        self._pusher, self._puller, self._registry = Pusher(self), Puller(self), RemoteModels(self)
        self._todo: set[str] = {one.run_id for one in self.sent.all() if one.open}
        self._marks: dict[str, int] = {}  # how often something was logged to a run
        self._round = threading.RLock()
        self._away_until = self._pulled_at = 0.0
        self._pulled_all = self._inside = False
        self._told: set[str] = set()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        atexit.register(_last_words, ref(self))
        if self._todo:
            self._start()

    def __repr__(self) -> str:
        return f"RemoteStore({self.uri!r})"

    # -- keeping in step -------------------------------------------------------------------------------------------
    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Keep other processes with this mirror from sending and fetching at the same time; say whether that worked."""
        with self._round:
            if self._inside:
                yield True
                return
            fd = os.open(f"{self.root}/remote/lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                self._inside = lock(fd) or os.name == "nt"
                yield self._inside
            finally:
                self._inside = False
                os.close(fd)

    @property
    def waiting(self) -> int:
        """How many runs have something that was not sent yet."""
        return len(self._todo)

    def sync(self, everything: bool = True) -> int:
        """Send what is waiting and fetch what is new, now; return how many runs are still waiting.

        Raises
        ------
        ServerAwayError
            If the server does not answer.
        """
        self._away_until = 0.0
        with self._alone() as mine:
            if mine:
                self._todo.update(self._marks)  # what was written at the very moment that a run was sent
                self._push_all()
                self._puller.pull(everything)
                self._registry.pull()
                self._pulled_at, self._pulled_all = time.monotonic(), self._pulled_all or everything
        return self.waiting

    def _push_all(self) -> None:
        for run_id in sorted(self._todo):
            mark = self._marks.get(run_id)
            if self._pusher.push(run_id) and self._marks.get(run_id) == mark:  # else more was logged meanwhile
                self._todo.discard(run_id)

    def _fresh(self) -> None:
        """Bring the mirror up to date, unless that was done just now or the server is away."""
        now = time.monotonic()
        if now - self._pulled_at < _PULL_EVERY_S or now < self._away_until:
            return
        self._pulled_at = now  # what is fetched may ask this again
        try:
            with self._alone() as mine:
                if mine:
                    self._puller.pull(everything=not self._pulled_all)
                    self._registry.pull()
                    self._pulled_all = True
        except ServerAwayError as error:
            self._is_away(error)
        except ServerRefusedError as error:
            self._is_away(error)
        self._pulled_at = time.monotonic()

    def _is_away(self, error: Exception) -> None:
        self._away_until = time.monotonic() + _REST_S
        self._tell(f"{error} What you log is kept in {self.root} and sent when the server is back.", "away")

    def _tell(self, text: str, key: str) -> None:
        if key not in self._told:
            self._told.add(key)
            warnings.warn(text, CaptureWarning, stacklevel=4)

    def warn_refused(self, run_id: str, text: str) -> None:
        """Tell the user once a run that something stays here alone."""
        self._tell(f"run {run_id}: not all of it is on the server. {text}", f"refused {run_id}")

    def _dirty(self, run_id: str) -> None:
        sent = self.sent.get(run_id)
        if sent is None or not sent.open:
            sent = sent or Sent(run_id)
            sent.open, sent.seen = True, ""
            self.sent.put(sent)
        self._marks[run_id] = self._marks.get(run_id, 0) + 1
        self._todo.add(run_id)
        self._start()
        self._wake.set()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive() or self._pid != os.getpid():
            self._pid = os.getpid()
            self._thread = threading.Thread(target=_work, args=(ref(self), self._wake), daemon=True)
            self._thread.start()

    def turn(self) -> None:
        """Send what is waiting, if the server is there: what the thread does again and again."""
        if not self._todo or time.monotonic() < self._away_until:
            return
        try:
            with self._alone() as mine:
                if mine:
                    self._push_all()
            self._told.discard("away")
        except (ServerAwayError, ServerRefusedError) as error:
            self._is_away(error)

    def last_words(self) -> None:
        """At the end of the process: send what is left, for a few seconds at most."""
        until = time.monotonic() + _AT_EXIT_S
        self._away_until = 0.0 if "away" not in self._told else self._away_until
        self._todo.update(self._marks)
        while self._todo and time.monotonic() < until and time.monotonic() >= self._away_until:
            before = len(self._todo)
            self.turn()
            if len(self._todo) == before:
                break

    # -- what the sender and the fetcher do to the mirror ----------------------------------------------------------
    def files_of(self, run_id: str) -> tuple[str, list[str]]:
        """Return the folder of a run in the mirror and the names of its files; raises NotFoundError."""
        return self._finder.files(run_id)

    def local_run(self, run_id: str) -> Run:
        """Return a run as the mirror has it."""
        return super().get_run(run_id)

    def local_blob(self, digest: str) -> bytes:
        """Return bytes that the mirror has."""
        return super().read_blob(digest)

    def local_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment as the mirror has it."""
        return super().get_experiment(experiment_id)

    def local_experiment_by_name(self, name: str) -> Experiment | None:
        """Return an experiment as the mirror has it, or None."""
        return super().get_experiment_by_name(name)

    def local_create_experiment(self, name: str, tags: Mapping[str, str], as_id: str) -> str:
        """Make an experiment that came from the server, under its id there."""
        return self._experiments.create(name, tags, as_id)

    def local_edit_experiment(self, experiment_id: str, **changes: Any) -> None:
        """Change an experiment as the server says."""
        super().edit_experiment(experiment_id, **changes)

    def local_edit(self, run_id: str, **changes: Any) -> None:
        """Change a run as the server says."""
        super().edit_run(run_id, **changes)

    def local_replace_run(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Put the run's own files in place of what stands for it in the mirror."""
        folder, _ = self.files_of(run_id)
        remove_run(self, run_id)
        for name in sorted(files, key=lambda one: one == f"{run_id}.jsonl"):
            replace(f"{folder}/{name}", files[name])

    def local_commits(self, model: str, after: int = 0) -> list[Mapping[str, Any]]:
        """Return commits as the mirror has them."""
        return super().read_commits(model, after)

    def local_commit(self, model: str, body: Mapping[str, Any], expect: int | None = None) -> int:
        """Add a commit to the mirror."""
        return super().append_commit(model, body, expect)

    def local_models(self) -> list[str]:
        """Return the models that the mirror has."""
        return super().list_models()

    # -- writing ---------------------------------------------------------------------------------------------------
    def create_experiment(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Create an experiment on the server; while that is away only here, until a run in it is sent."""
        self._fresh()
        if self.local_experiment_by_name(check_experiment_name(name)) is not None:
            return super().create_experiment(name, tags)  # which says that it is taken
        try:
            as_id = self._registry.create_experiment(name, tags or {})
        except ServerAwayError as error:
            self._is_away(error)
            as_id = f"offline-{new_id()}"
        else:
            self.sent.write("experiments", {**self.sent.read("experiments"), as_id: as_id})
        return self._experiments.create(name, tags, as_id)

    def edit_experiment(self, experiment_id: str, **changes: Any) -> Experiment:
        self._fresh()
        found = super().edit_experiment(experiment_id, **changes)
        remote = self.sent.read("experiments").get(experiment_id)
        if remote is not None:
            self._registry.edit_experiment(str(remote), changes)
        return found

    def create_run(self, *given: Any, **more: Any) -> FileRunWriter:
        writer = super().create_run(*given, **more)
        self._dirty(writer.run_id)
        return writer

    def resume_run(self, run_id: str) -> FileRunWriter:
        self._details(run_id)
        writer = super().resume_run(run_id)
        self._dirty(run_id)
        return writer

    def edit_run(self, run_id: str, **changes: Any) -> None:
        sent = self.sent.get(run_id)
        if sent is not None and sent.seen:  # a run of somebody else: only what changes now is to be sent
            self._details(run_id)
            _, names = self.files_of(run_id)
            sent = self.sent.get(run_id) or sent
            sent.at = dict.fromkeys(names, 1 << 40)
            self.sent.put(sent)
        super().edit_run(run_id, **changes)
        self._dirty(run_id)

    # -- reading ---------------------------------------------------------------------------------------------------
    def _details(self, run_id: str) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            with self._alone() as mine:
                if mine:
                    self._puller.details(run_id)
        except (ServerAwayError, ServerRefusedError) as error:
            self._is_away(error)

    def get_run(self, run_id: str) -> Run:
        self._fresh()
        self._details(run_id)
        return super().get_run(run_id)

    def get_metric_history(self, run_id: str, key: str) -> MetricHistory:
        self._details(run_id)
        return super().get_metric_history(run_id, key)

    def list_experiments(self, *given: Any, **more: Any) -> list[Experiment]:
        self._fresh()
        return super().list_experiments(*given, **more)

    def get_experiment(self, experiment_id: str) -> Experiment:
        try:
            return super().get_experiment(experiment_id)
        except NotFoundError:  # somebody may have made it since we last looked
            self._fresh()
            return super().get_experiment(experiment_id)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        self._fresh()
        return super().get_experiment_by_name(name)

    def search_runs(self, *given: Any, **more: Any) -> list[Run]:
        self._fresh()
        return super().search_runs(*given, **more)

    def run_table(self, *given: Any, **more: Any) -> Any:
        self._fresh()
        return super().run_table(*given, **more)

    def run_frame(self, *given: Any, **more: Any) -> dict[str, Any]:
        self._fresh()
        return super().run_frame(*given, **more)

    def revision(self) -> str:
        self._fresh()
        return super().revision()

    def info(self) -> Mapping[str, Any]:
        self._fresh()
        return {**super().info(), "uri": self.uri, "mirror": self.root, "waiting": self.waiting}

    def _fetched(self, digest: str) -> bytes | None:
        """Return bytes that only the server has, and keep them if they are what they are said to be."""
        aside = f"{self.root}/remote/{digest}"
        with suppress(OSError):
            return Path(aside).read_bytes()
        found = self._puller.fetch(digest)
        if found is None:
            return None
        data, sure = found
        if sure:
            super().put_blob(data)
        else:
            replace(aside, data)
        return data

    def read_blob(self, digest: str) -> bytes:
        try:
            return super().read_blob(digest)
        except NotFoundError:
            data = self._fetched(digest)
            if data is None:
                raise
            return data

    def blob_path(self, digest: str) -> Path:
        try:
            return super().blob_path(digest)
        except NotFoundError:
            if self._fetched(digest) is None:
                raise
            aside = Path(f"{self.root}/remote/{digest}")
            return aside if aside.exists() else super().blob_path(digest)

    def check(self, repair: bool = False, progress: Progress | None = None) -> Iterator[Problem]:
        """Check the mirror; bytes of artifacts that only the server has are no damage."""
        for problem in super().check(repair, progress):
            if not (problem.path.startswith("blobs/") and problem.what.endswith("are missing")):
                yield problem

    # -- the registry ----------------------------------------------------------------------------------------------
    def list_models(self) -> list[str]:
        self._fresh()
        return super().list_models()

    def read_commits(self, model: str, after: int = 0) -> list[Mapping[str, Any]]:
        self._fresh()
        return super().read_commits(model, after)

    def append_commit(self, model: str, body: Mapping[str, Any], expect: int | None = None) -> int:
        """Change the registry on the server, then here.

        Raises
        ------
        ServerAwayError
            If the server does not answer: what a team agrees on cannot be changed by one alone.
        """
        with self._alone():
            return self._registry.commit(model, body, expect)

    def run_on_server(self, run_id: str) -> Sent | None:
        """Return what the server knows of a run, once all of it was sent."""
        if run_id in self._todo:
            self._pusher.push(run_id)
        return self.sent.get(run_id)


def _work(store: ref[RemoteStore], wake: threading.Event) -> None:
    while True:
        wake.wait(_PUSH_EVERY_S)
        wake.clear()
        found = store()
        if found is None:
            return
        found.turn()
        del found
        time.sleep(_PUSH_EVERY_S / 4)  # what comes together is sent together


def _last_words(store: ref[RemoteStore]) -> None:
    found = store()
    if found is not None:
        found.last_words()
