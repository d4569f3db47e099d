"""Answers the requests that only read."""

from __future__ import annotations

from nbtrack._version import __version__
from nbtrack.capture.pins import pins_of_run
from nbtrack.entities import TAG_NOTE, TAG_PARENT, Run
from nbtrack.errors import NotFoundError
from nbtrack.names import natural_key
from nbtrack.store.base import Store
from nbtrack.tracking.directions import better_direction
from nbtrack.tracking.previous import previous_run
from nbtrack.wire import messages as m
from nbtrack.wire.base import number
from nbtrack.wire.promoting import logged_models
from nbtrack.wire.repeated import is_reproducing

MOST_CHILDREN = 200


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


def get_run(store: Store, request: m.GetRun) -> m.RunDetail:
    run = store.get_run(request.run_id)
    previous = previous_run(store, run)
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
            for key, summary in sorted(run.summaries.items(), key=lambda item: natural_key(item[0]))
        ],
        tags=dict(run.data.tags),
        artifacts=[m.ArtifactEntry(a.path, a.size_bytes, a.digest) for _, a in sorted(run.artifacts.items())],
        models=logged_models(store, run),
        capture=dict(run.capture),
        previous_run=(previous.run_id, previous.info.run_name) if previous else None,
        parent=_parent(store, run),
        children=_children(store, run),
        inputs=[m.DataInput(i.name, i.context, i.digest, i.source) for i in run.inputs.dataset_inputs],
        reproducing=is_reproducing(store, run.run_id),
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
