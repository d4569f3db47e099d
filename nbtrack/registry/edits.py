"""Changes of what is said of models and versions: descriptions, tags, aliases; and the trash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbtrack.entities import ModelVersion, RegisteredModel
from nbtrack.names import check_alias, check_key
from nbtrack.registry.fold import State
from nbtrack.registry.ledger import existing
from nbtrack.registry.models import get_version, the_store, version_in

if TYPE_CHECKING:
    from nbtrack.store.base import Store


# -- saying things of it -----------------------------------------------------------------------------------------------
def edit_model(
    name: str,
    *,
    description: str | None = None,
    tags: Mapping[str, Any] | None = None,
    note: str | None = None,
    store: Store | None = None,
) -> RegisteredModel:
    """Change the description or the tags of a registered model; a tag of None is removed."""
    book = existing(name, the_store(store))
    fields = _edits(description, tags)
    book.commit("edit", lambda state: {"patch": {"model": fields}} if fields else None, note, None)
    return book.state.model()


def edit_version(
    name: str,
    version: int | str,
    *,
    description: str | None = None,
    tags: Mapping[str, Any] | None = None,
    note: str | None = None,
    store: Store | None = None,
) -> ModelVersion:
    """Change the description or the tags of a version; a tag of None is removed."""
    store = the_store(store)
    book = existing(name, store)
    fields = _edits(description, tags)

    def change(state: State) -> Mapping[str, Any] | None:
        number = version_in(state, version).version
        return {"patch": {"versions": {str(number): fields}}} if fields else None

    book.commit("edit", change, note, None)
    return get_version(name, version, store=store)


def _edits(description: str | None, tags: Mapping[str, Any] | None) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if description is not None:
        fields["description"] = str(description)
    if tags:
        fields["tags"] = {
            check_key(key, "tag key"): None if value is None else str(value) for key, value in tags.items()
        }
    return fields


def set_alias(
    name: str, alias: str, version: int | str, *, note: str | None = None, store: Store | None = None
) -> None:
    """Let ``models:/NAME@ALIAS`` mean this version from now on; an alias that is there already moves."""
    check_alias(alias)

    def change(state: State) -> Mapping[str, Any] | None:
        number = version_in(state, version).version
        return None if state.aliases.get(alias) == number else {"patch": {"aliases": {alias: number}}}

    existing(name, the_store(store)).commit("alias", change, note, None)


def delete_alias(name: str, alias: str, *, note: str | None = None, store: Store | None = None) -> None:
    """Take an alias away; one that is not there is no error."""
    check_alias(alias)

    def change(state: State) -> Mapping[str, Any] | None:
        return {"patch": {"aliases": {alias: None}}} if alias in state.aliases else None

    existing(name, the_store(store)).commit("alias", change, note, None)


# -- trash -------------------------------------------------------------------------------------------------------------
def delete_version(name: str, version: int | str, *, note: str | None = None, store: Store | None = None) -> None:
    """Move a version to the trash: it leaves its stage and loses its aliases; its number stays taken."""

    def change(state: State) -> Mapping[str, Any]:
        found = version_in(state, version)
        patch: dict[str, Any] = {"versions": {str(found.version): {"deleted": True, "stage": "None"}}}
        if found.aliases:
            patch["aliases"] = dict.fromkeys(found.aliases)
        changes = [{"version": found.version, "from": found.current_stage, "to": "None"}]
        return {"changes": changes if found.current_stage != "None" else [], "patch": patch}

    existing(name, the_store(store)).commit("delete", change, note, None)


def restore_version(
    name: str, version: int | str, *, note: str | None = None, store: Store | None = None
) -> ModelVersion:
    """Take a version out of the trash, in the stage None."""
    store = the_store(store)

    def change(state: State) -> Mapping[str, Any] | None:
        found = version_in(state, version, trashed=True)
        return {"patch": {"versions": {str(found.version): {"deleted": False}}}} if found.deleted else None

    existing(name, store).commit("restore", change, note, None)
    return get_version(name, version, store=store)


def delete_model(name: str, *, note: str | None = None, store: Store | None = None) -> None:
    """Move a registered model with all its versions to the trash."""
    existing(name, the_store(store)).commit("delete", lambda state: {"patch": {"model": {"deleted": True}}}, note, None)


def restore_model(name: str, *, note: str | None = None, store: Store | None = None) -> RegisteredModel:
    """Take a registered model out of the trash, as it was."""
    book = existing(name, the_store(store), trashed=True)

    def change(state: State) -> Mapping[str, Any] | None:
        return {"patch": {"model": {"deleted": False}}} if state.deleted else None

    book.commit("restore", change, note, None)
    return book.state.model()
