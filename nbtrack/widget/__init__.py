"""The comparison and the card in a notebook cell. Importing this costs nothing; showing loads anywidget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtrack.widget.show import compare, run_card

if TYPE_CHECKING:
    from nbtrack.widget.view import View

__all__ = ["View", "compare", "run_card"]


def __getattr__(name: str) -> Any:
    if name == "View":
        from nbtrack.widget.view import View

        return View
    raise AttributeError(f"module 'nbtrack.widget' has no attribute {name!r}")
