"""What a model was fitted on, remembered for as long as both are there: its schema is told from that."""

from __future__ import annotations

import threading
import weakref
from typing import Any

_seen: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def saw(model: Any, data: Any) -> None:
    """Remember, without keeping it alive, that a model was fitted on `data`: a DataFrame or an array."""
    if not is_table(data):
        return
    try:
        with _lock:
            _seen[model] = weakref.ref(data)
    except TypeError:  # a model that cannot be a key, data that cannot be pointed at: nothing is remembered
        return


def data_seen_by(model: Any) -> Any:
    """Return what a model was fitted on, if it was noticed and is still there; else None."""
    try:
        with _lock:
            found = _seen.get(model)
    except TypeError:
        return None
    return None if found is None else found()


def is_table(data: Any) -> bool:
    """Return whether data is a frame or an array of rows and columns, so that it has a schema."""
    shape = getattr(data, "shape", None)
    return (
        isinstance(shape, tuple)
        and len(shape) == 2
        and shape[0] > 0
        and (hasattr(data, "iloc") or hasattr(data, "dtype"))
    )
