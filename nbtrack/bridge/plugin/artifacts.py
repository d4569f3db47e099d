"""Artifacts of runs and of logged models, as MLflow stores and fetches them."""

from __future__ import annotations

import os
import posixpath
import shutil
from pathlib import Path

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes
from mlflow.store.artifact.artifact_repo import ArtifactRepository as AbstractRepository
from mlflow.store.artifact.artifact_repo import verify_artifact_path

from nbtrack.bridge.model_files import ModelFiles
from nbtrack.bridge.plugin import words
from nbtrack.bridge.plugin.place import invalid, missing, split, split_proxied, translated
from nbtrack.bridge.plugin.writers import writers_of
from nbtrack.store import open_store


def _plain(path: str | None) -> str:
    """Return a path without what says nothing, as the dot of a whole run; raises MlflowException if it leads out."""
    parts = [part for part in (path or "").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise invalid(f"Invalid path: {path!r} leads out of the artifacts. Use a path below them, without '..'.")
    return "/".join(parts)


class ArtifactRepository(AbstractRepository):  # type: ignore[misc]
    """The files under one artifact URI; under the URI of the store itself, the files that a server proxies."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        root, self._kind, self._id, self._prefix = split(artifact_uri)
        with translated():
            self.store = open_store(root)
        self._models = ModelFiles(self.store.root)

    # -- places ----------------------------------------------------------------------------------------------------
    def _place(self, path: str | None) -> tuple[str, str, bool]:
        """Return ``(run, path in it, whether the models that are logged there are out of sight)``."""
        path = _plain(path)
        kind, of, rest = self._kind, self._id, posixpath.join(self._prefix, path).strip("/")
        if not of:
            kind, of, rest = split_proxied(path)
        if kind == "runs":
            return of, rest, True
        model = self._models.get(of)
        if model is None:
            raise missing(f"Model '{of}' not found")
        return model["holder"], posixpath.join(model["path"], rest).rstrip("/"), False

    # -- writing ---------------------------------------------------------------------------------------------------
    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Store a file under the folder `artifact_path`."""
        verify_artifact_path(artifact_path)
        run_id, path, _ = self._place(posixpath.join(artifact_path or "", Path(local_file).name))
        with translated():
            writers_of(self.store).of(run_id).log_artifact(Path(local_file), path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Store the files of a folder under the folder `artifact_path`."""
        verify_artifact_path(artifact_path)
        for folder, _, names in os.walk(local_dir):
            inside = Path(folder).relative_to(local_dir).as_posix()
            for name in sorted(names):
                into = posixpath.normpath(posixpath.join(artifact_path or "", inside))
                self.log_artifact(str(Path(folder) / name), None if into == "." else into)

    # -- reading ---------------------------------------------------------------------------------------------------
    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return files and folders directly under `path`; none if it is a file."""
        run_id, full, hides = self._place(path)
        hidden = set()
        with translated():
            if hides:
                capture = self.store.get_run(run_id).capture
                hidden = {k.split(" ", 1)[1] for k in capture if k.startswith(f"{words.CAPTURE_MODEL} ")}
            if full.split("/", 1)[0] in hidden:
                return []
            found = self.store.list_artifacts(run_id, full)
        skip = len(full) + 1 if full else 0
        return [
            FileInfo(
                posixpath.join(_plain(path), one.path[skip:]),
                one.is_dir,
                self._size(one.is_dir, one.size_bytes),
            )
            for one in found
            if one.path not in hidden and one.path != full
        ]

    @staticmethod
    def _size(is_dir: bool, size: int) -> int | None:
        return None if is_dir else size

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        run_id, path, _ = self._place(remote_file_path)
        with translated():
            record = self.store.get_run(run_id).artifacts.get(path)
            if record is None:
                raise missing(f"No such artifact: '{remote_file_path}'")
            source = self.store.blob_path(record.digest)
        shutil.copyfile(source, local_path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Do nothing for a whole run or model, whose bytes a gc of the store frees; raise for a part of it.

        An ended run never changes.
        """
        if artifact_path:
            raise MlflowException(
                f"artifact {artifact_path!r}: what a run logged stays. Delete the run, then `nbtrack store gc`.",
                codes.NOT_IMPLEMENTED,
            )
