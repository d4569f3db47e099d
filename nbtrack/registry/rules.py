"""The rules of one registered model: its stages, the gates of each, and who agreed to what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nbtrack.entities import ModelVersion, RegisteredModel
from nbtrack.errors import InvalidInputError
from nbtrack.names import STAGES, check_new_stage, check_stage
from nbtrack.registry.fold import State
from nbtrack.registry.gates import gates_of, normal_gate
from nbtrack.registry.ledger import existing
from nbtrack.registry.models import get_version, the_store, version_in
from nbtrack.tracking.user import user_name

if TYPE_CHECKING:
    from nbtrack.store.base import Store

_MAX_STAGES: Final = 12


def set_stages(
    name: str, stages: Sequence[str] | None, *, note: str | None = None, store: Store | None = None
) -> RegisteredModel:
    """Give a registered model stages of its own.

    Parameters
    ----------
    name
        The registered model.
    stages
        The stages that hold one version each, lowest first, such as ``["Dev", "Staging", "Canary", "Production"]``;
        None (first) and Archived (last) are there anyway. None sets the usual ones: Staging and Production.
    note
        Why, for the history.
    store
        The store; the one used now if not given.

    Raises
    ------
    InvalidNameError
        If a stage breaks the grammar of stages.
    InvalidInputError
        If a version is in a stage that would be gone, or a stage occurs twice.
    """
    ladder = [check_new_stage(stage) for stage in (STAGES[1:-1] if stages is None else stages)]
    ladder = [stage for stage in ladder if stage not in {STAGES[0], STAGES[-1]}]
    if not ladder or len(ladder) > _MAX_STAGES or len({stage.lower() for stage in ladder}) != len(ladder):
        raise InvalidInputError(
            f"set_stages: expected 1 to {_MAX_STAGES} different stages between None and Archived, got {ladder!r}."
        )
    wanted = (STAGES[0], *ladder, STAGES[-1])

    def change(state: State) -> Mapping[str, Any] | None:
        for version in state.live():
            if version.current_stage not in wanted:
                raise InvalidInputError(
                    f"set_stages: v{version.version} is in {version.current_stage}, which would be gone. Move it first:"
                    f" nbtrack.promote({state.name!r}, {version.version}, 'None')."
                )
        gone = {stage: None for stage in state.gates if stage not in wanted}
        return None if state.stages == wanted else {"patch": {"model": {"stages": list(wanted), "gates": gone}}}

    book = existing(name, the_store(store))
    book.commit("edit", change, note, None)
    return book.state.model()


def set_gates(
    name: str,
    stage: str,
    gates: str | Sequence[str] | None,
    *,
    note: str | None = None,
    store: Store | None = None,
) -> RegisteredModel:
    """Set the gates that every promotion to a stage must pass, whoever does it and wherever; None takes them away.

    Parameters
    ----------
    name, stage
        Which model and which of its stages.
    gates
        As `require` of :func:`promote`.
    note
        Why, for the history.
    store
        The store; the one used now if not given.

    Raises
    ------
    InvalidInputError
        If a gate cannot be read.

    Examples
    --------
    >>> nbtrack.set_gates("clf", "Production", ["accuracy >= 0.9", "approved by ana"])  # doctest: +SKIP
    """
    wanted = tuple(dict.fromkeys(normal_gate(gate) for gate in gates_of(gates)))

    def change(state: State) -> Mapping[str, Any] | None:
        where = check_stage(stage, state.stages)
        if state.gates.get(where, ()) == wanted:
            return None
        return {"patch": {"model": {"gates": {where: list(wanted) or None}}}}

    book = existing(name, the_store(store))
    book.commit("edit", change, note, None)
    return book.state.model()


def approve(
    name: str,
    version: int | str,
    stage: str,
    *,
    withdraw: bool = False,
    note: str | None = None,
    store: Store | None = None,
) -> ModelVersion:
    """Agree, under one's own name, that a version may be promoted to a stage; or take that back.

    The history keeps who said so and when. In a shared folder a name is what its user says it is: this guards against
    haste, not against somebody who pretends to be another person.

    Parameters
    ----------
    name, version
        Which version.
    stage
        For which stage.
    withdraw
        Take one's approval back.
    note
        Why, for the history.
    store
        The store; the one used now if not given.
    """
    store = the_store(store)
    me = user_name()
    if not me:
        raise InvalidInputError("approve: nobody knows who you are; expected a user name. Set NBTRACK_USER.")

    def change(state: State) -> Mapping[str, Any] | None:
        known = version_in(state, version)
        where = check_stage(stage, state.stages)
        before = known.approvals.get(me, ())
        after = tuple(s for s in before if s != where) if withdraw else tuple(dict.fromkeys([*before, where]))
        if after == before:
            return None
        return {"patch": {"versions": {str(known.version): {"approvals": {me: list(after) or None}}}}}

    existing(name, store).commit("approve", change, note, None)
    return get_version(name, version, store=store)
