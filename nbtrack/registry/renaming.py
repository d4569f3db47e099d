"""A registered model under another name; its history goes on.

A model's commits stay where they are. First the new name is claimed, by a commit under that name which says whom it
stands for; then one commit of the model itself says what it is called now. That one decides: a claim whose model goes
by another name means nothing, so that a process may die between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbtrack.entities import RegisteredModel
from nbtrack.errors import AlreadyExistsError
from nbtrack.names import check_model_name
from nbtrack.registry.fold import State
from nbtrack.registry.ledger import CLAIM_MS, existing, ledger_of, now_ms
from nbtrack.registry.models import the_store

if TYPE_CHECKING:
    from nbtrack.store.base import Store


def rename_model(name: str, new_name: str, *, note: str | None = None, store: Store | None = None) -> RegisteredModel:
    """Give a registered model another name; versions, stages, aliases and history stay.

    The old name stays taken: it leads back to this model only, by renaming it back.

    Raises
    ------
    NotFoundError
        If there is no such model.
    AlreadyExistsError
        If the new name is taken, also by a model in the trash.
    """
    store = the_store(store)
    check_model_name(new_name)
    book = existing(name, store)
    if new_name != name:
        claim(new_name, book.log, store)

        def change(state: State) -> Mapping[str, Any] | None:
            return None if state.name == new_name else {"patch": {"model": {"name": new_name}}}

        book.commit("rename", change, note, None)
    return book.state.model()


def claim(name: str, log: str, store: Store) -> None:
    """Keep a name for the model whose commits lie under `log`.

    Raises
    ------
    AlreadyExistsError
        If another model has it, had it first, or is just being given it.
    """
    if name == log:
        return

    def change(state: State) -> Mapping[str, Any] | None:
        if state.stands_for is None and state.number:
            called = f" (called {state.name!r} now)" if state.name != name else ""
            trashed = " It is in the trash." if state.deleted else ""
            raise AlreadyExistsError(
                f"model {name!r}: there is one of this name already{called}.{trashed} Choose another name."
            )
        if state.stands_for is not None and state.stands_for != log:
            rival = ledger_of(state.stands_for, store).refresh()
            if rival.name == name or now_ms() - state.at_ms < CLAIM_MS:
                raise AlreadyExistsError(
                    f"model {name!r}: {rival.name!r} has this name or is being given it. Choose another name."
                )
        if state.stands_for == log and now_ms() - state.at_ms < CLAIM_MS // 2:
            return None
        return {"patch": {"model": {"stands_for": log}}}

    ledger_of(name, store).commit("claim", change, None, None)
