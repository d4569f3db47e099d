"""Runs, as MLflow logs to them and asks for them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import mlflow.entities as theirs
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import _validate_tag

from nbtrack import entities as ours
from nbtrack.bridge.plugin import words
from nbtrack.bridge.plugin.experiments import Experiments
from nbtrack.bridge.plugin.place import invalid, missing, translated, uri_of
from nbtrack.bridge.plugin.words import our_key
from nbtrack.bridge.plugin.writers import plain
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.store.joining import remove_run, set_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbtrack.bridge.model_files import ModelFiles

_LIVE: Final = {"RUNNING", "SCHEDULED"}


class Runs(Experiments):
    """The half of the tracking store that knows runs."""

    models: ModelFiles

    # -- reading ---------------------------------------------------------------------------------------------------
    def _our_run(self, run_id: str) -> ours.Run:
        try:
            return self.store.get_run(str(run_id))
        except (NotFoundError, InvalidInputError):
            raise self._no_run(run_id) from None

    def _no_run(self, run_id: str) -> MlflowException:
        return missing(f"Run with id={run_id} not found. Run '{run_id}' not found in {self.store.root}.")

    def _active_run(self, run_id: str) -> None:
        """Raise MlflowException unless there is such a run, not in the trash."""
        if self.writers.is_own(run_id):
            with translated():
                self.writers.of(run_id)
            return
        try:
            self.writers.check_active(str(run_id))
        except (NotFoundError, InvalidInputError):
            raise self._no_run(run_id) from None

    def _artifact_uri(self, run: ours.Run, known: dict[str, ours.Experiment] | None = None) -> str:
        experiment_id = run.info.experiment_id
        experiment = None if known is None else known.get(experiment_id)
        if experiment is None:
            try:
                experiment = self.store.get_experiment(experiment_id)
            except NotFoundError:
                experiment = ours.Experiment(experiment_id, "")
            if known is not None:
                known[experiment_id] = experiment
        location = self._location(experiment)
        if location == uri_of(self.store.root):
            return f"{location}/runs/{run.run_id}/artifacts"
        return str(append_to_uri_path(location, run.run_id, "artifacts"))

    def _metrics(self, run: ours.Run) -> list[theirs.Metric]:
        """Return the latest value of each metric: that of its highest step."""
        unordered = words.TAG_UNORDERED in run.data.tags
        found = []
        for key, summary in run.summaries.items():
            value, at, step = summary.last, summary.timestamp, summary.step
            if unordered and summary.count > 1:
                history = self.store.get_metric_history(run.run_id, key)
                triples = zip(history.step.tolist(), history.timestamp.tolist(), history.value.tolist(), strict=True)
                step, at, value = max(triples)
            found.append(theirs.Metric(key, value, at, step))
        return found

    def _their_run(self, run: ours.Run, known: dict[str, ours.Experiment] | None = None) -> theirs.Run:
        return words.their_run(run, self._artifact_uri(run, known), self._metrics(run))

    def get_run(self, run_id: str) -> theirs.Run:
        """Return a run, also from the trash."""
        return self._their_run(self._our_run(run_id))

    # -- the life of a run -----------------------------------------------------------------------------------------
    def create_run(
        self,
        experiment_id: str | None,
        user_id: str | None,
        start_time: int | None,
        tags: Sequence[theirs.RunTag] | None,
        run_name: str | None,
    ) -> theirs.Run:
        """Start a run; without a name it gets one."""
        experiment = self._experiment(experiment_id)
        if experiment.lifecycle_stage != "active":
            what = f"Could not create run under non-active experiment with ID {experiment.experiment_id}."
            state = (
                f"The experiment {experiment.experiment_id} must be in the 'active' state. Current state is deleted."
            )
            raise invalid(f"{what} {state}")
        for tag in tags or []:
            _validate_tag(tag.key, tag.value)
        texts = {our_key(tag.key): plain(tag.value) for tag in tags or []}
        tagged = texts.pop(MLFLOW_RUN_NAME, None)
        if run_name and tagged and run_name != tagged:
            raise invalid(
                "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values"
                f" (run_name='{run_name}', mlflow.runName='{tagged}')."
            )
        name, original = words.our_name(str(run_name or tagged or _generate_random_name()))
        if original is not None:
            texts[words.TAG_NAME] = original
        if user_id and texts.get(ours.TAG_USER) != user_id:
            texts[words.TAG_USER_ID] = user_id
        with translated():
            writer = self.store.create_run(
                experiment.experiment_id, name, tags=texts, start_time_ms=start_time, run_id=uuid.uuid4().hex
            )
            self.writers.started(writer)
        return self.get_run(writer.run_id)

    def update_run_info(
        self, run_id: str, run_status: int | None, end_time: int | None, run_name: str | None
    ) -> theirs.RunInfo:
        """Change the status, the end and the name of a run; without a status only the name."""
        self._active_run(run_id)
        with translated():
            if run_name:
                self._set_name(run_id, run_name)
            if run_status is not None or end_time is not None:
                self._set_status(run_id, run_status, end_time)
        return self.get_run(run_id).info

    def _set_status(self, run_id: str, run_status: int | None, end_time: int | None) -> None:
        """Set a status, an end or both. An end that our log cannot hold is kept in a tag, which is shown instead."""
        if end_time is not None and type(end_time) is not int:
            raise invalid(f"Invalid value {end_time!r} for parameter 'end_time' supplied: expected whole milliseconds.")
        known = self.store.get_run(run_id)
        status = known.info.status if run_status is None else words.our_status(run_status)
        held = end_time is not None and end_time > 0 and status not in _LIVE
        if run_status is not None:
            self.writers.end(run_id, status, end_time if held else None)
        elif held:
            set_status(self.store, run_id, status, end_time)
        before = known.data.tags.get(words.TAG_END)
        shown = None if held or end_time is None else str(end_time)
        earlier = known.info.end_time
        if end_time is None and (status not in _LIVE or earlier is not None):  # nobody says when: as it was
            shown = before if before is not None else "" if earlier is None else str(earlier)
        if shown is not None and shown != before:
            self.writers.of(run_id).set_tags({words.TAG_END: shown})
        elif shown is None and before is not None:
            self.writers.of(run_id).delete_tag(words.TAG_END)

    def _set_name(self, run_id: str, run_name: str) -> None:
        name, original = words.our_name(str(run_name))
        writer = self.writers.of(run_id)
        writer.set_name(name)
        if original is not None:
            writer.set_tags({words.TAG_NAME: original})
        known = self.store.get_run(run_id).data.tags
        for key, wanted in ((words.TAG_NAME, original is not None), (words.TAG_NAMELESS, False)):
            if key in known and not wanted:
                writer.delete_tag(key)

    def delete_run(self, run_id: str) -> None:
        """Move a run to the trash."""
        self._our_run(run_id)
        self.store.edit_run(run_id, deleted=True)
        self.writers.trashed(run_id, True)

    def restore_run(self, run_id: str) -> None:
        """Take a run out of the trash."""
        self._our_run(run_id)
        self.store.edit_run(run_id, deleted=False)
        self.writers.trashed(run_id, False)

    def _get_deleted_runs(self, older_than: int = 0) -> list[str]:
        """Return the runs in the trash; how long they have been there is not looked at unless it matters."""
        no_holders = f"tags.`{words.TAG_HOLDER}` is null"  # MLflow knows of none
        found = self.store.search_runs(filter_string=no_holders, max_results=10**9, view="DELETED_ONLY")
        return [run.run_id for run in found if not older_than or self._trashed_for(run.run_id) >= older_than]

    def _trashed_for(self, run_id: str) -> int:
        from nbtrack.store.layout import now_ms

        return now_ms() - self.store._finder.get(run_id)[1].deleted_at

    def _hard_delete_run(self, run_id: str) -> None:
        """Remove a run for good."""
        self._our_run(run_id)
        self.writers.forget(run_id)
        with translated():
            remove_run(self.store, run_id)

    def _hard_delete_experiment(self, experiment_id: str) -> None:
        """Remove an experiment of the trash with its runs and models for good; its name is free, its number is not."""
        known = self._experiment(experiment_id)
        if known.lifecycle_stage != "deleted":
            raise self._no_experiment(experiment_id, "deleted ")
        with translated():
            for run in self.store.search_runs([known.experiment_id], max_results=10**9, view="ALL"):
                self.writers.forget(run.run_id)
                remove_run(self.store, run.run_id)
            for model in list(self.models.all()):
                if model["experiment_id"] == known.experiment_id:
                    self.models.remove(model["model_id"])
            name = f"{known.name[:200]} (removed {known.experiment_id})"
            self.store.edit_experiment(known.experiment_id, name=name, tags={words.TAG_GONE: "yes"})
