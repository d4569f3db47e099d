"""What the gates ask about a version: its run, its signature, the data it was measured on, whether it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final

from nbtrack.entities import ModelVersion, Run
from nbtrack.errors import NotFoundError
from nbtrack.registry.gates import Facts
from nbtrack.registry.models import signature_of, with_metrics
from nbtrack.tracking.user import user_name

if TYPE_CHECKING:
    from nbtrack.store.base import Store

# Contexts of ``log_input`` that mean: on this the metrics were measured, not fitted.
_MEASURED: Final = frozenset({"evaluation", "eval", "test", "testing", "validation", "val", "holdout"})


def facts_of(version: ModelVersion, current: ModelVersion | None, stage: str, store: Store) -> Facts:
    """Return what gates may ask when `version` shall take the place of `current`; looked up when asked."""
    return Facts(
        version=with_metrics(version, store),
        current=current and with_metrics(current, store),
        stage=stage,
        user=user_name(),
        signature=partial(signature_of, store=store),
        tags=lambda asked: _run_tags(asked, store),
        data=lambda asked: _measured_on(asked, store),
        predicts=lambda asked: _predicts(asked, store),
    )


def _run(version: ModelVersion, store: Store) -> Run | None:
    try:
        return store.get_run(version.run_id) if version.run_id else None
    except NotFoundError:  # its run was thrown away; the version stands on its own
        return None


def _run_tags(version: ModelVersion, store: Store) -> Mapping[str, str]:
    run = _run(version, store)
    return run.data.tags if run else {}


def _measured_on(version: ModelVersion, store: Store) -> frozenset[str]:
    run = _run(version, store)
    inputs = run.inputs.dataset_inputs if run else ()
    return frozenset(data.digest for data in inputs if data.context.lower() in _MEASURED and data.digest)


def _predicts(version: ModelVersion, store: Store) -> str | None:
    # The room that can load models stands above this one; it is asked only where somebody set this gate.
    probe: Callable[..., str | None] = import_module("nbtrack.models.probe").why_silent
    return probe(f"models:/{version.name}/{version.version}", store=store)
