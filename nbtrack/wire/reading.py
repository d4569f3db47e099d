"""Answers the requests that only read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from nbtrack import registry, serving
from nbtrack._version import __version__
from nbtrack.capture.pins import pins_of_run
from nbtrack.entities import MANIFEST_NAME, TAG_NOTE, TAG_PARENT, ModelVersion, Run, ServerInfo
from nbtrack.errors import NotFoundError
from nbtrack.names import STAGES
from nbtrack.store.base import Store
from nbtrack.tracking.directions import better_direction
from nbtrack.wire import messages as m
from nbtrack.wire.base import Number

MOST_CHILDREN = 200


def number(value: float) -> Number:
    """Return a number as JSON can carry it."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def get_info(store: Store, request: m.GetInfo) -> m.StoreInfo:
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


def get_revision(store: Store, request: m.GetRevision) -> m.Revision:
    return m.Revision(revision=store.revision())


def _previous_run(store: Store, run: Run) -> Run | None:
    """Return the run before this one in its experiment: what a card shows the change against."""
    before = store.search_runs(
        experiment_ids=[run.info.experiment_id],
        filter_string=f"attributes.start_time < {run.info.start_time}",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    return before[0] if before else None


def logged_models(store: Store, run: Run) -> list[m.LoggedModel]:
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


def get_run(store: Store, request: m.GetRun) -> m.RunDetail:
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
        models=logged_models(store, run),
        capture=dict(run.capture),
        previous_run=(previous.run_id, previous.info.run_name) if previous else None,
        parent=_parent(store, run),
        children=_children(store, run),
        inputs=[m.DataInput(i.name, i.context, i.digest, i.source) for i in run.inputs.dataset_inputs],
        pins=dict(pins_of_run(store, run)),
    )


def _parent(store: Store, run: Run) -> tuple[str, str] | None:
    parent_id = run.data.tags.get(TAG_PARENT)
    if parent_id is None:
        return None
    try:
        return parent_id, store.get_run(parent_id).info.run_name
    except NotFoundError:
        return None


def _children(store: Store, run: Run) -> list[tuple[str, str, str]]:
    found = store.search_runs(
        filter_string=f"tags.`{TAG_PARENT}` = '{run.run_id}'",
        order_by=["attributes.start_time ASC"],
        max_results=MOST_CHILDREN,
    )
    return [(one.run_id, one.info.run_name, one.info.status) for one in found]


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


def list_models(store: Store, request: m.ListModels) -> m.Models:
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


def moves(changes: Sequence[Any]) -> list[m.Change]:
    return [m.Change(int(c["version"]), str(c["from"]), str(c["to"])) for c in changes]


def get_history(store: Store, request: m.GetHistory) -> m.History:
    return m.History(
        name=request.name,
        commits=[
            m.CommitEntry(
                number=commit.number,
                action=commit.action,
                at=commit.at_ms,
                user=commit.user,
                note=commit.note,
                changes=moves(commit.changes),
                text=registry.describe(commit),
            )
            for commit in registry.history(request.name, store=store)
        ],
    )


def describe_server(store: Store, info: ServerInfo) -> m.Server:
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
        example=serving.server_example(info),
    )


def list_servers(store: Store, request: m.ListServers) -> m.Servers:
    return m.Servers(servers=[describe_server(store, info) for info in serving.list_servers(store=store)])
