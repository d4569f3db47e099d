"""Where a model's bytes come from: a run's artifacts or a folder. Every byte is verified before it is used."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from nbtrack.entities import MANIFEST_NAME, ModelManifest, ModelVersion
from nbtrack.errors import IntegrityError, InvalidInputError, NotFoundError
from nbtrack.models import trust
from nbtrack.models.manifest import from_json
from nbtrack.models.mlflow_folder import MLFLOW_NAME, read_mlflow
from nbtrack.names import RunURI, check_artifact_path, parse_model_uri

if TYPE_CHECKING:
    from nbtrack.entities import Run
    from nbtrack.store.base import Store


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's manifest and verified files.

    `digest` is the sha256 of the manifest, and so of everything that it vouches for; `own` says whether this user
    wrote it on this machine; `version` is set if a ``models:/`` URI was asked for.
    """

    uri: str
    manifest: ModelManifest
    digest: str
    own: bool
    files: Mapping[str, bytes] = field(repr=False)
    version: ModelVersion | None = None

    @property
    def example(self) -> dict[str, Any] | None:
        """The logged input example: the body of a scoring request."""
        text = self.example_text
        return None if text is None else msgspec.json.decode(text, type=dict[str, Any])

    @property
    def example_text(self) -> str | None:
        """The same as it is written."""
        name = self.manifest.input_example
        return None if name is None else self.files[name].decode()


def read_model(model_uri: str | Path, *, store: Store | None = None) -> ModelFiles:
    """Return a model's manifest and files, each verified against its digest; nothing of it is run.

    Parameters
    ----------
    model_uri
        ``models:/NAME/VERSION``, ``…/STAGE``, ``…/latest``, ``models:/NAME@ALIAS``, ``runs:/RUN_ID/PATH``, or the
        folder of a saved model, also of one that MLflow saved.
    store
        The store; the one used now if not given.

    Raises
    ------
    NotFoundError
        If there is no such model.
    IntegrityError
        If a byte of it is not the one that was recorded.
    """
    text = str(model_uri)
    if not text.startswith(("runs:/", "models:/")):
        return _read_folder(_folder_of(model_uri))
    if store is None:
        from nbtrack.tracking import get_store

        store = get_store()
    from nbtrack.registry import resolve

    found = resolve(text, store=store)
    version = found if isinstance(found, ModelVersion) else None
    if isinstance(found, ModelVersion):
        source = parse_model_uri(found.source)
        if not isinstance(source, RunURI):
            raise IntegrityError(f"{text}: its version names no run but {found.source[:80]!r}. Register it again.")
        found = source
    return _read_run(text, found, version, store)


def _read_run(text: str, uri: RunURI, version: ModelVersion | None, store: Store) -> ModelFiles:
    from nbtrack.registry import find_source, logged_models

    run = store.get_run(uri.run_id)
    found = find_source(run, uri.path)
    if found is None:
        known = ", ".join(repr(path) for path in logged_models(run)) or "none"
        raise NotFoundError(
            f"{text}: there is no model at {uri.path!r} in the run {uri.run_id}; the run logged these models: {known}."
        )
    if version is not None and version.digest and version.digest != found.digest:
        raise IntegrityError(
            f"{text}: the model in the run {uri.run_id} is not the one that was registered; expected the manifest"
            f" {version.digest[:12]}…, got {found.digest[:12]}…. It was logged again since: register it anew."
        )
    read = _reader(text, run, uri.path, store)
    if found.mlflow:
        prefix = f"{uri.path}/"
        names = [path.removeprefix(prefix) for path in run.artifacts if path.startswith(prefix)]
        manifest, files = read_mlflow(text, names, lambda name: read(name)[0])
        return ModelFiles(text, manifest, found.digest, False, files, version)
    return _verified(text, store.read_blob(found.digest), read, version)


def _reader(text: str, run: Run, path: str, store: Store) -> Callable[[str], tuple[bytes, str]]:
    def read(name: str) -> tuple[bytes, str]:
        artifact = run.artifacts.get(f"{path}/{name}")
        if artifact is None:
            raise IntegrityError(f"{text}: its file {name!r} is missing. Log the model again.")
        return store.read_blob(artifact.digest), artifact.digest  # a store hands out what it has verified

    return read


def _folder_of(model_uri: str | Path) -> Path:
    text = str(model_uri)
    if text.startswith("file:"):
        return Path(unquote(urlsplit(text).path))
    if "://" in text or "\x00" in text:
        raise InvalidInputError(
            f"model URI: expected models:/NAME/VERSION, runs:/RUN_ID/PATH or a folder, got {text[:80]!r}."
        )
    return Path(text)


def _read_folder(folder: Path) -> ModelFiles:
    def read(name: str) -> bytes:
        return _read_plain(folder, name)

    text = str(folder)
    if (folder / MANIFEST_NAME).is_file():
        return _verified(text, read(MANIFEST_NAME), lambda name: _hashed(read(name)), None)
    if (folder / MLFLOW_NAME).is_file():
        from nbtrack.registry import digest_of

        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        contents: dict[str, bytes] = {name: read(name) for name in names}
        digest = digest_of({name: sha256(data).hexdigest() for name, data in contents.items()})
        manifest, files = read_mlflow(text, names, contents.__getitem__)
        return ModelFiles(text, manifest, digest, False, files, None)
    raise NotFoundError(
        f"model {text!r}: expected a folder that holds {MANIFEST_NAME} (or MLflow's {MLFLOW_NAME}), and there is none."
        " Models are also named models:/NAME/VERSION or runs:/RUN_ID/PATH."
    )


def _read_plain(folder: Path, name: str) -> bytes:
    """Read a file under `folder`, following no link out of it."""
    path = folder / check_artifact_path(name)
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve(strict=True)):
            raise IntegrityError(f"model {str(folder)!r}: its file {name!r} is a link that leads outside. Remove it.")
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise IntegrityError(f"model {str(folder)!r}: its file {name!r} cannot be read ({error.strerror}).") from None
    with os.fdopen(fd, "rb") as file:
        return file.read()


def _hashed(data: bytes) -> tuple[bytes, str]:
    return data, sha256(data).hexdigest()


def _verified(
    text: str, raw: bytes, read: Callable[[str], tuple[bytes, str]], version: ModelVersion | None
) -> ModelFiles:
    """Return the files whose digests, as `read` found them, are those that the manifest names."""
    manifest = from_json(raw, text)
    files = {}
    for name, (digest, size) in manifest.files.items():
        data, found = read(check_artifact_path(name))
        if len(data) != size or not hmac.compare_digest(found, digest):
            raise IntegrityError(
                f"{text}: the bytes of its file {name!r} are not the ones that were recorded (sha256 {digest[:12]}…)."
                " Somebody changed it; log or copy the model again."
            )
        files[name] = data
    return ModelFiles(text, manifest, sha256(raw).hexdigest(), trust.is_own(raw), files, version)
