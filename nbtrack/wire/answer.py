"""Answers every request of the user interface, whatever host it came through."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import msgspec

from nbtrack import plots, registry, serving
from nbtrack._version import __version__
from nbtrack.entities import MANIFEST_NAME, TAG_NOTE, ModelVersion, Run
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
from nbtrack.names import STAGES
from nbtrack.store.base import RunColumn, Store
from nbtrack.tracking.directions import better_direction
from nbtrack.wire import messages as m

Direction = Literal["higher", "lower"]

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


def number(value: float) -> m.Number:
    """Return a number as JSON can carry it."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


# -- reading -----------------------------------------------------------------------------------------------------------
def _info(store: Store, request: m.GetInfo) -> m.StoreInfo:
    info = store.info()
    return m.StoreInfo(
        uri=store.uri,
        name=store.name,
        writable=bool(info["writable"]),
        format_version=int(info["format_version"]),
        runs=int(info["runs"]),
        models=int(info["models"]),
        server=__version__,
        user=str(info.get("user", "")),
    )


def _revision(store: Store, request: m.GetRevision) -> m.Revision:
    return m.Revision(revision=store.revision())


def _cell(value: Any) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    return number(float(value))


def _column(column: RunColumn) -> m.Column:
    values = [_cell(value) for value in column.values]
    present = [value for value in values if value is not None]
    return m.Column(
        kind=column.kind,
        key=column.key,
        values=values,
        varies=any(value != values[0] for value in values),
        numeric=bool(present) and all(_is_numeric(value) for value in present),
        better=better_direction(column.key) if column.kind == "metric" else None,
    )


def _is_numeric(value: float | str) -> bool:
    if not isinstance(value, str):
        return True
    try:
        float(value)
    except ValueError:
        return False
    return True


def _experiment_ids(store: Store, name: str | None) -> list[str] | None:
    if name is None:
        return None
    experiment = store.get_experiment_by_name(name)
    if experiment is None:
        raise NotFoundError(f"experiment: there is no {name!r} in the store {store.name!r}.")
    return [experiment.experiment_id]


def _runs(store: Store, request: m.ListRuns) -> m.Runs:
    table = store.run_table(
        experiment_ids=_experiment_ids(store, request.experiment),
        filter_string=request.filter,
        order_by=request.order_by,
        max_results=max(0, min(request.limit, 100_000)),
        offset=max(0, request.offset),
        view="DELETED_ONLY" if request.deleted else "ACTIVE_ONLY",
        run_ids=request.run_ids,
    )
    return m.Runs(
        run_ids=list(table.run_ids),
        columns=[_column(column) for column in table.columns],
        colors=plots.color_indexes(table.run_ids),
        total=table.total,
        revision=table.revision,
    )


def _previous_run(store: Store, run: Run) -> Run | None:
    """Return the run before this one in its experiment: what a card shows the change against."""
    before = store.search_runs(
        experiment_ids=[run.info.experiment_id],
        filter_string=f"attributes.start_time < {run.info.start_time}",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    return before[0] if before else None


def _logged_models(store: Store, run: Run) -> list[m.LoggedModel]:
    folders = [
        path.removesuffix(MANIFEST_NAME).rstrip("/")
        for path in run.artifacts
        if path == MANIFEST_NAME or path.endswith("/" + MANIFEST_NAME)
    ]
    made: dict[str, list[tuple[str, int, str]]] = {}
    if folders:
        for model in registry.list_models(store=store):
            for made_of in model.versions:
                if made_of.run_id == run.run_id and not made_of.deleted:
                    path = made_of.source.removeprefix(f"runs:/{run.run_id}/")
                    made.setdefault(path, []).append((model.name, made_of.version, made_of.current_stage))
    logged = []
    for folder in sorted(folders):
        manifest = msgspec.json.decode(store.read_blob(run.artifacts[f"{folder}/{MANIFEST_NAME}"].digest))
        logged.append(
            m.LoggedModel(
                artifact_path=folder,
                flavor=str(manifest.get("flavor", "")),
                model_class=str(manifest.get("model_class", "")),
                size_bytes=sum(a.size_bytes for path, a in run.artifacts.items() if path.startswith(folder + "/")),
                versions=made.get(folder, []),
            )
        )
    return logged


def _run(store: Store, request: m.GetRun) -> m.RunDetail:
    run = store.get_run(request.run_id)
    previous = _previous_run(store, run)
    earlier = previous.data.metrics if previous else {}
    return m.RunDetail(
        run_id=run.run_id,
        run_name=run.info.run_name,
        experiment=store.get_experiment(run.info.experiment_id).name,
        status=run.info.status,
        start_time=run.info.start_time,
        end_time=run.info.end_time,
        user=run.info.user_id,
        deleted=run.info.lifecycle_stage == "deleted",
        note=run.data.tags.get(TAG_NOTE, ""),
        params=dict(run.data.params),
        metrics=[
            m.MetricEntry(
                key=key,
                last=number(summary.last),
                min=number(summary.min),
                max=number(summary.max),
                count=summary.count,
                step=summary.step,
                better=better_direction(key),
                previous=number(earlier[key]) if key in earlier else None,
            )
            for key, summary in sorted(run.summaries.items())
        ],
        tags=dict(run.data.tags),
        artifacts=[m.ArtifactEntry(a.path, a.size_bytes, a.digest) for _, a in sorted(run.artifacts.items())],
        models=_logged_models(store, run),
        capture=dict(run.capture),
        previous_run=(previous.run_id, previous.info.run_name) if previous else None,
    )


def _series(store: Store, request: m.GetSeries) -> m.SeriesList:
    series = []
    for run_id in request.run_ids:
        for key in request.keys:
            history = store.get_metric_history(run_id, key)
            if not len(history):
                continue
            shown = plots.thinned(history, request.max_points)
            series.append(
                m.Series(
                    run_id=run_id,
                    key=key,
                    step=shown.step.tolist(),
                    value=[number(value) for value in shown.value.tolist()],
                    time=shown.timestamp.tolist(),
                    count=len(history),
                )
            )
    return m.SeriesList(series=series)


def _version(store: Store, version: ModelVersion, names: dict[str, str]) -> m.Version:
    return m.Version(
        version=version.version,
        stage=version.current_stage,
        aliases=list(version.aliases),
        run_id=version.run_id,
        run_name=names.get(version.run_id or "", ""),
        flavor=version.flavor,
        description=version.description,
        metrics={key: number(value) for key, value in version.metrics.items()},
        created_at=version.creation_timestamp,
        user=version.user_id,
    )


def _run_names(store: Store, versions: Sequence[ModelVersion]) -> dict[str, str]:
    wanted = sorted({version.run_id for version in versions if version.run_id})
    if not wanted:
        return {}
    table = store.run_table(run_ids=wanted, view="ALL", keys=[])
    names = next(column.values for column in table.columns if column.key == "run_name")
    return dict(zip(table.run_ids, names, strict=True))


def _models(store: Store, request: m.ListModels) -> m.Models:
    models = [model for model in registry.list_models(store=store) if not model.deleted]
    names = _run_names(store, [version for model in models for version in model.versions])
    return m.Models(
        models=[
            m.Model(
                name=model.name,
                description=model.description,
                versions=[_version(store, v, names) for v in model.versions if not v.deleted],
                last_commit=registry.last_commit(model.name, store=store),
            )
            for model in models
        ],
        stages=list(STAGES),
    )


def _changes(changes: Sequence[Any]) -> list[m.Change]:
    return [m.Change(int(c["version"]), str(c["from"]), str(c["to"])) for c in changes]


def _history(store: Store, request: m.GetHistory) -> m.History:
    return m.History(
        name=request.name,
        commits=[
            m.CommitEntry(
                number=commit.number,
                action=commit.action,
                at=commit.at_ms,
                user=commit.user,
                note=commit.note,
                changes=_changes(commit.changes),
                text=registry.describe(commit),
            )
            for commit in registry.history(request.name, store=store)
        ],
    )


def _server(store: Store, info: serving.ServerInfo) -> m.Server:
    return m.Server(
        server_id=info.server_id,
        url=info.url,
        port=info.port,
        model_uri=info.model_uri,
        model_name=info.model_name,
        version=info.version,
        owner=info.owner,
        status=info.status,
        started_at=info.started_at_ms,
        error=info.error,
        requests=info.requests,
        curl=serving.curl_command(info),
        example=serving.example_request(info.model_uri, store=store),
    )


def _servers(store: Store, request: m.ListServers) -> m.Servers:
    return m.Servers(servers=[_server(store, info) for info in serving.list_servers(store=store)])


# -- changing ----------------------------------------------------------------------------------------------------------
def _edit_run(store: Store, request: m.EditRun) -> m.Done:
    store.edit_run(request.run_id, run_name=request.run_name, tags=request.tags, deleted=request.deleted)
    if request.deleted is not None:
        return m.Done("Moved to the trash" if request.deleted else "Restored")
    return m.Done("Saved")


def _register(store: Store, request: m.Register) -> m.Registered:
    path = request.artifact_path
    if path is None:
        logged = _logged_models(store, store.get_run(request.run_id))
        if len(logged) != 1:
            found = ", ".join(repr(model.artifact_path) for model in logged) or "none"
            raise InvalidInputError(
                f"register: the run {request.run_id} logged {len(logged)} models ({found}); expected exactly one, or"
                " artifact_path to say which. Log a model in the run, or name one of these."
            )
        path = logged[0].artifact_path
    made = registry.register_model(f"runs:/{request.run_id}/{path}", request.name, store=store)
    return m.Registered(made.name, made.version, registry.last_commit(made.name, store=store))


def _promoted(store: Store, name: str, promotion: registry.Promotion, preview: bool) -> m.Promoted:
    return m.Promoted(
        name=name,
        preview=preview,
        last_commit=registry.last_commit(name, store=store),
        changes=_changes(promotion.changes),
        text=promotion.text,
    )


def _promote(store: Store, request: m.Promote) -> m.Promoted:
    act = registry.preview_promotion if request.preview else registry.promote
    promotion = act(
        request.name,
        request.version,
        request.stage,
        note=request.note or None,
        expect=request.expect,
        former=request.former,
        store=store,
    )
    return _promoted(store, request.name, promotion, request.preview)


def _undo(store: Store, request: m.Undo) -> m.Promoted:
    return _promoted(store, request.name, registry.undo(request.name, expect=request.expect, store=store), False)


def _serve(store: Store, request: m.Serve, owner: str | None = None) -> m.Server:
    return _server(store, serving.serve(request.model_uri, request.port, owner=owner, store=store).info)


def _stop_server(store: Store, request: m.StopServer) -> m.Done:
    serving.stop_server(request.server_id)
    return m.Done("Stopped")


def _invoke(store: Store, request: m.Invoke) -> m.Invocation:
    status, body, ms = serving.invoke(request.server_id, request.body, request.content_type)
    return m.Invocation(status=status, body=body, ms=ms)


HANDLERS: dict[type[m.Request], Callable[[Store, Any], m.Answer]] = {
    m.GetInfo: _info,
    m.GetRevision: _revision,
    m.ListRuns: _runs,
    m.GetRun: _run,
    m.GetSeries: _series,
    m.ListModels: _models,
    m.GetHistory: _history,
    m.ListServers: _servers,
    m.EditRun: _edit_run,
    m.Register: _register,
    m.Promote: _promote,
    m.Undo: _undo,
    m.Serve: _serve,
    m.StopServer: _stop_server,
    m.Invoke: _invoke,
}


def answer(store: Store, request: m.AnyRequest, owner: str | None = None) -> m.Answer:
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
    if isinstance(request, m.Serve):
        return _serve(store, request, owner)
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
