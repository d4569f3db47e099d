"""What every request and every answer has in common."""

from __future__ import annotations

import msgspec

Number = float | str  # a str is one of "NaN", "Infinity", "-Infinity"


class Request(msgspec.Struct, frozen=True, tag_field="op", forbid_unknown_fields=True):
    """Base of all requests; ``op`` names the kind."""


class Answer(msgspec.Struct, frozen=True):
    """Base of all answers."""
