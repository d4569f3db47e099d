"""A figure as plain data: what plotly draws, what it says in words, and the numbers behind it as a table.

Made without importing plotly, which takes longer to import than most figures to draw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_ROWS: Final = 2000  # of the table behind a figure


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers behind a figure."""

    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Spec:
    """One figure. `data` and `layout` are as plotly.js takes them; `note` says what is to be seen, in plain text."""

    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    table: Table = field(default_factory=lambda: Table([], []))

    def figure(self) -> go.Figure:
        """Return it as a plotly figure."""
        import plotly.graph_objects as go

        figure = go.Figure({"data": self.data, "layout": self.layout})
        if self.note:
            figure.update_layout(meta={**(self.layout.get("meta") or {}), "note": self.note})
        return figure


def empty(title: str, why: str) -> Spec:
    """Return a figure that says why there is nothing to draw."""
    layout = {
        "annotations": [{"text": why, "showarrow": False, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}],
        "xaxis": {"visible": False},
        "yaxis": {"visible": False},
        "height": 180,
    }
    return Spec(title, [], layout, why)
