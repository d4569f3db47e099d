"""Capture never breaks the user's work: whatever fails in it is told once, and the rest goes on."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, TypeVar

from nbtrack.errors import CaptureWarning

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Failsafe:
    """Runs parts of the capture; warns once per cause."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def run(self, part: str, function: Callable[[], _T], missing: list[str] | None = None) -> _T | None:
        """Return what `function` returns, or None if it raises; then `missing` gets an entry."""
        try:
            return function()
        except Exception as error:
            reason = f"{part}: {type(error).__name__}: {_text(error)}"
            if missing is not None:
                missing.append(reason[:300])
            self.tell(part, type(error).__name__, f"{reason}. The cell ran as usual; only this was not captured.")
            return None

    def tell(self, part: str, cause: str, text: str) -> None:
        """Warn of a cause, once."""
        if (part, cause) in self._told:
            return
        self._told.add((part, cause))
        try:
            warnings.warn_explicit(f"nbtrack: {text}", CaptureWarning, "<nbtrack>", 1)
        except Warning:  # the user turns warnings into errors; in a hook that would help nobody
            sys.stderr.write(f"nbtrack: {text}\n")


def _text(error: BaseException) -> str:
    try:
        return str(error) or "no message"
    except Exception:  # its own __str__ raises
        return "no message"
