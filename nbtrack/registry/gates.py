"""Gates: conditions that a version must meet to be promoted, each with what was found and what was asked."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nbtrack.entities import ModelVersion, Signature
from nbtrack.errors import InvalidInputError
from nbtrack.registry.compatible import why_incompatible
from nbtrack.reprs.directions import better_direction
from nbtrack.reprs.numbers import format_number

_OPERATORS: Final = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq}
_THRESHOLD = re.compile(r"\s*(?P<key>\S.*?)\s*(?P<op>>=|<=|==|>|<)\s*(?P<value>\S+)\s*")
_BETTER = re.compile(
    r"\s*(?P<key>\S.*?)\s+better(?:\s+by\s+(?P<margin>\S+))?(?P<same>\s+on\s+the\s+same\s+data)?\s*", re.IGNORECASE
)
_APPROVED = re.compile(r"\s*approved\s+by\s+(?P<person>\S.*?)\s*", re.IGNORECASE)
SIGNATURE: Final = "signature compatible"
EXAMPLE: Final = "input example predicts"
REPRODUCED: Final = "reproduced"
ANOTHER: Final = "another person"
TAG_REPRODUCED: Final = "nbtrack.reproduced"
MAX_GATES: Final = 20


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate found: `found` of the version, `asked` of it; `hint` says what to do where it refuses."""

    gate: str
    passed: bool
    found: str
    asked: str
    hint: str = ""

    def __str__(self) -> str:
        verdict = f"gate {self.gate!r}: {self.found}"
        if self.passed:
            return verdict
        return f"{verdict}, {self.asked}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Facts:
    """What gates may ask.

    `current` is the version that is there now, if any; `tags` are those of the run that a version came from; `data`
    says on which data a version's metric was measured (fingerprints; none if nobody said); `predicts` tries a version
    on its own input example and returns what is wrong; `user` is who promotes.
    """

    version: ModelVersion
    current: ModelVersion | None
    stage: str
    user: str
    signature: Callable[[ModelVersion], Signature | None]
    tags: Callable[[ModelVersion], Mapping[str, str]]
    data: Callable[[ModelVersion], frozenset[str]]
    predicts: Callable[[ModelVersion], str | None]


def check_gates(require: str | Sequence[str] | None, facts: Facts) -> list[GateResult]:
    """Return what each gate found, in their order.

    Parameters
    ----------
    require
        ``"KEY >= NUMBER"`` (also ``<= > < ==``) compares a metric of the version. ``"KEY better"`` or ``"KEY better by
        MARGIN"`` compares it with the version that is there now, in the direction that the metric's name tells (higher
        for accuracy, lower for loss); numbers that are known to come from different data never pass, and with ``"… on
        the same data"`` they must be known to come from the same. ``"signature compatible"``: whoever sends requests
        to the version that is there now can send the same ones to this version, and gets answers of the same types.
        ``"input example predicts"``: the version is loaded and answers its own example. ``"reproduced"``: its run was
        run again and gave the same. ``"approved by NAME"``, ``"approved by another person"``: see
        :func:`nbtrack.registry.approve`.
    facts
        What is known of the version and of the one that is there now.

    Raises
    ------
    InvalidInputError
        If a gate cannot be read.
    """
    return [check(facts) for check in [_reader(gate) for gate in gates_of(require)]]


def gates_of(require: object) -> list[str]:
    """Return gates as a list; raises InvalidInputError unless it is one text, or a few of them."""
    gates = [require] if isinstance(require, str) else list(require or ())  # type: ignore[call-overload]
    if len(gates) > MAX_GATES:
        raise InvalidInputError(f"gate: expected at most {MAX_GATES} of them, got {len(gates)}.")
    return gates


def normal_gate(gate: object) -> str:
    """Return a gate as it is kept: readable, without doubled spaces; raises InvalidInputError."""
    _reader(gate)
    return " ".join(str(gate).split())


def _reader(gate: object) -> Callable[[Facts], GateResult]:
    if not isinstance(gate, str) or len(gate) > 500 or not gate.isprintable():
        raise _unreadable(gate)
    plain = {SIGNATURE: _signature, EXAMPLE: _example, REPRODUCED: _reproduced}.get(" ".join(gate.lower().split()))
    if plain is not None:
        return lambda facts: plain(gate, facts)
    if found := _APPROVED.fullmatch(gate):
        person = found["person"]
        return lambda facts: _approved(gate, person, facts)
    if found := _BETTER.fullmatch(gate):
        key, margin, same = found["key"], _number(gate, found["margin"] or "0"), found["same"] is not None
        return lambda facts: _better(gate, key, margin, same, facts)
    if found := _THRESHOLD.fullmatch(gate):
        key, compare, wanted = found["key"], _OPERATORS[found["op"]], _number(gate, found["value"])
        asked = f"asked is {found['op']} {found['value']}"
        return lambda facts: _threshold(gate, key, lambda value: compare(value, wanted), asked, facts)
    raise _unreadable(gate)


def _threshold(gate: str, key: str, fits: Callable[[float], bool], asked: str, facts: Facts) -> GateResult:
    value = facts.version.metrics.get(key)
    if value is None:
        return _no_metric(gate, key, facts.version, asked)
    return GateResult(gate, fits(value), _has(facts.version, key, value), asked)


def _better(gate: str, key: str, margin: float, same: bool, facts: Facts) -> GateResult:
    version, current = facts.version, facts.current
    more = f"asked is better{f' by {format_number(margin)}' if margin else ''}"
    value, other = version.metrics.get(key), current.metrics.get(key) if current else None
    shared = current and _shared_score(key, version, current)
    if shared:
        value, other = shared
    if value is None:
        return _no_metric(gate, key, version, more)
    mine = _has(version, key, value)
    if current is None:
        return GateResult(gate, True, f"{mine}, and nobody is in {facts.stage} yet", more)
    if other is None:
        there = f"v{current.version}, which is there now, has no metric {key!r} to compare with"
        return GateResult(gate, False, mine, there)
    direction = better_direction(key)
    if direction is None:
        why = "it is not known whether a higher or a lower one is better"
        return GateResult(gate, False, mine, why, "use a threshold")
    asked = f"v{current.version} has {format_number(other)}, {more}"
    why_not = None if shared else _other_data(same, facts, version, current)
    if why_not is not None:
        return GateResult(gate, False, mine, f"{asked}; {why_not}", "nbtrack.select_best scores both on the same data")
    gain = value - other if direction == "higher" else other - value
    return GateResult(gate, gain > 0 and gain >= margin * (1 - 1e-9), mine, asked)


def _shared_score(key: str, version: ModelVersion, current: ModelVersion) -> tuple[float, float] | None:
    """Return both scores where both were measured on one and the same evaluation data."""
    mine, other = version.scores.get(key), current.scores.get(key)
    return (mine[1], other[1]) if mine and other and mine[0] == other[0] else None


def _other_data(same: bool, facts: Facts, version: ModelVersion, current: ModelVersion) -> str | None:
    mine, other = facts.data(version), facts.data(current)
    if mine and other:
        return None if mine & other else "not comparable, they were measured on different data"
    return "not comparable, it is not known that they were measured on the same data" if same else None


def _signature(gate: str, facts: Facts) -> GateResult:
    current = facts.current
    asked = f"asked is that whoever uses {'the stage' if current is None else f'v{current.version}'} can go on"
    why = None if current is None else why_incompatible(facts.signature(facts.version), facts.signature(current))
    return GateResult(gate, why is None, f"v{facts.version.version} {why or 'takes the same requests'}", asked)


def _example(gate: str, facts: Facts) -> GateResult:
    why = facts.predicts(facts.version)
    found = f"v{facts.version.version} {why or 'answers its input example'}"
    return GateResult(gate, why is None, found, "asked is an answer to its own input example")


def _reproduced(gate: str, facts: Facts) -> GateResult:
    stamp = facts.tags(facts.version).get(TAG_REPRODUCED, "")
    verdict, _, when = stamp.partition(" ")
    found = {"yes": f"was reproduced {when}", "no": f"came out differently {when}"}.get(verdict, "was never reproduced")
    return GateResult(
        gate, verdict == "yes", f"v{facts.version.version} {found}".rstrip(), "asked is the same result again"
    )


def _approved(gate: str, person: str, facts: Facts) -> GateResult:
    agreed = sorted(who for who, stages in facts.version.approvals.items() if facts.stage in stages)
    if person.lower() == ANOTHER:
        passed = any(who != facts.user for who in agreed)
        asked = f"asked is somebody other than {facts.user or 'who promotes'}"
    else:
        passed, asked = person in agreed, f"asked is {person}"
    found = f"v{facts.version.version} is approved for {facts.stage} by {' and '.join(agreed) or 'nobody'}"
    hint = f"nbtrack.registry.approve({facts.version.name!r}, {facts.version.version}, {facts.stage!r})"
    return GateResult(gate, passed, found, asked, hint)


def _no_metric(gate: str, key: str, version: ModelVersion, asked: str) -> GateResult:
    known = ", ".join(sorted(version.metrics)[:10]) or "none"
    return GateResult(gate, False, f"v{version.version} has no metric {key!r} (it has {known})", asked)


def _has(version: ModelVersion, key: str, value: float) -> str:
    return f"v{version.version} has {key} {format_number(value)}"


def _number(gate: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _unreadable(gate) from None


def _unreadable(gate: object) -> InvalidInputError:
    shown = repr(gate)
    return InvalidInputError(
        "gate: expected 'METRIC >= NUMBER', 'METRIC better', 'METRIC better by MARGIN' (and 'on the same data'),"
        " 'signature compatible', 'input example predicts', 'reproduced', 'approved by NAME' or 'approved by another"
        f" person', got {shown if len(shown) <= 80 else shown[:77] + '…'}."
    )
