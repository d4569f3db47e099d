"""Gates: conditions that a version must meet to be promoted."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Final

from nbtrack.entities import ModelVersion, Signature
from nbtrack.errors import InvalidInputError
from nbtrack.registry.compatible import why_incompatible
from nbtrack.reprs.directions import better_direction
from nbtrack.reprs.numbers import format_number

_OPERATORS: Final = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq}
_THRESHOLD = re.compile(r"\s*(?P<key>\S.*?)\s*(?P<op>>=|<=|==|>|<)\s*(?P<value>\S+)\s*")
_BETTER = re.compile(r"\s*(?P<key>\S.*?)\s+better(?:\s+by\s+(?P<margin>\S+))?\s*")


def check_gates(
    require: str | Sequence[str] | None,
    version: ModelVersion,
    current: ModelVersion | None,
    signature_of: Callable[[ModelVersion], Signature | None],
) -> list[str]:
    """Return why `version` may not take the place of `current`: one text a gate that refuses, none if all pass.

    Parameters
    ----------
    require
        ``"KEY >= NUMBER"`` (also ``<= > < ==``) compares a metric of the version; ``"KEY better"`` or
        ``"KEY better by MARGIN"`` compares it with the version that is there now, in the direction that the metric's
        name tells (higher for accuracy, lower for loss). ``"signature compatible"``: whoever sends requests to the
        version that is there now can send the same ones to this version, and gets answers of the same types.
    version
        The version to be promoted.
    current
        The version that is there now, if any.
    signature_of
        Returns the signature of a version.

    Raises
    ------
    InvalidInputError
        If a gate cannot be read.
    """
    gates = [require] if isinstance(require, str) else list(require or ())
    refusals = []
    for gate in gates:
        if isinstance(gate, str) and gate.strip().lower() == "signature compatible":
            why = why_incompatible(signature_of(version), signature_of(current)) if current is not None else None
            refusal = why and f"gate {gate!r}: v{version.version} {why}"
        else:
            refusal = _refusal(gate, version, current)
        if refusal:
            refusals.append(refusal)
    return refusals


def _refusal(gate: str, version: ModelVersion, current: ModelVersion | None) -> str | None:
    if not isinstance(gate, str) or len(gate) > 500:
        raise _unreadable(gate)
    if found := _BETTER.fullmatch(gate):
        return _better(gate, found["key"], _number(gate, found["margin"] or "0"), version, current)
    if found := _THRESHOLD.fullmatch(gate):
        key, wanted = found["key"], _number(gate, found["value"])
        value = version.metrics.get(key)
        if value is None:
            return f"gate {gate!r}: v{version.version} has no metric {key!r} (it has {_keys(version)})"
        if _OPERATORS[found["op"]](value, wanted):
            return None
        asked = f"{found['op']} {found['value']}"
        return f"gate {gate!r}: v{version.version} has {key} {format_number(value)}, asked is {asked}"
    raise _unreadable(gate)


def _better(gate: str, key: str, margin: float, version: ModelVersion, current: ModelVersion | None) -> str | None:
    value = version.metrics.get(key)
    if value is None:
        return f"gate {gate!r}: v{version.version} has no metric {key!r} (it has {_keys(version)})"
    if current is None:
        return None
    other = current.metrics.get(key)
    if other is None:
        return f"gate {gate!r}: v{current.version}, which is there now, has no metric {key!r} to compare with"
    direction = better_direction(key)
    if direction is None:
        return f"gate {gate!r}: it is not known whether a higher or a lower {key!r} is better; use a threshold"
    gain = value - other if direction == "higher" else other - value
    if gain > 0 and gain >= margin:
        return None
    return (
        f"gate {gate!r}: v{version.version} has {key} {format_number(value)}, v{current.version} has"
        f" {format_number(other)}"
    )


def _number(gate: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _unreadable(gate) from None


def _keys(version: ModelVersion) -> str:
    return ", ".join(sorted(version.metrics)[:10]) or "none"


def _unreadable(gate: object) -> InvalidInputError:
    shown = repr(gate)
    return InvalidInputError(
        "gate: expected 'METRIC >= NUMBER', 'METRIC better', 'METRIC better by MARGIN' or 'signature compatible', got"
        f" {shown if len(shown) <= 80 else shown[:77] + '…'}."
    )
