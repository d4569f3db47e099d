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
        self.said: list[str] = []  # for whoever asks what went wrong

    def run(self, part: str, function: Callable[[], _T], missing: list[str] | None = None) -> _T | None:
        """Return what `function` returns, or None if it raises; then `missing` gets an entry."""
        try:
            return function()
        except Exception as error:
            self.fail(part, error, missing)
            return None

    def fail(self, part: str, error: BaseException, missing: list[str] | None = None, what: str = "") -> None:
        """Note that a part broke, and warn of it once; `what` names the thing that it broke at."""
        reason = f"{part}: {f'{what}: ' if what else ''}{type(error).__name__}: {_text(error)}"
        if missing is not None:
            missing.append(reason[:300])
        self.tell(part, type(error).__name__, f"{reason}. The cell ran as usual; only this was not captured.")

    def tell(self, part: str, cause: str, text: str) -> None:
        """Warn of a cause, once."""
        if (part, cause) in self._told:
            return
        self._told.add((part, cause))
        self.said = [*self.said[-49:], text]
        try:
            warnings.warn_explicit(f"nbtrack: {text}", CaptureWarning, "<nbtrack>", 1)
        except Warning:  # the user turns warnings into errors; in a hook that would help nobody
            sys.stderr.write(f"nbtrack: {text}\n")


def _text(error: BaseException) -> str:
    try:
        return str(error) or "no message"
    except Exception:  # its own __str__ raises
        return "no message"
