"""Which store and which experiment this process works with."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nbtrack.entities import DEFAULT_EXPERIMENT_ID, Experiment
from nbtrack.errors import AlreadyExistsError, InvalidInputError, NotFoundError, RunStateError
from nbtrack.names import check_experiment_name
from nbtrack.tracking import pending

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbtrack.store.base import Store

_lock = threading.Lock()
_uri: str | None = None
_experiments: dict[str, str] = {}  # store uri -> id of the experiment chosen for it


def set_tracking_uri(uri: str | Path | None) -> None:
    """Work with the store at `uri` from now on.

    Parameters
    ----------
    uri
        A folder or ``file:`` URI. None goes back to looking for one: the environment variable
        ``NBTRACK_TRACKING_URI``, then the nearest ``.nbtrack`` folder at or above the working directory, else a new
        one.
    """
    global _uri  # noqa: PLW0603 - one process, one current store, as MLflow users expect
    if uri is not None and not str(uri).strip():
        raise InvalidInputError(
            f"tracking URI: expected a folder or a file: URI, got {uri!r}. Use None to look for one."
        )
    text = None if uri is None else str(uri)
    if text is not None and "://" not in text and not text.startswith("file:"):
        text = str(Path(text).expanduser().absolute())  # a later chdir must not move the store
    with _lock:
        _uri = text


@contextmanager
def working_in(uri: str | Path | None) -> Iterator[None]:
    """Work with another store for as long as the block runs; with the same if `uri` is None."""
    global _uri  # noqa: PLW0603 - as above
    if uri is None:
        yield
        return
    before = _uri
    set_tracking_uri(uri)
    try:
        yield
    finally:
        with _lock:
            _uri = before


def get_tracking_uri() -> str:
    """Return the URI of the store that would be used now."""
    if _uri is not None:
        return _uri
    from nbtrack.store import find_store_uri

    return find_store_uri()


def get_store(create: bool = True) -> Store:
    """Return the store that would be used now, created where `create` allows it.

    Waits for tracked cells whose runs are being ended in the background, so that readers see them whole.

    Raises
    ------
    StoreError
        If the folder cannot be used; the message says why and what to do.
    """
    pending.wait()
    return store_for_writing(create)


def store_for_writing(create: bool = True) -> Store:
    """Return the same store without waiting for anything: for whoever starts a run."""
    from nbtrack.store import open_store

    return open_store(get_tracking_uri(), create=create)


def create_experiment(name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None) -> str:
    """Create an experiment and return its id.

    Parameters
    ----------
    name
        Text of 1 to 250 characters.
    artifact_location
        For MLflow's sake; must be None: artifacts lie in the store.
    tags
        Key -> text.

    Raises
    ------
    AlreadyExistsError
        If there is one of this name, also in the trash.
    """
    if artifact_location is not None:
        raise InvalidInputError(
            f"create_experiment: artifact_location must be None, got {artifact_location!r}; artifacts lie in the store."
            " Leave it out."
        )
    return get_store().create_experiment(check_experiment_name(name), tags)


def get_experiment(experiment_id: str) -> Experiment:
    """Return one experiment; raises NotFoundError."""
    return get_store().get_experiment(str(experiment_id))


def get_experiment_by_name(name: str) -> Experiment | None:
    """Return the experiment called `name`, or None."""
    return get_store().get_experiment_by_name(name)


def search_experiments() -> list[Experiment]:
    """Return all experiments that are not in the trash, the default one first."""
    return get_store().list_experiments()


def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> Experiment:
    """Start runs in this experiment from now on; one that does not exist is created.

    Raises
    ------
    InvalidInputError
        Unless exactly one of name and id is given.
    NotFoundError
        If there is no experiment of that id.
    RunStateError
        If the experiment is in the trash.
    """
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidInputError(
            "set_experiment: expected a name or an id, got"
            f" experiment_name={experiment_name!r}, experiment_id={experiment_id!r}. Give exactly one."
        )
    store = get_store()
    experiment = (
        store.get_experiment(str(experiment_id))
        if experiment_name is None
        else get_or_create_experiment(store, experiment_name)
    )
    with _lock:
        _experiments[store.uri] = experiment.experiment_id
    return experiment


def get_or_create_experiment(store: Store, name: str) -> Experiment:
    """Return the experiment called `name` in `store`, created if missing, also while others do the same."""
    check_experiment_name(name)
    experiment = store.get_experiment_by_name(name)
    if experiment is None:
        try:
            experiment = store.get_experiment(store.create_experiment(name))
        except AlreadyExistsError:
            experiment = store.get_experiment_by_name(name)  # somebody else was faster, or it is in the trash
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        raise RunStateError(
            f"set_experiment: the experiment {name!r} is in the trash. Restore it, or choose another name."
        )
    return experiment


def active_experiment_id(store: Store) -> str | None:
    """Return the experiment chosen for `store` by `set_experiment` or ``NBTRACK_EXPERIMENT_NAME``, or None."""
    chosen = _experiments.get(store.uri)
    if chosen is not None:
        return chosen
    if name := os.environ.get("NBTRACK_EXPERIMENT_NAME"):
        return get_or_create_experiment(store, name).experiment_id
    return None


def experiment_id_for_new_run(store: Store, experiment_id: str | None = None) -> str:
    """Return the id of the experiment that a new run belongs to."""
    if experiment_id is None:
        return active_experiment_id(store) or DEFAULT_EXPERIMENT_ID
    try:
        return store.get_experiment(str(experiment_id)).experiment_id
    except NotFoundError:
        names = ", ".join(f"{e.experiment_id} ({e.name!r})" for e in store.list_experiments()[:10])
        raise NotFoundError(
            f"start_run: there is no experiment with the id {experiment_id!r}; there are {names}."
            " set_experiment(NAME) makes a new one."
        ) from None
