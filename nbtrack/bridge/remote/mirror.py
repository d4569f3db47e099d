"""The folder that mirrors a server: what its sender and its fetcher read and change there, past the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbtrack.entities import Experiment, Run
from nbtrack.store.file_store import FileStore
from nbtrack.store.files import remove
from nbtrack.store.layout import commit_file


class Mirror(FileStore):
    """A store in a folder, whose calls a subclass keeps in step with a server."""

    def files_of(self, run_id: str) -> tuple[str, list[str]]:
        """Return the folder of a run in the mirror and the names of its files; raises NotFoundError."""
        return self._finder.files(run_id)

    def local_run(self, run_id: str) -> Run:
        """Return a run as the mirror has it."""
        return super().get_run(run_id)

    def local_blob(self, digest: str) -> bytes:
        """Return bytes that the mirror has."""
        return super().read_blob(digest)

    def local_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment as the mirror has it."""
        return super().get_experiment(experiment_id)

    def local_experiment_by_name(self, name: str) -> Experiment | None:
        """Return an experiment as the mirror has it, or None."""
        return super().get_experiment_by_name(name)

    def local_create_experiment(self, name: str, tags: Mapping[str, str], as_id: str) -> str:
        """Make an experiment that came from the server, under its id there."""
        return self._experiments.create(name, tags, as_id)

    def local_edit_experiment(self, experiment_id: str, **changes: Any) -> None:
        """Change an experiment as the server says."""
        super().edit_experiment(experiment_id, **changes)

    def local_edit(self, run_id: str, **changes: Any) -> None:
        """Change a run as the server says."""
        super().edit_run(run_id, **changes)

    def local_commits(self, model: str, after: int = 0) -> list[Mapping[str, Any]]:
        """Return commits as the mirror has them."""
        return super().read_commits(model, after)

    def local_commit(self, model: str, body: Mapping[str, Any], expect: int | None = None) -> int:
        """Add a commit to the mirror."""
        return super().append_commit(model, body, expect)

    def local_cut_commits(self, model: str, after: int) -> None:
        """Take away the commits above a number, which this mirror counted otherwise than the others."""
        log = self._model(model)
        for number in reversed(log.numbers()):
            if number > after:
                remove(f"{log.folder}/{commit_file(number)}")
        self._models.pop(model, None)
        self._folders.clear()

    def local_models(self) -> list[str]:
        """Return the models that the mirror has."""
        return super().list_models()
