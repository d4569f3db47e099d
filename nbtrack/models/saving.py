"""From a fitted model to files with a manifest: ``log_model`` into a run, ``save_model`` into a folder."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from nbtrack._version import __version__
from nbtrack.entities import MANIFEST_NAME, ModelInfo, ModelManifest, Signature
from nbtrack.errors import AlreadyExistsError, InvalidInputError, NbtrackWarning
from nbtrack.models import examples
from nbtrack.models.compiled import COMPILED_NAME, Compiled, agrees_on, as_matrix
from nbtrack.models.environment import record_environment
from nbtrack.models.flavors import find_flavor, get_flavor
from nbtrack.models.manifest import EXAMPLE_PREDICTIONS, from_json, to_json
from nbtrack.models.profile import PROFILE_NAME, profile_of
from nbtrack.models.seen import data_seen_by, is_table
from nbtrack.models.signature import infer_signature
from nbtrack.names import check_artifact_path, check_model_name
from nbtrack.registry import checked_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.models.flavors import Flavor
    from nbtrack.tracking import ActiveRun


LINE_ENV: Final = "NBTRACK_CODE_LINE"


@dataclass(frozen=True, slots=True)
class _Packed:
    manifest: ModelManifest
    raw: bytes
    files: Mapping[str, bytes]


def _pack(
    model: Any,
    flavor: str | None,
    signature: Signature | None,
    input_example: Any,
    run_id: str | None,
    training_data: Any = None,
    code_line: str = "",
) -> _Packed:
    """Return all files of a model, its manifest among them."""
    if signature is not None and not isinstance(signature, Signature):
        raise InvalidInputError(
            f"log_model: expected a signature from nbtrack.infer_signature, got {type(signature).__name__}."
        )
    chosen = find_flavor(model) if flavor is None else get_flavor(flavor)
    saved = chosen.save(model)
    files, options = dict(saved.files), dict(saved.options)
    seen = training_data if training_data is not None else data_seen_by(model)
    if input_example is not None:
        example = examples.head(input_example)
        predicted = _try(chosen, model, example)
        signature = signature or infer_signature(seen if is_table(seen) else input_example, predicted)
        files[examples.EXAMPLE_NAME] = msgspec.json.encode(examples.to_body(example))
        if predicted is not None:
            _drop_compiled_unless_equal(files, example, predicted)
            options[EXAMPLE_PREDICTIONS] = examples.plain(predicted)
    elif signature is None and is_table(seen):
        signature = infer_signature(seen, _try(chosen, model, examples.head(seen), "training data"))
    profile = profile_of(input_example if seen is None else seen)
    if profile is not None:
        files[PROFILE_NAME] = msgspec.json.encode(profile)
    kind = type(model)
    manifest = ModelManifest(
        flavor=chosen.NAME,
        model_class=f"{kind.__module__}.{kind.__qualname__}",
        files={name: (sha256(data).hexdigest(), len(data)) for name, data in sorted(files.items())},
        signature=signature,
        input_example=examples.EXAMPLE_NAME if input_example is not None else None,
        environment=record_environment(chosen.modules(model)),
        run_id=run_id,
        created_at_ms=time.time_ns() // 1_000_000,
        nbtrack_version=__version__,
        options=options,
        code_line=code_line,
    )
    raw = to_json(manifest)
    return _Packed(from_json(raw, "log_model"), raw, files)


def _drop_compiled_unless_equal(files: dict[str, bytes], example: Any, predicted: Any) -> None:
    if COMPILED_NAME in files:
        matrix = as_matrix(example)
        if matrix is not None and not agrees_on(Compiled.load(files[COMPILED_NAME], "log_model"), matrix, predicted):
            del files[COMPILED_NAME]


def _try(flavor: Flavor, model: Any, example: Any, what: str = "input_example") -> Any:
    """Return what the model says to the example, or warn: a model that refuses its own example is worth a word."""
    from nbtrack.models.signature import frame_of

    try:
        if isinstance(example, dict) or (isinstance(example, list) and example and isinstance(example[0], dict)):
            example = frame_of(example)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return flavor.predict(model, example)
    except Exception as error:
        warnings.warn(
            f"log_model: the model cannot predict its {what} ({type(error).__name__}: {error}). It is logged all"
            " the same; serving it will fail on this example, too.",
            NbtrackWarning,
            stacklevel=4,
        )
        return None


def _code_line(given: str | None) -> str:
    if given is None:
        given = os.environ.get(LINE_ENV, "").strip() or None
    return "" if given is None else checked_line(given, "log_model: code_line")


def log_model(
    model: Any,
    name: str = "model",
    *,
    flavor: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    run: ActiveRun | None = None,
    training_data: Any = None,
    code_line: str | None = None,
) -> ModelInfo:
    """Log a fitted model as artifacts of a run.

    Parameters
    ----------
    model
        The fitted model.
    name
        Its folder among the run's artifacts.
    flavor
        Its library, such as ``"sklearn"``; told from its class if not given.
    signature
        The schema of its inputs and outputs, from :func:`infer_signature`; if not given, told from all rows that the
        model was fitted on where that is known, else from the example.
    input_example
        A few rows of input, kept for those who want to try the model, and to check it wherever it is loaded.
    registered_model_name
        Also make it the next version of this registered model.
    run
        The run; the active one, else a new one, if not given.
    training_data
        What the model was fitted on, as a frame or an array; `input_example`, if not given. Of it a profile of each
        column is kept and no row; a model server compares what it is asked with that.
    code_line
        The line of code that the model is made with, such as ``"1.0"``: environment policies go by it. If not given,
        the variable NBTRACK_CODE_LINE, and when the model is registered the run's tag ``nbtrack.line``.

    Returns
    -------
    ModelInfo
        With ``.model_uri`` (``runs:/…``), ``.signature``, and ``.registered_model_version`` if it was registered.

    Raises
    ------
    InvalidInputError
        If the model is of no known library or cannot be saved.

    Examples
    --------
    >>> nbtrack.log_model(clf, "model", input_example=X_train[:5])  # doctest: +SKIP
    """
    from nbtrack.tracking import active_run, begin_run

    path = check_artifact_path(name)
    if registered_model_name is not None:
        check_model_name(registered_model_name)
    run = run or active_run() or begin_run()
    line = _code_line(code_line)
    packed = _pack(model, flavor, signature, input_example, run.run_id, training_data, line)
    for file, data in packed.files.items():
        run.log_bytes(data, f"{path}/{file}")
    run.log_bytes(packed.raw, f"{path}/{MANIFEST_NAME}")  # last: without it the rest is no model
    uri = f"runs:/{run.run_id}/{path}"
    version = None
    if registered_model_name is not None:
        from nbtrack.registry import register_model

        version = register_model(uri, registered_model_name, store=run.store).version
    return ModelInfo(uri, run.run_id, path, packed.manifest, version)


def save_model(
    model: Any,
    path: str | Path,
    *,
    flavor: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,
    training_data: Any = None,
    code_line: str | None = None,
) -> ModelInfo:
    """Save a fitted model as a folder, which appears whole or not at all.

    Parameters
    ----------
    model
        The fitted model.
    path
        The folder; must not exist, or be empty.
    flavor, signature, input_example, training_data, code_line
        As for :func:`log_model`.

    Raises
    ------
    AlreadyExistsError
        If there is something at `path`.
    """
    folder = Path(path)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise AlreadyExistsError(
            f"save_model: there is something at {str(folder)!r} already. Choose another folder, or remove this one."
        )
    packed = _pack(model, flavor, signature, input_example, None, training_data, _code_line(code_line))
    folder.parent.mkdir(parents=True, exist_ok=True)
    temp = folder.with_name(f"{folder.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        for file, data in {**packed.files, MANIFEST_NAME: packed.raw}.items():
            target = temp / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        if folder.exists():
            folder.rmdir()
        temp.rename(folder)
    finally:
        if temp.exists():
            import shutil

            shutil.rmtree(temp, ignore_errors=True)
    return ModelInfo(str(folder), None, "", packed.manifest)
