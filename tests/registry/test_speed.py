"""What a change costs where there are many versions already, against the bare commit that it must write."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import nbtrack
from nbtrack import registry
from nbtrack.store.base import Store

VERSIONS = 300


def seconds(act: Callable[[int], object], times: int) -> float:
    taken = []
    for number in range(times):
        started = time.process_time()
        act(number)
        taken.append(time.process_time() - started)
    return median(taken)


def test_register_promote_and_resolve_stay_quick_with_many_versions(store: Store, log: Callable[..., str]) -> None:
    uri = log()
    bare = seconds(lambda _: store.append_commit("bare", {"action": "create", "patch": {}}), 50)
    seconds(lambda _: nbtrack.register_model(uri, "clf"), VERSIONS)
    assert seconds(lambda _: nbtrack.register_model(uri, "clf"), 30) < 6 * bare + 0.002
    assert seconds(lambda number: nbtrack.promote("clf", number + 1, "Production"), 30) < 6 * bare + 0.002
    assert seconds(lambda _: registry.resolve("models:/clf/Production"), 30) < 2 * bare + 0.001
