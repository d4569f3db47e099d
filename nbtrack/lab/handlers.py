"""``POST nbtrack/api/call`` answers one request of the user interface, ``GET nbtrack/api/health`` says who is here.

``GET nbtrack/api/stores`` lists the stores that may be shown together.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from nbtrack._version import __version__
from nbtrack.errors import StoreError
from nbtrack.lab.place import OutsideRootError, find_store, find_stores, stores_below

# Whoever may read and write the notebooks of this server may do so with the runs beside them.
AUTH_RESOURCE = "contents"
# The first requests of a page come all at once, each in a thread: one of them imports, the others wait.
_importing = Lock()


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """One question: `request` as in ``nbtrack.wire.messages``, for the store of the notebook at `path`.

    `stores` names several, which are then read as one; an empty name is the notebook's own.
    """

    request: msgspec.Raw
    path: str = ""
    store: str | None = None
    stores: list[str] = []


def reply_to(call: Call, root: Path) -> bytes:
    """Return the envelope that answers `call`; raises OutsideRootError only.

    Works on files, and may take as long as a model needs to start: call it from a thread.
    """
    with _importing:
        from nbtrack.store import open_stores
        from nbtrack.wire.answer import answer_json

    try:
        uris = find_stores(root, call.path, call.stores or [call.store or ""])
    except StoreError as error:
        return failure_json("no_store", str(error))
    return answer_json(lambda: open_stores(uris), bytes(call.request), owner="jupyter")


def failure_json(code: str, message: str) -> bytes:
    """Return the envelope of a call that was refused before it reached a store."""
    return msgspec.json.encode({"ok": False, "error": {"code": code, "message": message}})


def listed_stores(root: Path, notebook: str, hint: str) -> dict[str, Any]:
    """Return what the stores handler answers; raises OutsideRootError only."""
    stores = stores_below(root)
    try:
        own = find_store(root, notebook, hint or None)
    except StoreError:
        own = ""
    named = {str(root / one): one for one in stores}
    return {"ok": True, "stores": stores, "own": named.get(own, "")}


class CallHandler(APIHandler):  # type: ignore[misc]
    """Answers requests of the user interface."""

    auth_resource = AUTH_RESOURCE

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def post(self) -> None:
        """Answer one request with its envelope; 400 for no request at all, 403 for a path out of the server's root."""
        try:
            call = msgspec.json.decode(self.request.body, type=Call)
        except msgspec.MsgspecError as error:
            self.set_status(400)
            await self.finish(failure_json("invalid", f"call: {error}. Expected path, store and request."))
            return
        root = Path(self.settings["server_root_dir"]).expanduser()
        try:
            reply = await asyncio.to_thread(reply_to, call, root)
        except OutsideRootError as error:
            self.set_status(403)
            reply = failure_json("forbidden", str(error))
        await self.finish(reply)


class HealthHandler(APIHandler):  # type: ignore[misc]
    """Says which nbtrack answers."""

    auth_resource = AUTH_RESOURCE

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """Answer with the version of nbtrack in the server's environment."""
        await self.finish({"ok": True, "version": __version__})


class StoresHandler(APIHandler):  # type: ignore[misc]
    """Says which stores lie below the folder that the server shows, and which of them a notebook uses."""

    auth_resource = AUTH_RESOURCE

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """Answer with their paths, relative to that folder, and with that of the notebook `path`, "" for none there."""
        root = Path(self.settings["server_root_dir"]).expanduser()
        path, hint = self.get_query_argument("path", ""), self.get_query_argument("store", "")
        try:
            reply = await asyncio.to_thread(listed_stores, root, path, hint)
        except OutsideRootError as error:
            self.set_status(403)
            await self.finish(failure_json("forbidden", str(error)))
            return
        await self.finish(reply)


def add_handlers(app: Any) -> None:
    """Add our handlers to a Jupyter server's web application, below its base URL."""
    base = app.settings["base_url"]
    handlers = [("call", CallHandler), ("health", HealthHandler), ("stores", StoresHandler)]
    app.add_handlers(".*$", [(url_path_join(base, "nbtrack", "api", name), handler) for name, handler in handlers])
