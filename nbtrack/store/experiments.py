"""Experiments: the fold of the store's numbered experiment commits. An experiment's id is the number of its commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nbtrack.entities import DEFAULT_EXPERIMENT_ID, DEFAULT_EXPERIMENT_NAME, Experiment, ViewType
from nbtrack.errors import AlreadyExistsError, ConflictError, InvalidInputError, NotFoundError
from nbtrack.names import check_experiment_name, check_key
from nbtrack.store.commits import CommitLog
from nbtrack.store.layout import now_ms
from nbtrack.store.lines import clean_text


class Experiments:
    """The experiments of one store."""

    def __init__(self, folder: str) -> None:
        self.log = CommitLog(folder, "experiments")

    def _fold(self) -> tuple[dict[str, Experiment], int]:
        last = self.log.last()
        found = {DEFAULT_EXPERIMENT_ID: Experiment(DEFAULT_EXPERIMENT_ID, DEFAULT_EXPERIMENT_NAME)}
        for commit in self.log.read():
            at = int(commit.get("t", 0))
            if commit.get("create"):
                key = str(commit.get("as", commit["number"]))
                found[key] = Experiment(
                    key, str(commit["name"]), "active", dict(commit.get("tags") or {}), at, at, "runs:/"
                )
                continue
            old = found.get(str(commit.get("id")))
            if old is None:
                continue
            tags = {**old.tags, **(commit.get("tags") or {})}
            deleted = commit.get("deleted")
            found[old.experiment_id] = replace(
                old,
                name=commit.get("name") or old.name,
                lifecycle_stage=old.lifecycle_stage if deleted is None else "deleted" if deleted else "active",
                tags={key: value for key, value in tags.items() if value is not None},
                last_update_time=at,
            )
        return found, last

    def create(self, name: str, tags: Mapping[str, str] | None, as_id: str | None = None) -> str:
        """Create an experiment; return its id: `as_id`, if somebody else numbers them."""
        check_experiment_name(name)
        texts = {check_key(key, "tag key"): clean_text(value) for key, value in (tags or {}).items()}
        while True:
            found, last = self._fold()
            for experiment in found.values():
                if experiment.name == name:
                    where = " in the trash" if experiment.lifecycle_stage == "deleted" else ""
                    raise AlreadyExistsError(
                        f"experiment {name!r}: exists already{where}, with id {experiment.experiment_id!r}. Use it with"
                        f" set_experiment({name!r}), restore it, or choose another name."
                    )
            body = {"t": now_ms(), "create": True, "name": name, "tags": texts}
            try:
                number = self.log.append(body if as_id is None else {**body, "as": as_id}, expect=last)
            except ConflictError:
                continue
            return str(number) if as_id is None else as_id

    def list(self, view: ViewType) -> list[Experiment]:
        """All experiments in a view, the default one first."""
        wanted = {"ACTIVE_ONLY": {"active"}, "DELETED_ONLY": {"deleted"}}.get(view, {"active", "deleted"})
        return [e for e in self._fold()[0].values() if e.lifecycle_stage in wanted]

    def get(self, experiment_id: str) -> Experiment:
        """One experiment; raises NotFoundError."""
        found = self._fold()[0].get(str(experiment_id))
        if found is None:
            raise NotFoundError(
                f"experiment {experiment_id!r}: is not in this store. search_experiments() lists those that are."
            )
        return found

    def by_name(self, name: str) -> Experiment | None:
        """One experiment, or None."""
        return next((e for e in self._fold()[0].values() if e.name == name), None)

    def edit(
        self,
        experiment_id: str,
        name: str | None,
        deleted: bool | None,
        tags: Mapping[str, str | None] | None,
    ) -> Experiment:
        """Rename, trash, restore or tag an experiment."""
        if name is not None:
            check_experiment_name(name)
        if deleted and experiment_id == DEFAULT_EXPERIMENT_ID:
            raise InvalidInputError(
                "experiment '0': the default experiment cannot be deleted. Delete its runs instead."
            )
        body = {
            "t": now_ms(),
            "id": str(experiment_id),
            "name": name,
            "deleted": deleted,
            "tags": {
                check_key(key, "tag key"): None if value is None else clean_text(value)
                for key, value in (tags or {}).items()
            },
        }
        while True:
            found, last = self._fold()
            self.get(experiment_id)
            for other in found.values():
                if name is not None and other.name == name and other.experiment_id != experiment_id:
                    raise AlreadyExistsError(
                        f"experiment {name!r}: the name is taken by experiment {other.experiment_id!r}. Choose another."
                    )
            try:
                self.log.append({key: value for key, value in body.items() if value not in (None, {})}, expect=last)
            except ConflictError:
                continue
            return self.get(experiment_id)
