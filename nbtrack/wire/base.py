"""What every request and every answer has in common."""

from __future__ import annotations

import math

import msgspec

Number = float | str  # a str is one of "NaN", "Infinity", "-Infinity"


class Request(msgspec.Struct, frozen=True, tag_field="op", forbid_unknown_fields=True):
    """Base of all requests; ``op`` names the kind."""


class Answer(msgspec.Struct, frozen=True):
    """Base of all answers."""


def number(value: float) -> Number:
    """Return a number as JSON can carry it."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
