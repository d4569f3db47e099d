"""Reads an MLflow database in sqlite, of any schema since 1.0, without MLflow. It is opened for reading only.

Tables and columns that a schema does not have yet are taken as empty. All tables are read in the order of run ids, and
merged as they come: a database may be larger than the memory.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from nbtrack.bridge.foreign import (
    ForeignExperiment,
    ForeignLoggedModel,
    ForeignModel,
    ForeignRun,
    ForeignVersion,
    Source,
)
from nbtrack.bridge.mlflow_rows import Merged, Texts, points_of, run_of
from nbtrack.bridge.places import Places, files_in
from nbtrack.entities import DatasetInput
from nbtrack.errors import InvalidInputError
from nbtrack.store.lines import to_json_number

_RUN_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{21}")
_MAGIC: Final = b"SQLite format 3\0"
# What MLflow keeps and a store of ours has no place for: table, and what it holds in words.
_LEFT: Final = {
    "trace_info": "traces",
    "trace_metrics": "trace metrics",
    "spans": "spans of traces",
    "assessments": "assessments",
    "evaluation_datasets": "evaluation data sets",
    "scorers": "scorers",
    "webhooks": "webhooks",
    "jobs": "jobs",
    "endpoints": "gateway endpoints",
    "issues": "issues",
    "label_schemas": "label schemas",
    "review_queues": "review queues",
}


def is_database(path: Path) -> bool:
    """Return whether a file is a sqlite database."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


class MlflowDatabase(Source):
    """The database in the file `path`; artifacts are looked for where it says, and else beside it.

    Raises
    ------
    InvalidInputError
        If it is no database of MLflow's.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        if not is_database(self.path):
            raise InvalidInputError(f"import: expected a sqlite database of MLflow, got {str(path)!r}, which is none.")
        self._db = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            self._columns = self._read_columns(path)
        except BaseException:
            self._db.close()
            raise
        home = self.path.resolve().parent
        self._places = Places([home / "mlruns", home / "mlartifacts", home], self.report)
        self._models_of: dict[str, list[dict[str, Any]]] = {}

    def _read_columns(self, path: str | Path) -> dict[str, set[str]]:
        try:
            names = [name for (name,) in self._db.execute("select name from sqlite_master where type = 'table'")]
            found = {
                name: {row[1] for row in self._db.execute(f"pragma table_info({_quoted(name)})")} for name in names
            }
        except sqlite3.DatabaseError as error:
            raise InvalidInputError(
                f"import: the database {str(path)!r} cannot be read ({error}). Copy it whole, with no"
                f" MLflow writing to it; `sqlite3 {self.path.name} .recover` saves what can be saved of a damaged one."
            ) from None
        if not {"run_uuid", "experiment_id"} <= found.get("runs", set()) or "experiments" not in found:
            what = "which has no tables of runs and experiments"
            raise InvalidInputError(f"import: expected a database of MLflow's, got {str(path)!r}, {what}.")
        return found

    def _rows(self, table: str, columns: Sequence[str], order: str = "") -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table; a column that this schema does not have is None."""
        known = self._columns.get(table)
        if known is None:
            return iter(())
        shown = ", ".join(_quoted(one) if one in known else "null" for one in columns)
        ordered = f" order by {order}" if order else ""
        return self._db.execute(f"select {shown} from {_quoted(table)}{ordered}")  # noqa: S608 - names of this file

    def count(self) -> int:
        return int(self._db.execute("select count(*) from runs").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # -- experiments and runs --------------------------------------------------------------------------------------
    def experiments(self) -> Sequence[ForeignExperiment]:
        tags: dict[str, dict[str, str]] = {}
        for key, tag, value in self._rows("experiment_tags", ("experiment_id", "key", "value")):
            tags.setdefault(str(key), {})[str(tag)] = str(value)
        found = []
        for key, name, stage, workspace in self._rows(
            "experiments", ("experiment_id", "name", "lifecycle_stage", "workspace")
        ):
            shown = str(name) if workspace in (None, "", "default") else f"{workspace}/{name}"
            found.append(ForeignExperiment(str(key), shown, tags.get(str(key), {}), stage == "deleted"))
        self._say_what_is_left()
        return found

    def _say_what_is_left(self) -> None:
        for table, words in _LEFT.items():
            if table in self._columns:
                count = self._db.execute(f"select count(*) from {_quoted(table)}").fetchone()[0]  # noqa: S608
                if count:
                    self.report.left_behind.append(f"{count:,} {words}")

    def runs(self, known: frozenset[str]) -> Iterator[ForeignRun | None]:
        try:
            yield from self._runs(known)
        except sqlite3.DatabaseError as error:
            self._damaged("what came before of the runs was read", error)

    def _damaged(self, words: str, error: Exception) -> None:
        self.report.problems.append(
            f"{self.path.name}: is damaged or copied by half ({error}); {words}. `sqlite3 {self.path.name} .recover`"
            " saves what can be saved."
        )

    def _runs(self, known: frozenset[str]) -> Iterator[ForeignRun | None]:
        self._models_of = self._logged_by_run()
        inputs = self._inputs()
        columns: Sequence[str] = (
            "run_uuid",
            "experiment_id",
            "name",
            "status",
            "start_time",
            "end_time",
            "lifecycle_stage",
            "user_id",
            "artifact_uri",
        )
        params, tags = self._texts("params"), self._texts("tags")
        metrics = Merged(self._points())
        for row in self._rows("runs", columns, "run_uuid"):
            key = row[0]
            run_id = _run_id(str(key))
            if run_id in known:
                self.report.known += 1
                yield None
                continue
            run = run_of(run_id, row, params.of(key), tags.of(key))
            run.metrics = points_of(metrics.of(key))
            if run_id != key:
                run.tags["nbtrack.mlflow.run_id"] = str(key)
            if key in inputs:
                run.inputs = inputs[key]
            if row[-1] or self._models_of:
                self._add_files(run, str(key), row[-1] or "")
            yield run

    def _points(self) -> Iterator[tuple[Any, ...]]:
        """Yield the points of metrics as ``(run, key, ms, value or None, step)``, numbers for sure."""
        known = self._columns.get("metrics", set())
        if not {"run_uuid", "key", "value"} <= known:
            return iter(())
        at, step, is_nan = (name if name in known else "0" for name in ("timestamp", "step", "is_nan"))
        return self._db.execute(
            f"select run_uuid, key, cast(ifnull({at}, 0) as integer),"  # noqa: S608 - names of this file
            f" case when {is_nan} then null else cast(value as real) end, cast(ifnull({step}, 0) as integer)"
            " from metrics order by run_uuid"
        )

    def _texts(self, table: str) -> Texts:
        """Return the texts of every run, each run's as one JSON object: a row for each of them costs twice as much."""
        try:
            if not {"run_uuid", "key", "value"} <= self._columns.get(table, set()):
                return Texts(iter(()))
            return Texts(
                self._db.execute(
                    f"select run_uuid, json_group_object(key, cast(value as text)) from {_quoted(table)}"  # noqa: S608
                    " group by run_uuid order by run_uuid"
                )
            )
        except sqlite3.OperationalError:  # a sqlite without JSON
            merged = Merged(self._rows(table, ("run_uuid", "key", "value"), "run_uuid"))
            return Texts(
                (key, {name: "" if value is None else str(value) for _, name, value in rows})
                for key, rows in merged.all()
            )

    def _add_files(self, run: ForeignRun, key: str, uri: str) -> None:
        if uri:
            run.artifacts = list(files_in(self._places.find(uri, (key, "artifacts"), f"run {key}"), self.report))
        for model in self._models_of.get(key, ()):
            ends = (model["model_id"], "artifacts")
            folder = self._places.find(model["artifact_location"], ends, f"logged model {model['model_id']}")
            run.artifacts += files_in(folder, self.report, f"{model['path']}/")
            run.capture[f"mlflow_logged_model {model['path']}"] = model["model_id"]
            run.capture[f"mlflow_model_output {model['model_id']}"] = {"step": 0}
            run.tags["nbtrack.mlflow.extras"] = "yes"

    def _inputs(self) -> dict[str, list[DatasetInput]]:
        contexts: dict[str, dict[str, str]] = {}
        for key, name, value in self._rows("input_tags", ("input_uuid", "name", "value")):
            contexts.setdefault(key, {})[name] = value
        columns: Sequence[str] = (
            "dataset_uuid",
            "name",
            "digest",
            "dataset_source_type",
            "dataset_source",
            "dataset_schema",
            "dataset_profile",
        )
        sets = {row[0]: row[1:] for row in self._rows("datasets", columns)}
        found: dict[str, list[DatasetInput]] = {}
        columns = ("input_uuid", "source_type", "source_id", "destination_type", "destination_id")
        for key, kind, source, to_kind, run in self._rows("inputs", columns):
            if kind == "DATASET" and to_kind == "RUN" and source in sets:
                name, digest, source_type, place, schema, profile = sets[source]
                tags = contexts.get(key, {})
                kept = {"source_type": source_type, "schema": schema, "profile": profile, "tags": tags}
                context = tags.get("mlflow.data.context", "")
                found.setdefault(run, []).append(DatasetInput(name, context, digest, place or "", {"mlflow": kept}))
        return found

    # -- models ----------------------------------------------------------------------------------------------------
    def _logged_by_run(self) -> dict[str, list[dict[str, Any]]]:
        first = ("model_id", "experiment_id", "name", "artifact_location", "creation_timestamp_ms", "status")
        columns = (*first, "lifecycle_stage", "model_type", "source_run_id")
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self._rows("logged_models", columns, "creation_timestamp_ms"):
            model = dict(zip(columns, row, strict=True))
            if not model["source_run_id"] or not model["artifact_location"]:
                self.report.problems.append(f"logged model {model['model_id']}: left out; no run made it.")
                continue
            others = found.setdefault(model["source_run_id"], [])
            taken = {other["path"] for other in others}
            model["path"] = (
                model["name"] if model["name"] not in taken else f"{model['name']}-{model['model_id'][2:10]}"
            )
            others.append(model)
        return found

    def logged_models(self) -> Sequence[ForeignLoggedModel]:
        try:
            return self._logged_models()
        except sqlite3.DatabaseError as error:
            self._damaged("the logged models were left out", error)
            return ()

    def _logged_models(self) -> Sequence[ForeignLoggedModel]:
        params: dict[str, dict[str, str]] = {}
        tags: dict[str, dict[str, str]] = {}
        for into, kind in ((params, "param"), (tags, "tag")):
            columns: Sequence[str] = ("model_id", f"{kind}_key", f"{kind}_value")
            for model_id, key, value in self._rows(f"logged_model_{kind}s", columns):
                into.setdefault(model_id, {})[key] = value
        metrics: dict[str, list[dict[str, Any]]] = {}
        columns = ("model_id", "metric_name", "metric_value", "metric_timestamp_ms", "metric_step", "run_id",
                   "dataset_name", "dataset_digest")  # fmt: skip
        names = ("key", "value", "timestamp", "step", "run_id", "dataset_name", "dataset_digest")
        for model_id, *row in self._rows("logged_model_metrics", columns):
            metric = dict(zip(names, row, strict=True))
            metric["value"] = to_json_number(float(metric["value"]))
            metrics.setdefault(model_id, []).append(metric)
        found = []
        for run, models in self._models_of.items():
            for model in models:
                model_id = model["model_id"]
                fields = {
                    "model_id": model_id,
                    "name": model["name"],
                    "source_run_id": run,
                    "model_type": model["model_type"],
                    "status": model["status"],
                    "created": model["creation_timestamp_ms"],
                    "params": params.get(model_id, {}),
                    "tags": tags.get(model_id, {}),
                    "deleted": model["lifecycle_stage"] == "deleted",
                }
                found.append(
                    ForeignLoggedModel(
                        model_id,
                        str(model["experiment_id"]),
                        _run_id(run),
                        model["path"],
                        fields,
                        metrics.get(model_id, ()),
                    )
                )
        return found

    def models(self) -> Sequence[ForeignModel]:
        try:
            return self._models()
        except sqlite3.DatabaseError as error:
            self._damaged("the registered models were left out", error)
            return ()

    def _models(self) -> Sequence[ForeignModel]:
        tags: dict[tuple[Any, ...], dict[str, str]] = {}
        for name, key, value in self._rows("registered_model_tags", ("name", "key", "value")):
            tags.setdefault((name,), {})[key] = value
        for name, number, key, value in self._rows("model_version_tags", ("name", "version", "key", "value")):
            tags.setdefault((name, number), {})[key] = value
        aliases: dict[str, dict[str, int]] = {}
        for name, alias, number in self._rows("registered_model_aliases", ("name", "alias", "version")):
            aliases.setdefault(name, {})[alias] = int(number)
        versions: dict[str, list[ForeignVersion]] = {}
        first = ("name", "version", "source", "run_id", "current_stage", "description", "creation_time")
        columns = (*first, "last_updated_time", "user_id", "run_link", "storage_location")
        for row in self._rows("model_versions", columns, "version"):
            name, number, source, run_id, stage, description, created, updated, user, link, storage = row
            if stage == "Deleted_Internal":
                continue
            place, model_id = self._place(str(source or ""), str(storage or ""), run_id)
            versions.setdefault(name, []).append(
                ForeignVersion(
                    number=int(number),
                    source=str(source or ""),
                    run_id=run_id,
                    place=place,
                    stage=str(stage or "None"),
                    description=str(description or ""),
                    tags=tags.get((name, number), {}),
                    created_ms=int(created or 0),
                    updated_ms=int(updated or created or 0),
                    user=str(user or ""),
                    model_id=model_id,
                    run_link=link,
                )
            )
        own = ("name", "description", "creation_time", "last_updated_time")
        return [
            ForeignModel(
                name=name,
                description=str(description or ""),
                tags=tags.get((name,), {}),
                aliases=aliases.get(name, {}),
                created_ms=int(created or 0),
                updated_ms=int(updated or created or 0),
                versions=versions.get(name, []),
            )
            for name, description, created, updated in self._rows("registered_models", own)
        ]

    def _place(self, source: str, storage: str, run_id: str | None) -> tuple[tuple[str, str] | None, str | None]:
        """Return where the files of a version are now, ``(run, path)``, and the logged model that it was made of."""
        for run, models in self._models_of.items():
            for model in models:
                location = str(model["artifact_location"]).rstrip("/")
                if source == f"models:/{model['model_id']}" or storage.rstrip("/") == location:
                    return (_run_id(run), model["path"]), model["model_id"]
        if found := re.match(r"runs:/+([^/]+)/(.+)", source):
            return (_run_id(found[1]), found[2].strip("/")), None
        if run_id and (found := re.search(rf"/{re.escape(run_id)}/artifacts/(.+)", source)):
            return (_run_id(run_id), found[1].strip("/")), None
        return None, None


def _run_id(key: str) -> str:
    """Return a run's id here: its own, or one made of it where ours have another form."""
    return key if _RUN_ID.fullmatch(key) else sha256(key.encode()).hexdigest()[:32]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
