"""A server of ``models:/NAME/STAGE`` answers with whatever version is in that stage: it is changed while it runs.

The next version is loaded and rehearsed beside the one that answers; then, between two requests, it takes its place. A
version that fails its rehearsal does not, and the record of the server says why. The one before is kept for a while, so
that going back takes no time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from nbtrack.errors import NbtrackError, NotFoundError, ServingError
from nbtrack.serving.loading import load_scorer
from nbtrack.serving.scorer import Scorer
from nbtrack.serving.served import Served
from nbtrack.serving.target import Target, find_target

if TYPE_CHECKING:
    from nbtrack.store.base import Store

POLL_S: Final = 0.5
_KEEP: Final = 2  # versions in memory: the one that answers, and the one before
_log = logging.getLogger("nbtrack.serving")


class Follower:
    """Keeps a model of a server at what a URI means.

    Parameters
    ----------
    served
        The model that is changed.
    uri
        Such as ``models:/wine/Production``.
    store
        Where it is looked up.
    loop_thread
        The thread that the event loop runs on.
    held
        Returns the URI of a version that is to answer whatever `uri` means, or nothing.
    tell
        Is given what changed about the model, for the server's record.
    trusted
        Returns the digest of a model if that may run its own code although it is a stranger's.
    """

    def __init__(
        self,
        served: Served,
        uri: str,
        store: Store,
        loop_thread: int,
        held: Callable[[], str],
        tell: Callable[[dict[str, Any]], None],
        trusted: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._served = served
        self._uri = uri
        self._store = store
        self._loop_thread = loop_thread
        self._held = held
        self._told_to = tell
        self._trusted = trusted
        self._loaded: dict[str, Scorer] = {served.live.digest: served.live.scorer}  # the one used last is last
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
        now = self._served.live
        held = self._held()
        try:
            target = find_target(held or self._uri, self._store)
        except NotFoundError as error:
            self._tell(f"{error} {now.label} goes on answering.")
            return
        if (target.uri, target.digest) == (now.model_uri, now.digest):
            self._refused = ""
            self._tell(f"held at {now.label}; {self._uri} is not followed." if held else "")
        elif target.digest != self._refused:
            self._change(target, loop)

    def _change(self, target: Target, loop: asyncio.AbstractEventLoop) -> None:
        before = self._served.live
        scorer = self._loaded.pop(target.digest, None)
        if scorer is None:
            try:
                scorer = load_scorer(target.uri, self._store.uri, self._loop_thread, trust=self._trusted(target.digest))
                scorer.rehearse()
                if scorer.differs:
                    raise ServingError("it does not answer its logged example as it did when it was logged.")
            except Exception as error:
                self._refused = target.digest
                why = str(error) if isinstance(error, NbtrackError) else f"{type(error).__name__}: {error}"
                _log.warning("%s is not served", target.uri, exc_info=True)
                self._tell(f"{target.uri} is not served: {why} {before.label} goes on answering.")
                return
        self._loaded[target.digest] = scorer
        while len(self._loaded) > _KEEP:
            self._loaded.pop(next(iter(self._loaded)))
        ready, live = threading.Event(), self._served.prepared(scorer, target)

        def swap() -> None:
            self._served.put(live)
            ready.set()

        loop.call_soon_threadsafe(swap)
        ready.wait(10)
        self._refused, self._told = "", ""
        changes = {"resolved_uri": target.uri, "version": target.version, "digest": target.digest}
        self._told_to(changes | {"error": "", "previous": before.model_uri})
        _log.info("serving %s now", target.uri)

    def _tell(self, text: str) -> None:
        """Put a remark on the server's card, or take it away."""
        if text != self._told:
            self._told = text
            self._told_to({"error": text})
