"""Turns the ``%%track`` line into a comment, so that the cell runs exactly as it would without.

A classic cell magic would run the cell inside itself: top-level ``await`` fails there, an exception shows two
tracebacks or is swallowed. As a comment the line changes nothing; the hooks around the cell do the tracking.
"""

from __future__ import annotations

import re
from typing import Final

from nbtrack.capture.options import asks_for_help, parse_options

_TRACK: Final = re.compile(r"(\s*)%%track(?:[ \t]+(.*?))?[ \t]*\r?\n?")


def _first(lines: list[str], start: int = 0) -> int | None:
    return next((i for i in range(start, len(lines)) if lines[i].strip()), None)


def track_line(cell: str) -> str | None:
    """Return what follows ``%%track`` in the first line of a cell that is not blank; None if it does not start so."""
    if "%%track" not in cell:
        return None
    lines = cell.splitlines()
    at = _first(lines)
    match = _TRACK.fullmatch(lines[at]) if at is not None else None
    return (match[2] or "") if match else None


def transform(lines: list[str]) -> list[str]:
    """Return the lines of a cell with its ``%%track`` line as a comment; other cells as they are.

    If the next line is a cell magic of its own, such as ``%%time``, the ``%%track`` line is left out instead: a cell
    magic must come first.

    Raises
    ------
    InvalidInputError
        If the arguments of ``%%track`` are wrong.
    """
    at = _first(lines)
    if at is None or (match := _TRACK.fullmatch(lines[at])) is None:
        return lines
    if asks_for_help(match[2] or ""):
        return ["get_ipython().run_line_magic('nbtrack', 'help')\n"]  # and the cell does not run
    parse_options(match[2] or "")
    after = _first(lines, at + 1)
    if after is not None and lines[after].lstrip().startswith("%%"):
        return lines[:at] + lines[after:]
    return [*lines[:at], f"{match[1]}# {lines[at].lstrip()}", *lines[at + 1 :]]
