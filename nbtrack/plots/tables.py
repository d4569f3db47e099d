"""Logged tables: files of a run that hold rows and columns."""

from __future__ import annotations

import io
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from nbtrack.plots.evaluation import Predictions, is_predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbtrack.entities import Artifact, Run
    from nbtrack.store.base import Store

LARGEST_BYTES: Final = 32 << 20
SUFFIXES: Final = frozenset({".json", ".csv", ".tsv", ".parquet"})


def read_table(data: bytes, path: str) -> tuple[list[str], list[list[Any]]] | None:
    """Return the columns and rows of a file, None if it holds no table that can be read.

    JSON as ``log_table`` writes it (``columns`` and ``data``) or as a list of records; CSV and TSV with a head;
    Parquet where pandas can read it.
    """
    suffix = PurePosixPath(path).suffix.lower()
    try:
        if suffix == ".json":
            return _of_json(json.loads(data))
        if suffix in {".csv", ".tsv", ".parquet"}:
            import pandas as pd

            buffer = io.BytesIO(data)
            if suffix == ".parquet":
                frame = pd.read_parquet(buffer)
            else:
                frame = pd.read_csv(buffer, sep="\t" if suffix == ".tsv" else ",", low_memory=False)
            return _of_json(json.loads(frame.to_json(orient="split", date_format="iso", default_handler=str)))
    except (ValueError, ImportError, OSError, RecursionError):
        return None
    return None


def _of_json(value: Any) -> tuple[list[str], list[list[Any]]] | None:
    if isinstance(value, dict) and isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        columns = [str(name) for name in value["columns"]]
        rows = [row for row in value["data"] if isinstance(row, list) and len(row) == len(columns)]
        return columns, rows
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        columns = list(dict.fromkeys(str(key) for row in value for key in row))
        return columns, [[row.get(key) for key in columns] for row in value]
    return None


def _candidates(run: Run, path: str) -> list[Artifact]:
    if path:
        return [run.artifacts[path]] if path in run.artifacts else []
    found = [
        artifact
        for name, artifact in sorted(run.artifacts.items())
        if PurePosixPath(name).suffix.lower() in SUFFIXES and artifact.size_bytes <= LARGEST_BYTES
    ]
    # The likely ones first; a model's own files are never read for this.
    return sorted(found, key=lambda one: "predict" not in one.path.lower())[:8]


def read_predictions(store: Store, run_ids: Sequence[str], path: str = "") -> list[Predictions]:
    """Return what the runs logged of their predictions, a table each; without a path the first that has the columns."""
    found = []
    for run_id in run_ids:
        run = store.get_run(run_id)
        for artifact in _candidates(run, path):
            table = read_table(store.read_blob(artifact.digest), artifact.path)
            if table is not None and is_predictions(table[0]):
                columns = {name: [row[i] for row in table[1]] for i, name in enumerate(table[0])}
                found.append(Predictions(run_id, run.info.run_name, columns))
                break
    return found
