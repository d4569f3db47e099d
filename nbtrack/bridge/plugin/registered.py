"""Registered models, as MLflow makes and finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlflow.entities.model_registry import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag
from mlflow.entities.model_registry.model_version_stages import (
    ALL_STAGES,
    get_canonical_stage,
)
from mlflow.entities.model_registry.registered_model_alias import RegisteredModelAlias
from mlflow.exceptions import MlflowException
from mlflow.prompt.registry_utils import handle_resource_already_exist_error, has_prompt_tag
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry import (
    SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT,
    SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD,
)
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.utils.search_utils import SearchModelUtils, SearchUtils
from mlflow.utils.time import get_current_time_millis
from mlflow.utils.validation import (
    _validate_model_name,
    _validate_model_renaming,
    _validate_model_version,
    _validate_registered_model_tag,
    _validate_tag_name,
)

from nbtrack import entities as ours
from nbtrack.bridge.model_files import ModelFiles
from nbtrack.bridge.plugin.place import invalid, missing, open_at, settled, translated
from nbtrack.bridge.plugin.times import CLOCK, times
from nbtrack.bridge.plugin.webhooks import NoWebhooks
from nbtrack.bridge.plugin.words import HIDDEN
from nbtrack.bridge.plugin.writers import plain
from nbtrack.errors import AlreadyExistsError, InvalidNameError, NotFoundError
from nbtrack.registry import edit_model, get_model, list_models
from nbtrack.registry.fold import State
from nbtrack.registry.ledger import existing, ledger
from nbtrack.registry.renaming import free_ledger, rename_model

# What MLflow says of a version and we have no field for.
TAG_SOURCE = f"{HIDDEN}source"  # the source as it was given
TAG_STORAGE = f"{HIDDEN}storage"
TAG_RUN_LINK = f"{HIDDEN}run_link"
TAG_MODEL_ID = f"{HIDDEN}model_id"
TAG_RUN_ID = f"{HIDDEN}run_id"  # the run as it was given, where another one holds the files, or it is no id of ours
TAG_BLANK = f"{HIDDEN}blank"  # the description is "", where ours does not tell that from none
_IS_PROMPT: Final = "mlflow.prompt.is_prompt"


class RegisteredModels(NoWebhooks, AbstractStore):  # type: ignore[misc]
    """The half of the registry that knows registered models."""

    def __init__(self, store_uri: str, tracking_uri: str | None = None) -> None:
        super().__init__(store_uri, tracking_uri)
        self.store = open_at(store_uri)
        self._logged = ModelFiles(self.store.root)

    # -- registered models -----------------------------------------------------------------------------------------
    def create_registered_model(
        self,
        name: str,
        tags: Sequence[RegisteredModelTag] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> RegisteredModel:
        """Create a registered model without versions."""
        _validate_model_name(name)
        for tag in tags or []:
            _validate_registered_model_tag(tag.key, tag.value)
        texts = {tag.key: plain(tag.value) for tag in tags or []} | blank(description, {})
        fields = {"name": name, "deleted": False, "description": description or "", "tags": texts}

        def change(state: State) -> Mapping[str, Any]:
            if state.exists:
                handle_resource_already_exist_error(name, _IS_PROMPT in state.tags, has_prompt_tag(texts))
            patch: dict[str, Any] = {"model": fields}
            if state.number:  # there was one of this name: it starts anew, and its numbers stay taken
                fields["tags"] = {**dict.fromkeys(state.tags), **texts}
                patch["versions"] = {
                    str(number): {"deleted": True, "stage": "None"}
                    for number, version in state.versions.items()
                    if not version.deleted
                }
                patch["aliases"] = dict.fromkeys(state.aliases)
            return {"patch": patch, **clock(state)}

        try:
            with translated():
                free_ledger(name, self.store).commit("create", change, None, None)
        except MlflowException as error:
            if isinstance(error.__cause__, AlreadyExistsError):
                handle_resource_already_exist_error(name, False, has_prompt_tag(texts))
            raise
        return self.get_registered_model(name)

    def _model(self, name: str) -> ours.RegisteredModel:
        _validate_model_name(name)
        with translated():
            try:
                return get_model(name, store=self.store)
            except (NotFoundError, InvalidNameError):
                raise missing(f"Registered Model with name={name} not found") from None

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Return a registered model."""
        return self._their_model(self._model(name))

    def _their_model(self, model: ours.RegisteredModel) -> RegisteredModel:
        at = times(ledger(model.name, self.store))
        return RegisteredModel(
            name=model.name,
            creation_timestamp=at.created,
            last_updated_timestamp=at.updated,
            description=described(model),
            latest_versions=self._latest(model, ALL_STAGES),
            tags=[RegisteredModelTag(key, value) for key, value in model.tags.items() if not key.startswith(HIDDEN)],
            aliases=[RegisteredModelAlias(alias, number) for alias, number in model.aliases.items()],
        )

    def update_registered_model(
        self, name: str, description: str | None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        """Change the description of a registered model."""
        known = self._model(name)
        with translated():
            said = blank(description, known.tags)
            edit_model(name, description=description or "", tags=said, store=self.store)
        return self.get_registered_model(name)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Give a registered model another name; its history goes with it."""
        _validate_model_renaming(new_name)
        if self._model(name).name == new_name:
            return self.get_registered_model(name)
        try:
            with translated():
                rename_model(name, new_name, reuse=True, store=self.store)
        except MlflowException as error:
            if isinstance(error.__cause__, AlreadyExistsError):
                handle_resource_already_exist_error(new_name, False, False)
            raise
        return self.get_registered_model(new_name)

    def delete_registered_model(self, name: str) -> None:
        """Move a registered model with its versions to the trash; the name is free again."""
        self._model(name)
        with translated():
            change = lambda state: {"patch": {"model": {"deleted": True}}}  # noqa: E731
            existing(name, self.store).commit("delete", change, None, None)

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        """Return registered models that fit, by name unless `order_by` says otherwise."""
        check_max_results(max_results, SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD)
        found = [self._their_model(model) for model in list_models(store=self.store)]
        found = SearchModelUtils.filter(found, with_prompts(filter_string))
        parsed = [SearchUtils.parse_order_by_for_search_registered_models(clause) for clause in order_by or []]
        keys = ["last_updated_timestamp" if key == "timestamp" else key for key, _ in parsed]
        check_order(order_by, keys)
        order = [f"{key} {'ASC' if up else 'DESC'}" for key, (_, up) in zip(keys, parsed, strict=True)]
        page, token = SearchUtils.paginate(SearchModelUtils.sort(found, order), page_token, max_results)
        return PagedList(page, token)

    def set_registered_model_tag(self, name: str, tag: RegisteredModelTag) -> None:
        """Set a tag of a registered model."""
        _validate_registered_model_tag(tag.key, tag.value)
        self._model(name)
        with translated():
            edit_model(name, tags={tag.key: plain(tag.value)}, store=self.store)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a registered model."""
        _validate_tag_name(key)
        self._model(name)
        with translated():
            edit_model(name, tags={key: None}, store=self.store)

    def _latest(self, model: ours.RegisteredModel, stages: Sequence[str]) -> list[ModelVersion]:
        wanted = {get_canonical_stage(stage) for stage in stages}
        newest: dict[str, ours.ModelVersion] = {}
        for version in model.versions:
            if not version.deleted and version.current_stage in wanted:
                newest.setdefault(version.current_stage, version)
        return [self._their_version(version) for version in sorted(newest.values(), key=lambda one: one.version)]

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        """Return the newest version of each of `stages`, or of every stage."""
        return self._latest(self._model(name), stages or ALL_STAGES)

    def _version(self, name: str, version: int | str) -> ours.ModelVersion:
        _validate_model_name(name)
        try:
            number = int(_validate_model_version(version))
        except TypeError:
            raise invalid(f"Model version must be an integer, got {version!r}") from None
        with translated():
            try:
                found = get_model(name, store=self.store).versions
            except (NotFoundError, InvalidNameError):
                found = ()
        for one in found:
            if one.version == number and not one.deleted:
                return one
        raise missing(f"Model Version (name={name}, version={version}) not found")

    def _their_version(self, version: ours.ModelVersion) -> ModelVersion:
        tags = version.tags
        model_id = tags.get(TAG_MODEL_ID)
        logged = self._logged.get(model_id) if model_id else None
        metrics = params = None
        if logged is not None:
            from mlflow.entities import LoggedModelParameter

            from nbtrack.bridge.plugin.logged_models import metrics_of

            metrics = metrics_of(logged)
            params = [LoggedModelParameter(key, value) for key, value in logged["params"].items()]
        made, changed = times(ledger(version.name, self.store)).versions[version.version]
        return ModelVersion(
            name=version.name,
            version=version.version,
            creation_timestamp=made,
            last_updated_timestamp=changed,
            description=described(version),
            current_stage=version.current_stage,
            source=settled(tags.get(TAG_SOURCE, version.source), self.store.root),
            run_id=tags[TAG_RUN_ID] or None if TAG_RUN_ID in tags else version.run_id,
            tags=[ModelVersionTag(key, value) for key, value in tags.items() if not key.startswith(HIDDEN)],
            run_link=tags.get(TAG_RUN_LINK),
            aliases=list(version.aliases),
            model_id=model_id,
            metrics=metrics,
            params=params,
        )


def described(record: ours.RegisteredModel | ours.ModelVersion) -> str | None:
    """Return a description as it was given: none is not the same as an empty one."""
    return record.description or ("" if TAG_BLANK in record.tags else None)


def blank(description: str | None, known: Mapping[str, str]) -> dict[str, Any]:
    """Return the change of the tags, which are `known`, that notes whether a description is an empty one."""
    if description == "":
        return {TAG_BLANK: "yes"}
    return {TAG_BLANK: None} if TAG_BLANK in known else {}


def clock(state: State) -> dict[str, int]:
    """Return what a commit notes of the time if another writer's clock was ahead of this one: commits never go back."""
    now = get_current_time_millis()
    return {CLOCK: now} if now < state.at_ms else {}


def check_max_results(max_results: Any, limit: int) -> None:
    """Raise MlflowException unless it is from 1 to `limit`, in the words of MLflow's registries."""
    if max_results > limit:
        raise invalid(
            f"Invalid value for request parameter max_results. It must be at most {limit}, but got value {max_results}"
        )
    if not isinstance(max_results, int) or max_results < 1:
        raise invalid(f"Invalid value for max_results. It must be a positive integer, but got {max_results}")


def check_order(order_by: Sequence[str] | None, keys: Sequence[str]) -> None:
    """Raise MlflowException if two of the clauses, whose keys are given, name one field."""
    if len(set(keys)) < len(keys):
        raise MlflowException(f"`order_by` contains duplicate fields: {order_by}")


def with_prompts(filter_string: str | None) -> str | None:
    """Leave prompts out, which MLflow keeps among the models, unless they are asked for."""
    from mlflow.prompt.registry_utils import add_prompt_filter_string

    found: str | None = add_prompt_filter_string(filter_string, is_prompt=False)
    return found
