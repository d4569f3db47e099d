"""Answers the requests that change something."""

from __future__ import annotations

from nbtrack.capture.pins import set_pin
from nbtrack.entities import TAG_SOURCE
from nbtrack.store.base import Store
from nbtrack.wire import messages as m


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
