"""Gives the files of a run back: as paths on this disk, as text, as a table."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack.entities import Artifact
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.names import RunURI, check_artifact_path, parse_model_uri
from nbtrack.tracking.location import get_store
from nbtrack.tracking.search import get_run

if TYPE_CHECKING:
    import pandas as pd


def list_artifacts(run_id: str, path: str = "") -> list[Artifact]:
    """Return the files and folders of a run in one of its folders, sorted; folders have no digest."""
    get_run(run_id)
    return get_store().list_artifacts(run_id, path)


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | Path | None = None,
) -> str:
    """Copy a file or folder of a run to this disk and return the path of the copy.

    Parameters
    ----------
    artifact_uri
        ``runs:/RUN_ID/PATH``; or else `run_id` and `artifact_path`, which is the whole of the run if not given.
    dst_path
        The folder to copy into, made if missing; a temporary one if not given, which is the caller's to remove.

    Raises
    ------
    NotFoundError
        If the run has no such file or folder.
    """
    run_id, path = _place(artifact_uri, run_id, artifact_path)
    run, store = get_run(run_id), get_store()
    wanted = {name: one for name, one in run.artifacts.items() if not path or f"{name}/".startswith(f"{path}/")}
    if not wanted:
        raise NotFoundError(f"run {run_id}: there is no file or folder {path!r}; {_what_there_is(run.artifacts)}.")
    folder = Path(tempfile.mkdtemp(prefix="nbtrack-") if dst_path is None else dst_path)
    for name, one in wanted.items():
        target = folder / check_artifact_path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store.blob_path(one.digest), target)
    return str(folder / path if path else folder)


def load_text(artifact_uri: str) -> str:
    """Return a file of a run as text, its bytes checked; raises NotFoundError, InvalidInputError if it is no UTF-8."""
    run_id, path = _place(artifact_uri, None, None)
    run = get_run(run_id)
    if path not in run.artifacts:
        raise NotFoundError(f"run {run_id}: there is no file {path!r}; {_what_there_is(run.artifacts)}.")
    try:
        return get_store().read_blob(run.artifacts[path].digest).decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{artifact_uri}: is no text in UTF-8. Use download_artifacts.") from error


def load_dict(artifact_uri: str) -> Any:
    """Return a JSON file of a run, such as `log_dict` writes, as plain values; raises NotFoundError."""
    try:
        return json.loads(load_text(artifact_uri))
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"{artifact_uri}: is no JSON ({error}).") from error


def load_table(artifact_uri: str) -> pd.DataFrame:
    """Return a table of a run, such as `log_table` writes, as a DataFrame; raises NotFoundError, InvalidInputError."""
    import pandas as pd

    found = load_dict(artifact_uri)
    if not isinstance(found, dict) or not {"columns", "data"} <= found.keys():
        raise InvalidInputError(f"{artifact_uri}: is no table; expected JSON with `columns` and `data`.")
    return pd.DataFrame(found["data"], columns=found["columns"])


def _place(artifact_uri: str | None, run_id: str | None, path: str | None) -> tuple[str, str]:
    if (artifact_uri is None) == (run_id is None):
        raise InvalidInputError("artifacts: expected either runs:/RUN_ID/PATH, or a run id and a path within the run.")
    if run_id is not None:
        return run_id, check_artifact_path(path) if path else ""
    found = parse_model_uri(artifact_uri)
    if not isinstance(found, RunURI):
        raise InvalidInputError(
            f"artifacts: expected runs:/RUN_ID/PATH, got {artifact_uri!r}; load_model takes models:/."
        )
    return found.run_id, found.path


def _what_there_is(artifacts: Any) -> str:
    names = sorted(artifacts)
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"it has {', '.join(map(repr, names[:8]))}{more}" if names else "it has none"
