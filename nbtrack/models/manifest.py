"""The manifest: what a saved model says of itself, as ``nbtrack-model.json`` beside its files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from nbtrack.entities import MANIFEST_NAME, ModelManifest
from nbtrack.errors import IntegrityError


def to_json(manifest: ModelManifest) -> bytes:
    """Return the manifest as the bytes of its file."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def from_json(data: bytes, where: str) -> ModelManifest:
    """Read a manifest; `where` names its place in the error.

    Raises
    ------
    IntegrityError
        If this is no manifest.
    """
    try:
        return msgspec.json.decode(data, type=ModelManifest)
    except msgspec.MsgspecError as error:
        raise IntegrityError(
            f"{where}: {MANIFEST_NAME} cannot be read as a model's manifest ({error}). Log the model again, or restore"
            " the file from a copy."
        ) from None


def signed_part(manifest: ModelManifest) -> bytes:
    """Return the bytes that a signature vouches for: the whole manifest but the signature itself."""
    plain: Any = msgspec.to_builtins(replace(manifest, hmac=""))
    return msgspec.json.encode(plain, order="deterministic")
