"""The commits of a model as tags of it on the server: who changed what, and why, for everybody who uses nbtrack.

MLflow itself keeps only what a model is now. Its page hides tags whose keys begin like these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from nbtrack.store.layout import new_id, now_ms

_OURS: Final = "mlflow.nbtrack."
_PREFIX: Final = f"{_OURS}commit."
_CLAIM: Final = f"{_OURS}claim."
_STALE_MS: Final = 30_000  # a claim that old is of a process that died
_KEY: Final = re.compile(re.escape(_PREFIX) + r"([0-9]{8})\.([0-9]{2})")
_LONGEST: Final = 4000  # characters of a tag that every database takes
_OWN: Final = frozenset({"number", "model", "sum"})  # what a store adds to a body


def to_tags(number: int, body: Mapping[str, Any]) -> dict[str, str]:
    """Return a commit as tags."""
    text = json.dumps({key: value for key, value in body.items() if key not in _OWN})
    parts = [text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST)]
    return {f"{_PREFIX}{number:08d}.{part:02d}": value for part, value in enumerate(parts)}


def take_commits(tags: dict[str, str]) -> dict[int, dict[str, Any]]:
    """Take the commits out of the tags of a model, by number; one that is not whole is left out."""
    parts: dict[int, list[tuple[int, str]]] = {}
    for key in [key for key in tags if key.startswith(_OURS)]:
        value, found = tags.pop(key), _KEY.fullmatch(key)
        if found is not None:
            parts.setdefault(int(found[1]), []).append((int(found[2]), value))
    commits = {}
    for number, texts in parts.items():
        try:
            body = json.loads("".join(text for _, text in sorted(texts)))
        except ValueError:
            continue
        if isinstance(body, dict):
            commits[number] = body
    return commits


def same(known: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Return whether a commit in the mirror says what one on the server says."""
    mine = {key: value for key, value in known.items() if key not in _OWN}
    return bool(json.loads(json.dumps(mine)) == body)


def is_gone(commits: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether, after these commits, there is no such model: before the first one, and after it was removed."""
    gone: bool | None = None
    for commit in commits:
        said = commit.get("patch", {}).get("model", {}).get("deleted")
        gone = bool(said) if said is not None else bool(gone)
    return gone is not False


def claim_of(number: int) -> str:
    """Return the key of a new tag that claims a number for a commit; its value is when, in ms since 1970 UTC.

    A tag is set whether or not there is one, so whoever sets his claim looks afterwards: he has the number if nobody
    else claims it then. Of two who claim at once, at most one sees himself alone.
    """
    return f"{_CLAIM}{number:08d}.{new_id()}"


def is_taken(tags: Mapping[str, str], claim: str, number: int) -> bool:
    """Return whether, by the tags of a model, somebody else has or claims the number that `claim` is for."""
    rivals = (key for key in tags if key.startswith(f"{_CLAIM}{number:08d}.") and key != claim)
    recent = (tags[key].isdigit() and now_ms() - int(tags[key]) < _STALE_MS for key in rivals)
    return any(recent) or number in take_commits(dict(tags))
