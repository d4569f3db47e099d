"""MLflow's registry verbs, with their names and arguments."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nbtrack.entities import ModelVersion, RegisteredModel
from nbtrack.errors import FilterSyntaxError, InvalidInputError, NotFoundError
from nbtrack.names import ModelURI, check_alias, check_new_stage, check_stage
from nbtrack.registry import edits, models, renaming, stages
from nbtrack.registry.filters import parse_filter
from nbtrack.registry.ledger import existing

if TYPE_CHECKING:
    from nbtrack.store.base import Store

_T = TypeVar("_T")
_VERSION_KEYS = ("name", "run_id", "source_path", "version_number", "current_stage", "flavor")


class PagedList(builtins.list[_T]):
    """A list whose `token` is None on the last page, else the text that asks for the next one."""

    def __init__(self, items: Sequence[_T], token: str | None) -> None:
        super().__init__(items)
        self.token = token


class Client:
    """The registry of one store, under the names that MLflow's client has.

    Parameters
    ----------
    tracking_uri
        The store; the one used now if not given.
    registry_uri
        For MLflow's sake; must be the same store.
    """

    def __init__(self, tracking_uri: str | Path | None = None, registry_uri: str | Path | None = None) -> None:
        if registry_uri is not None and tracking_uri is not None and str(registry_uri) != str(tracking_uri):
            raise InvalidInputError(
                f"Client: runs and models lie in one store; expected registry_uri {str(tracking_uri)!r}, got"
                f" {str(registry_uri)!r}. Leave registry_uri out."
            )
        self._uri = tracking_uri if tracking_uri is not None else registry_uri

    @property
    def _store(self) -> Store:
        if self._uri is None:
            return models.the_store(None)
        from nbtrack.store import open_store

        return open_store(self._uri)

    # -- registered models -----------------------------------------------------------------------------------------
    def create_registered_model(
        self,
        name: str,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> RegisteredModel:
        """Create a registered model without versions; raises AlreadyExistsError. There are no deployment jobs here."""
        return models.create_model(name, tags=tags, description=description or "", store=self._store)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Return a registered model; raises NotFoundError."""
        return models.get_model(name, store=self._store)

    def update_registered_model(
        self, name: str, description: str | None = None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        """Change the description of a registered model. There are no deployment jobs here."""
        return edits.edit_model(name, description=description, store=self._store)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Give a registered model another name; see :func:`nbtrack.registry.rename_model`."""
        return renaming.rename_model(name, new_name, store=self._store)

    def delete_registered_model(self, name: str) -> None:
        """Move a registered model to the trash."""
        edits.delete_model(name, store=self._store)

    def restore_registered_model(self, name: str) -> RegisteredModel:
        """Take a registered model out of the trash."""
        return edits.restore_model(name, store=self._store)

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        """Set a tag of a registered model."""
        edits.edit_model(name, tags={key: str(value)}, store=self._store)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a registered model."""
        edits.edit_model(name, tags={key: None}, store=self._store)

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        """Return registered models that fit, such as ``name LIKE 'clf%' AND tags.team = 'a'``, sorted by name.

        `order_by` takes ``name`` and ``last_updated_timestamp``, with ``ASC`` or ``DESC``.
        """
        fits = parse_filter(filter_string, ("name",))
        found = [
            model
            for model in models.list_models(store=self._store)
            if fits({"name": model.name, **_tag_fields(model.tags)})
        ]
        keys: dict[str, Callable[[RegisteredModel], Any]] = {
            "name": lambda model: model.name,
            "last_updated_timestamp": lambda model: model.last_updated_timestamp,
            "creation_timestamp": lambda model: model.creation_timestamp,
        }
        return _page(_ordered(found, order_by or ["name ASC"], keys), max_results, page_token)

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        """Return the newest version of each of `stages`, or of every stage that has one."""
        model = models.get_model(name, store=self._store)
        wanted = None if stages is None else {check_stage(stage, model.stages) for stage in stages}
        live = RegisteredModel(name, tuple(version for version in model.versions if not version.deleted))
        return [v for v in live.latest_versions if wanted is None or v.current_stage in wanted]

    # -- versions --------------------------------------------------------------------------------------------------
    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        await_creation_for: int = 300,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Make a logged model the next version of a registered model that exists.

        `source` is ``runs:/RUN_ID/PATH``, ``models:/NAME/VERSION``, or with `run_id` the path of the model in that
        run; `run_link`, `await_creation_for` (a version is there at once) and `model_id` mean nothing here.
        """
        store = self._store
        existing(name, store)
        if run_id is not None and not source.startswith(("runs:/", "models:/")):
            source = f"runs:/{run_id}/{source}"
        return models.register_model(source, name, tags=tags, description=description or "", store=store)

    def copy_model_version(self, src_model_uri: str, dst_name: str) -> ModelVersion:
        """Make a version of one registered model a version of another one, too."""
        return models.register_model(src_model_uri, dst_name, store=self._store)

    def get_model_version(self, name: str, version: int | str) -> ModelVersion:
        """Return one version; raises NotFoundError."""
        return models.get_version(name, version, store=self._store)

    def update_model_version(self, name: str, version: int | str, description: str | None = None) -> ModelVersion:
        """Change the description of a version."""
        return edits.edit_version(name, version, description=description, store=self._store)

    def delete_model_version(self, name: str, version: int | str) -> None:
        """Move a version to the trash."""
        edits.delete_version(name, version, store=self._store)

    def restore_model_version(self, name: str, version: int | str) -> ModelVersion:
        """Take a version out of the trash, in the stage None."""
        return edits.restore_version(name, version, store=self._store)

    def get_model_version_download_uri(self, name: str, version: int | str) -> str:
        """Return the ``runs:/`` URI that a version was made of."""
        return self.get_model_version(name, version).source

    def get_model_version_stages(self, name: str, version: int | str) -> list[str]:
        """Return all stages that a version can be in."""
        self.get_model_version(name, version)
        return list(models.get_model(name, store=self._store).stages)

    def set_model_version_tag(
        self,
        name: str,
        version: int | str | None = None,
        key: str | None = None,
        value: Any = None,
        stage: str | None = None,
    ) -> None:
        """Set a tag of a version, named by its number or by its stage."""
        if key is None:
            raise InvalidInputError("set_model_version_tag: expected a key, got None.")
        number = self._number(name, version, stage)
        edits.edit_version(name, number, tags={key: str(value)}, store=self._store)

    def delete_model_version_tag(
        self, name: str, version: int | str | None = None, key: str | None = None, stage: str | None = None
    ) -> None:
        """Remove a tag of a version, named by its number or by its stage."""
        if key is None:
            raise InvalidInputError("delete_model_version_tag: expected a key, got None.")
        edits.edit_version(name, self._number(name, version, stage), tags={key: None}, store=self._store)

    def _number(self, name: str, version: int | str | None, stage: str | None) -> int | str:
        if (version is None) == (stage is None):
            raise InvalidInputError(
                f"model {name!r}: expected a version or a stage, got version={version!r}, stage={stage!r}. Give one."
            )
        if version is not None:
            return version
        return models.find_version(ModelURI(name, stage=check_new_stage(stage)), self._store).version

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = 10_000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        """Return versions that fit, such as ``name = 'clf' AND tags.checked = 'yes'``, newest first.

        Keys are ``name run_id source_path version_number current_stage flavor`` and ``tags.KEY``; `order_by` takes
        ``name``, ``version_number``, ``creation_timestamp`` and ``last_updated_timestamp``.
        """
        fits = parse_filter(filter_string, _VERSION_KEYS)
        found = [
            version
            for model in models.list_models(store=self._store)
            for version in model.versions
            if not version.deleted and fits(_version_fields(version))
        ]
        keys: dict[str, Callable[[ModelVersion], Any]] = {
            "name": lambda version: version.name,
            "version_number": lambda version: version.version,
            "creation_timestamp": lambda version: version.creation_timestamp,
            "last_updated_timestamp": lambda version: version.last_updated_timestamp,
        }
        order = order_by or ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]
        return _page(_ordered(found, order, keys), max_results, page_token)

    # -- stages and aliases ----------------------------------------------------------------------------------------
    def transition_model_version_stage(
        self, name: str, version: int | str, stage: str, archive_existing_versions: bool = False
    ) -> ModelVersion:
        """Move a version to a stage; return it.

        Staging and Production hold one version: the one that is there gives way, to Archived with
        `archive_existing_versions`, else to where :func:`promote` puts it.
        """
        former = "Archived" if archive_existing_versions else None
        stages.promote(name, version, stage, former=former, store=self._store)
        return self.get_model_version(name, version)

    def set_registered_model_alias(self, name: str, alias: str, version: int | str) -> None:
        """Let an alias mean a version."""
        edits.set_alias(name, alias, version, store=self._store)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Take an alias away."""
        edits.delete_alias(name, alias, store=self._store)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version that an alias means; raises NotFoundError."""
        return models.find_version(ModelURI(name, alias=check_alias(alias)), self._store)


def _tag_fields(tags: Mapping[str, str]) -> dict[str, str]:
    return {f"tags.{key}": value for key, value in tags.items()}


def _version_fields(version: ModelVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "run_id": version.run_id,
        "source_path": version.source,
        "version_number": version.version,
        "current_stage": version.current_stage,
        "flavor": version.flavor,
        **_tag_fields(version.tags),
    }


def _ordered(found: list[_T], order_by: Sequence[str], keys: Mapping[str, Callable[[_T], Any]]) -> list[_T]:
    for clause in reversed([order_by] if isinstance(order_by, str) else list(order_by)):
        key, _, direction = str(clause).strip().partition(" ")
        if key not in keys or direction.strip().upper() not in {"", "ASC", "DESC"}:
            raise FilterSyntaxError(f"order_by: expected one of {', '.join(keys)} with ASC or DESC, got {clause!r}.")
        found.sort(key=keys[key], reverse=direction.strip().upper() == "DESC")
    return found


def _page(found: list[_T], max_results: int, page_token: str | None) -> PagedList[_T]:
    if isinstance(max_results, bool) or not isinstance(max_results, int) or max_results < 1:
        raise InvalidInputError(f"search: expected max_results of at least 1, got {max_results!r}.")
    start = 0
    if page_token:
        if not page_token.isdecimal() or len(page_token) > 9:
            raise NotFoundError(f"search: no page has the token {page_token[:40]!r}; use the token of the page before.")
        start = int(page_token)
    end = start + max_results
    return PagedList(found[start:end], str(end) if end < len(found) else None)
