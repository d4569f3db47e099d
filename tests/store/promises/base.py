"""What all promises share: the helpers a store must give, and a run in one call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from nbtrack.entities import Status
from nbtrack.store.base import Store

EXAMPLES = int(os.environ.get("NBTRACK_EXAMPLES", "60"))  # of strange names, for each promise on names


class Promises:
    """Declares the helpers that :class:`StoreContract` asks for; a store far away may ask for less in bulk."""

    many_runs = 1001
    many_points = 30_000
    many_changes = 60

    def fresh(self, store: Store) -> Store:
        """Return another object on the same data."""
        raise NotImplementedError

    def raw_records(self, store: Store, run_id: str) -> list[Any]:
        """Return what the first log of a run holds."""
        raise NotImplementedError

    def raw_blob(self, store: Store, digest: str) -> bytes:
        """Return the bytes of a blob as they lie on the disk."""
        raise NotImplementedError

    def harm_blob(self, store: Store, digest: str) -> None:
        """Change one byte of a blob on the disk."""
        raise NotImplementedError


def make_run(
    store: Store,
    name: str | None = None,
    *,
    experiment_id: str = "0",
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, Any] | None = None,
    start: int | None = None,
    status: Status | None = "FINISHED",
) -> str:
    """Write one run and return its id; with `status` None it stays live."""
    writer = store.create_run(experiment_id, name, tags=tags, start_time_ms=start)
    if params:
        writer.log_params(params)
    if metrics:
        writer.log_metrics(metrics)
    if status is not None:
        writer.end(status, None if start is None else start + 1000)
    else:
        KEPT.append(writer)
    return writer.run_id


KEPT: list[Any] = []  # writers of live runs, which must not be collected before their test ends
