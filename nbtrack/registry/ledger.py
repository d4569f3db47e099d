"""The commits of one registered model in one store: read once, then only what is new; written one at a time.

There is no lock: a commit is put under the next free number. Who finds the number taken reads what came between,
checks again, and either tries the next number or tells the user.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nbtrack.entities import Commit
from nbtrack.errors import ConflictError, NotFoundError
from nbtrack.names import check_model_name
from nbtrack.registry.fold import State, apply, fold
from nbtrack.registry.words import ago, commit_of, did
from nbtrack.tracking.user import user_name

if TYPE_CHECKING:
    from nbtrack.store.base import Store

Change = Callable[[State], "Mapping[str, Any] | None"]

_UNFINISHED_S = 6.0  # a commit that cannot be read for so long is damaged
_RETRY_S = 60.0  # 20 processes that promote in a loop need well under one second
CLAIM_MS = 60_000  # a name that was claimed for a renamed model is free again if nothing came of it for so long
_lock = threading.Lock()
_ledgers: WeakKeyDictionary[Store, dict[str, Ledger]] = WeakKeyDictionary()


def now_ms() -> int:
    """Return milliseconds since 1970 UTC."""
    return int(time.time() * 1000)


class _Pace:
    """How a writer goes on that found its number taken.

    Mostly somebody was faster, and what he wrote has been read by now. If there is nothing to read, the commit in the
    way is still being written, or it is damaged: after a while it is stepped over, so that one bad file does not lock
    a model for good.
    """

    def __init__(self) -> None:
        self.over = 0
        self._tries = 0
        self._deadline = time.monotonic() + _RETRY_S
        self._stuck_at: float | None = None

    def go_on(self, moved_on: bool) -> bool:
        """Wait as long as is good; return whether to try again."""
        self._tries += 1
        now = time.monotonic()
        if now > self._deadline:
            return False
        if moved_on:
            self.over, self._stuck_at = 0, None
            if self._tries > 3:  # many at once: the one who waits a moment finds fewer beside him
                time.sleep(random.uniform(0, 0.001 * min(self._tries, 50)))
            return True
        self._stuck_at = self._stuck_at or now
        if now - self._stuck_at < _UNFINISHED_S:
            time.sleep(0.25)
        else:
            self.over += 1
        return True


class Ledger:
    """All commits of one model seen so far, and what they add up to."""

    def __init__(self, store: Store, log: str) -> None:
        self.store = store
        self.log = log
        self.bodies: list[Mapping[str, Any]] = []
        self.state = State(log)
        self.lock = threading.RLock()
        self.settled: set[int] = set()  # versions whose run has ended, so that their metrics are final

    def refresh(self) -> State:
        """Read the commits that are new; return the state now."""
        with self.lock:
            for body in self.store.read_commits(self.log, after=self.state.number):
                apply(self.state, body)
                self.bodies.append(body)
            return self.state

    def reload(self) -> State:
        """Forget everything and read again: somebody put another store in this place."""
        with self.lock:
            self.bodies = []
            self.settled = set()
            self.state = State(self.log)
            return self.refresh()

    @property
    def name(self) -> str:
        """What the model is called now."""
        return self.state.name

    def at(self, at_ms: int) -> State:
        """Return the state at a moment of the past."""
        with self.lock:
            self.refresh()
            return fold(self.log, (body for body in self.bodies if int(body.get("at", 0)) <= at_ms))

    def before(self, number: int) -> State:
        """Return the state just before the commit `number`."""
        with self.lock:
            return fold(self.log, (body for body in self.bodies if int(body["number"]) < number))

    def commit(self, action: str, change: Change, note: str | None, expect: int | None) -> Commit | None:
        """Put one commit on top.

        Parameters
        ----------
        action
            Its kind.
        change
            Given the state it will stand on, returns the rest of its body; raises to refuse, returns None where there
            is nothing to do. Called again when somebody else was faster.
        note
            Why.
        expect
            The number of the last commit that the caller knows of; None accepts any.

        Raises
        ------
        ConflictError
            If there is a commit after `expect`.
        """
        pace = _Pace()
        with self.lock:
            while True:
                state = self.refresh()
                if expect is not None and state.number != expect:
                    raise self._conflict(expect)
                state.lost += pace.over
                try:
                    rest = change(state)
                finally:
                    state.lost -= pace.over
                if rest is None:
                    return None
                body: dict[str, Any] = {"action": action, "at": max(now_ms(), state.at_ms), "user": user_name()}
                if note:
                    body["note"] = note
                body.update(rest)
                try:
                    number = self.store.append_commit(self.log, body, expect=state.number + pace.over)
                except ConflictError:
                    if not pace.go_on(self._moved_on(state.number)):
                        raise
                    continue
                body["number"] = number
                apply(state, body)
                self.bodies.append(body)
                return commit_of(self.name, body)

    def _moved_on(self, number: int) -> bool:
        return self.refresh().number > number or self.reload().number != number

    def _conflict(self, expect: int) -> ConflictError:
        last = commit_of(self.name, self.bodies[-1]) if self.bodies else None
        if last is None or last.number < expect:
            return ConflictError(
                f"model {self.name!r}: you expect commit {expect}, but its last one is"
                f" {last.number if last else 'not there'}. Look at nbtrack.history({self.name!r}) and try again."
            )
        since = sum(1 for body in self.bodies if int(body["number"]) > expect)
        more = f" and {since - 1} more change{'s' if since > 2 else ''}" if since > 1 else ""
        return ConflictError(
            f"model {self.name!r}: {last.user or 'somebody'} {did(last)} {ago(now_ms() - last.at_ms)}{more};"
            f" {self._seen(expect, last)}. Nothing was changed. Look at nbtrack.history({self.name!r}), then try again."
        )

    def _seen(self, expect: int, last: Commit) -> str:
        """What the caller saw in the place that the last commit changed: ``"you saw v3"``."""
        known = self.before(expect + 1)
        moved = [change for change in last.changes if change["to"] not in {"None", "Archived"}]
        if not moved:
            return f"you saw commit {expect}, the last one is {last.number}"
        there = known.in_stage(str(moved[0]["to"]))
        return f"you saw {f'v{there[0].version}' if there else 'nobody'} there"


def ledger_of(log: str, store: Store) -> Ledger:
    """Return the ledger of the commits that lie under a name, whatever the model is called now."""
    check_model_name(log)
    with _lock:
        return _ledgers.setdefault(store, {}).setdefault(log, Ledger(store, log))


def ledger(name: str, store: Store) -> Ledger:
    """Return the up-to-date ledger of a model, which may have no commit yet: the one that goes by this name now.

    Raises
    ------
    NotFoundError
        If the model that began under this name is called otherwise now.
    """
    own = ledger_of(name, store)
    state = own.refresh()
    holder = state.stands_for if state.stands_for is not None or state.name == name else state.heir
    if holder is not None:
        renamed = ledger_of(holder, store)
        if renamed.refresh().name == name:
            return renamed
    if state.stands_for is None and state.name != name:
        raise NotFoundError(
            f"model {name!r}: it is called {state.name!r} now, and its old name stays with it. Use the new name, or"
            f" Client().rename_registered_model({state.name!r}, {name!r})."
        )
    return own


def names(store: Store) -> list[str]:
    """Return the names of all registered models, sorted, also of those in the trash."""
    states = [ledger_of(log, store).refresh() for log in store.list_models()]
    return sorted(state.name for state in states if state.number and state.stands_for is None)


def existing(name: str, store: Store, trashed: bool = False) -> Ledger:
    """Return the up-to-date ledger of a model that exists.

    Raises
    ------
    NotFoundError
        If there is none of this name, or (unless `trashed`) it is in the trash.
    """
    found = ledger(name, store)
    state = found.state
    if not state.number or state.stands_for is not None:
        known = ", ".join(repr(model) for model in names(store)[:10]) or "none yet"
        raise NotFoundError(
            f"model {name!r}: there is no registered model of this name in {store.name!r}; there are: {known}."
            " nbtrack.register_model(URI, NAME) makes one."
        )
    if state.deleted and not trashed:
        raise NotFoundError(
            f"model {name!r}: it is in the trash. Client().restore_registered_model({name!r}) brings it back."
        )
    return found
