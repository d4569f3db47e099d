"""Taking a commit of a registered model back: the last one, or an earlier one that nothing later stands on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbtrack.errors import ConflictError, NotFoundError
from nbtrack.registry.fold import MODEL_MAPS, VERSION_MAPS, State, inverse, moves
from nbtrack.registry.ledger import Ledger, existing
from nbtrack.registry.models import the_store
from nbtrack.registry.renaming import claim
from nbtrack.registry.stages import Promotion
from nbtrack.registry.words import commit_of, describe, did

if TYPE_CHECKING:
    from nbtrack.store.base import Store

Place = tuple[str, ...]  # what a patch sets: ("alias", "champion"), ("version", "3", "stage"), ("model", "gates", …)


def undo(
    name: str,
    *,
    commit: int | None = None,
    expect: int | None = None,
    note: str | None = None,
    store: Store | None = None,
) -> Promotion:
    """Take a change of a registered model back, by a new commit; doing that twice restores the change.

    Parameters
    ----------
    name
        The registered model.
    commit
        The number of the commit to take back (:func:`history`); the last one if not given. What it changed must not
        have been changed again since.
    expect
        The number of the last commit that the caller has seen; if there is a newer one, nothing is done.
    note
        Why, for the history.
    store
        The store; the one used now if not given.

    Raises
    ------
    NotFoundError
        If there is no such model or commit.
    ConflictError
        If somebody changed the model after commit `expect`; or a later commit changed the same as `commit`, or took the
        stage that a version would go back to. The message says which.

    Examples
    --------
    >>> nbtrack.undo("clf", commit=12, note="not what we measured")  # doctest: +SKIP
    """
    store = the_store(store)
    book = existing(name, store, trashed=True)
    number = commit or book.state.number
    _claim_former_name(book, store, number)

    def change(state: State) -> Mapping[str, Any]:
        which = commit or state.number
        body = next((one for one in book.bodies if int(one["number"]) == which), None)
        if body is None:
            raise NotFoundError(f"undo {name!r}: there is no commit {which}; the last one is {state.number}.")
        later = _blockers(book.bodies).get(which)
        if later is not None:
            told = next(did(commit_of(name, one)) for one in book.bodies if int(one["number"]) == later)
            raise ConflictError(
                f"undo {name!r}: commit {which} cannot be taken back, for commit {later} changed the same since: it"
                f" {told}. Take that one back first. Nothing was changed."
            )
        patch = inverse(book.before(which), body)
        _check_stages(state, patch, which)
        return {"changes": moves(state, patch), "patch": patch, "undoes": which}

    made = book.commit("undo", change, note, expect)
    if made is None:
        raise AssertionError("an undo always has something to do")
    return Promotion(book.name, made.changes, describe(made), made, expect=made.number)


def undo_blockers(name: str, *, store: Store | None = None) -> dict[int, int]:
    """Return which commits cannot be taken back as things are: their number -> the later commit that is in the way."""
    return _blockers(existing(name, the_store(store), trashed=True).bodies)


def _places(body: Mapping[str, Any], made: Iterable[str]) -> set[Place]:
    """Return what a commit sets; of a version that it made, all there is."""
    patch = body.get("patch", {})
    found: set[Place] = {("alias", alias) for alias in patch.get("aliases", {})}
    groups: list[tuple[Place, Mapping[str, Any], Sequence[str]]] = [(("model",), patch.get("model", {}), MODEL_MAPS)]
    groups += [(("version", text), fields, VERSION_MAPS) for text, fields in patch.get("versions", {}).items()]
    for place, fields, maps in groups:
        for key, value in fields.items():
            found |= {(*place, key, part) for part in value} if key in maps else {(*place, key)}
    return found | {("version", text) for text in made}


def _blockers(bodies: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    first: dict[str, int] = {}
    for body in bodies:
        for text in body.get("patch", {}).get("versions", {}):
            first.setdefault(text, int(body["number"]))
    found: dict[int, int] = {}
    later: dict[Place, int] = {}  # what is changed after the commit at hand, and by which commit last
    for place_in_row, body in enumerate(reversed(bodies)):
        number = int(body["number"])
        made = [text for text, maker in first.items() if maker == number]
        places = _places(body, made)
        hits = [later[place] for place in places if place in later]
        if ("model", "deleted") in places and place_in_row > 0:  # to take that back is about all of the model
            hits.append(int(bodies[-1]["number"]))
        if hits:
            found[number] = max(hits)
        for place in places:
            for end in range(1, len(place) + 1):
                later.setdefault(place[:end], number)
    return found


def _check_stages(state: State, patch: Mapping[str, Any], number: int) -> None:
    """Raise ConflictError if a version would go back to where another one is by now."""
    versions = patch.get("versions", {})
    for text, fields in versions.items():
        stage = fields.get("stage")
        if stage in state.ladder:
            for holder in state.in_stage(stage):
                moved = versions.get(str(holder.version), {}).get("stage", stage)
                if str(holder.version) != text and moved == stage:
                    raise ConflictError(
                        f"undo {state.name!r}: commit {number} cannot be taken back, for v{text} would go back to"
                        f" {stage}, where v{holder.version} is by now. Promote v{text} instead. Nothing was changed."
                    )


def _claim_former_name(book: Ledger, store: Store, number: int) -> None:
    """Keep the name that an undo would give back, where the change was a new one."""
    before, after = book.before(number), book.before(number + 1)
    if before.number and before.name != after.name and after.name == book.name:
        claim(before.name, book.log, store)
