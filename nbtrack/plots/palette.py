"""The colours and shapes by which runs are told apart, and how names get into a figure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# Okabe-Ito without its yellow, which vanishes on white, and its black, which vanishes on dark themes.
PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8F6AC8", "#7A7A7A")
# One a colour, so that colour is never all there is; the same shapes as in the table of runs.
SYMBOLS: Final = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "pentagon", "hexagon2")
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SCALE: Final = "Cividis"  # made for colour-blind eyes, and as readable in grey


def color_index(run_id: str) -> int:
    """Return the index into the palette that a run keeps for ever, whatever else is shown beside it.

    Examples
    --------
    >>> color_index("0193a5b7c2d" + "0" * 10) == color_index("0193a5b7c2d" + "0" * 10)
    True
    """
    return int(run_id[-8:], 16) % len(PALETTE)


def color_indexes(run_ids: Sequence[str]) -> list[int]:
    """Return the colours of runs shown together, as indexes into the palette, in the order of `run_ids`.

    Each run has its own colour; only where one of the seven runs made before it (by id) has that, it takes the next
    that is free: any eight runs made one after the other are told apart, and a new run changes the colour of no older
    one. Runs that share a colour differ in shape: the index counts on in steps of the palette's length, up to 64.
    """
    size = len(PALETTE)
    used: dict[int, int] = dict.fromkeys(range(size), 0)
    before: deque[int] = deque(maxlen=size - 1)
    chosen: dict[str, int] = {}
    for run_id in sorted(run_ids):
        own = color_index(run_id)
        color = next((own + i) % size for i in range(size) if (own + i) % size not in before)
        before.append(color)
        chosen[run_id] = (color + size * used[color]) % size**2
        used[color] += 1
    return [chosen[run_id] for run_id in run_ids]


def color_of(index: int) -> str:
    """Return the colour of an index of :func:`color_indexes`."""
    return PALETTE[index % len(PALETTE)]


def symbol_of(index: int) -> str:
    """Return the shape of an index of :func:`color_indexes`: of runs that share a colour each has another one."""
    return SYMBOLS[(index + index // len(PALETTE)) % len(SYMBOLS)]


def dash_of(index: int) -> str:
    """Return the dash of an index of :func:`color_indexes`: of runs that share a colour each has another one."""
    return DASHES[index // len(PALETTE) % len(DASHES)]


def plain(text: object, limit: int = 80) -> str:
    """Return `text` for plotly, which reads ``<b>`` and friends as markup: names are never markup.

    Examples
    --------
    >>> plain("<b>x</b>")
    '&lt;b&gt;x&lt;/b&gt;'
    """
    from nbtrack.reprs.numbers import clean

    return clean(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
