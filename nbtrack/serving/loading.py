"""Loads a model into a server: on one thread, and asked with what the codec made fit already."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from nbtrack.models import load_bundle
from nbtrack.serving.scorer import Scorer
from nbtrack.store import open_store

_log = logging.getLogger("nbtrack.serving")


def load_scorer(model_uri: str, store_uri: str) -> Scorer:
    """Return a loaded model, ready to be rehearsed.

    Raises
    ------
    NbtrackError
        If the model cannot be loaded.
    """
    store = open_store(store_uri, create=False) if store_uri else None
    loaded = load_bundle(model_uri, store=store)
    signature, example = loaded.manifest.signature, loaded.source.example
    if getattr(loaded, "compiled", None) is not None:  # plain arrays that answer as the model does, without its library
        return Scorer(loaded.predict, signature, example, takes_matrix=True)
    use_one_thread(loaded.model)
    return Scorer(partial(loaded.flavor.predict, loaded.model), signature, example)


def use_one_thread(model: Any) -> None:
    """Make an estimator predict on the calling thread: handing a small request to a pool costs more than its answer."""
    params = getattr(model, "get_params", None)
    if not callable(params):
        return
    try:
        found = [name for name in params(deep=True) if name == "n_jobs" or name.endswith("__n_jobs")]
        if found:
            model.set_params(**dict.fromkeys(found, 1))
    except Exception:  # a strange estimator is served as it is
        _log.warning("n_jobs could not be set", exc_info=True)
