"""What the commits of one registered model add up to.

A commit holds a *patch*: the fields it sets, nothing else. The state of a model is the sum of its patches, so any
moment of the past is the sum of fewer of them, and taking a commit back is a patch with the values from before it::

    {"action": "promote", "at": 1763712000000, "user": "ana", "note": "better recall",
     "changes": [{"version": 3, "from": "None", "to": "Production"},
                 {"version": 2, "from": "Production", "to": "Archived"}],
     "patch": {"versions": {"3": {"stage": "Production"}, "2": {"stage": "Archived"}}}}

Fields that a newer nbtrack may add are kept and otherwise ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nbtrack.entities import ModelVersion, RegisteredModel
from nbtrack.names import STAGES

# Field of a version in a patch -> attribute of ModelVersion.
_VERSION_FIELDS = {
    "stage": "current_stage",
    "run_id": "run_id",
    "source": "source",
    "description": "description",
    "metrics": "metrics",
    "flavor": "flavor",
    "digest": "digest",
    "deleted": "deleted",
    "user": "user_id",
}
# Fields of a version or a model that hold keys of their own: a patch sets single keys, and None takes one away.
VERSION_MAPS = ("tags", "approvals", "scores")
MODEL_MAPS = ("tags", "gates", "decisions")
_GONE: Mapping[str, Any] = {"deleted": True, "stage": "None"}  # what a version or model was before its first commit


@dataclass(slots=True)
class State:
    """One registered model after its commit `number`.

    `log` is the name that its commits lie under: its first one, `name` being what it was renamed to since. A log that
    only keeps a name for another one `stands_for` that. A name that a renamed model gave up may be that of another
    model since: of the one whose log is the `heir`.
    """

    log: str
    name: str = ""
    number: int = 0
    at_ms: int = 0
    created_ms: int = 0
    description: str = ""
    deleted: bool = True
    stands_for: str | None = None
    heir: str | None = None
    stages: tuple[str, ...] = STAGES
    tags: dict[str, str] = field(default_factory=dict)
    gates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    decisions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    lost: int = 0  # damaged commits since the newest version: each may have been a version of its own

    def __post_init__(self) -> None:
        self.name = self.name or self.log

    @property
    def next_version(self) -> int:
        """The number of the next version: one that no version can have had."""
        return max(self.versions, default=0) + self.lost + 1

    @property
    def exists(self) -> bool:
        """Whether the model is there and not in the trash."""
        return self.number > 0 and not self.deleted

    @property
    def ladder(self) -> tuple[str, ...]:
        """The stages that hold one version at a time, lowest first: all but the first and the last."""
        return self.stages[1:-1]

    def gives_way_to(self, stage: str) -> str:
        """Where the version goes that gives way in `stage`, unless the caller says otherwise."""
        return self.stages[-1] if stage == self.ladder[-1] else self.stages[0]

    def live(self) -> Iterable[ModelVersion]:
        """Versions that are not in the trash, newest first."""
        return (v for _, v in sorted(self.versions.items(), reverse=True) if not v.deleted)

    def in_stage(self, stage: str) -> list[ModelVersion]:
        """Versions in `stage`, newest first."""
        return [v for v in self.live() if v.current_stage == stage]

    def model(self) -> RegisteredModel:
        """The state as a record."""
        return RegisteredModel(
            name=self.name,
            versions=tuple(v for _, v in sorted(self.versions.items(), reverse=True)),
            description=self.description,
            tags=dict(self.tags),
            aliases=dict(self.aliases),
            creation_timestamp=self.created_ms,
            last_updated_timestamp=self.at_ms,
            deleted=self.deleted,
            stages=self.stages,
            gates=dict(self.gates),
            decisions=dict(self.decisions),
        )


def apply(state: State, body: Mapping[str, Any]) -> None:
    """Add one commit to `state`, in place."""
    at_ms = int(body.get("at", 0))
    state.lost += int(body["number"]) - state.number - 1
    state.number = int(body["number"])
    state.at_ms = max(state.at_ms, at_ms)
    state.created_ms = state.created_ms or at_ms
    patch = body.get("patch", {})
    _apply_model(state, patch.get("model", {}))
    for text, fields in patch.get("versions", {}).items():
        number = int(text)
        if number not in state.versions:
            state.lost = 0
        known = state.versions.get(number) or ModelVersion(
            state.name, number, creation_timestamp=at_ms, user_id=str(body.get("user", ""))
        )
        changed = {attr: fields[key] for key, attr in _VERSION_FIELDS.items() if key in fields}
        changed |= {key: merged(getattr(known, key), fields[key]) for key in VERSION_MAPS if key in fields}
        state.versions[number] = replace(known, last_updated_timestamp=at_ms, **changed)
    for alias, target in patch.get("aliases", {}).items():
        _point(state, alias, target)


def _apply_model(state: State, fields: Mapping[str, Any]) -> None:
    if "description" in fields:
        state.description = str(fields["description"])
    if "deleted" in fields:
        state.deleted = bool(fields["deleted"])
        state.stands_for = None
    if "stands_for" in fields:
        state.stands_for = str(fields["stands_for"])
    if "heir" in fields:
        state.heir = str(fields["heir"])
    if "stages" in fields:
        state.stages = tuple(fields["stages"])
    if "name" in fields and fields["name"] != state.name:
        state.name = str(fields["name"])
        state.versions = {number: replace(known, name=state.name) for number, known in state.versions.items()}
    for key in MODEL_MAPS:
        if key in fields:
            setattr(state, key, merged(getattr(state, key), fields[key]))


def merged(known: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `known` with `changes`; a value of None removes a key. A list in a commit is a tuple in a record."""
    both = {**known, **changes}
    return {k: tuple(value) if isinstance(value, list) else value for k, value in both.items() if value is not None}


def _point(state: State, alias: str, target: int | None) -> None:
    before = state.aliases.pop(alias, None)
    if target is not None:
        state.aliases[alias] = target
    for number in {before, target} - {None}:
        version = state.versions.get(number) if number is not None else None
        if version is not None:
            names = tuple(sorted(name for name, at in state.aliases.items() if at == version.version))
            state.versions[version.version] = replace(version, aliases=names)


def fold(name: str, bodies: Iterable[Mapping[str, Any]]) -> State:
    """Return what `bodies` add up to."""
    state = State(name)
    for body in bodies:
        apply(state, body)
    return state


def inverse(before: State, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch that takes `body` back, given the state `before` it."""
    patch = body.get("patch", {})
    back: dict[str, Any] = {}
    if model := patch.get("model"):
        fields = {key: getattr(before, key) for key in ("description", "deleted", "stages", "name") if key in model}
        fields |= {key: _before(getattr(before, key), model[key]) for key in MODEL_MAPS if key in model}
        back["model"] = fields
    versions: dict[str, Any] = {}
    for text, fields in patch.get("versions", {}).items():
        known = before.versions.get(int(text))
        if known is None:  # it was made by this commit: into the trash with it, its number stays taken
            versions[text] = dict(_GONE)
            continue
        old = {key: getattr(known, attr) for key, attr in _VERSION_FIELDS.items() if key in fields}
        versions[text] = old | {k: _before(getattr(known, k), fields[k]) for k in VERSION_MAPS if k in fields}
    if versions:
        back["versions"] = versions
    if aliases := patch.get("aliases"):
        back["aliases"] = {alias: before.aliases.get(alias) for alias in aliases}
    return back


def _before(known: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: known.get(key) for key in changes}


def moves(before: State, patch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the stage changes that `patch` would make, in its order."""
    found = []
    for text, fields in patch.get("versions", {}).items():
        known = before.versions.get(int(text))
        old = known.current_stage if known else "None"
        if "stage" in fields and fields["stage"] != old:
            found.append({"version": int(text), "from": old, "to": fields["stage"]})
    return found
