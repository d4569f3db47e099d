"""Which of the params and metrics found in a notebook its user wants, and which not: remembered in the store.

The choice lies in the store, as a tag of the default experiment under the notebook's path: it travels with the store,
several people may change it, and nothing is put into the notebook.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from nbtrack.entities import DEFAULT_EXPERIMENT_ID, TAG_SOURCE, Run
from nbtrack.errors import InvalidInputError
from nbtrack.names import check_key

if TYPE_CHECKING:
    from nbtrack.store.base import Store

Kind = Literal["param", "metric"]
Choice = Literal["pinned", "unpinned"]
KINDS: Final[tuple[Kind, ...]] = ("param", "metric")
CHOICES: Final[tuple[Choice, ...]] = ("pinned", "unpinned")
MAX_PINS: Final = 300


def _tag(source: str | None) -> str:
    return f"nbtrack.pins.{hashlib.sha256((source or '').encode()).hexdigest()[:16]}"


def _read(text: str | None) -> dict[str, Choice]:
    try:
        said = json.loads(text or "{}").get("pins", {})
    except (ValueError, AttributeError):  # written by somebody else
        return {}
    return {str(key): value for key, value in said.items() if value in CHOICES} if isinstance(said, Mapping) else {}


def pins_of(store: Store, source: str | None) -> dict[str, Choice]:
    """Return the choices made for a notebook: ``{"param:C": "pinned", "metric:loss": "unpinned"}``.

    Parameters
    ----------
    store
        Where its runs lie.
    source
        The notebook as the tag ``nbtrack.source`` of its runs names it; None where it is not known.
    """
    return _read(store.get_experiment(DEFAULT_EXPERIMENT_ID).tags.get(_tag(source)))


def pins_of_run(store: Store, run: Run) -> dict[str, Choice]:
    """Return the choices made for the notebook that a run came from."""
    return pins_of(store, run.data.tags.get(TAG_SOURCE))


def set_pin(store: Store, source: str | None, kind: str, key: str, choice: str | None) -> dict[str, Choice]:
    """Pin or unpin one key of a notebook; None takes the choice back. Return all choices of the notebook.

    Raises
    ------
    InvalidInputError
        If `kind` is neither ``"param"`` nor ``"metric"``, or `choice` neither ``"pinned"`` nor ``"unpinned"``.
    """
    if kind not in KINDS:
        raise InvalidInputError(f"pin: expected 'param' or 'metric', got {kind!r}.")
    if choice is not None and choice not in CHOICES:
        raise InvalidInputError(f"pin: expected 'pinned', 'unpinned' or nothing, got {choice!r}.")
    pins = pins_of(store, source)
    name = f"{kind}:{check_key(key, f'{kind} key')}"
    pins.pop(name, None)
    if choice is not None:
        pins[name] = CHOICES[CHOICES.index(choice)]
    if len(pins) > MAX_PINS:
        raise InvalidInputError(f"pin: a notebook may have {MAX_PINS} pins; this one has them. Take one back first.")
    text = json.dumps({"notebook": source, "pins": pins}, ensure_ascii=False) if pins else None
    store.edit_experiment(DEFAULT_EXPERIMENT_ID, tags={_tag(source): text})
    return pins


def keep(kind: Kind, found: dict[str, Any], pins: Mapping[str, Choice]) -> tuple[dict[str, Any], list[str]]:
    """Return what was found without what is unpinned, the pinned ones first; and the keys left out."""
    left_out = [key for key in found if pins.get(f"{kind}:{key}") == "unpinned"]
    kept = {key: value for key, value in found.items() if key not in left_out}
    first = {key: kept[key] for key in kept if pins.get(f"{kind}:{key}") == "pinned"}
    return {**first, **kept}, left_out
