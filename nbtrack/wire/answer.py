"""Answers every request of the user interface, whatever host it came through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from nbtrack.errors import (
    ConflictError,
    GateError,
    InvalidInputError,
    NbtrackError,
    NotFoundError,
    ServingError,
    StoreNotFoundError,
    StoreReadOnlyError,
)
from nbtrack.store.base import Store
from nbtrack.wire import (
    changing,
    differing,
    explaining,
    listing,
    page,
    pictures,
    picturing,
    promoting,
    reading,
    registered,
    repeated,
    repeating,
    servers,
    serving,
    tables,
)
from nbtrack.wire import messages as m
from nbtrack.wire.base import Answer, Request

# The first class that fits names the error to the user interface.
CODES: tuple[tuple[type[Exception], str], ...] = (
    (ConflictError, "conflict"),
    (GateError, "gate"),
    (NotFoundError, "not_found"),
    (StoreReadOnlyError, "read_only"),
    (StoreNotFoundError, "no_store"),
    (ServingError, "serving"),
    (InvalidInputError, "invalid"),
    (NbtrackError, "failed"),
)

HANDLERS: dict[type[Request], Callable[[Store, Any], Answer]] = {
    m.GetInfo: reading.get_info,
    m.GetRevision: reading.get_revision,
    tables.ListRuns: listing.list_runs,
    tables.GetCatalog: listing.get_catalog,
    tables.GroupRuns: listing.group_runs,
    tables.ListViews: listing.list_views,
    tables.SaveView: listing.save_view,
    m.GetRun: reading.get_run,
    differing.GetDiff: explaining.get_diff,
    pictures.GetSeries: picturing.get_series,
    pictures.GetBands: picturing.get_bands,
    pictures.GetFigure: picturing.get_figure,
    pictures.GetPlotly: picturing.get_plotly,
    pictures.GetArtifact: picturing.get_artifact,
    pictures.MakeReport: page.make_report,
    registered.ListModels: promoting.list_models,
    registered.GetHistory: promoting.get_history,
    registered.DiffVersions: promoting.diff_versions,
    m.ListServers: serving.list_servers,
    m.EditRun: changing.edit_run,
    m.Pin: changing.pin,
    repeating.Reproduce: repeated.reproduce,
    repeating.GetReproduction: repeated.get_reproduction,
    registered.Register: promoting.register,
    registered.Promote: promoting.promote,
    registered.Undo: promoting.undo,
    registered.Approve: promoting.approve,
    registered.SetGates: promoting.set_gates,
    registered.EditVersion: promoting.edit_version,
    m.Serve: serving.serve,
    m.StopServer: serving.stop_server,
    servers.GetActivity: serving.activity,
    servers.RollbackServer: serving.rollback,
    m.Invoke: serving.invoke,
}


def answer(store: Store, request: m.AnyRequest, owner: str | None = None) -> Answer:
    """Answer one request from `store`.

    Parameters
    ----------
    store
        Where to look, or what to change.
    request
        What is asked.
    owner
        Who owns a server that this starts: it stops with its owner. Left to ``nbtrack.serving`` unless given.

    Raises
    ------
    NbtrackError
        Whatever the asked room raises.
    """
    if (run_id := getattr(request, "run_id", None)) is not None:
        store = store.holding(run_id)
    if isinstance(request, m.Serve):
        return serving.serve(store, request, owner)
    return HANDLERS[type(request)](store, request)


def failure(error: Exception) -> m.Failure:
    """Return what the user interface is told of an exception: never a traceback."""
    if isinstance(error, NbtrackError):
        code = next(code for cls, code in CODES if isinstance(error, cls))
        return m.Failure(code=code, message=str(error))
    return m.Failure(code="internal", message=f"{type(error).__name__}: {error}. This is a fault of nbtrack itself.")


def answer_json(store: Store | Callable[[], Store], body: bytes, owner: str | None = None) -> bytes:
    """Answer one request given as JSON with one envelope as JSON; never raises.

    Parameters
    ----------
    store
        The store, or a function that opens it: what that raises becomes the answer too.
    body
        A request, such as ``b'{"op": "revision"}'``.
    owner
        Who owns a server that this starts.

    Returns
    -------
    bytes
        ``{"ok": true, "answer": {…}}`` or ``{"ok": false, "error": {"code": …, "message": …}}``.
    """
    try:
        request = cast("m.AnyRequest", _DECODER.decode(body))
        reply: dict[str, Any] = {"ok": True, "answer": answer(store() if callable(store) else store, request, owner)}
    except msgspec.MsgspecError as error:
        told = m.Failure(code="invalid", message=f"request: {error}. See nbtrack.wire.messages for what may be asked.")
        reply = {"ok": False, "error": told}
    except Exception as error:
        reply = {"ok": False, "error": failure(error)}
    return msgspec.json.encode(reply)


_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(m.AnyRequest)
