"""Commits in words: for histories, previews, and for telling somebody that somebody else was faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbtrack.entities import Commit


def moves_text(changes: Sequence[Mapping[str, Any]]) -> str:
    """Return stage changes as text.

    Examples
    --------
    >>> moves_text([{"version": 3, "to": "Production"}, {"version": 2, "to": "Archived"}])
    'v3 → Production, v2 → Archived'
    """
    return ", ".join(f"v{change['version']} → {change['to']}" for change in changes)


def commit_of(name: str, body: Mapping[str, Any]) -> Commit:
    """Return a commit's body as a record."""
    return Commit(
        name=name,
        number=int(body["number"]),
        action=str(body.get("action", "")),
        at_ms=int(body.get("at", 0)),
        user=str(body.get("user", "")),
        note=str(body.get("note", "")),
        body=body,
        changes=tuple(body.get("changes", ())),
    )


def _versions_text(patch: Mapping[str, Any]) -> str:
    return ", ".join(f"v{number}" for number in patch.get("versions", {})) or "the model"


def _aliases_text(patch: Mapping[str, Any]) -> str:
    return ", ".join(
        f"@{alias} removed" if target is None else f"@{alias} → v{target}"
        for alias, target in patch.get("aliases", {}).items()
    )


def _trash_text(patch: Mapping[str, Any]) -> str:
    parts = {f"v{number}": fields for number, fields in patch.get("versions", {}).items()}
    parts["the model"] = patch.get("model", {})
    words = {True: "moved to the trash", False: "restored"}
    return ", ".join(f"{name} {words[f['deleted']]}" for name, f in parts.items() if f.get("deleted") in (True, False))


def _edit_text(patch: Mapping[str, Any]) -> str:
    model = patch.get("model", {})
    if gates := model.get("gates"):
        told = [f"gates of {stage}: {'; '.join(rules) if rules else 'none'}" for stage, rules in gates.items()]
        return ", ".join(told)
    if stages := model.get("stages"):
        return f"stages: {', '.join(stages)}"
    fields = [*model, *(key for fields in patch.get("versions", {}).values() for key in fields)]
    return f"{_versions_text(patch)}: {' and '.join(dict.fromkeys(fields))} changed"


def _approval_text(patch: Mapping[str, Any]) -> str:
    told = [
        f"v{number} approved for {' and '.join(stages)} by {person}"
        if stages
        else f"v{number}: {person} takes the approval back"
        for number, fields in patch.get("versions", {}).items()
        for person, stages in fields.get("approvals", {}).items()
    ]
    return ", ".join(told)


def _decision_text(patch: Mapping[str, Any]) -> str:
    told = [
        f"{environment}: v{record.get('best')} is the best by {record.get('metric')}"
        for environment, record in patch.get("model", {}).get("decisions", {}).items()
        if record
    ]
    return ", ".join(told) or "the decision before"


def describe(commit: Commit) -> str:
    """Return what a commit did, in words: ``"v3 → Production, v2 → Archived"``."""
    patch = commit.body.get("patch", {})
    moved = moves_text(commit.changes)
    match commit.action:
        case "create":
            return "created"
        case "register":
            return f"{_versions_text(patch)} registered" + (f", {moved}" if moved else "")
        case "promote":
            return moved
        case "rename":
            return f"renamed to {patch.get('model', {}).get('name')}"
        case "claim":
            return "its first name given to another model"
        case "approve":
            return _approval_text(patch)
        case "decide":
            return _decision_text(patch)
        case "alias":
            return _aliases_text(patch)
        case "delete":
            return f"{_versions_text(patch)} moved to the trash"
        case "restore":
            return f"{_versions_text(patch)} restored"
        case "undo":
            name = patch.get("model", {}).get("name")
            rest = [moved, _aliases_text(patch), _trash_text(patch), f"named {name}" if name else ""]
            told = ", ".join(part for part in rest if part) or f"{_versions_text(patch)} as before"
            return f"commit {commit.body.get('undoes')} undone: {told}"
        case "edit":
            return _edit_text(patch)
    return commit.action


def did(commit: Commit) -> str:
    """Return what a commit did as the rest of a sentence about who did it: ``"moved v4 to Production"``."""
    if commit.action == "promote" and commit.changes:
        first = commit.changes[0]
        return f"moved v{first['version']} to {first['to']}"
    if commit.action == "register":
        return f"registered {_versions_text(commit.body.get('patch', {}))}"
    if commit.action == "undo":
        return f"undid commit {commit.body.get('undoes')}"
    return f"made a change ({describe(commit)})"


def ago(ms: int) -> str:
    """Return a span of time as people say it.

    Examples
    --------
    >>> ago(90), ago(5_000), ago(180_000), ago(7_200_000), ago(172_800_000)
    ('0.1 s ago', '5 s ago', '3 min ago', '2 h ago', '2 days ago')
    """
    seconds = max(ms, 0) / 1000
    if seconds < 3:
        return f"{max(seconds, 0.1):.1f} s ago"
    for limit, unit, divisor in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit} ago"
    return f"{seconds / 86_400:.0f} days ago"
