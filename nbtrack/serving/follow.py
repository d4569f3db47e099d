"""A server of ``models:/NAME/STAGE`` answers with whatever version is in that stage: it is changed while it runs.

The next version is loaded and rehearsed beside the one that answers; then, between two requests, it takes its place. A
version that fails its rehearsal does not, and the record of the server says why. The one before is kept for a while, so
that going back takes no time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Final

from nbtrack.errors import NbtrackError, NotFoundError
from nbtrack.serving import records
from nbtrack.serving.app import App
from nbtrack.serving.loading import load_scorer
from nbtrack.serving.scorer import Scorer
from nbtrack.serving.target import Target, find_target

if TYPE_CHECKING:
    from nbtrack.store.base import Store

POLL_S: Final = 0.5
_KEEP: Final = 2  # versions in memory: the one that answers, and the one before
_log = logging.getLogger("nbtrack.serving")


class Follower:
    """Keeps a server's model at what a URI means.

    Parameters
    ----------
    app
        The application whose model is changed.
    server_id
        Its record is told of each change.
    uri
        Such as ``models:/wine/Production``.
    store
        Where the URI is looked up.
    loop_thread
        The thread that the event loop runs on.
    """

    def __init__(self, app: App, server_id: str, uri: str, store: Store, loop_thread: int) -> None:
        self._app = app
        self._server_id = server_id
        self._uri = uri
        self._store = store
        self._loop_thread = loop_thread
        self._loaded: dict[str, Scorer] = {app.live.digest: app.live.scorer}  # the one used last is last
        self._refused = ""  # the digest of a version that failed its rehearsal
        self._told = ""

    def run(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """Look, every now and then, what the URI means; until `stop` is set."""
        while not stop.wait(POLL_S):
            try:
                self._look(loop)
            except Exception:  # a store that cannot be read for a moment must not stop the server
                _log.warning("what %s means could not be looked up", self._uri, exc_info=True)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self._app.live
        try:
            target = find_target(self._uri, self._store)
        except NotFoundError as error:
            self._tell(f"{error} {now.label} goes on answering.")
            return
        if (target.uri, target.digest) == (now.model_uri, now.digest):
            self._refused = ""
            self._tell("")
        elif target.digest != self._refused:
            self._change(target, loop)

    def _change(self, target: Target, loop: asyncio.AbstractEventLoop) -> None:
        scorer = self._loaded.pop(target.digest, None)
        if scorer is None:
            try:
                scorer = load_scorer(target.uri, self._store.uri, self._loop_thread)
                scorer.rehearse()
            except Exception as error:
                self._refused = target.digest
                why = str(error) if isinstance(error, NbtrackError) else f"{type(error).__name__}: {error}"
                _log.warning("%s is not served", target.uri, exc_info=True)
                self._tell(f"{target.uri} is not served: {why} {self._app.live.label} goes on answering.")
                return
        self._loaded[target.digest] = scorer
        while len(self._loaded) > _KEEP:
            self._loaded.pop(next(iter(self._loaded)))
        ready, live = threading.Event(), self._app.prepared(scorer, target)

        def swap() -> None:
            self._app.live = live
            ready.set()

        loop.call_soon_threadsafe(swap)
        ready.wait(10)
        self._refused, self._told = "", ""
        records.mark(self._server_id, resolved_uri=target.uri, version=target.version, digest=target.digest, error="")
        _log.info("serving %s now", target.uri)

    def _tell(self, text: str) -> None:
        """Put a remark on the server's card, or take it away."""
        if text != self._told:
            self._told = text
            records.mark(self._server_id, error=text)
