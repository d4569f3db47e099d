"""Answers what is asked about running a run again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nbtrack.store.base import Store
from nbtrack.wire import repeating as r

if TYPE_CHECKING:
    from nbtrack.pipelines.attempts import Attempt


def _attempt(store: Store, run_id: str) -> Attempt | None:
    """Return what this process began; imports nothing for it, for every page of a run asks."""
    attempts = sys.modules.get("nbtrack.pipelines.attempts")
    found: Attempt | None = attempts.attempt_of(run_id, store) if attempts is not None else None
    return found


def _told(run_id: str, attempt: Attempt | None) -> r.Reproduction:
    if attempt is None:
        return r.Reproduction(run_id, "none")
    return r.Reproduction(
        run_id, attempt.state, attempt.done, attempt.total, attempt.cell, int(1000 * attempt.seconds), attempt.error
    )


def is_reproducing(store: Store, run_id: str) -> bool:
    """Return whether this process is just running the run again."""
    attempt = _attempt(store, run_id)
    return attempt is not None and attempt.state == "running"


def reproduce(store: Store, request: r.Reproduce) -> r.Reproduction:
    if not request.stop:
        from nbtrack.pipelines.attempts import start_attempt

        return _told(request.run_id, start_attempt(request.run_id, store))
    attempt = _attempt(store, request.run_id)
    if attempt is not None:
        attempt.stop.set()
    return _told(request.run_id, attempt)


def get_reproduction(store: Store, request: r.GetReproduction) -> r.Reproduction:
    return _told(request.run_id, _attempt(store, request.run_id))
