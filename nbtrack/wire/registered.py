"""Requests and answers about registered models: versions, stages, gates, decisions, history.

Part of the vocabulary of ``messages.py``, in a file of its own for its length.
"""

from __future__ import annotations

from nbtrack.wire.base import Answer, Number, Request


# -- requests ----------------------------------------------------------------------------------------------------------
class ListModels(Request, frozen=True, tag="models"):
    """All registered models with their versions."""


class GetHistory(Request, frozen=True, tag="history"):
    """The commits of one registered model, newest first."""

    name: str


class DiffVersions(Request, frozen=True, tag="version_diff"):
    """What is different between two versions; a difference reads from `a` to `b`."""

    name: str
    a: int
    b: int


class Register(Request, frozen=True, tag="register"):
    """Make a model that a run logged a version of a registered model."""

    run_id: str
    name: str
    artifact_path: str | None = None  # needed only if the run logged several models


class Promote(Request, frozen=True, tag="promote"):
    """Move a version to a stage. With `preview`, only say what would happen, and what each gate finds.

    `expect` is the last commit number that the user saw: if there is a newer one, nothing is done and the answer is
    an error with code ``conflict``. `former` is the stage that the version now there moves back to, or ``below``.
    """

    name: str
    version: int
    stage: str
    note: str = ""
    former: str | None = None
    expect: int | None = None
    preview: bool = False


class Undo(Request, frozen=True, tag="undo"):
    """Take a commit of a registered model back, by a new commit; the last one where `commit` is null."""

    name: str
    commit: int | None = None
    expect: int | None = None


class Approve(Request, frozen=True, tag="approve"):
    """Agree, under one's own name, that a version may be promoted to a stage; or take that back."""

    name: str
    version: int
    stage: str
    withdraw: bool = False
    note: str = ""


class SetGates(Request, frozen=True, tag="set_gates"):
    """Set what every promotion to a stage must pass; an empty list takes the gates away."""

    name: str
    stage: str
    gates: list[str]


class EditVersion(Request, frozen=True, tag="edit_version"):
    """Describe a version, move it to the trash, or restore it from there."""

    name: str
    version: int
    description: str | None = None
    deleted: bool | None = None


# -- answers -----------------------------------------------------------------------------------------------------------
class LoggedModel(Answer, frozen=True):
    """A model that a run logged, and the versions made of it."""

    artifact_path: str
    flavor: str
    model_class: str
    size_bytes: int
    versions: list[tuple[str, int, str]]  # registered model, version, stage; the one registered last comes first


class Version(Answer, frozen=True):
    """One version of a registered model. `approvals` maps a person to the stages that he agreed to."""

    version: int
    stage: str
    aliases: list[str]
    run_id: str | None
    run_name: str
    flavor: str
    description: str
    metrics: dict[str, Number]
    created_at: int
    user: str
    code_line: str
    approvals: dict[str, list[str]]


class Decision(Answer, frozen=True):
    """The last choice of the best version for an environment: each version has a score or a reason against it.

    `dataset` is the fingerprint of the data that all were scored on; `comparable` is false if the decision before this
    one was made on other data.
    """

    environment: str
    policy: str
    metric: str
    dataset: str
    best: int
    scores: dict[str, Number]
    refused: dict[str, str]
    comparable: bool


class Model(Answer, frozen=True):
    """A registered model; versions newest first; `last_commit` is what a promotion should expect.

    `stages` are its stages, lowest first; `gates` maps a stage to the conditions of every promotion to it; `trash` are
    the versions in the trash.
    """

    name: str
    description: str
    versions: list[Version]
    last_commit: int
    stages: list[str]
    gates: dict[str, list[str]]
    decisions: list[Decision]
    trash: list[int]


class Models(Answer, frozen=True):
    """All registered models, and the stages that a model has unless it has its own."""

    models: list[Model]
    stages: list[str]


class Change(Answer, frozen=True):
    """One move of one version."""

    version: int
    before: str
    after: str


class CommitEntry(Answer, frozen=True):
    """One line of a model's history."""

    number: int
    action: str
    at: int
    user: str
    note: str
    changes: list[Change]
    text: str  # the same in words: "v3 → Production, v2 → Archived"
    blocked_by: int | None = None  # the later commit that changed the same, so that this one cannot be taken back now


class History(Answer, frozen=True):
    """The commits of one registered model, newest first."""

    name: str
    commits: list[CommitEntry]


class VersionDifference(Answer, frozen=True):
    """One thing that is different between two versions; null where one has no such thing."""

    kind: str  # metric, score, param, input, output, model, package, tag
    key: str
    a: str | None
    b: str | None


class VersionDiff(Answer, frozen=True):
    """What is different between two versions: results first."""

    name: str
    a: int
    b: int
    differences: list[VersionDifference]


class Registered(Answer, frozen=True):
    """A new version."""

    name: str
    version: int
    last_commit: int


class Gate(Answer, frozen=True):
    """What a gate found of the version, and what it asks."""

    gate: str
    passed: bool
    found: str
    asked: str


class Promoted(Answer, frozen=True):
    """What a promotion did, or (preview) would do.

    `refused` says whether a gate stands against it; `formers` are the stages that a version which gives way could go
    to, the one that it would go to unasked first.
    """

    name: str
    preview: bool
    last_commit: int
    changes: list[Change]
    text: str
    gates: list[Gate]
    refused: bool
    formers: list[str]


class Rules(Answer, frozen=True):
    """A model's gates as they are now."""

    name: str
    gates: dict[str, list[str]]


ANSWERS: dict[str, type[Answer]] = {
    "models": Models,
    "history": History,
    "version_diff": VersionDiff,
    "register": Registered,
    "promote": Promoted,
    "undo": Promoted,
    "approve": Version,
    "set_gates": Rules,
}
