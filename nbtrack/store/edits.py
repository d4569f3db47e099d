"""Edits: what anybody changes of a run after the fact. Each is one small file, written whole, never changed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from nbtrack.entities import Artifact, Status
from nbtrack.errors import InvalidInputError
from nbtrack.names import check_artifact_path, check_key, check_run_name
from nbtrack.store.lines import clean_text, from_json_number, to_float, to_json_number, unseal
from nbtrack.store.log import open_log, pread, run_of
from nbtrack.store.state import Digest, RunState, add_value, new_summary


def edit_record(
    state: RunState,
    *,
    run_name: str | None,
    tags: Mapping[str, str | None] | None,
    params: Mapping[str, str] | None,
    metrics: Mapping[str, float] | None,
    deleted: bool | None,
    status: Status | None,
    artifacts: Sequence[Artifact],
    capture: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return an edit of the run `state` as it is written, empty if it changes nothing; raises InvalidInputError."""
    edit: dict[str, Any] = {}
    if run_name is not None:
        edit["name"] = check_run_name(run_name)
    if tags:
        edit["tags"] = {
            check_key(key, "tag key"): None if value is None else clean_text(value) for key, value in tags.items()
        }
    if params:
        edit["params"] = _new_params(state, params)
    if metrics:
        edit["metrics"] = {
            check_key(key, "metric key"): to_json_number(to_float(key, value)) for key, value in metrics.items()
        }
    if deleted is not None:
        edit["deleted"] = deleted
    if status is not None:
        edit["status"] = status
    if artifacts:
        edit["artifacts"] = [[check_artifact_path(a.path), a.digest, a.size_bytes] for a in artifacts]
    if capture:
        edit["capture"] = dict(capture)
    return edit


def _new_params(state: RunState, params: Mapping[str, Any]) -> dict[str, str]:
    texts = {check_key(key, "param key"): clean_text(value) for key, value in params.items()}
    for key, text in texts.items():
        if state.params.get(key, text) != text:
            raise InvalidInputError(
                f"param {key!r} of run {state.run_id}: is {state.params[key]!r:.80} already; a param is written once,"
                f" got {text!r:.80}."
            )
    return texts


def read_edit(path: str) -> Digest | None:
    """Return what an edit says, or None if it is damaged; raises OSError."""
    fd, size = open_log(path)
    try:
        record = unseal(pread(fd, size, 0))
    finally:
        os.close(fd)
    if record is None or "edit" not in record or record.get("run") != run_of(path):
        return None
    edit = record["edit"]
    at = int(record["t"])
    digest = Digest(at)
    digest.edit = True
    digest.end, digest.name = edit.get("status", ""), edit.get("name", "")
    digest.ended_at = edit.get("end")
    digest.deleted = edit.get("deleted")
    digest.params, digest.tags = edit.get("params") or {}, edit.get("tags") or {}
    digest.capture = edit.get("capture") or {}
    for path_, sha, length in edit.get("artifacts") or ():
        digest.artifacts[path_] = (sha, length)
    for key, value in (edit.get("metrics") or {}).items():
        digest.metrics[key] = new_summary(0)
        add_value(digest.metrics[key], 0, at, from_json_number(value))
    return digest
