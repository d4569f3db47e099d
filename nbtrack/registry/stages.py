"""Promotion as a transaction: what it expects, what it would do, what it did, and taking it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nbtrack.entities import Commit, ModelVersion
from nbtrack.errors import GateError, InvalidInputError
from nbtrack.names import check_stage
from nbtrack.registry.facts import facts_of
from nbtrack.registry.fold import State, moves
from nbtrack.registry.gates import GateResult, check_gates, gates_of
from nbtrack.registry.ledger import existing
from nbtrack.registry.models import the_store, version_in
from nbtrack.registry.words import describe, moves_text

if TYPE_CHECKING:
    from nbtrack.store.base import Store

BELOW: Final = "below"  # as `former`: the stage one step down


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion did or, previewed, would do.

    `changes` lists the moves, `text` says them in words, `commit` is None for a preview and where there was nothing
    to do; `gates` says what each gate found, `expect` is the commit that a preview looked at.
    """

    name: str
    changes: tuple[Mapping[str, Any], ...]
    text: str
    commit: Commit | None = None
    gates: tuple[GateResult, ...] = ()
    expect: int = 0

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the gates refuse, one text each; none if all pass."""
        return tuple(str(result) for result in self.gates if not result.passed)

    def __str__(self) -> str:
        return self.text

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # what a notebook shows
        printer.text("\n".join([f"{self.name}: {self.text}", *(f"  refused by {why}" for why in self.refusals)]))


def _plan(state: State, version: int | str, stage: str, former: str | None) -> tuple[ModelVersion, dict[str, Any]]:
    """Return the version and the patch that moves it to `stage` and whoever is there to `former`."""
    target = version_in(state, version)
    if target.current_stage == stage:
        return target, {}
    patch: dict[str, Any] = {str(target.version): {"stage": stage}}
    if stage in state.ladder:
        back = _former(state, stage, former)
        leaving = state.in_stage(stage)
        for other in leaving:
            patch[str(other.version)] = {"stage": back}
        if leaving and back in state.ladder:  # whoever is pushed back may push somebody out, in turn
            for other in state.in_stage(back):
                if str(other.version) not in patch:
                    patch[str(other.version)] = {"stage": state.gives_way_to(back)}
    return target, {"versions": patch}


def _former(state: State, stage: str, former: str | None) -> str:
    if former is None:
        return state.gives_way_to(stage)
    if isinstance(former, str) and former.strip().lower() == BELOW:
        return state.stages[state.stages.index(stage) - 1]
    former = check_stage(former, state.stages)
    if former == stage:
        raise InvalidInputError(
            f"promote: the version now in {stage} cannot stay there; {stage} holds one version at a time."
            " Name another stage for former, or leave it out."
        )
    return former


def _judged(
    state: State, target: ModelVersion, stage: str, require: str | Sequence[str] | None, store: Store
) -> tuple[GateResult, ...]:
    """Return what the gates of the stage, and those that the caller adds, find."""
    gates = dict.fromkeys([*state.gates.get(stage, ()), *gates_of(require)])
    if not gates:
        return ()
    there = state.in_stage(stage) if stage in state.ladder else []
    return tuple(check_gates(list(gates), facts_of(target, there[0] if there else None, stage, store)))


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
        ``None``, ``Staging``, ``Production`` or ``Archived`` (or one of the model's own, :func:`set_stages`), in any
        case. All but the first and the last hold one version.
    note
        Why, for the history.
    expect
        The number of the last commit that the caller has seen (:func:`last_commit`); if there is a newer one,
        nothing is done.
    former
        Where the version that gives way goes: a stage, or ``"below"`` for the one below. By default from the highest
        stage to Archived, from the others back to None.
    require
        Gates that the version must pass besides those of the stage (:func:`set_gates`): ``"accuracy >= 0.9"``,
        ``"accuracy better by 0.01"`` than the version that is there now, ``"signature compatible"`` with it, ``"input
        example predicts"``, ``"reproduced"``, ``"approved by ana"``.
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
        If the version does not pass a gate; the message says which, with both numbers.

    Examples
    --------
    >>> nbtrack.promote("clf", 3, "Production", note="recall is up")  # doctest: +SKIP
    """
    store = the_store(store)
    book = existing(name, store)
    gates_of(require)
    text = ""
    judged: tuple[GateResult, ...] = ()

    def change(state: State) -> Mapping[str, Any] | None:
        nonlocal text, judged
        where = check_stage(stage, state.stages)
        target, patch = _plan(state, version, where, former)
        if not patch:
            text = f"v{target.version} is in {where} already"
            return None
        judged = _judged(state, target, where, require, store)
        refusals = [str(result) for result in judged if not result.passed]
        if refusals:
            raise GateError(
                f"promote {name!r} v{target.version} to {where}: {'; '.join(refusals)}. Nothing was changed."
            )
        return {"changes": moves(state, patch), "patch": patch}

    commit = book.commit("promote", change, note, expect)
    if commit is None:
        return Promotion(name, (), text, expect=book.state.number)
    return Promotion(name, commit.changes, describe(commit), commit, judged, commit.number)


def formers(name: str, stage: str, *, store: Store | None = None) -> list[str]:
    """Return the stages that a version which gives way in `stage` could go to, the usual one first."""
    state = existing(name, the_store(store)).state
    stage = check_stage(stage, state.stages)
    if stage not in state.ladder:
        return []
    below = state.stages[: state.stages.index(stage)]
    return list(dict.fromkeys([state.gives_way_to(stage), *reversed(below), state.stages[-1]]))


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
    state = existing(name, store).state
    stage = check_stage(stage, state.stages)
    target, patch = _plan(state, version, stage, former)
    changes = moves(state, patch)
    return Promotion(
        name,
        tuple(changes),
        moves_text(changes) or f"v{target.version} is in {stage} already",
        gates=_judged(state, target, stage, require, store) if patch else (),
        expect=state.number,
    )
