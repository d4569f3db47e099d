"""The registry of an MLflow server, in commits: a change is made there first, and what changed there comes here.

Each commit is left there as a tag of the model, so that all mirrors have the same ones, number by number. What a user
of MLflow changes is found by comparison, and is a commit of each mirror's own until somebody makes the next one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from nbtrack.bridge.remote.history import claim_of, is_gone, is_taken, same, take_commits, to_tags
from nbtrack.bridge.remote.rest import ServerRefusedError
from nbtrack.errors import AlreadyExistsError, ConflictError, InvalidInputError
from nbtrack.registry.fold import State, fold
from nbtrack.registry.sources import find_source
from nbtrack.store.layout import now_ms

if TYPE_CHECKING:
    from nbtrack.bridge.remote.step import InStep

TAG_SOURCE: Final = "nbtrack.model_source"  # of a version on the server: what its place is called here
_GONE: Final = "RESOURCE_DOES_NOT_EXIST"
_PATIENCE_S: Final = 20.0  # with others who change the same model


class RemoteModels:
    """The registry of one mirror."""

    def __init__(self, store: InStep) -> None:
        self._store = store
        self._rest = store.rest

    def _state(self, model: str) -> State:
        return fold(model, self._store.local_commits(model))

    # -- from there ------------------------------------------------------------------------------------------------
    def pull(self) -> None:
        """Add what changed on the server as commits of the mirror."""
        found: dict[str, dict[str, Any]] = {}
        for one in self._pages("registered-models/search", "registered_models"):
            found[str(one["name"])] = {**one, "versions": {}}
        for one in self._pages("model-versions/search", "model_versions") if found else ():
            if str(one["name"]) in found:
                found[str(one["name"])]["versions"][int(one["version"])] = one
        for name, model in found.items():
            self._take(name, model)
        for name in set(self._store.local_models()) - found.keys():
            if not is_gone(self._store.local_commits(name)):
                self._add(name, "delete", {"model": {"deleted": True}})

    def _pages(self, path: str, key: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            answer = self._rest.get(path, {"max_results": 1000, **({"page_token": token} if token else {})})
            items += answer.get(key, [])
            token = answer.get("next_page_token") or ""
            if not token:
                return items

    def _add(self, name: str, action: str, patch: Mapping[str, Any], at: int = 0, **more: Any) -> None:
        body = {"action": action, "at": at or int(time.time() * 1000), "user": "", "note": "on the server"}
        self._store.local_commit(name, {**body, "patch": patch, **more})

    def _take_commits(self, name: str, there: Mapping[int, Mapping[str, Any]]) -> None:
        """Bring the commits of the mirror in line with those that the server has from the first one on."""
        here = self._store.local_commits(name)
        number = 1
        while number in there:
            if len(here) < number or not same(here[number - 1], there[number]):
                self._store.local_cut_commits(name, number - 1)
                here = here[: number - 1]
                while number in there:
                    self._store.local_commit(name, there[number], number - 1)
                    number += 1
                return
            number += 1

    def _take(self, name: str, model: Mapping[str, Any]) -> None:
        tags = _texts(model)
        self._take_commits(name, take_commits(tags))
        commits = self._store.local_commits(name)
        state = fold(name, commits)
        at = int(model.get("creation_timestamp", 0))
        fields: dict[str, Any] = {}
        if is_gone(commits):
            fields["deleted"] = False
        if str(model.get("description") or "") != state.description:
            fields["description"] = str(model.get("description") or "")
        if changed := _changes(state.tags, tags):
            fields["tags"] = changed
        if fields:
            self._add(name, "create" if not state.number else "edit", {"model": fields}, 0 if state.number else at)
        for number, version in sorted(model["versions"].items()):
            self._take_version(name, state, number, version)
        for number in [n for n, v in state.versions.items() if not v.deleted and n not in model["versions"]]:
            self._add(name, "delete", {"versions": {str(number): {"deleted": True, "stage": "None"}}})
        aliases = {str(one["alias"]): int(one["version"]) for one in model.get("aliases", [])}
        moved: dict[str, Any] = _changes(state.aliases, aliases)
        if moved:
            self._add(name, "alias", {"aliases": moved})

    def _take_version(self, name: str, state: State, number: int, version: Mapping[str, Any]) -> None:
        known = state.versions.get(number)
        tags = _texts(version)
        own = tags.pop(TAG_SOURCE, "")
        if known is None:
            fields = {"description": str(version.get("description") or ""), "tags": tags, **self._source(version, own)}
            at = int(version.get("creation_timestamp", 0))
            self._add(name, "register", {"versions": {str(number): fields}}, at)
            stage = "None"
        else:
            stage = known.current_stage
            fields = {"deleted": False} if known.deleted else {}
            if str(version.get("description") or "") != known.description:
                fields["description"] = str(version.get("description") or "")
            if changed := _changes(known.tags, tags):
                fields["tags"] = changed
            if fields:
                self._add(name, "edit", {"versions": {str(number): fields}})
        now = str(version.get("current_stage") or "None")
        if now != stage:
            changes = [{"version": number, "from": stage, "to": now}]
            self._add(name, "promote", {"versions": {str(number): {"stage": now}}}, changes=changes)

    def _source(self, version: Mapping[str, Any], own: str) -> dict[str, Any]:
        """Return where a version's files are in the mirror: as nbtrack noted it, else as its URI tells."""
        run_id, source = str(version.get("run_id") or ""), str(version.get("source") or "")
        place = own.removeprefix("runs:/") if own.startswith("runs:/") else ""
        if not place and run_id and f"/{run_id}/artifacts/" in source:
            place = f"{run_id}/{source.partition(f'/{run_id}/artifacts/')[2]}"
        elif not place and source.startswith("runs:/"):
            place = source.removeprefix("runs:/")
        fields: dict[str, Any] = {"run_id": run_id or None, "source": source}
        if place:
            local, _, path = place.partition("/")
            fields = {"run_id": local, "source": f"runs:/{place}"}
            try:
                found = find_source(self._store.get_run(local), path)
            except (LookupError, ValueError):
                found = None
            if found is not None:
                fields |= {"digest": found.digest, "flavor": "mlflow" if found.mlflow else ""}
        return fields

    # -- to there --------------------------------------------------------------------------------------------------
    def commit(self, model: str, body: Mapping[str, Any], expect: int | None) -> int:
        """Do on the server what a commit says, then add it to the mirror; raises ConflictError, ServerAwayError."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            self.pull()
            commits = self._store.local_commits(model)
            last = len(commits) if expect is None else expect
            if last != len(commits):
                raise ConflictError(
                    f"model {model!r}: somebody else changed it meanwhile; expected commit {expect} to be the last, got"
                    f" {len(commits)}. Look at what changed and try again."
                )
            if self._try(model, body, commits):
                return self._store.local_commit(model, body, last)
            if time.monotonic() > until:
                raise ConflictError(f"model {model!r}: others change it all the time. Try again.")
            time.sleep(random.uniform(0.02, 0.3))  # so that two do not meet again and again

    def _try(self, model: str, body: Mapping[str, Any], commits: list[Mapping[str, Any]]) -> bool:
        """Do on the server what a commit says, as the next one; return False if somebody else is at it."""
        patch, exists, number = body.get("patch", {}), not is_gone(commits), len(commits) + 1
        claim = claim_of(number)
        place = {"name": model, "key": claim}
        try:
            if exists:
                self._rest.post("registered-models/set-tag", {**place, "value": str(now_ms())})
                if is_taken(self._tags(model), claim, number):
                    return False
            try:
                self._do(model, fold(model, commits), patch, exists)
            except ServerRefusedError as error:
                if exists or error.code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return False
            if not patch.get("model", {}).get("deleted"):
                self._leave(model, dict(enumerate([*commits, body], 1)))
        finally:
            if exists:
                self._quietly("registered-models/delete-tag", place, "DELETE")
        return True

    def _tags(self, model: str) -> dict[str, str]:
        found: dict[str, Any] = self._rest.get("registered-models/get", {"name": model})["registered_model"]
        return _texts(found)

    def _leave(self, model: str, commits: Mapping[int, Mapping[str, Any]]) -> None:
        """Leave those commits on the server that are not there, also what this mirror found out by itself before."""
        there = take_commits(self._tags(model))
        for number in sorted(commits.keys() - there.keys()):
            for key, value in to_tags(number, commits[number]).items():
                self._rest.post("registered-models/set-tag", {"name": model, "key": key, "value": value})

    def _do(self, model: str, state: State, patch: Mapping[str, Any], exists: bool) -> None:
        fields = patch.get("model", {})
        if not exists and not fields.get("deleted"):
            self._check_fields(model, fields)
            body = {"name": model, "description": fields.get("description", "")}
            self._rest.post("registered-models/create", {**body, "tags": _pairs(fields.get("tags", {}))}, tries=1)
        elif fields:
            self._do_model(model, fields)
        for text, changes in patch.get("versions", {}).items():
            if int(text) not in state.versions:
                self._do_register(model, int(text), changes)
            else:
                self._do_version(model, text, changes)
        for alias, target in patch.get("aliases", {}).items():
            body = {"name": model, "alias": alias}
            if target is None:
                self._quietly("registered-models/alias", body, "DELETE")
            else:
                self._rest.post("registered-models/alias", {**body, "version": str(target)})

    def _quietly(self, path: str, body: Mapping[str, Any], method: str) -> None:
        """Remove something; that it is not there is no error."""
        try:
            self._rest.post(path, body, method=method)
        except ServerRefusedError as error:
            if error.code != _GONE:
                raise

    def _do_model(self, model: str, fields: Mapping[str, Any]) -> None:
        self._check_fields(model, fields)
        if fields.get("deleted"):
            self._quietly("registered-models/delete", {"name": model}, "DELETE")
            return
        if "description" in fields:
            self._rest.post(
                "registered-models/update", {"name": model, "description": fields["description"]}, method="PATCH"
            )
        for key, value in fields.get("tags", {}).items():
            if value is None:
                self._quietly("registered-models/delete-tag", {"name": model, "key": key}, "DELETE")
            else:
                self._rest.post("registered-models/set-tag", {"name": model, "key": key, "value": value})

    @staticmethod
    def _check_fields(model: str, fields: Mapping[str, Any]) -> None:
        if refused := fields.keys() & {"name", "stages", "stands_for", "heir"}:
            raise InvalidInputError(
                f"model {model!r}: an MLflow server has no place for {', '.join(sorted(refused))}."
                " Keep such models in a store of nbtrack."
            )

    def _do_register(self, model: str, number: int, fields: Mapping[str, Any]) -> None:
        source, run_id = str(fields.get("source", "")), str(fields.get("run_id") or "")
        sent = self._store.run_on_server(run_id) if run_id else None
        body: dict[str, Any] = {"name": model, "source": source, "description": fields.get("description", "")}
        if sent is not None and sent.remote:
            path = source.removeprefix(f"runs:/{run_id}/")
            body |= {"run_id": sent.remote, "source": f"{sent.artifact_uri}/{path}"}
        body["tags"] = _pairs({**fields.get("tags", {}), TAG_SOURCE: source})
        made = self._rest.post("model-versions/create", body, tries=1)["model_version"]
        if int(made["version"]) != number:  # somebody was faster
            self._quietly("model-versions/delete", {"name": model, "version": made["version"]}, "DELETE")
            raise ConflictError(f"model {model!r}: somebody else registered a version meanwhile. Try again.")
        self._do_version(model, str(number), {key: fields[key] for key in ("stage",) if key in fields})

    def _do_version(self, model: str, version: str, fields: Mapping[str, Any]) -> None:
        place = {"name": model, "version": version}
        if fields.get("deleted"):
            self._quietly("model-versions/delete", place, "DELETE")
            return
        if fields.get("deleted") is False:
            raise InvalidInputError(f"model {model!r}: an MLflow server cannot restore version {version}.")
        if "description" in fields:
            self._rest.post("model-versions/update", {**place, "description": fields["description"]}, method="PATCH")
        if "stage" in fields:
            body = {**place, "stage": fields["stage"], "archive_existing_versions": False}
            self._rest.post("model-versions/transition-stage", body)
        for key, value in fields.get("tags", {}).items():
            if value is None:
                self._quietly("model-versions/delete-tag", {**place, "key": key}, "DELETE")
            else:
                self._rest.post("model-versions/set-tag", {**place, "key": key, "value": value})

    def create_experiment(self, name: str, tags: Mapping[str, str]) -> str:
        """Create an experiment on the server; return its id there."""
        try:
            return str(
                self._rest.post("experiments/create", {"name": name, "tags": _pairs(tags)}, tries=1)["experiment_id"]
            )
        except ServerRefusedError as error:
            if error.code == "RESOURCE_ALREADY_EXISTS":
                raise AlreadyExistsError(f"experiment {name!r}: exists already on the server. {error}") from None
            raise

    def edit_experiment(self, remote: str, changes: Mapping[str, Any]) -> None:
        """Rename, trash, restore or tag an experiment on the server."""
        if changes.get("name"):
            self._rest.post("experiments/update", {"experiment_id": remote, "new_name": changes["name"]})
        deleted = changes.get("deleted")
        if deleted is not None:
            self._rest.post(f"experiments/{'delete' if deleted else 'restore'}", {"experiment_id": remote})
        for key, value in (changes.get("tags") or {}).items():
            path = "experiments/delete-experiment-tag" if value is None else "experiments/set-experiment-tag"
            body = {"experiment_id": remote, "key": key}
            self._rest.post(path, body if value is None else {**body, "value": value})


def _texts(record: Mapping[str, Any]) -> dict[str, str]:
    return {str(one["key"]): str(one.get("value", "")) for one in record.get("tags", [])}


def _pairs(texts: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in texts.items() if value is not None]


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes `new` of `old`: None for what goes."""
    return {key: new.get(key) for key in {*old, *new} if old.get(key) != new.get(key)}
