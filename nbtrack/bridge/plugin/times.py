"""When registered models and their versions were made and last changed, as MLflow counts it.

Our own times are those of any change. MLflow's leave out tags and aliases, and what is said of a version does not
change its model; a model whose name was free again is a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from nbtrack.registry.ledger import Ledger

CLOCK: Final = "clock"  # in a commit: the time of its writer, where that was before the time of an earlier commit
_OF_MODEL: Final = {"name", "description", "deleted"}
_OF_STAGE: Final = {"stage", "deleted"}


@dataclass(slots=True)
class Times:
    """What the commits read so far say."""

    bodies: Sequence[Mapping[str, Any]]
    read: int = 0
    created: int = 0
    updated: int = 0
    versions: dict[int, tuple[int, int]] = field(default_factory=dict)  # when made, when changed

    def follow(self) -> Times:
        """Read the commits that are new."""
        while self.read < len(self.bodies):
            body = self.bodies[self.read]
            self._take(int(body.get(CLOCK, body.get("at", 0))), str(body.get("action", "")), body.get("patch", {}))
            self.read += 1
        return self

    def _take(self, at: int, action: str, patch: Mapping[str, Any]) -> None:
        model = patch.get("model", {})
        if action == "create" or not self.created:
            self.created = at
        if action == "create" or model.keys() & _OF_MODEL:
            self.updated = at
        if "name" in model:
            self.versions = {number: (made, at) for number, (made, _) in self.versions.items()}
        for text, fields in patch.get("versions", {}).items():
            known = self.versions.get(int(text))
            moved = known is None or fields.keys() & _OF_STAGE
            if moved or "description" in fields:
                self.versions[int(text)] = (known[0] if known else at, at)
            if moved:
                self.updated = at


_known: WeakKeyDictionary[Ledger, Times] = WeakKeyDictionary()


def times(book: Ledger) -> Times:
    """Return what the commits of a model say of its times."""
    with book.lock:
        found = _known.get(book)
        if found is None or found.bodies is not book.bodies:  # read again from the start
            found = _known[book] = Times(book.bodies)
        return found.follow()
