"""Answers requests about model servers."""

from __future__ import annotations

from nbtrack import serving
from nbtrack.entities import ServerInfo
from nbtrack.errors import NbtrackError
from nbtrack.registry import get_version
from nbtrack.store.base import Store
from nbtrack.wire import messages as m
from nbtrack.wire import servers as s


def describe_server(store: Store, info: ServerInfo) -> m.Server:
    """Return a server as the wire tells of it."""
    return m.Server(
        server_id=info.server_id,
        url=info.url,
        path=f"nbtrack/serve/{info.server_id}/",
        port=info.port,
        model_uri=info.model_uri,
        model_name=info.model_name,
        version=info.version,
        stage=_stage(store, info),
        owner=info.owner,
        status=info.status,
        started_at=info.started_at_ms,
        error=info.error,
        requests=info.requests,
        follow=info.follow,
        held=info.held,
        previous=info.previous,
        others=[s.OtherModel(o["model_uri"], o["model_name"], o["version"]) for o in info.others],
        checks=[s.Check(**check) for check in info.checks],
        example=serving.server_example(info),
        **serving.snippets(info),
    )


def _stage(store: Store, info: ServerInfo) -> str:
    if info.version is None:
        return ""
    try:
        return get_version(info.model_name, info.version, store=store).current_stage
    except NbtrackError:  # a model of another store
        return ""


def list_servers(store: Store, request: m.ListServers) -> m.Servers:
    return m.Servers(
        servers=[describe_server(one, info) for one in store.parts() for info in serving.list_servers(store=one)]
    )


def _home(store: Store, model_uri: str) -> Store:
    """Return the store that a model lies in: a server reads one only."""
    place, _, rest = model_uri.partition(":/")
    name = rest.split("/")[0].partition("@")[0]
    if place == "runs":
        return store.holding(name)
    return next((one for one in store.parts() if name in one.list_models()), store)


def serve(store: Store, request: m.Serve, owner: str | None = None) -> m.Server:
    store = _home(store, request.model_uri) if len(store.parts()) > 1 else store
    server = serving.serve(request.model_uri, request.port, owner=owner, store=store, keep_failed=True)
    return describe_server(store, server.info)


def stop_server(store: Store, request: m.StopServer) -> m.Done:
    serving.stop_server(request.server_id)
    return m.Done("Stopped")


def rollback(store: Store, request: s.RollbackServer) -> m.Done:
    server = serving.get_server(request.server_id)
    if request.follow:
        server.follow()
        return m.Done("Following again")
    server.rollback()
    return m.Done(f"{server.info.held} answers")


def invoke(store: Store, request: m.Invoke) -> m.Invocation:
    status, body, ms = serving.invoke(request.server_id, request.body, request.content_type)
    return m.Invocation(status=status, body=body, ms=ms)


def activity(store: Store, request: s.GetActivity) -> s.ServerActivity:
    found = serving.activity(request.server_id)
    seen, drift, health = found["requests"], found["drift"], found["health"]
    return s.ServerActivity(
        requests=[
            s.SeenRequest(one["at_ms"], one["status"], one["rows"], one["ms"], one["model"], one["why"])
            for one in seen["requests"]
        ],
        total=seen["total"],
        log=found["log"],
        drift=None if drift is None else [s.DriftedColumn(**column) for column in drift["columns"]],
        drift_rows=0 if drift is None else drift["rows"],
        shadow=seen["compared"],
        run_id=(health.get("log") or {}).get("run_id"),
    )
