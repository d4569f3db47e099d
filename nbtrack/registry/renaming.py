"""A registered model under another name; its history goes on.

A model's commits stay where they are. First the new name is claimed, by a commit under that name which says whom it
stands for; then one commit of the model itself says what it is called now. That one decides: a claim whose model goes
by another name means nothing, so that a process may die between the two.

A name that a model gave up stays with it, unless somebody asks for that name to be used again: then a commit of the
renamed model says whose log is the heir of its first name. It is a claim like the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbtrack.entities import RegisteredModel
from nbtrack.errors import AlreadyExistsError
from nbtrack.names import MAX_NAME, check_model_name
from nbtrack.registry.fold import State
from nbtrack.registry.ledger import CLAIM_MS, Ledger, existing, ledger, ledger_of, now_ms
from nbtrack.registry.models import the_store

if TYPE_CHECKING:
    from nbtrack.store.base import Store


def rename_model(
    name: str, new_name: str, *, reuse: bool = False, note: str | None = None, store: Store | None = None
) -> RegisteredModel:
    """Give a registered model another name; versions, stages, aliases and history stay.

    The old name stays taken: it leads back to this model only, by renaming it back.

    Parameters
    ----------
    name, new_name
        Its name, and the one it shall have.
    reuse
        Whether the new name may be one that another model gave up.
    note
        Why, for the history.
    store
        The store; the one used now if not given.

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
        claim(new_name, book.log, store, reuse)

        def change(state: State) -> Mapping[str, Any] | None:
            return None if state.name == new_name else {"patch": {"model": {"name": new_name}}}

        book.commit("rename", change, note, None)
    return book.state.model()


def claim(name: str, log: str, store: Store, reuse: bool = False) -> None:
    """Keep a name for the model whose commits lie under `log`; `reuse` also one that another model gave up.

    Raises
    ------
    AlreadyExistsError
        If another model has it, had it first, or is just being given it.
    """

    book = ledger_of(name, store)

    def change(state: State) -> Mapping[str, Any] | None:
        if name == log:  # its own first name, which it may have again unless there is an heir
            _check_rival(name, book, state.heir, log)
            return None
        if state.stands_for is None and state.number:
            if not reuse or state.name == name:
                called = f" (called {state.name!r} now)" if state.name != name else ""
                trashed = " It is in the trash." if state.deleted else ""
                raise AlreadyExistsError(
                    f"model {name!r}: there is one of this name already{called}.{trashed} Choose another name."
                )
            _check_rival(name, book, state.heir, log)
            return None if state.heir == log else {"patch": {"model": {"heir": log}}}
        _check_rival(name, book, state.stands_for, log)
        if state.stands_for == log and now_ms() - state.at_ms < CLAIM_MS // 2:
            return None
        return {"patch": {"model": {"stands_for": log}}}

    book.commit("claim", change, None, None)


def _check_rival(name: str, book: Ledger, rival_log: str | None, log: str) -> None:
    """Raise AlreadyExistsError if the one that `book` keeps a name for has it, or is just being given it."""
    if rival_log is None or rival_log == log:
        return
    rival = ledger_of(rival_log, book.store)
    held = rival.refresh().name == name
    claimed = max(int(body["at"]) for body in book.bodies if rival_log in _kept_for(body))
    had = any(
        body.get("patch", {}).get("model", {}).get("name") == name for body in rival.bodies if body["at"] >= claimed
    )
    if held or (not had and now_ms() - claimed < CLAIM_MS):
        raise AlreadyExistsError(
            f"model {name!r}: {rival.name!r} has this name or is being given it. Choose another name."
        )


def _kept_for(body: Mapping[str, Any]) -> tuple[Any, Any]:
    model = body.get("patch", {}).get("model", {})
    return model.get("stands_for"), model.get("heir")


def free_ledger(name: str, store: Store) -> Ledger:
    """Return the ledger in which a model of this name may begin, also if another model began under it.

    Raises
    ------
    AlreadyExistsError
        If somebody else is just being given this name.
    """
    state = ledger_of(name, store).refresh()
    if state.stands_for is None and state.name != name:
        heir = None if state.heir is None else ledger_of(state.heir, store).refresh()
        if heir is None or heir.name != name:
            logs = (f"{name[: MAX_NAME - 8]} ({number})" for number in range(2, 10_000))
            log = next(log for log in logs if ledger_of(log, store).refresh().number == 0)
            claim(name, log, store, reuse=True)
            return ledger_of(log, store)
    return ledger(name, store)
