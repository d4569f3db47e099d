"""Can requests that are made for one version be sent to another one?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nbtrack.entities import Column, Signature

# Type -> types whose every value is one of it, too.
_NARROWER: Final[Mapping[str, tuple[str, ...]]] = {
    "long": ("integer",),
    "float": ("integer",),
    "double": ("integer", "long", "float"),
    "object": ("string",),
}


def why_incompatible(new: Signature | None, old: Signature | None) -> str | None:
    """Return why requests made for `old` do not fit `new`, or why answers would change their type; None if all fits."""
    if old is None:
        return None
    if new is None:
        return "has no signature, and the version that is there now has one"
    by_name = bool(new.inputs) and all(column.name is not None for column in new.inputs)
    refusal = _by_name(new.inputs, old.inputs) if by_name else _by_position(new.inputs, old.inputs)
    if refusal is None and old.outputs and _types(new.outputs) != _types(old.outputs):
        return f"answers {_types(new.outputs) or 'nothing known'}, the version that is there now {_types(old.outputs)}"
    return refusal


def _by_name(new: tuple[Column, ...], old: tuple[Column, ...]) -> str | None:
    known = {column.name: column for column in old}
    for column in new:
        before = known.get(column.name)
        if before is None:
            if column.required:
                return f"needs the column {column.name!r}, which the version that is there now does not take"
            continue
        if column.type != before.type and before.type not in _NARROWER.get(column.type, ()):
            return f"wants {column.type} in the column {column.name!r}, where {before.type} is sent now"
        if column.required and not before.required:
            return f"takes no null in the column {column.name!r}, where null may be sent now"
    return None


def _by_position(new: tuple[Column, ...], old: tuple[Column, ...]) -> str | None:
    if _types(new) == _types(old):
        return None
    return f"takes {len(new)} columns by position, the version that is there now {len(old)} of other names or types"


def _types(columns: tuple[Column, ...]) -> str:
    return ", ".join(column.type for column in columns)
