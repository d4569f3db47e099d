"""Pieces of HTML that look right everywhere: theme variables with fallbacks, no class, no script, nothing from outside.

Colours come from the host's theme where there is one, else they follow the text around them. Where a site strips
every style (GitHub), tables, bold text and arrows still say the same.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Final

from nbtrack.reprs.numbers import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TEXT: Final = "var(--jp-ui-font-color1,inherit)"
DIM: Final = "var(--jp-ui-font-color2,var(--vscode-descriptionForeground,#767676))"
LINE: Final = "var(--jp-border-color2,rgba(127,127,127,.35))"
ACCENT: Final = "var(--jp-brand-color1,#1976d2)"
GOOD: Final = "var(--jp-success-color1,#2e8540)"
BAD: Final = "var(--jp-error-color1,#d0342c)"
WARN: Final = "var(--jp-warn-color1,#b8610b)"
FONT: Final = "var(--jp-ui-font-family,system-ui,sans-serif)"
MONO: Final = "var(--jp-code-font-family,ui-monospace,monospace)"

# status -> (sign, word, colour): the sign and the word say it without the colour
STATUS: Final[dict[str, tuple[str, str, str]]] = {
    "FINISHED": ("✓", "finished", GOOD),
    "FAILED": ("✗", "failed", BAD),
    "KILLED": ("■", "stopped", WARN),
    "CRASHED": ("✗", "crashed", BAD),
    "RUNNING": ("●", "running", ACCENT),
    "SCHEDULED": ("○", "scheduled", DIM),
}


def esc(value: object, limit: int = 200) -> str:
    """Return `value` as one line of escaped text, safe in markup and in attributes."""
    return html.escape(clean(value, limit), quote=True)


def box(inner: str, bar: str = ACCENT) -> str:
    """Return the frame of every card, with a bar of the colour `bar` at its left."""
    return (
        f'<div style="box-sizing:border-box;max-width:860px;margin:4px 0;padding:8px 12px;border:1px solid {LINE};'
        f"border-left:3px solid {bar};border-radius:3px;font:13px/1.5 {FONT};color:{TEXT};"
        f'font-variant-numeric:tabular-nums">{inner}</div>'
    )


def dim(inner: str) -> str:
    """Return secondary text; `inner` is markup."""
    return f'<span style="color:{DIM}">{inner}</span>'


def status_mark(status: str) -> str:
    """Return the sign and the word of a run status."""
    sign, word, colour = STATUS.get(status, ("?", clean(status, 20).lower(), DIM))
    return f'<span style="color:{colour};white-space:nowrap">{sign} {html.escape(word)}</span>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1, caption: str = "") -> str:
    """Return a table; cells are markup. The first `left` columns are text and align left, the others are numbers."""
    cell = "padding:2px 14px 2px 0;white-space:nowrap;border:0;"

    def side(i: int) -> str:
        return "left" if i < left else "right"

    out = [
        '<table style="border-collapse:collapse;border:0;margin:0;font-size:inherit;color:inherit;'
        'font-variant-numeric:tabular-nums">'
    ]
    if caption:
        out.append(f'<caption style="text-align:left;padding:0 0 2px;color:{DIM}">{caption}</caption>')
    if head:
        cells = "".join(
            f'<th scope="col" style="{cell}text-align:{side(i)};font-weight:600;border-bottom:1px solid {LINE}">'
            f"{name}</th>"
            for i, name in enumerate(head)
        )
        out.append(f'<thead><tr style="background:none">{cells}</tr></thead>')
    out.append("<tbody>")
    for row in rows:
        cells = "".join(f'<td style="{cell}text-align:{side(i)}">{one}</td>' for i, one in enumerate(row))
        out.append(f'<tr style="background:none">{cells}</tr>')
    out.append("</tbody></table>")
    return "".join(out)


def details(summary: str, inner: str) -> str:
    """Return text that opens on a click, without a script."""
    return (
        f'<details style="margin-top:4px"><summary style="cursor:pointer;color:{DIM}">{summary}</summary>'
        f'<div style="padding:4px 0 0 14px;color:{DIM}">{inner}</div></details>'
    )


def _thinned(points: list[tuple[int, float]], pieces: int) -> list[tuple[int, float]]:
    """Return the first, the last, and the lowest and highest point of each of so many pieces of a curve."""
    if len(points) <= 2 * pieces:
        return points
    kept = {points[0], points[-1]}
    for k in range(pieces):
        piece = points[k * len(points) // pieces : (k + 1) * len(points) // pieces]
        kept |= {min(piece, key=lambda point: point[1]), max(piece, key=lambda point: point[1])}
    return sorted(kept)


def sparkline(values: Sequence[float], label: str, width: int = 64, height: int = 16) -> str:
    """Return a curve as inline SVG; `label` is what a screen reader says. Empty for fewer than two finite points."""
    points = [(i, v) for i, v in enumerate(values) if math.isfinite(v)]
    if len(points) < 2:
        return ""
    low, high = min(v for _, v in points), max(v for _, v in points)
    span = (high - low) or 1.0
    last = max(len(values) - 1, 1)
    path = " ".join(
        f"{1 + (width - 4) * i / last:.1f},{height - 2 - (height - 4) * (v - low) / span:.1f}"
        for i, v in _thinned(points, width // 4)
    )
    end = path.rsplit(" ", 1)[-1].split(",")
    return (
        f'<svg role="img" aria-label="{esc(label)}" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' style="vertical-align:middle;margin:0 6px;color:{ACCENT};overflow:visible"><polyline points="{path}"'
        ' fill="none" stroke="currentColor" stroke-width="1.25" stroke-linejoin="round"/>'
        f'<circle cx="{end[0]}" cy="{end[1]}" r="1.75" fill="currentColor"/></svg>'
    )
