"""Fingerprints of the data that a run reads."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack.entities import DatasetInput
from nbtrack.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLED_ABOVE_BYTES = 64 * 1024 * 1024
SAMPLE_ROWS = 100_000


def _hash_array(array: Any) -> tuple[str, bool]:
    import numpy as np

    sampled = array.nbytes > SAMPLED_ABOVE_BYTES and array.ndim > 0
    if sampled:
        array = array[np.linspace(0, len(array) - 1, min(len(array), SAMPLE_ROWS)).astype(int)]
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    data = np.ascontiguousarray(array)
    digest.update(repr(data.tolist()).encode() if data.dtype.hasobject else data.tobytes())
    return digest.hexdigest(), sampled


def _hash_frame(frame: Any) -> tuple[str, bool]:
    import numpy as np
    import pandas as pd

    sampled = len(frame) > SAMPLE_ROWS * 10
    if sampled:
        frame = frame.iloc[np.linspace(0, len(frame) - 1, SAMPLE_ROWS).astype(int)]
    digest = hashlib.sha256(repr([(str(name), str(kind)) for name, kind in frame.dtypes.items()]).encode())
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        try:
            hashed = pd.util.hash_pandas_object(column, index=False).to_numpy()
        except TypeError:  # lists or dicts in cells
            hashed = pd.util.hash_pandas_object(column.map(repr), index=False).to_numpy()
        digest.update(hashed.tobytes())
    return digest.hexdigest(), sampled


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_dataset(
    dataset: Any, *, name: str | None = None, context: str = "", tags: Mapping[str, str] | None = None
) -> DatasetInput:
    """Return the record of a data set: content hash, shape, columns and types.

    Parameters
    ----------
    dataset
        A DataFrame or Series, an array, the path of a file, or a record made before. Above 64 MB (arrays) or a million
        rows (frames) a fixed even sample of rows is hashed, and the profile says so.
    name
        What to call it; by default the file name or the kind of data.
    context
        What it is for.
    tags
        More to say about it.
    """
    if isinstance(dataset, DatasetInput):
        return dataset
    extra = {"tags": dict(tags)} if tags else {}
    if isinstance(dataset, (str, os.PathLike)):
        path = Path(dataset)
        if not path.is_file():
            raise InvalidInputError(f"log_input: there is no file {str(path)!r}. Give a path, a DataFrame or an array.")
        profile: dict[str, Any] = {"size_bytes": path.stat().st_size, **extra}
        return DatasetInput(name or path.name, context, _hash_file(path), str(dataset), profile)
    if hasattr(dataset, "to_frame") and hasattr(dataset, "index"):
        dataset = dataset.to_frame()
    if hasattr(dataset, "dtypes") and hasattr(dataset, "iloc"):
        digest, sampled = _hash_frame(dataset)
        columns = {str(key): str(kind) for key, kind in list(dataset.dtypes.items())[:1000]}
        profile = {"shape": list(dataset.shape), "columns": columns, "sampled": sampled, **extra}
        return DatasetInput(name or "dataframe", context, digest, "", profile)
    if hasattr(dataset, "__array__") or isinstance(dataset, (list, tuple)):
        import numpy as np

        array = np.asarray(dataset)
        digest, sampled = _hash_array(array)
        profile = {"shape": list(array.shape), "dtype": str(array.dtype), "sampled": sampled, **extra}
        return DatasetInput(name or "array", context, digest, "", profile)
    raise InvalidInputError(
        f"log_input: expected a DataFrame, an array or the path of a file, got {type(dataset).__name__}."
    )
