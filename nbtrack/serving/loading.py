"""Loads a model into a server."""

from __future__ import annotations

import threading

from nbtrack.models import load_bundle
from nbtrack.models.manifest import EXAMPLE_PREDICTIONS
from nbtrack.models.profile import PROFILE_NAME
from nbtrack.serving.predictors import CompiledFirst, ModelItself
from nbtrack.serving.schema import Schema
from nbtrack.serving.scorer import Scorer
from nbtrack.store import open_store


def load_scorer(model_uri: str, store_uri: str, loop_thread: int | None = None, *, trust: str | None = None) -> Scorer:
    """Return a loaded model, ready to be rehearsed.

    Parameters
    ----------
    model_uri
        A URI or a folder.
    store_uri
        Where the URI is looked up; empty for a folder.
    loop_thread
        The thread that must never be held up: the event loop's. The calling one, if not given.
    trust
        The digest of a model that may run its own code although it is a stranger's.

    Raises
    ------
    NbtrackError
        If the model cannot be loaded.
    """
    store = open_store(store_uri, create=False) if store_uri else None
    loaded = load_bundle(model_uri, store=store, trust=trust)
    signature = loaded.manifest.signature
    schema = Schema(signature)
    compiled = loaded.compiled
    answer = loaded.manifest.options.get(EXAMPLE_PREDICTIONS)
    example, profile = loaded.source.example, loaded.source.files.get(PROFILE_NAME)
    if compiled is not None and schema.width == compiled.width:
        ask = CompiledFirst(loaded, compiled, schema, loop_thread or threading.get_ident())
        return Scorer(ask, signature, example, profile, answer)
    return Scorer(ModelItself(loaded, schema), signature, example, profile, answer)
