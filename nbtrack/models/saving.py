"""Saves a model with all that loading it later needs to know."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

from nbtrack._version import __version__
from nbtrack.entities import MANIFEST_NAME, ModelInfo, ModelManifest, Signature
from nbtrack.errors import AlreadyExistsError, InvalidInputError
from nbtrack.models import environment, flavors, trust
from nbtrack.models.manifest import to_json
from nbtrack.models.signature import infer_signature
from nbtrack.names import check_artifact_path, check_model_name

if TYPE_CHECKING:
    from nbtrack.tracking import ActiveRun

EXAMPLE_FILE = "input_example.json"
MAX_EXAMPLE_ROWS = 100


def _pack(
    model: Any,
    flavor: str | None,
    signature: Signature | None,
    input_example: Any,
    run_id: str | None,
) -> tuple[ModelManifest, dict[str, bytes]]:
    """Return the manifest and all files of a model, the manifest among them."""
    kind = flavors.get(flavor) if flavor is not None else flavors.find(model)
    if not kind.handles(model):
        raise InvalidInputError(
            f"log_model: expected a model of the flavor {kind.NAME!r}, got {type(model).__module__}."
            f"{type(model).__qualname__}. Use the flavor of its library, or nbtrack.log_model to have it found."
        )
    saved = kind.save(model)
    files = dict(saved.files)
    if input_example is not None:
        if signature is None:
            signature = infer_signature(input_example, kind.predict(model, input_example))
        files[EXAMPLE_FILE] = example_json(input_example)
    manifest = ModelManifest(
        flavor=kind.NAME,
        model_class=f"{type(model).__module__}.{type(model).__qualname__}",
        files={name: (hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(files.items())},
        signature=signature,
        input_example=EXAMPLE_FILE if EXAMPLE_FILE in files else None,
        environment=environment.current(kind.modules(model)),
        run_id=run_id,
        created_at_ms=time_ns() // 1_000_000,
        nbtrack_version=__version__,
        options=saved.options,
    )
    manifest = replace(manifest, hmac=trust.sign(manifest))
    return manifest, {**files, MANIFEST_NAME: to_json(manifest)}


def example_json(example: Any) -> bytes:
    """Return an input example as the body of a scoring request; at most its first 100 rows.

    Raises
    ------
    InvalidInputError
        If it is no table, array or list.
    """
    import numpy as np
    import pandas as pd

    if isinstance(example, dict):
        example = pd.DataFrame(example)
    if isinstance(example, pd.Series):
        example = example.to_frame()
    if isinstance(example, pd.DataFrame):
        rows = example.iloc[:MAX_EXAMPLE_ROWS]
        if all(isinstance(name, str) for name in rows.columns):
            text = rows.to_json(orient="split", index=False, date_format="iso", double_precision=15)
            return json.dumps({"dataframe_split": json.loads(text)}, ensure_ascii=False).encode()
        example = rows.to_numpy()
    if hasattr(example, "toarray"):
        example = example[:MAX_EXAMPLE_ROWS].toarray()
    try:
        rows = np.asarray(example)[:MAX_EXAMPLE_ROWS].tolist()
        return json.dumps({"instances": _without_nan(rows)}, ensure_ascii=False).encode()
    except (TypeError, ValueError, IndexError) as error:
        raise InvalidInputError(
            f"input_example: expected a DataFrame, an array or a list of rows, got {type(example).__name__} ({error})."
        ) from None


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN differs from itself


def log_model(
    model: Any,
    name: str = "model",
    *,
    flavor: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    run: ActiveRun | None = None,
) -> ModelInfo:
    """Save a model as artifacts of the active run (one is started if there is none).

    Parameters
    ----------
    model
        A fitted model of a library that nbtrack has a flavor for.
    name
        The folder of the model among the run's artifacts.
    flavor
        Such as ``"sklearn"``; found from the model if not given.
    signature
        The schema of what goes in and out, from :func:`infer_signature`; read off `input_example` if not given.
    input_example
        A few rows that the model accepts: a DataFrame, an array or a list. A served model is checked with it.
    registered_model_name
        Register the model under this name, too.
    run
        The run to log on, if not the active one.

    Returns
    -------
    ModelInfo
        With ``model_uri``, ``runs:/RUN_ID/NAME``, and the version if it was registered.

    Raises
    ------
    InvalidInputError
        If no flavor handles the model, or the name is not a relative path.

    Examples
    --------
    >>> info = nbtrack.log_model(model, "model", input_example=X_test[:5])  # doctest: +SKIP
    """
    from nbtrack import tracking

    path = check_artifact_path(name)
    if registered_model_name is not None:
        check_model_name(registered_model_name)
    target = run or tracking.active_run() or tracking.start_run()
    run_id = target.info.run_id
    manifest, files = _pack(model, flavor, signature, input_example, run_id)
    # the manifest comes last: a folder without it is no model, so a killed process never leaves half a one
    for file, data in files.items():
        target.log_bytes(data, f"{path}/{file}")
    version = None
    if registered_model_name is not None:
        from nbtrack import registry

        version = registry.register_model(f"runs:/{run_id}/{path}", registered_model_name, store=target.store).version
    return ModelInfo(f"runs:/{run_id}/{path}", run_id, path, manifest, version)


def save_model(
    model: Any,
    path: str | Path,
    *,
    flavor: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,
) -> ModelInfo:
    """Save a model as a folder of its own, outside any store.

    Parameters
    ----------
    model, flavor, signature, input_example
        As for :func:`log_model`.
    path
        The folder; it must be empty or not there yet.

    Raises
    ------
    AlreadyExistsError
        If the folder holds something.
    """
    folder = Path(path)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise AlreadyExistsError(f"save_model: {str(folder)!r} is there already. Choose an empty or a new folder.")
    manifest, files = _pack(model, flavor, signature, input_example, None)
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    return ModelInfo(str(folder), None, "", manifest)
