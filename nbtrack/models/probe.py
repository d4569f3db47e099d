"""Does a model answer its own input example, here and now?"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from nbtrack.models import examples
from nbtrack.models.loading import load_bundle

if TYPE_CHECKING:
    from nbtrack.store.base import Store


def why_silent(model_uri: str, *, store: Store | None = None) -> str | None:
    """Load a model and ask it for its own input example; return what is wrong, None if it answers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = load_bundle(model_uri, store=store)
            example = loaded.source.example
            if example is None:
                return "has no input example"
            answer = loaded.flavor.predict(loaded.model, examples.from_body(example, loaded.manifest.signature))
    except Exception as error:  # whatever a model of somebody's own raises: it does not answer
        return f"fails on its input example ({type(error).__name__}: {str(error)[:300]})"
    return None if answer is not None else "answers nothing to its input example"
