"""Logged models, as MLflow 3 makes and finds them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import mlflow.entities as theirs
from mlflow.entities import LoggedModel, LoggedModelParameter, LoggedModelStatus, LoggedModelTag
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.search_utils import SearchLoggedModelsPaginationToken
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import _validate_logged_model_name, _validate_param, _validate_tag_name

from nbtrack.bridge.model_files import ModelFiles
from nbtrack.bridge.plugin import words
from nbtrack.bridge.plugin.model_search import filtered, ordered
from nbtrack.bridge.plugin.place import invalid, missing, translated, uri_of
from nbtrack.bridge.plugin.search import Search
from nbtrack.bridge.plugin.writers import plain
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.store.layout import now_ms
from nbtrack.store.lines import from_json_number, to_json_number

_METRIC: Final = ("key", "value", "timestamp", "step", "run_id", "dataset_name", "dataset_digest")


class LoggedModels(Search):
    """The part of the tracking store that knows logged models."""

    models: ModelFiles

    def _model(self, model_id: str, allow_deleted: bool = False) -> dict[str, Any]:
        found = self.models.get(str(model_id))
        if found is None or (found["deleted"] and not allow_deleted):
            raise missing(f"Logged model with ID '{model_id}' not found. Model '{model_id}' not found")
        return found

    def create_logged_model(
        self,
        experiment_id: str = "0",
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Sequence[LoggedModelTag] | None = None,
        params: Sequence[LoggedModelParameter] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """Make a logged model, whose files are yet to come."""
        _validate_logged_model_name(name)
        experiment = self._experiment(experiment_id)
        if experiment.lifecycle_stage != "active":
            what = f"Could not create model under non-active experiment with ID {experiment_id}."
            raise invalid(f"{what} The experiment must be in the 'active' state. Current state is deleted.")
        texts = _texts(params or [])
        name = name or _generate_random_name()
        model_id = f"m-{uuid.uuid4().hex}"
        holder, path = self._room_for(experiment.experiment_id, name, model_id, source_run_id)
        at = now_ms()
        self.models.append(
            model_id,
            {
                "model_id": model_id,
                "experiment_id": experiment.experiment_id,
                "name": name,
                "source_run_id": source_run_id,
                "model_type": model_type,
                "status": int(LoggedModelStatus.PENDING.to_int()),
                "created": at,
                "params": texts,
                "tags": {tag.key: plain(tag.value) for tag in tags or []},
                "holder": holder,
                "path": path,
            },
        )
        return self.get_logged_model(model_id)

    def _room_for(self, experiment_id: str, name: str, model_id: str, source_run_id: str | None) -> tuple[str, str]:
        """Return the run that will hold the files of a model, and the path under which it does."""
        run = None
        if source_run_id is not None:
            try:
                run = self.store.get_run(source_run_id)
            except (NotFoundError, InvalidInputError):
                run = None
        if run is None or run.info.lifecycle_stage == "deleted":
            with translated():
                writer = self.store.create_run(
                    experiment_id, words.our_name(name)[0], tags={words.TAG_HOLDER: model_id}
                )
                writer.log_capture({f"{words.CAPTURE_MODEL} {name}": model_id})
                writer.end()
            return writer.run_id, name
        taken = {key.split(" ", 1)[1] for key in run.capture if key.startswith(f"{words.CAPTURE_MODEL} ")}
        taken |= {path.split("/", 1)[0] for path in run.artifacts}
        path = name if name not in taken else f"{name}-{model_id[2:10]}"
        with translated():
            self.writers.of(run.run_id).log_capture({f"{words.CAPTURE_MODEL} {path}": model_id})
        return run.run_id, path

    def _location_of(self, model: dict[str, Any]) -> str:
        experiment = self._experiment(model["experiment_id"])
        location = self._location(experiment)
        if location == uri_of(self.store.root):
            return f"{location}/models/{model['model_id']}/artifacts"
        return str(append_to_uri_path(location, "models", model["model_id"], "artifacts"))

    def _their_model(self, model: dict[str, Any]) -> LoggedModel:
        return LoggedModel(
            experiment_id=model["experiment_id"],
            model_id=model["model_id"],
            name=model["name"],
            artifact_location=self._location_of(model),
            creation_timestamp=model["created"],
            last_updated_timestamp=model.get("updated", model["created"]),
            model_type=model["model_type"],
            source_run_id=model["source_run_id"],
            status=model["status"],
            status_message=None,
            tags=dict(model["tags"]),
            params=dict(model["params"]),
            metrics=metrics_of(model),
        )

    def get_logged_model(self, model_id: str, allow_deleted: bool = False) -> LoggedModel:
        """Return a logged model; one in the trash only with `allow_deleted`."""
        return self._their_model(self._model(model_id, allow_deleted))

    def _patch(self, model_id: str, patch: dict[str, Any]) -> None:
        self._model(model_id, allow_deleted=True)
        with translated():
            self.models.append(model_id, patch)

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus | str) -> LoggedModel:
        """Say that a model's files are there, or that they never will be."""
        known = LoggedModelStatus(status) if isinstance(status, str) else status
        self._patch(model_id, {"status": int(known.to_int())})
        return self.get_logged_model(model_id)

    def set_logged_model_tags(self, model_id: str, tags: Sequence[LoggedModelTag]) -> None:
        """Set tags of a logged model."""
        for tag in tags:
            _validate_tag_name(tag.key)
        self._patch(model_id, {"tags": {tag.key: plain(tag.value) for tag in tags}})

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove a tag of a logged model."""
        _validate_tag_name(key)
        if key not in self._model(model_id, allow_deleted=True)["tags"]:
            raise missing(f"No tag with key {key!r} found for model with ID {model_id!r}.")
        self._patch(model_id, {"tags": {key: None}})

    def log_logged_model_params(self, model_id: str, params: Sequence[LoggedModelParameter]) -> None:
        """Set params of a logged model."""
        known, texts = self._model(model_id, allow_deleted=True)["params"], _texts(params)
        for key, text in texts.items():
            if known.get(key, text) != text:
                raise invalid(
                    f"Changing param values is not allowed. Param with key='{key}' was already logged with"
                    f" value='{known[key]}' for model ID='{model_id}'. Attempted logging new value '{text}'."
                )
        self._patch(model_id, {"params": texts})

    def delete_logged_model(self, model_id: str) -> None:
        """Move a logged model to the trash; its files stay with their run."""
        self._patch(model_id, {"deleted": True})

    def _get_deleted_logged_models(self, older_than: int = 0) -> list[str]:
        limit = now_ms() - older_than
        return [one["model_id"] for one in self.models.all() if one["deleted"] and one["updated"] <= limit]

    def _hard_delete_logged_model(self, model_id: str) -> None:
        self._model(model_id, allow_deleted=True)
        self.models.remove(model_id)

    def _log_model_metric(self, run_id: str, metric: theirs.Metric) -> None:
        row = {
            "key": metric.key,
            "value": to_json_number(float(metric.value)),
            "timestamp": metric.timestamp,
            "step": metric.step or 0,
            "run_id": run_id,
            "dataset_name": metric.dataset_name,
            "dataset_digest": metric.dataset_digest,
        }
        self._patch(metric.model_id, {"metric": row})

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[dict[str, Any]] | None = None,
        max_results: int | None = None,
        order_by: Sequence[dict[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> PagedList[LoggedModel]:
        """Return logged models that fit, newest first unless `order_by` says otherwise."""
        if datasets and not all(one.get("dataset_name") for one in datasets):
            raise invalid("`dataset_name` in the `datasets` clause must be specified.")
        offset = 0
        if page_token:
            before = SearchLoggedModelsPaginationToken.decode(page_token)
            before.validate(experiment_ids, filter_string, order_by)
            offset = before.offset
        ids = {str(one) for one in experiment_ids}
        found = [
            self._their_model(one) for one in self.models.all() if one["experiment_id"] in ids and not one["deleted"]
        ]
        found = ordered(filtered(found, filter_string, datasets or []), order_by)
        end = offset + (max_results or SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT)
        after = SearchLoggedModelsPaginationToken(experiment_ids, filter_string, order_by, end)
        return PagedList(found[offset:end], after.encode() if len(found) > end else None)

    def set_model_versions_tags(self, name: str, version: str, model_id: str) -> None:
        """Note in a logged model's tags of which registered versions it is the source."""
        import json

        from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

        known = json.loads(self._model(model_id)["tags"].get(MLFLOW_MODEL_VERSIONS, "[]"))
        value = json.dumps([*known, {"name": name, "version": version}])
        self.set_logged_model_tags(model_id, [LoggedModelTag(MLFLOW_MODEL_VERSIONS, value)])


def _texts(params: Sequence[LoggedModelParameter]) -> dict[str, str]:
    checked = [_validate_param(one.key, plain(one.value)) for one in params]
    return {one.key: plain(one.value) for one in checked}


def metrics_of(model: dict[str, Any]) -> list[theirs.Metric] | None:
    """Return all values of the metrics of a model, each once; None if there are none."""
    rows = {tuple(row[name] for name in _METRIC): row for row in model["metrics"]}
    return [
        theirs.Metric(**{**row, "value": from_json_number(row["value"])}, model_id=model["model_id"])
        for row in rows.values()
    ] or None
