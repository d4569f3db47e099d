"""Importing an mlflow.db: the first schema and a late one, made by hand; files that moved; damage; what is left."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from nbtrack.bridge import import_runs
from nbtrack.cli import cli
from nbtrack.errors import InvalidInputError
from nbtrack.registry import get_model, history
from nbtrack.store import open_store
from nbtrack.store.base import Store

RUN, GONE = "1" * 32, "2" * 32
MODEL = "m-" + "a" * 32
FIRST = """
create table experiments (experiment_id integer primary key, name text, artifact_location text, lifecycle_stage text);
create table runs (run_uuid text primary key, name text, source_type text, source_name text, entry_point_name text,
  user_id text, status text, start_time bigint, end_time bigint, source_version text, lifecycle_stage text,
  artifact_uri text, experiment_id integer);
create table params (key text, value text, run_uuid text);
create table tags (key text, value text, run_uuid text);
create table metrics (key text, value float, timestamp bigint, run_uuid text);
"""
LATE = """
alter table metrics add step bigint; alter table metrics add is_nan boolean;
create table datasets (dataset_uuid text, experiment_id integer, name text, digest text, dataset_source_type text,
  dataset_source text, dataset_schema text, dataset_profile text);
create table inputs (input_uuid text, source_type text, source_id text, destination_type text, destination_id text);
create table input_tags (input_uuid text, name text, value text);
create table registered_models (name text, creation_time bigint, last_updated_time bigint, description text);
create table model_versions (name text, version integer, creation_time bigint, last_updated_time bigint,
  description text, user_id text, current_stage text, source text, run_id text, storage_location text);
create table model_version_tags (key text, value text, name text, version integer);
create table registered_model_aliases (alias text, version integer, name text);
create table logged_models (model_id text, experiment_id integer, name text, artifact_location text,
  creation_timestamp_ms bigint, status integer, lifecycle_stage text, model_type text, source_run_id text);
create table trace_info (request_id text);
"""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A database, whose changes are kept and which is closed."""
    with closing(sqlite3.connect(path)) as db, db:
        yield db


def put(database: sqlite3.Connection, table: str, **values: object) -> None:
    marks = ", ".join("?" * len(values))
    database.execute(f"insert into {table} ({', '.join(values)}) values ({marks})", list(values.values()))


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A database of the first schema, whose folder was somewhere else when it was written."""
    path = tmp_path / "old" / "mlflow.db"
    path.parent.mkdir()
    with opened(path) as db:
        db.executescript(FIRST)
        put(db, "experiments", experiment_id=0, name="Default", lifecycle_stage="active")
        put(db, "experiments", experiment_id=1, name="wine", lifecycle_stage="active")
        for key, stage, status in ((RUN, "active", "FINISHED"), (GONE, "deleted", "RUNNING")):
            place = f"/was/here/mlruns/1/{key}/artifacts"
            common = {"user_id": "ana", "start_time": 1000, "end_time": 5000, "experiment_id": 1}
            put(db, "runs", run_uuid=key, name="", status=status, lifecycle_stage=stage, artifact_uri=place, **common)
        put(db, "params", key="alpha", value="0.5", run_uuid=RUN)
        put(db, "tags", key="mlflow.runName", value="old-one", run_uuid=RUN)
        put(db, "tags", key="mlflow.note.content", value="<b>note</b>", run_uuid=RUN)
        put(db, "metrics", key="loss", value=0.5, timestamp=2000, run_uuid=RUN)
        put(db, "metrics", key="orphan", value=0.5, timestamp=2000, run_uuid="0" * 32)
    files = path.parent / "mlruns" / "1" / RUN / "artifacts" / "plots"
    files.mkdir(parents=True)
    (files / "roc.txt").write_text("a picture")
    return path


@pytest.fixture
def late(first: Path) -> Path:
    """The same, grown into a late schema with a registry."""
    with opened(first) as db:
        db.executescript(LATE)
        db.execute("update metrics set step = 0, is_nan = 0")
        put(db, "metrics", key="loss", value=0.0, timestamp=2001, step=7, is_nan=1, run_uuid=RUN)
        put(db, "metrics", key="loss", value=0.25, timestamp=2002, step=3, is_nan=0, run_uuid=RUN)
        put(db, "datasets", dataset_uuid="d", name="reds", digest="abc", dataset_source="{}")
        given = {"source_type": "DATASET", "source_id": "d", "destination_type": "RUN", "destination_id": RUN}
        put(db, "inputs", input_uuid="i", **given)
        put(db, "input_tags", input_uuid="i", name="mlflow.data.context", value="training")
        place = f"/was/here/mlruns/1/models/{MODEL}/artifacts"
        common = {"experiment_id": 1, "creation_timestamp_ms": 2000, "status": 2, "lifecycle_stage": "active"}
        put(db, "logged_models", model_id=MODEL, name="model", artifact_location=place, source_run_id=RUN, **common)
        put(db, "registered_models", name="clf", creation_time=3000, last_updated_time=3500, description="what it is")
        for number, stage in ((1, "Archived"), (2, "Production"), (3, "Deleted_Internal")):
            common = {"creation_time": 3000 + number, "last_updated_time": 3400, "run_id": RUN, "current_stage": stage}
            put(db, "model_versions", name="clf", version=number, source=f"models:/{MODEL}", **common)
        put(db, "model_version_tags", name="clf", version=2, key="checked", value="yes")
        put(db, "registered_model_aliases", name="clf", alias="champion", version=2)
        put(db, "trace_info", request_id="t")
    files = first.parent / "mlruns" / "1" / "models" / MODEL / "artifacts"
    files.mkdir(parents=True)
    (files / "MLmodel").write_text("flavors: {}\n")
    return first


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def test_first_schema_is_read_and_moved_files_are_found(first: Path, store: Store) -> None:
    report = import_runs(first, store)
    assert (report.experiments, report.runs, report.deleted, report.params) == (1, 2, 1, 1)
    assert (report.metric_values, report.artifacts) == (1, 1) and report.problems == []
    assert len(report.repaired) == 1 and "/was/here/mlruns/1" in report.repaired[0]
    run = store.get_run(RUN)
    assert (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time) == (
        "old-one",
        "FINISHED",
        1000,
        5000,
    )
    assert store.get_experiment(run.info.experiment_id).name == "wine" and run.info.user_id == "ana"
    assert run.data.params == {"alpha": "0.5"} and run.data.metrics == {"loss": 0.5}
    assert run.data.tags["nbtrack.note"] == "<b>note</b>"
    assert store.read_blob(run.artifacts["plots/roc.txt"].digest) == b"a picture"
    trashed = store.get_run(GONE)
    assert (trashed.info.status, trashed.info.lifecycle_stage) == ("KILLED", "deleted")
    assert list(store.check()) == []


def test_late_schema_brings_registry_inputs_and_logged_models(late: Path, store: Store) -> None:
    report = import_runs(late, store)
    assert (report.models, report.versions, report.stages, report.aliases, report.logged_models) == (1, 2, 2, 1, 1)
    assert report.left_behind == ["1 traces"]
    run = store.get_run(RUN)
    assert math.isnan(run.data.metrics["loss"])  # the latest is that of the highest step
    assert store.get_metric_history(RUN, "loss").step.tolist() == [0, 3, 7]
    (given,) = run.inputs.dataset_inputs
    assert (given.name, given.context, given.digest) == ("reds", "training", "abc")
    assert "model/MLmodel" in run.artifacts
    model = get_model("clf", store=store)
    assert model.description == "what it is" and dict(model.aliases) == {"champion": 2}
    assert [(v.version, v.current_stage, v.source) for v in model.versions] == [
        (2, "Production", f"runs:/{RUN}/model"),
        (1, "Archived", f"runs:/{RUN}/model"),
    ]
    assert model.versions[0].tags["checked"] == "yes" and model.versions[0].creation_timestamp == 3002
    assert [c.action for c in history("clf", store=store)] == ["alias", "promote", "register", "register", "create"]


def test_second_import_adds_nothing_and_the_source_is_untouched(late: Path, store: Store) -> None:
    def digest() -> str:
        files = sorted(path for path in late.parent.rglob("*") if path.is_file())
        return hashlib.sha256(b"".join(bytes(path) + path.read_bytes() for path in files)).hexdigest()

    before = digest()
    counted = import_runs(late, store, dry_run=True)
    assert store.search_runs(view="ALL") == [] and store.list_models() == []
    done = import_runs(late, store)
    assert (counted.runs, counted.versions, counted.params) == (done.runs, done.versions, done.params)
    assert (counted.artifacts, counted.logged_models) == (done.artifacts, done.logged_models)
    commits = len(store.read_commits("clf"))
    again = import_runs(late, store)
    assert (again.runs, again.versions, again.models, again.logged_models, again.known) == (0, 0, 0, 0, 4)
    assert len(store.read_commits("clf")) == commits and digest() == before


def test_run_that_cannot_be_kept_costs_itself_only(first: Path, store: Store) -> None:
    with opened(first) as db:
        put(db, "params", key="bad\x00key", value="1", run_uuid=RUN)
        db.execute("update runs set start_time = -5 where run_uuid = ?", [GONE])
        put(db, "runs", run_uuid="named by hand", name="x", status="FAILED", start_time=1, end_time=2, experiment_id=1)
    report = import_runs(first, store)
    assert report.runs == 2 and store.get_run(RUN).data.params == {"alpha": "0.5"}
    assert any("control character" in one for one in report.problems) and any(GONE in one for one in report.problems)
    other = hashlib.sha256(b"named by hand").hexdigest()[:32]
    assert store.get_run(other).data.tags["nbtrack.mlflow.run_id"] == "named by hand"


def test_database_cannot_name_just_any_folder(first: Path, store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hunter2")
    with opened(first) as db:
        db.execute("update runs set artifact_uri = ? where run_uuid = ?", [str(secret), RUN])
        outside = f"../../secret/{GONE}/artifacts"
        db.execute("update runs set artifact_uri = ? where run_uuid = ?", [outside, GONE])
    report = import_runs(first, store)
    assert report.artifacts == 0 and store.get_run(RUN).artifacts == {}
    assert sum("does not end in" in one for one in report.problems) == 2


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"x" * 200])
def test_file_that_is_no_database_is_refused(tmp_path: Path, store: Store, content: bytes) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"expected|cannot be read"):
        import_runs(path, store)


def test_database_of_something_else_is_refused(tmp_path: Path, store: Store) -> None:
    with opened(tmp_path / "other.db") as db:
        db.execute("create table runs (distance integer)")
    with pytest.raises(InvalidInputError, match="no tables of runs"):
        import_runs(tmp_path / "other.db", store)


def test_command_counts_and_makes_no_store_in_a_dry_run(late: Path, tmp_path: Path) -> None:
    words = ["import", str(late.parent), "--store", str(tmp_path / "fresh")]
    counted = CliRunner().invoke(cli, [*words, "--dry-run", "--json"])
    assert counted.exit_code == 0 and json.loads(counted.stdout)["runs"] == 2
    assert not (tmp_path / "fresh").exists()
    done = CliRunner().invoke(cli, words)
    assert "2 runs of 1 experiment imported" in done.stdout and "Not carried over: 1 traces" in done.stdout
    assert "1 registered model with 2 versions imported: 2 in a stage, 1 aliases" in done.stdout


def test_database_that_is_damaged_further_on_gives_what_came_before(late: Path, store: Store, tmp_path: Path) -> None:
    database = next(late.rglob("*.db")) if late.is_dir() else late
    db = sqlite3.connect(database)
    experiment = db.execute("select experiment_id from runs").fetchone()[0]
    db.execute("create index if not exists index_params_run_uuid on params (run_uuid)")  # MLflow 2 and later have it
    columns = "run_uuid, name, status, start_time, end_time, lifecycle_stage, experiment_id"
    rows = [(f"{n:032x}", f"run-{n}", "FINISHED", 1, 2, "active", experiment) for n in range(2000)]
    db.executemany(f"insert into runs ({columns}) values (?,?,?,?,?,?,?)", rows)
    db.executemany(
        "insert into params (run_uuid, key, value) values (?, 'p', ?)", [(r[0], f"value of {r[1]}") for r in rows]
    )
    db.commit()
    db.close()
    data = bytearray(database.read_bytes())
    at = data.rindex(b"value of run-1500") // 4096 * 4096
    data[at : at + 4096] = b"\7" * 4096
    (tmp_path / "half.db").write_bytes(data)
    report = import_runs(tmp_path / "half.db", store)
    assert any(
        "half.db: is damaged or copied by half (database disk image is malformed)" in one for one in report.problems
    )
    assert report.runs == len(store.search_runs(max_results=5000)) > 1000
    assert not list(store.check())


def test_run_whose_file_a_killed_import_left_empty_is_imported_again(first: Path, store: Store, tmp_path: Path) -> None:
    import_runs(first, store)
    (log,) = (tmp_path / "store" / "runs").glob(f"*/{RUN}.jsonl")
    whole = log.read_bytes()
    log.write_bytes(b"")
    report = import_runs(first, store)
    assert (report.runs, report.known) == (1, 1)
    assert log.read_bytes() == whole


def test_run_that_cannot_be_written_is_told_and_not_counted(first: Path, store: Store, tmp_path: Path) -> None:
    with opened(first) as db:
        db.execute("update runs set start_time = 86400000 where run_uuid = ?", (GONE,))
    (tmp_path / "store" / "runs").mkdir(exist_ok=True)
    (tmp_path / "store" / "runs" / "1970-01-02").write_text("a file in the place of the folder")
    report = import_runs(first, store)
    assert [found.run_id for found in store.search_runs()] == [RUN]
    assert (report.runs, report.deleted, report.params) == (1, 0, 1)
    assert any(problem.startswith(f"run {GONE}: left out") for problem in report.problems)
