"""Experiments, as MLflow asks for them."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow.entities as theirs
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_MAX_RESULTS_DEFAULT, SEARCH_MAX_RESULTS_THRESHOLD
from mlflow.utils.search_utils import SearchExperimentsUtils, SearchUtils
from mlflow.utils.uri import append_to_uri_path, resolve_uri_if_local
from mlflow.utils.validation import (
    _validate_experiment_artifact_location_length,
    _validate_experiment_name,
    _validate_experiment_tag,
)

from nbtrack.bridge.plugin.place import check_max_results, invalid, missing, translated, uri_of
from nbtrack.bridge.plugin.words import HIDDEN, TAG_GONE, TAG_HOLDER, TAG_LOCATION
from nbtrack.bridge.plugin.writers import plain
from nbtrack.entities import DEFAULT_EXPERIMENT_ID, Experiment
from nbtrack.entities import ViewType as OurView
from nbtrack.errors import NotFoundError
from nbtrack.store.layout import STORE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbtrack.bridge.plugin.writers import Writers
    from nbtrack.store import FileStore


VIEWS: Final[Mapping[object, OurView]] = {
    ViewType.ACTIVE_ONLY: "ACTIVE_ONLY",
    ViewType.DELETED_ONLY: "DELETED_ONLY",
    ViewType.ALL: "ALL",
}


class Experiments:
    """The half of the tracking store that knows experiments. `artifact_root` is what a server gave, or None."""

    DEFAULT_EXPERIMENT_ID = DEFAULT_EXPERIMENT_ID  # both of MLflow's stores tell it so

    store: FileStore
    writers: Writers
    artifact_root: str | None

    @cached_property
    def _made_at(self) -> int:
        """When the store was made, and with it its default experiment."""
        return int(json.loads(Path(self.store.root, STORE_FILE).read_bytes()).get("created_at_ms", 0))

    def _location(self, experiment: Experiment) -> str:
        own = experiment.tags.get(TAG_LOCATION)
        if own:
            return own
        root = self.artifact_root
        return append_to_uri_path(root, experiment.experiment_id) if root else uri_of(self.store.root)

    def _theirs(self, experiment: Experiment) -> theirs.Experiment:
        created = experiment.creation_time or self._made_at
        return theirs.Experiment(
            experiment_id=experiment.experiment_id,
            name=experiment.name,
            artifact_location=self._location(experiment),
            lifecycle_stage=experiment.lifecycle_stage,
            tags=[
                theirs.ExperimentTag(key, value) for key, value in experiment.tags.items() if not key.startswith(HIDDEN)
            ],
            creation_time=created,
            last_update_time=experiment.last_update_time or created,
        )

    def _experiment(self, experiment_id: Any) -> Experiment:
        experiment_id = DEFAULT_EXPERIMENT_ID if experiment_id in (None, "") else str(experiment_id)
        try:
            found = self.store.get_experiment(experiment_id)
        except NotFoundError:
            found = None
        if found is not None and TAG_GONE not in found.tags:
            return found
        if not experiment_id.lstrip("-").isdigit():
            raise invalid(f"Invalid experiment ID '{experiment_id}'. Experiment ID must be a valid integer.")
        raise self._no_experiment(experiment_id)

    def _ids(self, experiment_ids: Iterable[Any]) -> list[str]:
        """Return ids of experiments as ours; those that MLflow cannot read are refused, those of none are not."""
        found = list(map(str, experiment_ids))
        for one in found:
            if not one.lstrip("-").isdigit():
                raise invalid(f"Invalid experiment ID '{one}'. Experiment ID must be a valid integer.")
        return found

    def _no_experiment(self, experiment_id: str, kind: str = "") -> MlflowException:
        what = f"No Experiment with id={experiment_id} exists. Could not find {kind}experiment with ID {experiment_id}"
        return missing(f"{what} in {self.store.root}.")

    def get_experiment(self, experiment_id: str) -> theirs.Experiment:
        """Return an experiment, also from the trash."""
        return self._theirs(self._experiment(experiment_id))

    def get_experiment_by_name(self, experiment_name: str) -> theirs.Experiment | None:
        """Return an experiment, also from the trash, or None."""
        found = self.store.get_experiment_by_name(experiment_name)
        return None if found is None else self._theirs(found)

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: list[theirs.ExperimentTag] | None = None
    ) -> str:
        """Create an experiment; its runs' artifacts lie in the store unless `artifact_location` names another place."""
        _validate_experiment_name(name)
        if artifact_location:
            artifact_location = resolve_uri_if_local(artifact_location)
            _validate_experiment_artifact_location_length(artifact_location)
        for tag in tags or []:
            _validate_experiment_tag(tag.key, tag.value)
        self._check_free(name)
        texts = {tag.key: plain(tag.value) for tag in tags or []}
        if artifact_location:
            texts[TAG_LOCATION] = artifact_location
        with translated():
            return self.store.create_experiment(name, texts)

    def _check_free(self, name: str, but: str = "") -> None:
        known = self.store.get_experiment_by_name(name)
        if known is None or known.experiment_id == but:
            return
        trash = known.lifecycle_stage == "deleted"
        what = " in deleted state. You can restore the experiment, or choose another name." if trash else "."
        raise MlflowException(
            f"Experiment(name={name}) already exists. Experiment '{name}' already exists{what}",
            codes.RESOURCE_ALREADY_EXISTS,
        )

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = SEARCH_MAX_RESULTS_DEFAULT,
        filter_string: str | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[theirs.Experiment]:
        """Return experiments that fit, newest first unless `order_by` says otherwise."""
        limit = check_max_results(max_results, SEARCH_MAX_RESULTS_THRESHOLD)
        view = VIEWS.get(view_type)
        known = [] if view is None else self.store.list_experiments(view)
        shown = [self._theirs(one) for one in known if TAG_GONE not in one.tags]
        found = SearchExperimentsUtils.filter(shown, filter_string)
        ordered = SearchExperimentsUtils.sort(found, order_by or ["creation_time DESC", "experiment_id ASC"])
        page, token = SearchUtils.paginate(ordered, page_token, limit)
        return PagedList(page, token)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Rename an experiment that is not in the trash."""
        _validate_experiment_name(new_name)
        what = "Cannot rename experiment in non-active lifecycle stage."
        known = self._active(experiment_id, what, codes.INVALID_STATE).experiment_id
        self._check_free(new_name, but=known)
        with translated():
            self.store.edit_experiment(known, name=new_name)

    def _active(self, experiment_id: str, what: str, code: int = codes.INVALID_PARAMETER_VALUE) -> Experiment:
        experiment = self._experiment(experiment_id)
        if experiment.lifecycle_stage != "active":
            state = f"It must be in the 'active' state. Current state is {experiment.lifecycle_stage}."
            raise MlflowException(f"{what} {state}", code)
        return experiment

    def delete_experiment(self, experiment_id: str) -> None:
        """Move an experiment and its runs to the trash."""
        if str(experiment_id) == DEFAULT_EXPERIMENT_ID:
            raise MlflowException(
                f"Cannot delete the default experiment '{DEFAULT_EXPERIMENT_ID}'. This is an internally reserved"
                " experiment."
            )
        if self._experiment(experiment_id).lifecycle_stage == "deleted":
            raise self._no_experiment(experiment_id)
        self._trash(str(experiment_id), True)

    def restore_experiment(self, experiment_id: str) -> None:
        """Take an experiment and its runs out of the trash."""
        if self._experiment(experiment_id).lifecycle_stage == "active":
            raise self._no_experiment(experiment_id, "deleted ")
        self._trash(str(experiment_id), False)

    def filter_active_experiment_ids(self, experiment_ids: list[str]) -> list[str]:
        """Return those of the ids that experiments outside the trash have."""
        active = {one.experiment_id for one in self.store.list_experiments("ACTIVE_ONLY")}
        return [one for one in self._ids(experiment_ids) if one in active]

    def _trash(self, experiment_id: str, deleted: bool) -> None:
        with translated():
            self.store.edit_experiment(experiment_id, deleted=deleted)
            view: OurView = "ACTIVE_ONLY" if deleted else "DELETED_ONLY"
            for run in self.store.search_runs([experiment_id], max_results=10**9, view=view):
                self.store.edit_run(run.run_id, deleted=deleted)
                if TAG_HOLDER not in run.data.tags:
                    self.writers.trashed(run.run_id, deleted)

    def set_experiment_tag(self, experiment_id: str, tag: theirs.ExperimentTag) -> None:
        """Set a tag of an experiment."""
        _validate_experiment_tag(tag.key, tag.value)
        what = f"The experiment {experiment_id} must be in the 'active' lifecycle_stage to set tags."
        known = self._active(experiment_id, what).experiment_id
        with translated():
            self.store.edit_experiment(known, tags={tag.key: plain(tag.value)})

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag of an experiment."""
        what = f"The experiment {experiment_id} must be in the 'active' lifecycle_stage to delete tags."
        known = self._active(experiment_id, what)
        if key not in known.tags:
            raise missing(f"No tag with name: {key} in experiment with id {experiment_id}")
        with translated():
            self.store.edit_experiment(known.experiment_id, tags={key: None})
