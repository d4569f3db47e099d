"""Runs, as MLflow logs to them and asks for them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

import mlflow.entities as theirs
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS, MLFLOW_RUN_NAME
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.search_utils import SearchUtils
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import (
    _validate_batch_log_data,
    _validate_batch_log_limits,
    _validate_metric,
    _validate_metric_name,
    _validate_param,
    _validate_param_keys_unique,
    _validate_run_id,
    _validate_tag,
    _validate_tag_name,
)

from nbtrack import entities as ours
from nbtrack.bridge.plugin import words
from nbtrack.bridge.plugin.experiments import Experiments
from nbtrack.bridge.plugin.place import invalid, missing, translated, uri_of
from nbtrack.bridge.plugin.words import our_key
from nbtrack.bridge.plugin.writers import plain
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.store.joining import remove_run, set_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlflow.models import Model

_MAX_RUN_ID: Final = 32


class Runs(Experiments):
    """The half of the tracking store that knows runs."""

    # -- reading ---------------------------------------------------------------------------------------------------
    def _our_run(self, run_id: str) -> ours.Run:
        _validate_run_id(run_id)
        try:
            return self.store.get_run(run_id)
        except (NotFoundError, InvalidInputError):
            raise missing(f"Run '{run_id}' not found") from None

    def _active_run(self, run_id: str) -> None:
        """Raise MlflowException unless there is such a run, not in the trash."""
        _validate_run_id(run_id)
        if self.writers.is_own(run_id):
            with translated():
                self.writers.of(run_id)
            return
        try:
            self.writers.check_active(run_id)
        except (NotFoundError, InvalidInputError):
            raise missing(f"Run '{run_id}' not found") from None

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
            found.append(theirs.Metric(key, value, at, step, run_id=run.run_id))
        return found

    def _their_run(self, run: ours.Run, known: dict[str, ours.Experiment] | None = None) -> theirs.Run:
        return words.their_run(run, self._artifact_uri(run, known), self._metrics(run))

    def get_run(self, run_id: str) -> theirs.Run:
        """Return a run, also from the trash."""
        return self._their_run(self._our_run(run_id))

    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: int | None = None, page_token: str | None = None
    ) -> PagedList[theirs.Metric]:
        """Return all values of a metric in the order in which they were logged."""
        _validate_metric_name(metric_key)
        _validate_run_id(run_id)
        try:
            history = self.store.get_metric_history(run_id, metric_key)
        except (NotFoundError, InvalidInputError):
            raise missing(f"Run '{run_id}' not found") from None
        columns = (history.value.tolist(), history.timestamp.tolist(), history.step.tolist())
        rows = list(zip(*columns, strict=True))
        if max_results is None:
            rows, token = rows[SearchUtils.parse_start_offset_from_page_token(page_token) :], None
        else:
            rows, token = SearchUtils.paginate(rows, page_token, max_results)
        return PagedList([theirs.Metric(metric_key, *row, run_id=run_id) for row in rows], token)

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
            raise MlflowException(what, codes.INVALID_STATE)
        for tag in tags or []:
            _validate_tag(tag.key, tag.value)
        texts = {our_key(tag.key): plain(tag.value) for tag in tags or []}
        tagged = texts.pop(MLFLOW_RUN_NAME, None)
        if run_name and tagged and run_name != tagged:
            raise invalid(
                "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values"
                f" (run_name='{run_name}', mlflow.runName='{tagged}')."
            )
        name, original = words.our_name(run_name or tagged or _generate_random_name())
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
            if run_status is not None:
                self.writers.end(run_id, words.our_status(run_status), end_time)
            elif end_time is not None:
                set_status(self.store, run_id, self.store.get_run(run_id).info.status, end_time)
        return self.get_run(run_id).info

    def _set_name(self, run_id: str, run_name: str) -> None:
        name, original = words.our_name(run_name)
        writer = self.writers.of(run_id)
        writer.set_name(name)
        if original is not None:
            writer.set_tags({words.TAG_NAME: original})
        elif words.TAG_NAME in self.store.get_run(run_id).data.tags:
            writer.delete_tag(words.TAG_NAME)

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
        found = self.store.search_runs(max_results=10**9, view="DELETED_ONLY")
        return [run.run_id for run in found if not older_than or self._trashed_for(run.run_id) >= older_than]

    def _trashed_for(self, run_id: str) -> int:
        from nbtrack.store.layout import now_ms

        return now_ms() - self.store._finder.get(run_id)[1].deleted_at

    def _hard_delete_run(self, run_id: str) -> None:
        """Remove a run for good."""
        self.writers.forget(run_id)
        with translated():
            remove_run(self.store, run_id)

    # -- logging ---------------------------------------------------------------------------------------------------
    def log_metric(self, run_id: str, metric: theirs.Metric) -> None:
        """Append one value of a metric."""
        _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
        if not self.writers.is_own(run_id):
            self._active_run(run_id)
        with translated():
            self.writers.log_metric(run_id, metric)
        if metric.model_id is not None:
            self._log_model_metric(run_id, metric)

    def _log_model_metric(self, run_id: str, metric: theirs.Metric) -> None:
        raise NotImplementedError

    def log_param(self, run_id: str, param: theirs.Param) -> None:
        """Set a param, once."""
        param = _validate_param(param.key, param.value)
        self._active_run(run_id)
        self._log_params(run_id, [param])

    def _log_params(self, run_id: str, params: Sequence[theirs.Param]) -> None:
        if not params:
            return
        texts = {param.key: plain(param.value) for param in params}
        known = self.writers.params(run_id)
        for key, text in texts.items():
            if known.get(key, text) != text:
                raise invalid(
                    f"Changing param values is not allowed. Param with key='{key}' was already logged with"
                    f" value='{known[key]}' for run ID='{run_id}'. Attempted logging new value '{text}'."
                )
        new = {key: text for key, text in texts.items() if key not in known}
        if new:
            with translated():
                self.writers.of(run_id).log_params(new)
            known.update(new)

    def set_tag(self, run_id: str, tag: theirs.RunTag) -> None:
        """Set a tag."""
        _validate_tag_name(tag.key)
        self._active_run(run_id)
        self._set_tags(run_id, [_validate_tag(tag.key, plain(tag.value))])

    def _set_tags(self, run_id: str, tags: Sequence[theirs.RunTag]) -> None:
        texts = {our_key(tag.key): plain(tag.value) for tag in tags}
        name = texts.pop(MLFLOW_RUN_NAME, None)
        with translated():
            if name:
                self._set_name(run_id, name)
            if texts:
                self.writers.of(run_id).set_tags(texts)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""
        self._active_run(run_id)
        if our_key(key) not in self._our_run(run_id).data.tags:
            raise missing(f"No tag with name: {key} in run with id {run_id}")
        with translated():
            self.writers.of(run_id).delete_tag(our_key(key))

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[theirs.Metric],
        params: Sequence[theirs.Param],
        tags: Sequence[theirs.RunTag],
    ) -> None:
        """Log many things at once; nothing is logged if one of them cannot be."""
        metrics, params, tags = _validate_batch_log_data(metrics, params, tags)
        _validate_batch_log_limits(metrics, params, tags)
        _validate_param_keys_unique(params)
        self._active_run(run_id)
        self._log_params(run_id, params)
        with translated():
            for metric in metrics:
                self.writers.log_metric(run_id, metric)
        for metric in metrics:
            if metric.model_id is not None:
                self._log_model_metric(run_id, metric)
        if tags:
            self._set_tags(run_id, tags)

    def record_logged_model(self, run_id: str, mlflow_model: Model) -> None:
        """Note the description of a model in the run's tags, as MLflow 2 does."""
        from mlflow.models import Model

        if not isinstance(mlflow_model, Model):
            raise TypeError(f"Argument 'mlflow_model' should be mlflow.models.Model, got '{type(mlflow_model)}'")
        self._active_run(run_id)
        known = json.loads(self._our_run(run_id).data.tags.get(MLFLOW_LOGGED_MODELS, "[]"))
        tag = theirs.RunTag(MLFLOW_LOGGED_MODELS, json.dumps([*known, mlflow_model.get_tags_dict()]))
        self._set_tags(run_id, [tag])

    # -- inputs and outputs ----------------------------------------------------------------------------------------
    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[theirs.DatasetInput] | None = None,
        models: Sequence[theirs.LoggedModelInput] | None = None,
    ) -> None:
        """Add data sets and models that a run reads."""
        self._active_run(run_id)
        if not datasets and not models:
            return
        known = self._our_run(run_id)
        noted = {(one.name, one.digest) for one in known.inputs.dataset_inputs}
        new = [one for one in datasets or [] if (one.dataset.name, one.dataset.digest) not in noted]
        record: dict[str, Any] = {f"{words.CAPTURE_INPUT} {one.model_id}": {} for one in models or []}
        with translated():
            writer = self.writers.of(run_id)
            if new:
                writer.log_inputs([words.our_dataset(one) for one in new])
            self._note(writer, record)

    def log_outputs(self, run_id: str, models: Sequence[theirs.LoggedModelOutput]) -> None:
        """Add models that a run makes."""
        self._active_run(run_id)
        record = {f"{words.CAPTURE_OUTPUT} {one.model_id}": {"step": one.step} for one in models or []}
        with translated():
            self._note(self.writers.of(run_id), record)

    @staticmethod
    def _note(writer: Any, record: Mapping[str, Any]) -> None:
        if record:
            writer.log_capture(record)
        writer.set_tags({words.TAG_EXTRAS: "yes"})

    def link_traces_to_run(self, trace_ids: list[str], run_id: str) -> None:
        """Traces are not kept."""
        raise MlflowException("nbtrack keeps no traces.", codes.NOT_IMPLEMENTED)

    def _search_datasets(self, experiment_ids: Sequence[str]) -> list[Any]:
        """Return the data sets that runs of the experiments read: what MLflow's own page offers as filters."""
        from mlflow.entities import _DatasetSummary

        found: dict[tuple[str, str, str, str], Any] = {}
        filter_string = f"tags.`{words.TAG_EXTRAS}` is not null"
        for run in self.store.search_runs([str(one) for one in experiment_ids], filter_string, max_results=10_000):
            for one in self.store.get_run(run.run_id).inputs.dataset_inputs:
                key = (run.info.experiment_id, one.name, one.digest, one.context)
                found.setdefault(key, _DatasetSummary(key[0], key[1], key[2], key[3]))
        return list(found.values())[:1000]


VIEWS: Final = {ViewType.ACTIVE_ONLY: "ACTIVE_ONLY", ViewType.DELETED_ONLY: "DELETED_ONLY", ViewType.ALL: "ALL"}
