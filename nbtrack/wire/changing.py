"""Answers the requests that change something."""

from __future__ import annotations

from nbtrack import registry, serving
from nbtrack.capture.pins import set_pin
from nbtrack.entities import TAG_SOURCE
from nbtrack.errors import InvalidInputError
from nbtrack.store.base import Store
from nbtrack.wire import messages as m
from nbtrack.wire.reading import describe_server, logged_models, moves


def edit_run(store: Store, request: m.EditRun) -> m.Done:
    store.edit_run(request.run_id, run_name=request.run_name, tags=request.tags, deleted=request.deleted)
    if request.deleted is not None:
        return m.Done("Moved to the trash" if request.deleted else "Restored")
    return m.Done("Saved")


def pin(store: Store, request: m.Pin) -> m.Done:
    source = store.get_run(request.run_id).data.tags.get(TAG_SOURCE)
    set_pin(store, source, request.kind, request.key, request.choice)
    said = {"pinned": "Pinned", "unpinned": "Left out from the next run of this notebook on"}
    return m.Done(said.get(request.choice or "", "No longer pinned"))


def register(store: Store, request: m.Register) -> m.Registered:
    path = request.artifact_path
    if path is None:
        logged = logged_models(store, store.get_run(request.run_id))
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
        changes=moves(promotion.changes),
        text=promotion.text,
    )


def promote(store: Store, request: m.Promote) -> m.Promoted:
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


def undo(store: Store, request: m.Undo) -> m.Promoted:
    return _promoted(store, request.name, registry.undo(request.name, expect=request.expect, store=store), False)


def serve(store: Store, request: m.Serve, owner: str | None = None) -> m.Server:
    return describe_server(store, serving.serve(request.model_uri, request.port, owner=owner, store=store).info)


def stop_server(store: Store, request: m.StopServer) -> m.Done:
    serving.stop_server(request.server_id)
    return m.Done("Stopped")


def invoke(store: Store, request: m.Invoke) -> m.Invocation:
    status, body, ms = serving.invoke(request.server_id, request.body, request.content_type)
    return m.Invocation(status=status, body=body, ms=ms)
