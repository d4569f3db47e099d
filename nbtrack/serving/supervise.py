"""Serving a model from a notebook, a script, the JupyterLab panel or a shell: start, find, ask, stop."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import nbtrack.serving as room
from nbtrack.entities import VIEW_MIME, ServerInfo
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.names import ModelURI, parse_model_uri
from nbtrack.reprs import server_card_html
from nbtrack.serving import client, logfile, records
from nbtrack.serving.order import GRACE_S, Order
from nbtrack.serving.process import Child, children, listen
from nbtrack.serving.target import Target, find_target, the_store

if TYPE_CHECKING:
    from types import TracebackType

    from nbtrack.store.base import Store

Owner = Literal["kernel", "jupyter", "process", "detached"]
OWNERS: Final[tuple[Owner, ...]] = ("kernel", "jupyter", "process", "detached")
MIN_TOKEN: Final = 16
_EXAMPLE_CHARS: Final = 4000  # longer ones are not kept in the record


def _owner_here() -> Owner:
    """Return what this process is."""
    if room.default_owner is not None:
        return _checked_owner(room.default_owner)
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    if shell is not None and hasattr(shell, "kernel"):
        return "kernel"
    serverapp = sys.modules.get("jupyter_server.serverapp")
    if serverapp is not None and serverapp.ServerApp.initialized():
        return "jupyter"
    return "process"


def _checked_owner(owner: str) -> Owner:
    for known in OWNERS:
        if owner == known:
            return known
    raise InvalidInputError(f"serve: owner must be one of {', '.join(OWNERS)}; got {owner!r}.")


def _checked_port(port: object) -> int:
    if port is None:
        return 0
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise InvalidInputError(f"serve: port must be a whole number from 1 to 65535, or None; got {port!r}.")
    return port


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_reach(host: str, token: str) -> None:
    if token and (len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        raise InvalidInputError(
            f"serve: the token must be at least {MIN_TOKEN} visible ASCII characters. python -c 'import secrets;"
            " print(secrets.token_urlsafe())' makes one."
        )
    if not token and not is_loopback(host):
        raise InvalidInputError(
            f"serve: host {host!r} lets other machines reach the model, and there is no token. Use host='127.0.0.1', or"
            " give a secret with token= (clients then send Authorization: Bearer <token>)."
        )


class ModelServer:
    """A running model server: ask it, look at its log, stop it.

    As a context manager it is stopped at the end of the block, unless it had been running before.

    Examples
    --------
    >>> with nbtrack.serve("models:/wine/Staging") as server:  # doctest: +SKIP
    ...     server.predict(X_test)
    """

    def __init__(self, record: records.Record, *, reused: bool = False) -> None:
        self._record = record
        self._reused = reused

    @property
    def server_id(self) -> str:
        """Its id."""
        return self._record.server_id

    @property
    def url(self) -> str:
        """Where it answers, such as ``http://127.0.0.1:1234``."""
        return self._record.url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._record.port

    @property
    def info(self) -> ServerInfo:
        """What is known of it now; `status` is ``"stopped"`` once it is gone."""
        for record, requests in records.live_records():
            if record.server_id == self.server_id:
                self._record = record
                return record.info(requests)
        record = self._record
        return ServerInfo(
            **{name: getattr(record.info(), name) for name in ServerInfo.__slots__ if name != "status"},
            status="stopped",
        )

    def predict(self, data: Any) -> Any:
        """Return the served model's predictions for `data`, as an array with one entry a row.

        Parameters
        ----------
        data
            A DataFrame, an array, a list of rows, or a mapping of columns.

        Raises
        ------
        InvalidInputError
            If the data does not fit the model.
        ServingError
            If the server does not answer.
        """
        status, text, _ = client.post(self._record, client.encode_request(data), "application/json")
        return client.decode_answer(self._record, status, text)

    def logs(self, lines: int = 50) -> str:
        """Return the last lines of what the server printed."""
        return logfile.tail(records.log_path(self.server_id), lines)

    def stop(self) -> None:
        """Stop it; requests in flight are answered first. Stopping it twice does no harm."""
        try:
            stop_server(self.server_id)
        except NotFoundError:
            return

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._reused:
            self.stop()

    def __repr__(self) -> str:
        info = self.info
        return f"<ModelServer {info.server_id} of {info.model_uri} at {info.url}: {info.status}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        info = self.info
        store = _shown_store(self._record.store_uri)
        view = {"version": 1, "view": "server", "store": store, "run_ids": [], "server_id": info.server_id}
        return {
            VIEW_MIME: view,
            "text/html": server_card_html(info, curl=client.curl_command(info), log=self.logs(20)),
            "text/plain": repr(self),
        }


def _shown_store(uri: str) -> str:
    """Return a store's folder relative to the working directory where that is possible."""
    try:
        return Path(uri).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return uri


def serve(
    model_uri: str | Path,
    port: int | None = None,
    host: str = "127.0.0.1",
    owner: str | None = None,
    store: Store | None = None,
    wait_s: float = 60,
    *,
    token: str = "",
    allowed_hosts: Sequence[str] = (),
    follow: bool | None = None,
    shadow: str = "",
) -> ModelServer:
    """Serve a model over HTTP on this machine; return when it has answered its own example.

    Parameters
    ----------
    model_uri
        ``models:/NAME/VERSION``, ``models:/NAME/STAGE``, ``models:/NAME@ALIAS``, ``runs:/RUN_ID/PATH``, or the folder
        of a saved model.
    port
        Where to listen; a free port if not given.
    host
        The address to listen at. One that other machines can reach needs a `token`.
    owner
        What it lives and dies with: ``"kernel"`` (the default in a notebook), ``"jupyter"`` (the default in the Jupyter
        server), ``"process"`` (the default elsewhere: this process), or ``"detached"`` for nobody.
    store
        Where the URI is looked up; the store used now if not given.
    wait_s
        How long the model may take to load, in seconds.
    token
        A secret that every request must then carry.
    allowed_hosts
        Names under which a proxy may reach it.
    follow
        Whether another version takes over when the stage or alias moves; by default it does, for a URI that names one.
    shadow
        The URI of a second model that is asked the same. ``/health`` and ``/metrics`` count how often it differs; its
        predictions are never returned.

    Returns
    -------
    ModelServer
        The one that serves this version already, if there is one that will live as long.

    Raises
    ------
    NotFoundError
        If there is no such model.
    PortInUseError
        If something listens on `port` already.
    ServingError
        If the model cannot be loaded, or does not answer its own example.

    Examples
    --------
    >>> server = nbtrack.serve("models:/wine/Staging")  # doctest: +SKIP
    >>> server.predict(X_test)  # doctest: +SKIP
    """
    wanted = _checked_port(port)
    _check_reach(host, token)
    kind = _checked_owner(owner) if owner is not None else _owner_here()
    target = find_target(model_uri, store)
    is_folder = not str(model_uri).startswith(("runs:", "models:"))
    store_uri = "" if is_folder else the_store(store).uri
    moves = not is_folder and isinstance(uri := parse_model_uri(str(model_uri)), ModelURI) and uri.version is None
    followed = str(model_uri) if moves and follow is not False else ""
    second = find_target(shadow, store).uri if shadow else ""
    if (found := _running(target, store_uri, wanted, host, kind, token, (followed, second))) is not None:
        return ModelServer(found, reused=True)
    sock = listen(host, wanted)
    server_id = records.new_id()
    example = json.dumps(target.example, ensure_ascii=False)
    record = records.Record(
        server_id=server_id,
        host=host,
        port=sock.getsockname()[1],
        model_uri=str(model_uri),
        resolved_uri=target.uri,
        model_name=target.model_name,
        version=target.version,
        digest=target.digest,
        store_uri=store_uri,
        owner=kind,
        owner_pid=os.getpid(),
        started_at_ms=time.time_ns() // 1_000_000,
        token=token,
        follow=followed,
        shadow=second,
        example=example if len(example) <= _EXAMPLE_CHARS else "",
    )
    order = Order(
        server_id=server_id,
        store_uri=store_uri,
        resolved_uri=target.uri,
        follow=followed,
        shadow=second,
        tied=kind != "detached",
        token=token,
        allowed_hosts=tuple(allowed_hosts),
    )
    child = Child(record, sock, order)
    if order.tied:
        children[server_id] = child
    child.start(wait_s)
    return ModelServer(records.read_record(server_id) or child.record)


def _running(
    target: Target, store_uri: str, port: int, host: str, kind: Owner, token: str, besides: tuple[str, str]
) -> records.Record | None:
    """Return the record of a server of the same version that lives at least as long as a new one would."""
    for record, _ in records.live_records():
        same = (record.store_uri, record.resolved_uri, record.digest) == (store_uri, target.uri, target.digest)
        lasting = record.owner_pid == os.getpid() or record.owner == "detached"
        if kind in {"kernel", "process"}:
            lasting = lasting or record.owner == "jupyter"
        if kind == "detached":
            lasting = record.owner == "detached"
        fits = (record.host, record.token) == (host, token) and (record.follow, record.shadow) == besides
        fits = fits and port in {0, record.port}
        if same and lasting and fits and record.status == "ready":
            return record
    return None


def list_servers(store: Store | None = None) -> list[ServerInfo]:
    """Return the model servers of this user on this machine, oldest first; those of one store if it is given."""
    return [
        record.info(requests)
        for record, requests in records.live_records()
        if store is None or record.store_uri == store.uri
    ]


def get_server(server_id: str) -> ModelServer:
    """Return a running server.

    Raises
    ------
    NotFoundError
        If there is none of this id; it may have ended.
    """
    for record, _ in records.live_records():
        if record.server_id == server_id:
            return ModelServer(record, reused=True)
    raise NotFoundError(
        f"model server: there is none with the id {server_id[:60]!r}; it may have been stopped."
        " nbtrack.serving.list_servers() shows those there are."
    )


def stop_server(server_id: str) -> None:
    """Stop a server, whoever owns it; requests in flight are answered first. Nothing of it is left.

    Raises
    ------
    NotFoundError
        If there is none of this id; it may have ended.
    """
    own = children.get(server_id)
    if own is not None:
        own.stop()
        return
    record = get_server(server_id)._record
    _signal(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S + 1
    while records.is_locked(server_id):
        if time.monotonic() > deadline:
            _signal(record.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            deadline = float("inf")
        time.sleep(0.02)
    records.forget(server_id)


def _signal(pid: int, number: int) -> None:
    if pid > 1:
        try:
            os.kill(pid, number)
        except OSError:  # it has just ended
            return
