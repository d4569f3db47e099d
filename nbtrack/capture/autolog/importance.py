"""How much each feature counts in boosted trees, kept as a table of the run when it ends."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nbtrack.capture.autolog.recorder import Recorder

MAX_FEATURES: Final = 1000


def keep_importance(
    recorder: Recorder, library: str, model: Any, importance: Callable[[Any], Mapping[str, float]]
) -> None:
    """Store the importances of a model, the highest first, as ``<library>/importance.json`` when the run ends.

    Of several models in one run that of the last one is kept.
    """
    alive = weakref.ref(model)

    def store() -> None:
        booster = alive()
        if booster is None:
            return
        found = sorted(importance(booster).items(), key=lambda item: -float(item[1]))[:MAX_FEATURES]
        if found:
            recorder.run.log_dict({name: float(value) for name, value in found}, f"{library}/importance.json")

    recorder.later[library] = store
