"""``nbtrack-model.json``: what a saved model says of itself."""

from __future__ import annotations

from typing import Final

import msgspec

from nbtrack.entities import MANIFEST_NAME, ModelManifest
from nbtrack.errors import IntegrityError
from nbtrack.models import trust
from nbtrack.names import check_artifact_path

EXAMPLE_PREDICTIONS: Final = "example_predictions"  # option: what the model answered for its input example
_MAX_BYTES: Final = 16 << 20


def to_json(manifest: ModelManifest) -> bytes:
    """Return a manifest as the bytes of its file, signed with the key of this user."""
    record = msgspec.to_builtins(manifest)
    record["hmac"] = trust.sign(record)
    return msgspec.json.format(msgspec.json.encode(record), indent=1)


def from_json(data: bytes, what: str) -> ModelManifest:
    """Return the manifest that a file holds.

    Parameters
    ----------
    data
        Its bytes.
    what
        Which model it is, for messages.

    Raises
    ------
    IntegrityError
        If it is no manifest, or names files that lie elsewhere.
    """
    if len(data) > _MAX_BYTES:
        raise IntegrityError(f"{what}: its {MANIFEST_NAME} has {len(data):,} bytes; that is no manifest of nbtrack.")
    try:
        manifest = msgspec.json.decode(data, type=ModelManifest)
        for name in manifest.files:
            check_artifact_path(name)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise IntegrityError(f"{what}: its {MANIFEST_NAME} cannot be read ({error}). Log the model again.") from None
    if manifest.input_example is not None and manifest.input_example not in manifest.files:
        raise IntegrityError(f"{what}: its input example {manifest.input_example!r} is not among its files.")
    return manifest
