"""A team's MLflow server as a store: a mirror in a folder of ours, kept in step with the server.

Writing goes to the mirror and returns at once; a thread sends it in batches. Reading asks the mirror, which is brought
up to date at most every other second. While the server is away everything goes on with what is in the mirror, and what
was logged is sent once the server is back. The mirror outlives the process: nothing that was logged is lost with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from nbtrack.bridge.remote.logs import sizes_in
from nbtrack.bridge.remote.rest import ServerAwayError
from nbtrack.bridge.remote.step import WAIT_S, InStep
from nbtrack.entities import Experiment, Run
from nbtrack.errors import NotFoundError
from nbtrack.names import check_experiment_name
from nbtrack.store.base import GcPreview, MetricHistory, Problem, Progress
from nbtrack.store.catalog import RunCatalog
from nbtrack.store.file_store import FileStore
from nbtrack.store.files import replace
from nbtrack.store.layout import STORE_FILE, new_id
from nbtrack.store.writer import FileRunWriter


def mirror_of(url: str) -> str:
    """Return the folder of the mirror of a server: in the user's data folder, or under ``NBTRACK_REMOTE_DIR``."""
    base = os.environ.get("NBTRACK_REMOTE_DIR")
    if not base:
        data = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_DATA_HOME")
        base = str(Path(data or Path.home() / ".local" / "share") / "nbtrack" / "remote")
    return str(Path(base) / sha256(url.rstrip("/").encode()).hexdigest()[:16])


def in_use(url: str) -> bool:
    """Return whether somebody here has opened this server before."""
    return Path(mirror_of(url), STORE_FILE).exists()


def open_remote(url: str, create: bool = True) -> RemoteStore:
    """Return the store that mirrors the MLflow server at `url`; the server need not answer now."""
    root = mirror_of(url)
    if not in_use(url):
        FileStore.open(root, create=True)
    return RemoteStore(url, root)


class RemoteStore(InStep):
    """The MLflow server at `url`, mirrored in the folder `root`."""

    def __repr__(self) -> str:
        return f"RemoteStore({self.uri!r})"

    # -- writing ---------------------------------------------------------------------------------------------------
    def create_experiment(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Create an experiment on the server; while that is away only here, until a run in it is sent."""
        self._fresh()
        if self.local_experiment_by_name(check_experiment_name(name)) is not None:
            return super().create_experiment(name, tags)  # which says that it is taken
        try:
            as_id = self._registry.create_experiment(name, tags or {})
        except ServerAwayError as error:
            self._is_away(error)
            as_id = f"offline-{new_id()}"
        else:
            self.sent.write("experiments", {**self.sent.read("experiments"), as_id: as_id})
        return self._experiments.create(name, tags, as_id)

    def edit_experiment(self, experiment_id: str, **changes: Any) -> Experiment:
        self._fresh()
        found = super().edit_experiment(experiment_id, **changes)
        remote = self.sent.read("experiments").get(experiment_id)
        if remote is not None:
            self._registry.edit_experiment(str(remote), changes)
        return found

    def create_run(self, *given: Any, **more: Any) -> FileRunWriter:
        if more.get("run_id") is not None:  # others may have it
            self._fresh()
        writer = super().create_run(*given, **more)
        self._dirty(writer.run_id)
        return writer

    def resume_run(self, run_id: str) -> FileRunWriter:
        self._take_up(run_id)
        writer = super().resume_run(run_id)
        self._dirty(run_id)
        return writer

    def edit_run(self, run_id: str, **changes: Any) -> None:
        self._take_up(run_id)
        super().edit_run(run_id, **changes)
        self._dirty(run_id)

    def _take_up(self, run_id: str) -> None:
        """Fetch a run that somebody else wrote; what is here of it now is not to be sent."""
        self._fresh()
        self._details(run_id)
        sent = self.sent.get(run_id)
        if sent is not None and not sent.open and sent.depth != "logs":
            sent.at = sizes_in(*self.files_of(run_id))
            self.sent.put(sent)

    # -- reading ---------------------------------------------------------------------------------------------------
    def get_run(self, run_id: str) -> Run:
        self._fresh()
        self._details(run_id)
        return super().get_run(run_id)

    def get_metric_history(self, run_id: str, key: str) -> MetricHistory:
        self._fresh()
        self._details(run_id)
        return super().get_metric_history(run_id, key)

    def list_experiments(self, *given: Any, **more: Any) -> list[Experiment]:
        self._fresh()
        return super().list_experiments(*given, **more)

    def get_experiment(self, experiment_id: str) -> Experiment:
        try:
            return super().get_experiment(experiment_id)
        except NotFoundError:  # somebody may have made it since we last looked
            self._fresh()
            return super().get_experiment(experiment_id)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        self._fresh()
        return super().get_experiment_by_name(name)

    def search_runs(self, *given: Any, **more: Any) -> list[Run]:
        self._fresh()
        return super().search_runs(*given, **more)

    def run_table(self, *given: Any, **more: Any) -> Any:
        self._fresh()
        return super().run_table(*given, **more)

    def run_frame(self, *given: Any, **more: Any) -> dict[str, Any]:
        self._fresh()
        return super().run_frame(*given, **more)

    def _catalog(self, *asked: Any) -> RunCatalog:
        self._fresh()
        return super()._catalog(*asked)

    def revision(self) -> str:
        self._fresh()
        return super().revision()

    def info(self) -> Mapping[str, Any]:
        self._fresh()
        return {**super().info(), "uri": self.uri, "mirror": self.root, "waiting": self.waiting}

    def _fetched(self, digest: str) -> bytes | None:
        """Return bytes that only the server has, and keep them if they are what they are said to be."""
        self._fresh()
        aside = f"{self.root}/remote/{digest}"
        with suppress(OSError):
            return Path(aside).read_bytes()
        found = self._puller.fetch(digest)
        if found is None:
            return None
        data, sure = found
        if sure:
            super().put_blob(data)
        else:
            replace(aside, data)
        return data

    def read_blob(self, digest: str) -> bytes:
        try:
            return super().read_blob(digest)
        except NotFoundError:
            data = self._fetched(digest)
            if data is None:
                raise
            return data

    def blob_path(self, digest: str) -> Path:
        try:
            return super().blob_path(digest)
        except NotFoundError:
            if self._fetched(digest) is None:
                raise
            aside = Path(f"{self.root}/remote/{digest}")
            return aside if aside.exists() else super().blob_path(digest)

    def check(self, repair: bool = False, progress: Progress | None = None) -> Iterator[Problem]:
        """Check the mirror; bytes of artifacts that only the server has are no damage."""
        self._fresh()
        for problem in super().check(repair, progress):
            if not (problem.path.startswith("blobs/") and problem.what.endswith("are missing")):
                yield problem

    def rebuild_index(self, progress: Progress | None = None) -> int:
        self._fresh()
        return super().rebuild_index(progress)

    def gc(self, dry_run: bool = True, older_than_s: float = 0, progress: Progress | None = None) -> GcPreview:
        """Remove trashed runs here, and have everybody forget them; the server's own bytes are its keeper's affair.

        Raises
        ------
        ServerAwayError
            If the server does not answer; nothing is removed then.
        """
        self._fresh()
        if not dry_run:
            self.sync()
        done = super().gc(dry_run, older_than_s, progress)
        for run_id in () if dry_run else done.run_ids:
            sent = self.sent.get(run_id)
            if sent is not None:
                self._pusher.say_gone(sent)
        return done

    def compact(self, dry_run: bool = True, progress: Progress | None = None) -> GcPreview:
        """Keep the metrics of finished runs in less room, once the server has them.

        Raises
        ------
        ServerAwayError
            If the server does not answer; nothing is changed then.
        """
        self._fresh()
        if not dry_run:
            self.sync()
        return super().compact(dry_run, progress)

    # -- the registry ----------------------------------------------------------------------------------------------
    def list_models(self) -> list[str]:
        self._fresh()
        return super().list_models()

    def read_commits(self, model: str, after: int = 0) -> list[Mapping[str, Any]]:
        self._fresh()
        return super().read_commits(model, after)

    def append_commit(self, model: str, body: Mapping[str, Any], expect: int | None = None) -> int:
        """Change the registry on the server, then here.

        Raises
        ------
        ServerAwayError
            If the server does not answer: what a team agrees on cannot be changed by one alone.
        """
        with self._alone(WAIT_S):
            return self._registry.commit(model, body, expect)
