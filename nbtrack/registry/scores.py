"""What versions scored on evaluation data, and what was decided by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from nbtrack.registry.ledger import existing
from nbtrack.registry.models import the_store

if TYPE_CHECKING:
    from nbtrack.store.base import Store

ANY_ENVIRONMENT: Final = "ANY"  # the environment of a decision that was made for none


def record_decision(
    name: str,
    environment: str,
    record: Mapping[str, Any],
    scores: Mapping[int, float],
    *,
    note: str | None = None,
    store: Store | None = None,
) -> Mapping[str, Any] | None:
    """Keep a decision with the registered model, and each score with its version, as one commit.

    Parameters
    ----------
    name
        The registered model.
    environment
        For which environment it was made; empty for none.
    record
        ``metric``, ``dataset`` (the fingerprint of the data), ``best``, ``refused`` and so on, as plain JSON values.
    scores
        Version -> score by that metric on that data.
    note
        Why, for the history.
    store
        The store; the one used now if not given.

    Returns
    -------
    Mapping or None
        The record of the decision before this one.
    """
    book = existing(name, the_store(store))
    key = environment or ANY_ENVIRONMENT
    previous = book.state.decisions.get(key)
    metric, dataset = str(record["metric"]), str(record["dataset"])
    versions = {str(version): {"scores": {metric: [dataset, score]}} for version, score in scores.items()}
    comparable = previous is None or previous.get("dataset") == dataset
    kept = {**record, "comparable": comparable}
    body = {"patch": {"model": {"decisions": {key: kept}}, "versions": versions}}
    book.commit("decide", lambda state: body, note, None)
    return previous
