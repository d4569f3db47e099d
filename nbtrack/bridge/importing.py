"""Puts what another tracker holds into a store of ours. The source is only read; a second import adds what is new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from nbtrack.bridge.foreign import (
    ForeignExperiment,
    ForeignLoggedModel,
    ForeignModel,
    ForeignRun,
    ForeignVersion,
    ImportReport,
    Source,
)
from nbtrack.bridge.model_files import ModelFiles
from nbtrack.entities import TAG_NOTE, TAG_PARENT, TAG_SOURCE, TAG_USER, Artifact
from nbtrack.errors import InvalidInputError, InvalidNameError, NbtrackError
from nbtrack.names import check_experiment_name, check_run_name
from nbtrack.registry.ledger import ledger
from nbtrack.registry.sources import find_source
from nbtrack.store import FileStore
from nbtrack.store.base import Store
from nbtrack.store.bulk import EndedRun, EndedRuns, are_good_keys, checked_key, known_runs
from nbtrack.store.collecting import no_collecting

Progress = Callable[[int, int], None]
TAG_MODEL_SOURCE: Final = "nbtrack.mlflow.source"  # what the tracker that a version came from calls its place
TAG_MODEL_ID: Final = "nbtrack.mlflow.model_id"
TAG_RUN_LINK: Final = "nbtrack.mlflow.run_link"
_TAGS: Final = {
    "mlflow.note.content": TAG_NOTE,
    "mlflow.parentRunId": TAG_PARENT,
    "mlflow.user": TAG_USER,
    "mlflow.source.name": TAG_SOURCE,
}
_TELL_EVERY: Final = 100


def import_source(
    source: Source,
    store: Store,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    experiment: str | None = None,
) -> ImportReport:
    """Copy everything that `source` holds into `store`.

    Parameters
    ----------
    source
        What to read.
    store
        A store in a folder; runs keep their ids, names, times and statuses.
    dry_run
        Only count.
    progress
        Called now and then with the number of runs seen and of all runs.
    experiment
        The experiment for all runs; if not given, what they were in.
    """
    if not isinstance(store, FileStore):
        raise InvalidInputError("import: expected a store in a folder. Import into a folder, then move it.")
    with no_collecting():
        return _Import(source, store, dry_run, experiment).run(progress)


class _Import:
    def __init__(self, source: Source, store: FileStore, dry_run: bool, experiment: str | None) -> None:
        self.source, self.store, self.dry_run = source, store, dry_run
        self.experiment = None if experiment is None else check_experiment_name(experiment)
        self.report = source.report
        self.experiments: dict[str, str] = {}
        self.named: dict[str, ForeignExperiment] = {}

    def run(self, progress: Progress | None) -> ImportReport:
        known = known_runs(self.store)
        total, done = self.source.count(), 0
        self.named = {one.key: one for one in self.source.experiments()}
        with EndedRuns(self.store) as written:
            for run in self.source.runs(frozenset(known)):
                done += 1
                if progress is not None and (done % _TELL_EVERY == 0 or done == total):
                    progress(done, total)
                if run is None:
                    continue
                try:
                    self._add_run(run, written)
                except (NbtrackError, OSError, ValueError) as error:
                    self.report.problems.append(f"run {run.run_id}: left out; {error}")
        for ended, failure in written.failed:
            self.report.problems.append(f"run {ended.run_id}: left out; {failure}")
            self._count(ended, -1)
        for one in self.named.values():
            if one.tags:  # it has something to say even without runs
                self._experiment_id(one.key)
        for logged in self.source.logged_models():
            self._add_logged(logged)
        for model in self.source.models():
            try:
                self._add_model(model)
            except NbtrackError as error:
                self.report.problems.append(f"model {model.name!r}: left out; {error}")
        return self.report

    # -- experiments and runs --------------------------------------------------------------------------------------
    def _experiment_id(self, key: str) -> str:
        found = self.experiments.get(key)
        if found is None:
            given = self.named.get(key) or ForeignExperiment(key, f"experiment {key}")
            if self.experiment is not None:
                given = ForeignExperiment(key, self.experiment)
            found = self.experiments[key] = self._make_experiment(given)
            self.report.experiments += 1
        return found

    def _make_experiment(self, given: ForeignExperiment) -> str:
        try:
            name = check_experiment_name(given.name)
        except InvalidNameError:
            name = f"experiment {given.key}"
            self.report.problems.append(f"experiment {given.name!r:.80}: is called {name!r} here.")
        known = self.store.get_experiment_by_name(name)
        if known is not None:
            return known.experiment_id
        if self.dry_run:
            return ""
        made = self.store.create_experiment(name, _good(given.tags, self.report))
        if given.deleted:
            self.store.edit_experiment(made, deleted=True)
        return made

    def _add_run(self, run: ForeignRun, written: EndedRuns) -> None:
        report = self.report
        tags = {_TAGS.get(key, key): value for key, value in run.tags.items()}
        if run.user:
            tags.setdefault(TAG_USER, run.user)
        ended = EndedRun(
            run_id=run.run_id,
            run_name=clean_name(run.name),
            experiment_id=self._experiment_id(run.experiment),
            status=run.status,
            start_time_ms=run.start_time_ms,
            end_time_ms=run.start_time_ms if run.end_time_ms is None else run.end_time_ms,
            params=_good(run.params, report),
            tags=_good(tags, report),
            metrics=_good(run.metrics, report),
            inputs=run.inputs,
            capture=run.capture,
        )
        if not self.dry_run:
            ended.artifacts = self._artifacts(run)
            written.add(ended, partial(self._delete, run.run_id) if run.deleted else None)
        else:
            report.deleted += run.deleted
            report.artifacts += len(run.artifacts)
        self._count(ended, 1)

    def _delete(self, run_id: str) -> None:
        self.store.edit_run(run_id, deleted=True)
        self.report.deleted += 1

    def _count(self, run: EndedRun, sign: int) -> None:
        report = self.report
        report.runs += sign
        report.params += sign * len(run.params)
        report.tags += sign * len(run.tags)
        report.metric_values += sign * sum(map(len, run.metrics.values()))
        report.inputs += sign * len(run.inputs)
        report.artifacts += sign * len(run.artifacts)

    def _artifacts(self, run: ForeignRun) -> list[Artifact]:
        found = []
        for path, file in run.artifacts:
            try:
                digest, size = self.store.put_blob(file)
            except (NbtrackError, OSError) as error:
                self.report.problems.append(f"run {run.run_id}: artifact {path!r} was left out; {error}")
                continue
            found.append(Artifact(path, digest, size))
        return found

    # -- models ----------------------------------------------------------------------------------------------------
    def _add_logged(self, logged: ForeignLoggedModel) -> None:
        files = ModelFiles(self.store.root)
        if files.get(logged.model_id) is not None:
            return
        self.report.logged_models += 1
        if self.dry_run:
            return
        fields = {**logged.fields, "experiment_id": self._experiment_id(logged.experiment)}
        files.append(logged.model_id, {**fields, "holder": logged.holder, "path": logged.path})
        for metric in logged.metrics:
            files.append(logged.model_id, {"metric": dict(metric)})

    def _add_model(self, model: ForeignModel) -> None:
        book = ledger(model.name, self.store)
        state = book.refresh()
        known = {n: v.tags.get(TAG_MODEL_SOURCE) for n, v in state.versions.items()}
        new = []
        for version in model.versions:
            if version.number not in known:
                new.append(version)
            elif known[version.number] == version.source:
                self.report.known += 1
            else:
                self.report.problems.append(
                    f"model {model.name!r}: its version {version.number} was left out; one of another origin has that"
                    " number here."
                )
        if state.number and not new:
            return
        self.report.models += not state.number
        self.report.versions += len(new)
        self.report.stages += sum(version.stage != "None" for version in new)
        numbers = {version.number for version in new}
        aliases = {alias: n for alias, n in model.aliases.items() if n in numbers}
        self.report.aliases += len(aliases)
        if self.dry_run:
            return
        self._write_model(model, state.number, new, aliases)

    def _write_model(
        self, model: ForeignModel, last: int, new: list[ForeignVersion], aliases: Mapping[str, int]
    ) -> None:
        def commit(action: str, at_ms: int, patch: Mapping[str, Any], user: str = "", **more: Any) -> None:
            nonlocal last
            body = {"action": action, "at": at_ms, "user": user, "patch": patch, "note": "imported", **more}
            last = self.store.append_commit(model.name, body, expect=last)

        if not last:
            fields = {"deleted": False, "description": model.description, "tags": dict(model.tags)}
            commit("create", model.created_ms, {"model": fields})
        for version in new:
            commit(
                "register", version.created_ms, {"versions": {str(version.number): self._fields(version)}}, version.user
            )
        moved = [version for version in new if version.stage != "None"]
        if moved:
            changes = [{"version": one.number, "from": "None", "to": one.stage} for one in moved]
            stages = {str(one.number): {"stage": one.stage} for one in moved}
            commit("promote", max(one.updated_ms for one in moved), {"versions": stages}, changes=changes)
        if aliases:
            commit("alias", model.updated_ms, {"aliases": dict(aliases)})

    def _fields(self, version: ForeignVersion) -> dict[str, Any]:
        tags = {**version.tags, TAG_MODEL_SOURCE: version.source}
        if version.model_id:
            tags[TAG_MODEL_ID] = version.model_id
        if version.run_link:
            tags[TAG_RUN_LINK] = version.run_link
        fields: dict[str, Any] = {
            "run_id": version.run_id,
            "source": version.source,
            "description": version.description,
            "tags": tags,
        }
        if version.place is not None:
            run_id, path = version.place
            try:
                run = self.store.get_run(run_id)
            except NbtrackError:
                return fields
            found = find_source(run, path)
            if found is not None:
                fields |= {"run_id": run_id, "source": f"runs:/{run_id}/{path}", "digest": found.digest}
                fields["flavor"] = "mlflow" if found.mlflow else ""
                return fields
        self.report.problems.append(
            f"the files of a registered version were not found ({version.source!r}); it cannot be loaded here."
        )
        return fields


def clean_name(name: str) -> str:
    """Return a name as ours may be."""
    try:
        return check_run_name(name)
    except InvalidNameError:
        shown = "".join(c if c.isprintable() else " " for c in name).replace("..", "…").strip()[:250]
        return shown or "run"


def _good(given: Mapping[str, Any], report: ImportReport) -> Mapping[str, Any]:
    """Leave out what no key of ours can name."""
    if are_good_keys(given):
        return given
    found = {}
    for key, value in given.items():
        try:
            found[checked_key(key)] = value
        except InvalidNameError as error:
            report.problems.append(f"left out; {error}")
    return found
