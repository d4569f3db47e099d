"""Runs that go on where another one stopped: their curves are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtrack.entities import TAG_RESUMED
from nbtrack.store.base import MetricHistory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbtrack.store.base import Store

MAX_CHAIN = 50


def resumed_runs(store: Store, run_ids: Sequence[str]) -> dict[str, str]:
    """Return run id -> id of the run that it goes on from, of those that do, and of those before them."""
    found: dict[str, str] = {}
    asked = list(run_ids)
    for _ in range(MAX_CHAIN):
        if not asked:
            break
        table = store.run_table(view="ALL", run_ids=asked, keys=[("tag", TAG_RESUMED)])
        column = next((one for one in table.columns if one.kind == "tag" and one.key == TAG_RESUMED), None)
        values = column.values if column is not None else [None] * len(table.run_ids)
        new = {run_id: str(before) for run_id, before in zip(table.run_ids, values, strict=True) if before}
        found |= new
        asked = [before for before in new.values() if before not in found]
    return found


def next_steps(store: Store, run_id: str) -> dict[str, int]:
    """Return metric -> the step at which a run that goes on from `run_id` takes over."""
    found: dict[str, int] = {}
    chain = [run_id, *resumed_runs(store, [run_id]).values()]
    for one in chain:
        for key, summary in store.get_run(one).summaries.items():
            found[key] = max(found.get(key, 0), summary.step + 1)
    return found


def joined_history(store: Store, run_id: str, key: str, before: Mapping[str, str]) -> MetricHistory:
    """Return a metric of a run, after that of the run it goes on from as far as its own first step.

    Parameters
    ----------
    store
        Where the runs lie.
    run_id, key
        Which metric of which run.
    before
        What :func:`resumed_runs` says of this run.
    """
    import numpy as np

    own = store.get_metric_history(run_id, key)
    parts = [own]
    seen = {run_id}
    while (earlier := before.get(run_id)) is not None and earlier not in seen:
        seen.add(earlier)
        run_id = earlier
        history = store.get_metric_history(earlier, key)
        first = next((int(part.step.min()) for part in parts if len(part)), None)
        kept = slice(None) if first is None else history.step < first
        parts.insert(0, MetricHistory(key, history.step[kept], history.value[kept], history.timestamp[kept]))
    if len(parts) == 1:
        return own
    return MetricHistory(
        key,
        np.concatenate([part.step for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.timestamp for part in parts]),
    )
