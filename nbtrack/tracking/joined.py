"""Runs that a process was started for: its first run is that one, or a child of it."""

from __future__ import annotations

import os
from typing import Final

RUN_ID: Final = "NBTRACK_RUN_ID"
PARENT_ID: Final = "NBTRACK_PARENT_RUN_ID"


def take_run_id() -> str | None:
    """Return the run that this process is to go on with, the first time it is asked; then None."""
    return os.environ.pop(RUN_ID, None) or None


def parent_id() -> str | None:
    """Return the run that runs of this process are children of, unless they say otherwise; or None."""
    return os.environ.get(PARENT_ID) or None
