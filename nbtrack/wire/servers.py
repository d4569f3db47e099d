"""Requests and answers about model servers beyond starting and stopping them.

Part of the vocabulary of ``messages.py``, in a file of its own for its length.
"""

from __future__ import annotations

from nbtrack.wire.base import Answer, Request


# -- requests ----------------------------------------------------------------------------------------------------------
class GetActivity(Request, frozen=True, tag="server_activity"):
    """What a server was asked lately, the end of its log, and how its rows differ from the training data."""

    server_id: str


class RollbackServer(Request, frozen=True, tag="rollback_server"):
    """Let the version that answered before answer again, at once; with `follow`, follow the stage again."""

    server_id: str
    follow: bool = False


# -- answers -----------------------------------------------------------------------------------------------------------
class Check(Answer, frozen=True):
    """One step of a server's rehearsal. `state` is ``ok``, ``note`` or ``failed``."""

    name: str
    state: str
    text: str


class OtherModel(Answer, frozen=True):
    """A further model of a server."""

    model_uri: str
    model_name: str
    version: int | None


class SeenRequest(Answer, frozen=True):
    """One scoring request, without its data; `why` says why it was refused."""

    at: int
    status: int
    rows: int
    ms: float
    model: str
    why: str


class DriftedColumn(Answer, frozen=True):
    """How a column differs from the training data: `verdict` is ``steady shifted drifted`` or ``too few rows``.

    `index` is the population stability index; `missing`, `missing_before` and `outside` are shares.
    """

    column: str | None
    index: float
    verdict: str
    missing: float
    missing_before: float
    outside: float


class ServerActivity(Answer, frozen=True):
    """What a server was asked lately, newest first. `drift` is null where requests are not looked at."""

    requests: list[SeenRequest]
    total: int
    log: str
    drift: list[DriftedColumn] | None
    drift_rows: int
    shadow: str
    run_id: str | None


ANSWERS: dict[str, type[Answer]] = {"server_activity": ServerActivity}
