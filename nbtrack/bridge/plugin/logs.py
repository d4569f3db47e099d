"""What MLflow logs to a run: metrics, params, tags, the data sets and models that it reads and makes."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import mlflow.entities as theirs
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS, MLFLOW_RUN_NAME
from mlflow.utils.validation import (
    _validate_batch_log_data,
    _validate_batch_log_limits,
    _validate_dataset_inputs,
    _validate_metric,
    _validate_param,
    _validate_param_keys_unique,
    _validate_run_id,
    _validate_tag,
    _validate_tag_name,
)

from nbtrack.bridge.plugin import words
from nbtrack.bridge.plugin.history import Histories
from nbtrack.bridge.plugin.place import invalid, missing, translated
from nbtrack.bridge.plugin.words import our_key
from nbtrack.bridge.plugin.writers import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlflow.models import Model


class Logs(Histories):
    """The part of the tracking store that adds to runs."""

    # -- logging ---------------------------------------------------------------------------------------------------
    def log_metric(self, run_id: str, metric: theirs.Metric) -> None:
        """Append one value of a metric."""
        _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
        if not self.writers.is_own(run_id):
            self._active_run(run_id)
        if metric.model_id is not None:  # first, as there may be no such model
            self._log_model_metric(run_id, metric)
        with translated():
            self.writers.log_metric(run_id, metric)

    @abstractmethod
    def _log_model_metric(self, run_id: str, metric: theirs.Metric) -> None:
        """Note a value of a run with the logged model that it is of."""

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
        known = self._our_run(run_id).data.tags
        if key == MLFLOW_RUN_NAME and words.TAG_NAMELESS not in known:  # the name itself stays
            with translated():
                self.writers.of(run_id).set_tags({words.TAG_NAMELESS: "yes"})
            return
        if our_key(key) not in known:
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
        _validate_run_id(run_id)
        metrics, params, tags = _validate_batch_log_data(metrics, params, tags)
        _validate_batch_log_limits(metrics, params, tags)
        _validate_param_keys_unique(params)
        self._active_run(run_id)
        self._log_params(run_id, params)
        for metric in metrics:
            if metric.model_id is not None:
                self._log_model_metric(run_id, metric)
        with translated():
            for metric in metrics:
                self.writers.log_metric(run_id, metric)
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
        _validate_run_id(run_id)
        self._active_run(run_id)
        _validate_dataset_inputs(datasets or [])
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

    def _search_datasets(self, experiment_ids: Sequence[str]) -> list[Any]:
        """Return the data sets that runs of the experiments read: what MLflow's own page offers as filters."""
        from mlflow.entities import _DatasetSummary

        found: dict[tuple[str, str, str, str], Any] = {}
        filter_string = f"tags.`{words.TAG_EXTRAS}` is not null"
        ids = self._ids(experiment_ids)
        for run in self.store.search_runs(ids, filter_string, max_results=10_000) if ids else []:
            for one in self.store.get_run(run.run_id).inputs.dataset_inputs:
                key = (run.info.experiment_id, one.name, one.digest, one.context)
                found.setdefault(key, _DatasetSummary(key[0], key[1], key[2], key[3] or None))
        return list(found.values())[:1000]
