"""What a model URI means for serving: found, named and looked at before any process is started for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nbtrack.entities import MANIFEST_NAME, ModelManifest, ModelVersion
from nbtrack.errors import IntegrityError, NotFoundError
from nbtrack.models import read_model
from nbtrack.names import RunURI, parse_model_uri
from nbtrack.registry import find_source, logged_models, resolve
from nbtrack.serving.describe import example_body

if TYPE_CHECKING:
    from nbtrack.store.base import Store


@dataclass(frozen=True, slots=True)
class Target:
    """One model: `uri` as resolved now (a version, not a stage)."""

    uri: str
    model_name: str
    version: int | None
    digest: str
    manifest: ModelManifest
    example: dict[str, Any]


def the_store(store: Store | None) -> Store:
    """Return `store`, or the one that is used now."""
    if store is not None:
        return store
    from nbtrack.tracking import get_store

    return get_store()


def find_target(model_uri: str | Path, store: Store | None = None) -> Target:
    """Return what `model_uri` means now: a ``models:/`` or ``runs:/`` URI, or a folder that a model was saved to.

    Raises
    ------
    NotFoundError
        If there is no such model, version, stage, alias, run or folder, or the run logged no model of that name.
    """
    text = str(model_uri)
    if not text.startswith(("runs:", "models:")):
        return _folder_target(model_uri)
    store = the_store(store)
    found = resolve(text, store=store)
    if isinstance(found, ModelVersion):
        uri, name, version = f"models:/{found.name}/{found.version}", found.name, found.version
        source = parse_model_uri(found.source)
        if not isinstance(source, RunURI):
            raise IntegrityError(f"{uri}: its source {found.source!r} is no model of a run. Register it again.")
    else:
        uri, name, version, source = str(found), found.path, None, found
    run = store.get_run(source.run_id)
    model = find_source(run, source.path)
    if model is None:
        known = ", ".join(repr(path) for path in logged_models(run)) or "none"
        raise NotFoundError(
            f"{text}: there is no model at {source.path!r} in the run {source.run_id}; the run logged these models:"
            f" {known}. nbtrack.sklearn.log_model(model, NAME) logs one."
        )
    if model.mlflow:
        manifest, example = _of_mlflow(uri, store, model.digest)
    else:
        try:
            manifest = msgspec.json.decode(store.read_blob(model.digest), type=ModelManifest)
        except msgspec.MsgspecError as error:
            raise IntegrityError(
                f"{text}: its {MANIFEST_NAME} cannot be read ({error}). Log the model again."
            ) from None
        logged = run.artifacts.get(f"{source.path}/{manifest.input_example}") if manifest.input_example else None
        example = parsed_example(store.read_blob(logged.digest)) if logged is not None else None
    return Target(uri, name, version, model.digest, manifest, example_body(manifest.signature, example))


_seen: dict[str, tuple[ModelManifest, Any]] = {}  # by digest: MLflow's description can only be read with all its files


def _of_mlflow(uri: str, store: Store, digest: str) -> tuple[ModelManifest, Any]:
    if digest not in _seen:
        found = read_model(uri, store=store)
        _seen[digest] = found.manifest, found.example
    return _seen[digest]


def raw_manifest(target: Target, store: Store | None = None) -> dict[str, bytes]:
    """Return a model's own description as the file it is; nothing for a model that MLflow saved."""
    if target.uri.startswith(("runs:", "models:")):
        raw = None if target.digest in _seen else the_store(store).read_blob(target.digest)
    else:
        path = Path(target.uri) / MANIFEST_NAME
        raw = path.read_bytes() if path.is_file() else None
    return {} if raw is None else {MANIFEST_NAME: raw}


def _folder_target(model_uri: str | Path) -> Target:
    found = read_model(model_uri)
    folder = Path(found.uri).resolve()
    body = example_body(found.manifest.signature, found.example)
    return Target(str(folder), folder.name, None, found.digest, found.manifest, body)


def parsed_example(data: bytes) -> Any:
    """Return a logged input example as plain values; None if it cannot be read."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def example_request(model_uri: str, store: Store | None = None) -> str:
    """Return a JSON body that the model accepts: the first rows of its logged input example.

    Raises
    ------
    NotFoundError
        If there is no such model.
    """
    return json.dumps(find_target(model_uri, store).example, ensure_ascii=False)
