"""Serving a model from a notebook, a script, the JupyterLab panel or a shell: start, find, ask, stop."""

from __future__ import annotations

import ipaddress
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import nbtrack.serving as room
from nbtrack.entities import ServerInfo
from nbtrack.errors import InvalidInputError, NbtrackError
from nbtrack.names import ModelURI, parse_model_uri
from nbtrack.serving import records
from nbtrack.serving.handle import ModelServer
from nbtrack.serving.order import Order, Wanted
from nbtrack.serving.process import Child, children, failed_record, listen
from nbtrack.serving.target import Target, find_target, the_store

if TYPE_CHECKING:
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


def _checked_split(split: str, count: int) -> tuple[int, ...]:
    """Return ``"90:10"`` as numbers."""
    if not split:
        return ()
    parts = [int(part) if part.isascii() and part.isdecimal() else 0 for part in split.split(":")]
    if len(parts) != 2 or not all(0 < part <= 10_000 for part in parts):
        raise InvalidInputError(f"serve: split must be two whole numbers such as '90:10', got {split[:40]!r}.")
    if count != 2:
        raise InvalidInputError(f"serve: split is about two models; got {count}. Name the second one, too.")
    return tuple(parts)


def _check_names(targets: Sequence[Target], split: tuple[int, ...], shadow: str) -> None:
    names = [target.model_name for target in targets]
    if not names:
        raise InvalidInputError("serve: expected a model URI, got an empty list.")
    if len(set(names)) != len(names) and not split:
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError(
            f"serve: two models are called {twice!r}, so no request could tell them apart. Serve each by a server of"
            " its own, or say with split= how many requests each is to answer."
        )
    if shadow and split:
        raise InvalidInputError("serve: split compares both models already; leave shadow= out.")


@dataclass(frozen=True, slots=True)
class RequestLogging:
    """Which requests are looked at and kept in the store; see :func:`serve`.

    Attributes
    ----------
    share
        How many of all requests, from 0 to 1.
    max_mb
        How large the log may become, in MB. The drift of the columns is watched beyond that.
    mask
        Columns whose values are not to be written.
    """

    share: float = 1.0
    max_mb: float = 64
    mask: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InvalidInputError(f"serve: the share of logged requests must be from 0 to 1, got {self.share!r}.")
        if not self.max_mb > 0:
            raise InvalidInputError(f"serve: the size of the request log must be above 0 MB, got {self.max_mb!r}.")


def serve(
    model_uri: str | Path | Sequence[str | Path],
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
    split: str = "",
    log_requests: RequestLogging | bool = False,
    env_manager: str = "local",
    trust: Sequence[str] = (),
    keep_failed: bool = False,
) -> ModelServer:
    """Serve a model over HTTP on this machine; return when it has answered its own example.

    Parameters
    ----------
    model_uri
        ``models:/NAME/VERSION``, ``models:/NAME/STAGE``, ``models:/NAME@ALIAS``, ``runs:/RUN_ID/PATH``, or the folder
        of a saved model. Of several, the first answers at ``/invocations``, and each at ``/models/NAME/invocations``.
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
    split
        For two models: how many of all requests each answers, such as ``"90:10"``. A request with the same
        ``X-Request-Id`` gets the same model. Each is asked what the other answers, and differences are counted.
    log_requests
        Whether a sample of the requests goes into the store, as a run of the experiment ``serving``, and ``/drift``
        compares their columns with the training data; :class:`RequestLogging` says how.
    env_manager
        ``"local"``: this Python. ``"uv"``: an environment with the packages that the model was logged with, made when
        it is first needed and kept.
    trust
        Digests of models that others made and that may run their own code all the same.
    keep_failed
        Return a server that does not get ready, with the status ``"failed"`` and its rehearsal up to there, instead of
        raising: for those who show it.

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
    wanted_port = _checked_port(port)
    _check_reach(host, token)
    kind = _checked_owner(owner) if owner is not None else _owner_here()
    uris = [model_uri] if isinstance(model_uri, (str, Path)) else list(model_uri)
    parts = _checked_split(split, len(uris))
    targets = [find_target(uri, store) for uri in uris]
    _check_names(targets, parts, shadow)
    in_store = any(not _is_folder(uri) for uri in uris)
    store_uri = the_store(store).uri if in_store or log_requests else ""
    second = find_target(shadow, store).uri if shadow else ""
    logging = RequestLogging() if log_requests is True else log_requests or None
    order = Order(
        server_id=records.new_id(),
        store_uri=store_uri,
        models=tuple(
            Wanted(target.uri, _followed(uri) if follow is not False else "")
            for uri, target in zip(uris, targets, strict=True)
        ),
        shadow=second,
        split=parts,
        log_share=logging.share if logging else 0.0,
        log_max_bytes=int(logging.max_mb * 1e6) if logging else 0,
        mask=tuple(logging.mask) if logging else (),
        tied=kind != "detached",
        token=token,
        allowed_hosts=tuple(allowed_hosts),
        trust=tuple(trust),
    )
    from nbtrack.serving.environments import python_for  # the worker imports this file, too, and needs none of that

    python = python_for([target.manifest for target in targets], env_manager)
    record = _record(order, uris, targets, kind, host, env_manager)
    if (found := _running(record, wanted_port)) is not None:
        return ModelServer(found, reused=True)
    return ModelServer(_brought_up(record, order, python, wanted_port, wait_s, keep_failed))


def _brought_up(
    record: records.Record, order: Order, python: str, port: int, wait_s: float, keep_failed: bool
) -> records.Record:
    """Return the record of a server that is ready; or, where that is asked for, of one that failed."""
    try:
        sock = listen(record.host, port)
    except NbtrackError as error:
        if not keep_failed:
            raise
        return failed_record(replace(record, port=port), error)
    port = sock.getsockname()[1]
    listening = {"name": "port", "state": "ok", "text": f"{port} is held; requests wait until the model is ready"}
    child = Child(replace(record, port=port, checks=(listening,)), sock, order, python)
    if order.tied:
        children[order.server_id] = child
    try:
        child.start(wait_s)
    except NbtrackError as error:
        if not keep_failed:
            raise
        return failed_record(child.record, error)
    return records.read_record(order.server_id) or child.record


def _is_folder(uri: str | Path) -> bool:
    return not str(uri).startswith(("runs:", "models:"))


def _followed(uri: str | Path) -> str:
    """Return the URI if its meaning may change."""
    if _is_folder(uri):
        return ""
    parsed = parse_model_uri(str(uri))
    return str(uri) if isinstance(parsed, ModelURI) and parsed.version is None else ""


def _record(
    order: Order, uris: Sequence[str | Path], targets: Sequence[Target], kind: Owner, host: str, env_manager: str
) -> records.Record:
    first = targets[0]
    example = json.dumps(first.example, ensure_ascii=False)
    others = tuple(
        {"model_uri": str(uri), "resolved_uri": t.uri, "model_name": t.model_name, "version": t.version}
        for uri, t in zip(uris[1:], targets[1:], strict=True)
    )
    options = {
        "shadow": order.shadow,
        "split": list(order.split),
        "log_share": order.log_share,
        "log_max_bytes": order.log_max_bytes,
        "mask": list(order.mask),
        "env_manager": env_manager,
        "allowed_hosts": list(order.allowed_hosts),
        "trust": list(order.trust),
    }
    return records.Record(
        server_id=order.server_id,
        host=host,
        port=0,
        model_uri=str(uris[0]),
        resolved_uri=first.uri,
        model_name=first.model_name,
        version=first.version,
        digest=first.digest,
        store_uri=order.store_uri,
        owner=kind,
        owner_pid=os.getpid(),
        started_at_ms=time.time_ns() // 1_000_000,
        token=order.token,
        follow=order.models[0].follow,
        others=others,
        options={name: value for name, value in options.items() if value},
        example=example if len(example) <= _EXAMPLE_CHARS else "",
    )


_SAME: Final = ("store_uri", "resolved_uri", "digest", "host", "token", "follow", "others", "options")


def _running(wanted: records.Record, port: int) -> records.Record | None:
    """Return the record of a server of the same version that lives at least as long as a new one would."""
    for record, _ in records.live_records():
        lasting = record.owner_pid == os.getpid() or record.owner == "detached"
        if wanted.owner in {"kernel", "process"}:
            lasting = lasting or record.owner == "jupyter"
        if wanted.owner == "detached":
            lasting = record.owner == "detached"
        same = all(getattr(record, name) == getattr(wanted, name) for name in _SAME)
        if same and lasting and port in {0, record.port} and record.status == "ready":
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
    raise records.no_server(server_id)
