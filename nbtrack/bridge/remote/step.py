"""Keeps the mirror of a server in step with it: a thread that sends, and a look at what is new before each answer."""

from __future__ import annotations

import atexit
import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from weakref import ref

from nbtrack.bridge.remote.ledger import Sent, SentFiles
from nbtrack.bridge.remote.mirror import Mirror
from nbtrack.bridge.remote.models import RemoteModels
from nbtrack.bridge.remote.pull import Puller
from nbtrack.bridge.remote.push import Pusher
from nbtrack.bridge.remote.rest import Rest, ServerAwayError, ServerRefusedError
from nbtrack.errors import CaptureWarning
from nbtrack.store.liveness import lock

_PUSH_EVERY_S: Final = 1.0
_PULL_EVERY_S: Final = 2.0
_REST_S: Final = 15.0  # a server that did not answer is left alone for so long
_AT_EXIT_S: Final = 10.0
WAIT_S: Final = 30.0  # for another process that sends or fetches just now
_SOME: Final = 20  # runs that the thread fetches in full at a time


class InStep(Mirror):
    """The mirror in the folder `root` of the MLflow server at `url`."""

    def __init__(self, url: str, root: str) -> None:
        super().__init__(root)
        self.rest = Rest(url)
        self.uri, self.name = self.rest.url, self.rest.url.partition("://")[2]
        self.sent = SentFiles(self.root)
        self._pusher, self._puller, self._registry = Pusher(self), Puller(self), RemoteModels(self)
        known = list(self.sent.all())
        self._todo: set[str] = {one.run_id for one in known if one.open}
        self._puller.shallow |= {one.run_id for one in known if one.depth == "list" and one.files_there}
        self._marks: dict[str, int] = {}  # how often something was logged to a run
        self._round = threading.RLock()
        self._away_until = self._pulled_at = 0.0
        self._pulled_all = self._inside = self._closed = False
        self._told: set[str] = set()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        atexit.register(_last_words, ref(self))
        if self._todo:
            self._start()

    @contextmanager
    def _alone(self, wait_s: float = 0.0) -> Iterator[bool]:
        """Keep other processes with this mirror from sending and fetching at the same time; say whether that worked."""
        with self._round:
            if self._inside:
                yield True
                return
            fd = os.open(f"{self.root}/remote/lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                until = time.monotonic() + wait_s
                while not (mine := lock(fd) or os.name == "nt") and time.monotonic() < until:
                    time.sleep(0.02)
                self._inside = mine
                yield self._inside
            finally:
                self._inside = False
                os.close(fd)

    @property
    def closed(self) -> bool:
        """Whether nothing more is sent from here."""
        return self._closed

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
        with self._alone(WAIT_S) as mine:
            if mine:
                self._todo.update(self._marks)  # what was written at the very moment that a run was sent
                self._push_all()
                self._puller.pull(everything)
                for run_id in sorted(self._puller.shallow) if everything else ():
                    self._puller.details(run_id)
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
        if self._puller.shallow:
            self._start()

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
            sent.open = True
            self.sent.put(sent)
        self._marks[run_id] = self._marks.get(run_id, 0) + 1
        self._todo.add(run_id)
        self._start()
        self._wake.set()

    def _start(self) -> None:
        if self._closed:
            return
        if self._thread is None or not self._thread.is_alive() or self._pid != os.getpid():
            self._pid = os.getpid()
            self._thread = threading.Thread(target=_work, args=(ref(self), self._wake), daemon=True)
            self._thread.start()

    def turn(self) -> None:
        """Send what is waiting, and else fetch some runs in full: what the thread does again and again."""
        if self._closed or not (self._todo or self._puller.shallow) or time.monotonic() < self._away_until:
            return
        try:
            with self._alone() as mine:
                if mine:
                    self._push_all()
                for run_id in sorted(self._puller.shallow, reverse=True)[: 0 if self._todo else _SOME]:
                    self._puller.details(run_id)
                    self._puller.shallow.discard(run_id)
            self._told.discard("away")
        except (ServerAwayError, ServerRefusedError) as error:
            self._is_away(error)

    def close(self) -> None:
        """Send nothing more; what is waiting is sent when this server is opened again."""
        self._closed = True
        self._wake.set()
        with self._round:  # whatever is on its way
            return

    def last_words(self) -> None:
        """At the end of the process: send what is left, for a few seconds at most."""
        until = time.monotonic() + _AT_EXIT_S
        self._away_until = 0.0 if "away" not in self._told else self._away_until
        self._todo.update(self._marks)
        while self._todo and not self._closed and time.monotonic() < until and time.monotonic() >= self._away_until:
            before = len(self._todo)
            self.turn()
            if len(self._todo) == before:
                break

    def _details(self, run_id: str) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            with self._alone() as mine:
                if mine:
                    self._puller.details(run_id)
        except (ServerAwayError, ServerRefusedError) as error:
            self._is_away(error)

    def run_on_server(self, run_id: str) -> Sent | None:
        """Return what the server knows of a run, once all of it was sent."""
        if run_id in self._todo:
            self._pusher.push(run_id)
        return self.sent.get(run_id)


def _work(store: ref[InStep], wake: threading.Event) -> None:
    while True:
        wake.wait(_PUSH_EVERY_S)
        wake.clear()
        found = store()
        if found is None or found.closed:
            return
        found.turn()
        del found
        time.sleep(_PUSH_EVERY_S / 4)  # what comes together is sent together


def _last_words(store: ref[InStep]) -> None:
    found = store()
    if found is not None:
        found.last_words()
