"""Keeps the garbage collector out of the way while very many records are read."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collecting(wanted: bool = True) -> Iterator[None]:
    """Keep the garbage collector from walking through everything again and again while very much is read."""
    if not wanted or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
