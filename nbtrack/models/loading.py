"""Loads models: digests verified, the verified bytes loaded, nobody's code run unasked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack.entities import MANIFEST_NAME, ModelManifest, ModelVersion
from nbtrack.errors import IntegrityError, InvalidInputError, NotFoundError
from nbtrack.models import flavors, trust
from nbtrack.models.manifest import from_json
from nbtrack.names import check_artifact_path, parse_model_uri

if TYPE_CHECKING:
    from nbtrack.store.base import Store

MAX_MANIFEST_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, with what its manifest says of it.

    `digest` is the sha256 of the manifest: it stands for every byte of the model. `version` is set for ``models:/``
    URIs. `input_example` is the JSON text of a scoring request, or None.
    """

    model: Any
    manifest: ModelManifest
    uri: str
    digest: str
    version: ModelVersion | None = None
    input_example: str | None = None

    def predict(self, data: Any) -> Any:
        """Return what the model answers for rows of data."""
        return flavors.get(self.manifest.flavor).predict(self.model, data)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the bytes of a model come from."""

    where: str
    read: Callable[[str], bytes]
    version: ModelVersion | None = None


def load_bundle(model_uri: str | Path, *, store: Store | None = None, trust: str | None = None) -> LoadedModel:
    """Load a model together with its manifest.

    Parameters
    ----------
    model_uri
        ``runs:/RUN_ID/PATH``, ``models:/NAME/VERSION``, ``models:/NAME/STAGE``, ``models:/NAME@ALIAS``, or a folder
        that :func:`save_model` wrote.
    store
        Where the URI is looked up; the store used now if not given.
    trust
        The digest of a model by somebody else that may nevertheless load fully, which can run its code. The error that
        refuses a model names it.

    Raises
    ------
    NotFoundError
        If there is no such model.
    IntegrityError
        If its bytes are not those that were saved.
    UntrustedModelError
        If somebody else made it and it is not of a kind that is safe to load.
    """
    source = _open(model_uri, store)
    data = source.read(MANIFEST_NAME)
    digest = hashlib.sha256(data).hexdigest()
    if source.version is not None and source.version.digest and source.version.digest != digest:
        raise IntegrityError(
            f"{source.where}: this is not the model that was registered (expected the manifest {source.version.digest},"
            f" got {digest}). Register the model again."
        )
    manifest = from_json(data, source.where)

    def read(name: str) -> bytes:
        recorded = manifest.files.get(name)
        if recorded is None:
            raise IntegrityError(f"{source.where}: its manifest does not name the file {name!r}. Log the model again.")
        found = source.read(check_artifact_path(name))
        if len(found) != recorded[1] or hashlib.sha256(found).hexdigest() != recorded[0]:
            raise IntegrityError(
                f"{source.where}: the file {name!r} is not the one that was saved (expected sha256 {recorded[0]} and"
                f" {recorded[1]:,} bytes, got {len(found):,} bytes). Log the model again, or restore it from a copy."
            )
        return found

    own = _vouched(manifest, digest, trust, source.where)
    model = flavors.get(manifest.flavor).load(read, manifest.options, own)
    example = read(manifest.input_example).decode() if manifest.input_example else None
    return LoadedModel(model, manifest, str(model_uri), digest, source.version, example)


def _vouched(manifest: ModelManifest, digest: str, trusted: str | None, where: str) -> bool:
    if trusted is not None and trusted != digest:
        raise InvalidInputError(
            f"{where}: trust is for one very model; expected its digest {digest}, got {trusted!r:.80}."
        )
    return trusted is not None or trust.is_own(manifest)


def _open(model_uri: str | Path, store: Store | None) -> _Source:
    text = str(model_uri)
    if not text.startswith(("runs:", "models:")):
        return _open_folder(Path(model_uri))
    from nbtrack import registry, tracking

    store = store if store is not None else tracking.get_store()
    parse_model_uri(text)
    found = registry.resolve(text, store=store)
    version = found if isinstance(found, ModelVersion) else None
    source = parse_model_uri(found.source) if isinstance(found, ModelVersion) else found
    run_id, path = getattr(source, "run_id", None), getattr(source, "path", None)
    if run_id is None or path is None:
        raise IntegrityError(f"{text}: its source {source} is not a model of a run. Register the model again.")
    run = store.get_run(run_id)

    def read(name: str) -> bytes:
        record = run.artifacts.get(f"{path}/{name}")
        if record is None:
            known = ", ".join(repr(folder) for folder in registry.logged_models(run)) or "none"
            raise NotFoundError(
                f"{text}: the run {run_id} has no file {f'{path}/{name}'!r}; it logged these models: {known}."
                " Name one of them, or log a model."
            )
        return store.read_blob(record.digest)

    return _Source(text, read, version)


def _open_folder(folder: Path) -> _Source:
    if not folder.is_dir():
        raise NotFoundError(
            f"load_model: expected runs:/RUN_ID/PATH, models:/NAME/VERSION or a model's folder, got"
            f" {str(folder)!r:.200}, which is no folder here."
        )

    def read(name: str) -> bytes:
        try:
            fd = os.open(folder / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise NotFoundError(
                f"load_model: {str(folder / name)!r} cannot be read ({error.strerror}). Is this a model's folder?"
            ) from None
        with os.fdopen(fd, "rb") as file:
            if name == MANIFEST_NAME and os.fstat(fd).st_size > MAX_MANIFEST_BYTES:
                raise IntegrityError(f"{folder}: {MANIFEST_NAME} is far too large to be a manifest.")
            return file.read()

    return _Source(str(folder), read)


def load_model(model_uri: str | Path, *, trust: str | None = None) -> Any:
    """Load a model, as its library made it.

    Parameters
    ----------
    model_uri
        ``runs:/RUN_ID/PATH``, ``models:/NAME/VERSION``, ``models:/NAME/STAGE``, ``models:/NAME@ALIAS``, or a folder
        that :func:`save_model` wrote.
    trust
        The digest of a model by somebody else that may load fully all the same.

    Raises
    ------
    NotFoundError
        If there is no such model.
    IntegrityError
        If its bytes are not those that were saved.
    UntrustedModelError
        If somebody else made it and it is not of a kind that is safe to load.

    Examples
    --------
    >>> model = nbtrack.load_model("models:/wine/Staging")  # doctest: +SKIP
    """
    return load_bundle(model_uri, trust=trust).model


def predict(model_uri: str | Path, data: Any) -> Any:
    """Load a model and return what it answers for rows of data (a DataFrame or an array)."""
    return load_bundle(model_uri).predict(data)
