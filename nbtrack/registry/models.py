"""Registered models and their versions: make, read, describe, tag, trash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import msgspec

from nbtrack.entities import MANIFEST_NAME, Commit, ModelManifest, ModelVersion, RegisteredModel, Run, Signature
from nbtrack.errors import AlreadyExistsError, InvalidInputError, InvalidNameError, NotFoundError
from nbtrack.names import ModelURI, RunURI, check_key, check_model_name, check_stage, parse_model_uri
from nbtrack.registry.fold import State
from nbtrack.registry.ledger import CLAIM_MS, Ledger, existing, ledger, names, now_ms
from nbtrack.registry.sources import find_source, logged_models
from nbtrack.registry.words import commit_of

if TYPE_CHECKING:
    from nbtrack.store.base import Store

TAG_LINE: Final = "nbtrack.line"  # which line of code a version was made with, such as 1.0


def the_store(store: Store | None) -> Store:
    """Return `store`, or the one that is used now."""
    if store is not None:
        return store
    from nbtrack.tracking import get_store

    return get_store()


# -- making ------------------------------------------------------------------------------------------------------------
def create_model(
    name: str,
    *,
    tags: Mapping[str, Any] | None = None,
    description: str = "",
    exist_ok: bool = False,
    store: Store | None = None,
) -> RegisteredModel:
    """Create a registered model without versions.

    Raises
    ------
    AlreadyExistsError
        If there is one of this name, unless `exist_ok`; also if it is in the trash.
    """
    book = ledger(name, the_store(store))
    fields = {"deleted": False, "description": description, "tags": _texts(tags)}

    def change(state: State) -> Mapping[str, Any] | None:
        _check_free(state)
        if state.exists:
            if exist_ok:
                return None
            raise AlreadyExistsError(f"model {name!r}: it exists already. Choose another name, or add a version to it.")
        return {"patch": {"model": fields}}

    book.commit("create", change, None, None)
    return book.state.model()


def register_model(
    model_uri: str,
    name: str,
    *,
    tags: Mapping[str, Any] | None = None,
    description: str = "",
    note: str | None = None,
    store: Store | None = None,
) -> ModelVersion:
    """Make a logged model the next version of a registered model, which is created if need be.

    Parameters
    ----------
    model_uri
        ``runs:/RUN_ID/PATH`` of a logged model, or ``models:/NAME/VERSION`` to copy a version of another model.
    name
        The registered model.
    tags, description
        Said of the version.
    note
        Why, for the history.
    store
        The store; the one used now if not given.

    Returns
    -------
    ModelVersion
        With its number: 1, 2, 3, …; a number is never used twice, also when its version was deleted.

    Raises
    ------
    InvalidInputError
        If `model_uri` is not a model that was logged.
    NotFoundError
        If there is no such run.

    Examples
    --------
    >>> nbtrack.register_model(f"runs:/{run.run_id}/model", "clf")  # doctest: +SKIP
    """
    store = the_store(store)
    check_model_name(name)
    fields = _source_fields(model_uri, store)
    fields |= {"description": description, "tags": {**fields["tags"], **_texts(tags)}}
    book = ledger(name, store)
    made = 0

    def change(state: State) -> Mapping[str, Any]:
        nonlocal made
        _check_free(state)
        made = state.next_version
        patch: dict[str, Any] = {"versions": {str(made): fields}}
        if not state.exists:
            patch["model"] = {"deleted": False}
        return {"patch": patch}

    book.commit("register", change, note, None)
    return get_version(name, made, store=store)


def _check_free(state: State) -> None:
    """Refuse to write to a model in the trash, or under a name that another one is just being given."""
    if state.stands_for is not None:
        if now_ms() - state.at_ms < CLAIM_MS:
            raise AlreadyExistsError(
                f"model {state.name!r}: {state.stands_for!r} is being renamed to this. Choose another name, or wait a"
                " minute."
            )
    elif state.number and state.deleted:
        raise AlreadyExistsError(
            f"model {state.name!r}: a model of this name is in the trash."
            f" Client().restore_registered_model({state.name!r}) brings it back; or choose another name."
        )


def _texts(tags: Mapping[str, Any] | None) -> dict[str, str]:
    return {check_key(key, "tag key"): str(value) for key, value in (tags or {}).items()}


def _source_fields(model_uri: str, store: Store) -> dict[str, Any]:
    uri = parse_model_uri(model_uri)
    copied: Mapping[str, str] = {}
    if isinstance(uri, ModelURI):
        origin = find_version(uri, store)
        copied = {key: value for key, value in origin.tags.items() if key == TAG_LINE}
        uri = RunURI(origin.run_id or "", origin.source.split("/", 2)[2])
    run = store.get_run(uri.run_id)
    found = find_source(run, uri.path)
    if found is None:
        known = ", ".join(repr(path) for path in logged_models(run)) or "none"
        raise InvalidInputError(
            f"register_model: {str(uri)!r} is not a model; expected the path of a logged model, and this run logged:"
            f" {known}. nbtrack.sklearn.log_model(model, NAME) logs one."
        )
    flavor, line = "mlflow", ""
    if not found.mlflow:
        try:
            manifest = msgspec.json.decode(store.read_blob(found.digest), type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise InvalidInputError(
                f"register_model: {MANIFEST_NAME} of {str(uri)!r} cannot be read ({error}). Log the model again."
            ) from None
        flavor, line = str(manifest.get("flavor", "")), str(manifest.get("code_line", ""))
    line = line or run.data.tags.get(TAG_LINE, "")
    fields: dict[str, Any] = {
        "run_id": run.run_id,
        "source": str(uri),
        "flavor": flavor,
        "digest": found.digest,
        "tags": copied or ({TAG_LINE: line} if line else {}),
    }
    if run.info.status != "RUNNING":  # a run that is still going may yet log what its model scores
        fields["metrics"] = _finite(run)
    return fields


# -- reading -----------------------------------------------------------------------------------------------------------
def get_model(
    name: str, *, at: datetime | str | float | None = None, trashed: bool = False, store: Store | None = None
) -> RegisteredModel:
    """Return a registered model with all its versions, newest first (those in the trash have `deleted` set).

    Parameters
    ----------
    name
        The registered model.
    at
        A moment of the past: a datetime (naive means local time), its ISO text, or ms since 1970 UTC. The answer is
        what the model was then.
    trashed
        Whether a model in the trash may be answered, too.
    store
        The store; the one used now if not given.

    Raises
    ------
    NotFoundError
        If there is no such model (at that time).
    """
    store = the_store(store)
    book = existing(name, store, trashed=trashed or at is not None)
    if at is None:
        _fill_metrics(book, store)
        return book.state.model()
    moment = _ms(at)
    state = book.at(moment)
    if not state.exists:
        raise NotFoundError(
            f"model {name!r}: there was no such model at {at}. nbtrack.history({name!r}) tells when it began."
        )
    return state.model()


def _ms(at: datetime | str | float) -> int:
    try:
        if isinstance(at, (int, float)):
            return int(at)
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        return int(moment.timestamp() * 1000)
    except (ValueError, AttributeError, OverflowError, TypeError):
        raise InvalidInputError(
            f"get_model: expected a datetime, ISO text such as '2026-03-03T12:00', or ms since 1970 for at, got {at!r}."
        ) from None


def _fill_metrics(book: Ledger, store: Store) -> None:
    """Look up the metrics of versions that were registered while their run was still going."""
    with book.lock:
        for number, version in book.state.versions.items():
            if version.metrics or number in book.settled:
                continue
            book.state.versions[number], final = _with_metrics(version, store)
            if final:
                book.settled.add(number)


def _with_metrics(version: ModelVersion, store: Store) -> tuple[ModelVersion, bool]:
    if version.run_id is None:
        return version, True
    try:
        run = store.get_run(version.run_id)
    except (NotFoundError, InvalidNameError):  # its run was thrown away, or is no id of ours: it stands on its own
        return version, True
    return replace(version, metrics=_finite(run)), run.info.status != "RUNNING"


def with_metrics(version: ModelVersion, store: Store) -> ModelVersion:
    """Return `version` with the metrics of its run, where it was registered before the run logged them."""
    return version if version.metrics else _with_metrics(version, store)[0]


def signature_of(version: ModelVersion, *, store: Store | None = None) -> Signature | None:
    """Return the signature that the manifest of a version holds; None if it has none."""
    if not version.digest or version.flavor == "mlflow":
        return None
    return msgspec.json.decode(the_store(store).read_blob(version.digest), type=ModelManifest).signature


def _finite(run: Run) -> dict[str, float]:
    return {key: value for key, value in run.data.metrics.items() if isfinite(value)}


def list_models(*, trashed: bool = False, store: Store | None = None) -> list[RegisteredModel]:
    """Return all registered models, sorted by name; those in the trash only with `trashed`."""
    store = the_store(store)
    found = [get_model(name, trashed=True, store=store) for name in names(store)]
    return [model for model in found if trashed or not model.deleted]


def get_version(name: str, version: int | str, *, store: Store | None = None) -> ModelVersion:
    """Return one version of a registered model; raises NotFoundError if there is none or it is in the trash."""
    store = the_store(store)
    book = existing(name, store)
    _fill_metrics(book, store)
    return version_in(book.state, version)


def version_in(state: State, version: int | str, trashed: bool = False) -> ModelVersion:
    """Return a version of `state` that is not (or, if `trashed`, may be) in the trash; raises NotFoundError."""
    number = version_number(state.name, version)
    found = state.versions.get(number)
    if found is None:
        there = [v.version for v in state.live()]
        known = ", ".join(f"{n}" for n in there[:10]) + ("…" if len(there) > 10 else "") or "none"
        raise NotFoundError(f"model {state.name!r}: there is no version {number}; its versions are: {known}.")
    if found.deleted and not trashed:
        raise NotFoundError(
            f"model {state.name!r}: version {number} is in the trash."
            f" Client().restore_model_version({state.name!r}, {number}) brings it back."
        )
    return found


def version_number(name: str, version: object) -> int:
    """Return a version number given as 3, "3" or "v3"; raises InvalidInputError."""
    text = str(version).strip().lower().removeprefix("v")
    if isinstance(version, bool) or not isinstance(version, (int, str)) or not text.isdecimal() or len(text) > 9:
        raise InvalidInputError(f"model {name!r}: expected a version number such as 3, got {repr(version)[:60]}.")
    return int(text)


def find_version(uri: ModelURI, store: Store) -> ModelVersion:
    """Return the version that a ``models:/`` URI means now; raises NotFoundError saying what there is."""
    book = existing(uri.name, store)
    state = book.state
    if uri.version is not None:
        return version_in(state, uri.version)
    if uri.alias is not None:
        target = state.aliases.get(uri.alias)
        if target is None:
            known = ", ".join(sorted(state.aliases)) or "none"
            raise NotFoundError(f"{uri}: model {uri.name!r} has no alias {uri.alias!r}; its aliases are: {known}.")
        return version_in(state, target)
    there = list(state.live()) if uri.latest else state.in_stage(check_stage(uri.stage, state.stages))
    if not there:
        stages = (
            ", ".join(f"v{v.version} in {v.current_stage}" for v in list(state.live())[:10]) or "no versions at all"
        )
        raise NotFoundError(
            f"{uri}: no version of {uri.name!r} is there now; it has {stages}."
            f" nbtrack.promote({uri.name!r}, VERSION, STAGE) moves one."
        )
    return there[0]


def resolve(model_uri: str, *, store: Store | None = None) -> ModelVersion | RunURI:
    """Return what a model URI means now: a version for ``models:/…``, the URI's parts for ``runs:/…``.

    Raises
    ------
    NotFoundError
        If the registered model, or the version, stage or alias, does not exist.
    """
    uri = parse_model_uri(model_uri)
    return uri if isinstance(uri, RunURI) else find_version(uri, the_store(store))


def history(name: str, *, store: Store | None = None) -> list[Commit]:
    """Return every change of a registered model, newest first: who, when, what, why."""
    book = existing(name, the_store(store), trashed=True)
    return [commit_of(book.name, body) for body in reversed(book.bodies)]


def last_commit(name: str, *, store: Store | None = None) -> int:
    """Return the number of the last change of a model: what the next one may `expect`. 0 for a model never seen."""
    return ledger(name, the_store(store)).state.number
