"""Promotion as a transaction: what it expects, what it would do, what it did, and taking it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from nbtrack.entities import Commit, ModelVersion
from nbtrack.errors import GateError, InvalidInputError
from nbtrack.names import check_stage
from nbtrack.registry.fold import State, inverse, moves
from nbtrack.registry.gates import check_gates
from nbtrack.registry.ledger import existing
from nbtrack.registry.models import signature_of, the_store, version_in, with_metrics
from nbtrack.registry.words import describe, moves_text

if TYPE_CHECKING:
    from nbtrack.store.base import Store

# Stages that hold one version at a time, and where the version that gives way goes unless the caller says otherwise.
GIVES_WAY_TO: Final = {"Staging": "None", "Production": "Archived"}


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion did or, previewed, would do.

    `changes` lists the moves, `text` says them in words, `commit` is None for a preview and where there was nothing
    to do; `refusals` are the gates that a previewed promotion would not pass.
    """

    name: str
    changes: tuple[Mapping[str, Any], ...]
    text: str
    commit: Commit | None = None
    refusals: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # what a notebook shows
        printer.text(f"{self.name}: {self.text}")


def _plan(state: State, version: int | str, stage: str, former: str | None) -> tuple[ModelVersion, dict[str, Any]]:
    """Return the version and the patch that moves it to `stage` and whoever is there to `former`."""
    target = version_in(state, version)
    if target.current_stage == stage:
        return target, {}
    patch: dict[str, Any] = {str(target.version): {"stage": stage}}
    if stage in GIVES_WAY_TO:
        back = GIVES_WAY_TO[stage] if former is None else former
        leaving = state.in_stage(stage)
        for other in leaving:
            patch[str(other.version)] = {"stage": back}
        if leaving and back in GIVES_WAY_TO:  # whoever is pushed back may push somebody out, in turn
            for other in state.in_stage(back):
                if str(other.version) not in patch:
                    patch[str(other.version)] = {"stage": GIVES_WAY_TO[back]}
    return target, {"versions": patch}


def _checked(stage: str, former: str | None) -> tuple[str, str | None]:
    stage = check_stage(stage)
    if former is None:
        return stage, None
    former = check_stage(former)
    if former == stage and stage in GIVES_WAY_TO:
        raise InvalidInputError(
            f"promote: the version now in {stage} cannot stay there; {stage} holds one version at a time."
            " Name another stage for former, or leave it out."
        )
    return stage, former


def promote(
    name: str,
    version: int | str,
    stage: str,
    *,
    note: str | None = None,
    expect: int | None = None,
    former: str | None = None,
    require: str | Sequence[str] | None = None,
    store: Store | None = None,
) -> Promotion:
    """Move a version to a stage; the version that is there gives way. All of it is one commit.

    Parameters
    ----------
    name, version
        Which version.
    stage
        ``None``, ``Staging``, ``Production`` or ``Archived``, in any case. Staging and Production hold one version.
    note
        Why, for the history.
    expect
        The number of the last commit that the caller has seen (:func:`last_commit`); if there is a newer one,
        nothing is done.
    former
        Where the version that gives way goes: by default from Staging back to None, from Production to Archived.
    require
        Gates that the version must pass: ``"accuracy >= 0.9"``, ``"accuracy better by 0.01"`` than the version that
        is there now, ``"signature compatible"`` with it.
    store
        The store; the one used now if not given.

    Returns
    -------
    Promotion
        ``.text`` such as ``"v3 → Production, v2 → Archived"``. Promoting what is already there changes nothing.

    Raises
    ------
    NotFoundError
        If there is no such model or version.
    ConflictError
        If somebody changed the model after commit `expect`; the message says who, what and when.
    GateError
        If the version does not pass one of `require`; the message says which, with both numbers.

    Examples
    --------
    >>> nbtrack.promote("clf", 3, "Production", note="recall is up")  # doctest: +SKIP
    """
    store = the_store(store)
    stage, former = _checked(stage, former)
    book = existing(name, store)
    text = ""

    def change(state: State) -> Mapping[str, Any] | None:
        nonlocal text
        target, patch = _plan(state, version, stage, former)
        if not patch:
            text = f"v{target.version} is in {stage} already"
            return None
        rivals = _rivals(state, target, stage, store)
        refusals = check_gates(require, *rivals, partial(signature_of, store=store))
        if refusals:
            raise GateError(
                f"promote {name!r} v{target.version} to {stage}: {'; '.join(refusals)}. Nothing was changed."
            )
        return {"changes": moves(state, patch), "patch": patch}

    commit = book.commit("promote", change, note, expect)
    if commit is None:
        return Promotion(name, (), text)
    return Promotion(name, commit.changes, describe(commit), commit)


def preview_promotion(
    name: str,
    version: int | str,
    stage: str,
    *,
    note: str | None = None,
    expect: int | None = None,
    former: str | None = None,
    require: str | Sequence[str] | None = None,
    store: Store | None = None,
) -> Promotion:
    """Return what :func:`promote` with the same arguments would do, without doing it."""
    store = the_store(store)
    stage, former = _checked(stage, former)
    state = existing(name, store).state
    target, patch = _plan(state, version, stage, former)
    changes = moves(state, patch)
    rivals = _rivals(state, target, stage, store)
    refusals = check_gates(require, *rivals, partial(signature_of, store=store)) if patch else []
    return Promotion(
        name,
        tuple(changes),
        moves_text(changes) or f"v{target.version} is in {stage} already",
        refusals=tuple(refusals),
    )


def _rivals(state: State, target: ModelVersion, stage: str, store: Store) -> tuple[ModelVersion, ModelVersion | None]:
    """Return the version and the one that would give way to it, with their metrics."""
    there = state.in_stage(stage) if stage in GIVES_WAY_TO else []
    return with_metrics(target, store), with_metrics(there[0], store) if there else None


def undo(name: str, *, expect: int | None = None, note: str | None = None, store: Store | None = None) -> Promotion:
    """Take the last change of a registered model back, by a new commit; doing it twice restores the change.

    Parameters
    ----------
    name
        The registered model.
    expect
        The number of the commit to take back; if there is a newer one, nothing is done.
    note
        Why, for the history.
    store
        The store; the one used now if not given.

    Raises
    ------
    ConflictError
        If somebody changed the model after commit `expect`.
    """
    book = existing(name, the_store(store), trashed=True)

    def change(state: State) -> Mapping[str, Any]:
        last = book.bodies[-1]
        before = book.before(state.number)
        patch = inverse(before, last)
        return {"changes": moves(state, patch), "patch": patch, "undoes": state.number}

    commit = book.commit("undo", change, note, expect)
    if commit is None:
        raise AssertionError("an undo always has something to do")
    return Promotion(name, commit.changes, describe(commit), commit)
