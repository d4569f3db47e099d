"""The requests and the answer about running a run again, in a clean kernel, to see whether it gives the same.

Part of the vocabulary of ``messages.py``, in a file of its own for its length.
"""

from __future__ import annotations

from typing import Literal

from nbtrack.wire.base import Answer, Request


class Reproduce(Request, frozen=True, tag="reproduce"):
    """Run the cells that made a run again in a clean kernel; answers at once, while they run in the background.

    `stop` ends what is under way instead; the run is not stamped then.
    """

    run_id: str
    stop: bool = False


class GetReproduction(Request, frozen=True, tag="reproduction"):
    """How far is it? Asked while a reproduction of this run is under way."""

    run_id: str


class Reproduction(Answer, frozen=True):
    """How far the process that answers is with running a run again; the result itself is on the run.

    `state` is ``none`` (nothing was asked for), ``running``, ``done`` (the run is stamped), ``stopped`` or ``failed``
    (`error` says why it could not even be compared). `done` of `total` cells ran to their end; `cell` names the next.
    """

    run_id: str
    state: Literal["none", "running", "done", "stopped", "failed"]
    done: int = 0
    total: int = 0
    cell: str = ""
    elapsed_ms: int = 0
    error: str = ""


ANSWERS: dict[str, type[Answer]] = {"reproduce": Reproduction, "reproduction": Reproduction}
