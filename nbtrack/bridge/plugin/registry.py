"""The model registry that MLflow gets for ``nbtrack:///path``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities.model_registry import ModelVersion, ModelVersionTag
from mlflow.entities.model_registry.model_version_stages import (
    DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS,
    get_canonical_stage,
)
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry import (
    SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT,
    SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD,
)
from mlflow.utils import validation
from mlflow.utils.search_utils import SearchModelVersionUtils, SearchUtils
from mlflow.utils.validation import (
    _REGISTERED_MODEL_ALIAS_LATEST,
    _validate_model_version_tag,
    _validate_tag_name,
)

from nbtrack.bridge.plugin.place import SCHEME, invalid, missing, moveable, settled, split, translated, uri_of
from nbtrack.bridge.plugin.registered import (
    TAG_MODEL_ID,
    TAG_RUN_ID,
    TAG_RUN_LINK,
    TAG_SOURCE,
    TAG_STORAGE,
    RegisteredModels,
    blank,
    check_max_results,
    check_order,
    clock,
    with_prompts,
)
from nbtrack.bridge.plugin.writers import plain
from nbtrack.errors import InvalidNameError, NbtrackError
from nbtrack.names import check_run_id
from nbtrack.registry import edit_version, list_models
from nbtrack.registry.fold import State
from nbtrack.registry.ledger import existing
from nbtrack.registry.sources import find_source

# MLflow 3.18 calls them so, earlier ones otherwise.
_check_alias = getattr(validation, "_validate_alias_name", None) or validation._validate_model_alias_name
_check_alias_is_free = (
    getattr(validation, "_validate_alias_name_reserved", None) or validation._validate_model_alias_name_reserved
)


class RegistryStore(RegisteredModels):
    """Registered models and versions of one store of ours, under MLflow's names and with its rules.

    Its rules differ in two places from nbtrack's own functions: a stage may hold several versions, and deleting a
    model frees its name. Numbers of versions are never used twice here either.
    """

    # -- versions --------------------------------------------------------------------------------------------------
    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Sequence[ModelVersionTag] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Make the model at `source` the next version of a registered model."""
        self._model(name)
        for tag in tags or []:
            _validate_model_version_tag(tag.key, tag.value)
        root = self.store.root
        storage, logged_id = self._storage_of(source)
        logged = self._logged.get(model_id or logged_id or "")
        run_id = run_id or (logged["source_run_id"] if logged else None)
        kept = {
            TAG_STORAGE: moveable(storage, root) if storage != source else None,
            TAG_RUN_LINK: run_link,
            TAG_MODEL_ID: model_id,
        }
        place = self._in_store(storage, logged)
        fields: dict[str, Any] = {
            "run_id": place.partition("/")[0] if place else run_id if _may_be_run(run_id) else None,
            "source": f"runs:/{place}" if place else source,
            "description": description or "",
            "tags": {tag.key: plain(tag.value) for tag in tags or []} | blank(description, {}),
        }
        fields |= self._found(place) if place else {}
        kept |= {TAG_SOURCE: moveable(source, root) if fields["source"] != source else None}
        kept |= {TAG_RUN_ID: (run_id or "") if fields["run_id"] != run_id else None}
        fields["tags"] |= {key: value for key, value in kept.items() if value is not None}
        made = 0

        def change(state: State) -> Mapping[str, Any]:
            nonlocal made
            made = state.next_version
            return {"patch": {"versions": {str(made): fields}}, **clock(state)}

        with translated():
            existing(name, self.store).commit("register", change, None, None)
        return self.get_model_version(name, made)

    def _found(self, place: str) -> dict[str, Any]:
        """Return what our registry notes of a model that lies in this store, so that loading it is verified."""
        run_id, _, path = place.partition("/")
        try:
            found = find_source(self.store.get_run(run_id), path.rstrip("/"))
        except NbtrackError:
            return {}
        return {} if found is None else {"digest": found.digest, "flavor": "mlflow" if found.mlflow else ""}

    def _storage_of(self, source: str) -> tuple[str, str | None]:
        """Return where the files of a source are, and the id of the logged model that it names."""
        if urlsplit(source).scheme != "models":
            return source, None
        try:
            uri = _parse_model_uri(source)
            if uri.model_id is None:
                return self.get_model_version_download_uri(uri.name, uri.version), None
            if self._logged.get(uri.model_id) is None:
                raise missing(f"Logged model with ID '{uri.model_id}' not found")
        except MlflowException as error:
            raise MlflowException(
                f"Unable to fetch model from model URI source artifact location '{source}'.Error: {error}"
            ) from error
        return f"{uri_of(self.store.root)}/models/{uri.model_id}/artifacts", uri.model_id

    def _in_store(self, storage: str, logged: Mapping[str, Any] | None) -> str | None:
        """Return ``RUN/PATH`` of files that lie in this store, so that nbtrack loads and serves them; else None."""
        if storage.startswith("runs:/"):
            place = storage[len("runs:/") :].lstrip("/")
            return place if _may_be_run(place.partition("/")[0]) else None
        if logged is not None and storage.rstrip("/").endswith(f"models/{logged['model_id']}/artifacts"):
            return f"{logged['holder']}/{logged['path']}"
        if urlsplit(storage).scheme != SCHEME:
            return None
        root, kind, of, rest = split(storage)
        if root != self.store.root or not of:
            return None
        if kind == "runs":
            return f"{of}/{rest}"
        model = self._logged.get(of)
        return None if model is None else "/".join(filter(None, (model["holder"], model["path"], rest)))

    def get_model_version(self, name: str, version: int | str) -> ModelVersion:
        """Return one version."""
        return self._their_version(self._version(name, version))

    def get_model_version_download_uri(self, name: str, version: int | str) -> str:
        """Return where the files of a version are."""
        found = self._version(name, version)
        kept = found.tags.get(TAG_STORAGE) or found.tags.get(TAG_SOURCE) or found.source
        return settled(kept, self.store.root)

    def update_model_version(self, name: str, version: int | str, description: str | None) -> ModelVersion:
        """Change the description of a version."""
        known = self._version(name, version)
        number = known.version
        with translated():
            said = blank(description, known.tags)
            edit_version(name, number, description=description or "", tags=said, store=self.store)
        return self.get_model_version(name, number)

    def transition_model_version_stage(
        self, name: str, version: int | str, stage: str, archive_existing_versions: bool
    ) -> ModelVersion:
        """Move a version to a stage; those that are there stay, or go to Archived."""
        wanted = get_canonical_stage(stage)
        if archive_existing_versions and wanted not in DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS:
            raise MlflowException(
                "Model version transition cannot archive existing model versions because"
                f" '{stage}' is not an Active stage. Valid stages are {DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS}"
            )
        number = self._version(name, version).version

        def change(state: State) -> Mapping[str, Any]:
            moved = {number: wanted}
            if archive_existing_versions:
                moved |= {one.version: "Archived" for one in state.in_stage(wanted) if one.version != number}
            changes = [
                {"version": one, "from": state.versions[one].current_stage, "to": to} for one, to in moved.items()
            ]
            patch = {"versions": {str(one): {"stage": to} for one, to in moved.items()}}
            return {"changes": changes, "patch": patch}

        self._commit(name, "promote", change)
        return self.get_model_version(name, number)

    def _commit(self, name: str, action: str, change: Callable[[State], Mapping[str, Any] | None]) -> None:
        with translated():
            existing(name, self.store).commit(action, change, None, None)

    def delete_model_version(self, name: str, version: int | str) -> None:
        """Move a version to the trash."""
        from nbtrack.registry import delete_version

        number = self._version(name, version).version
        with translated():
            delete_version(name, number, store=self.store)

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        """Return versions that fit, newest first unless `order_by` says otherwise."""
        if not isinstance(max_results, int):
            raise invalid(f"Invalid value for max_results. It must be a positive integer, but got {max_results}")
        check_max_results(max_results, SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD)
        found = [
            self._their_version(version)
            for model in list_models(store=self.store)
            for version in model.versions
            if not version.deleted
        ]
        try:
            found = SearchModelVersionUtils.filter(found, with_prompts(filter_string))
        except ValueError as error:
            raise invalid(f"Invalid value in filter {filter_string!r}: {error}") from error
        parsed = [SearchModelVersionUtils.parse_order_by_for_search_model_versions(clause) for clause in order_by or []]
        check_order(order_by, [key for _, key, _ in parsed])
        order = order_by or ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]
        page, token = SearchUtils.paginate(SearchModelVersionUtils.sort(found, order), page_token, max_results)
        return PagedList(page, token)

    def set_model_version_tag(self, name: str, version: int | str, tag: ModelVersionTag) -> None:
        """Set a tag of a version."""
        _validate_model_version_tag(tag.key, tag.value)
        number = self._version(name, version).version
        with translated():
            edit_version(name, number, tags={tag.key: plain(tag.value)}, store=self.store)

    def delete_model_version_tag(self, name: str, version: int | str, key: str) -> None:
        """Remove a tag of a version."""
        _validate_tag_name(key)
        number = self._version(name, version).version
        with translated():
            edit_version(name, number, tags={key: None}, store=self.store)

    # -- aliases ---------------------------------------------------------------------------------------------------
    def set_registered_model_alias(self, name: str, alias: str, version: int | str) -> None:
        """Let an alias mean a version."""
        _check_alias(alias)
        _check_alias_is_free(alias)
        number = self._version(name, version).version
        self._commit(name, "alias", lambda state: {"patch": {"aliases": {alias: number}}})

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Take an alias away; one that is not there is no error."""
        _check_alias(alias)
        self._model(name)
        self._commit(
            name, "alias", lambda state: {"patch": {"aliases": {alias: None}}} if alias in state.aliases else None
        )

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version that an alias means."""
        _check_alias(alias)
        model = self._model(name)
        if alias.lower() == _REGISTERED_MODEL_ALIAS_LATEST:
            live = [one for one in model.versions if not one.deleted]
            if live:
                return self._their_version(live[0])
        if alias not in model.aliases:
            raise invalid(f"Registered model alias {alias} not found.")
        return self.get_model_version(name, model.aliases[alias])

    def _await_model_version_creation(self, mv: ModelVersion, await_creation_for: int | None) -> None:
        """Do nothing: a version is ready when it is there."""


def _may_be_run(run_id: str | None) -> bool:
    """Whether this has the form of an id of a run; MLflow takes any text for one."""
    try:
        check_run_id(run_id)
    except InvalidNameError:
        return False
    return True
