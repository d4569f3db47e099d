"""Importing an mlruns folder: what MLflow's file store writes, byte for byte, and what damage does to it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from nbtrack.bridge import import_mlruns
from nbtrack.cli import cli
from nbtrack.errors import InvalidInputError
from nbtrack.store import open_store
from nbtrack.store.base import Store

RUN = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


def write_run(experiment: Path, run_id: str, status: int = 3, stage: str = "active") -> Path:
    folder = experiment / run_id
    (folder / "params").mkdir(parents=True)
    (folder / "meta.yaml").write_text(
        f"artifact_uri: file:///moved/away/{run_id}/artifacts\nend_time: 1700000005000\nentry_point_name: ''\n"
        f"experiment_id: '1'\nlifecycle_stage: {stage}\nrun_id: {run_id}\nrun_name: old-{run_id[:3]}\n"
        f"source_type: 4\nstart_time: 1700000000000\nstatus: {status}\ntags: []\nuser_id: ana\n"
    )
    (folder / "params" / "alpha").write_text("0.5")
    (folder / "metrics" / "val").mkdir(parents=True)
    (folder / "metrics" / "rmse").write_text("1700000001000 0.9 0\n1700000002000 0.7 1\n1700000003000 nan -2\n")
    (folder / "metrics" / "val" / "loss").write_text("1700000001000 1e308 7\n")
    (folder / "tags").mkdir()
    (folder / "tags" / "mlflow.runName").write_text(f"old-{run_id[:3]}")
    (folder / "tags" / "mlflow.note.content").write_text("better than <b>before</b>")
    (folder / "artifacts" / "plots").mkdir(parents=True)
    (folder / "artifacts" / "plots" / "roc.txt").write_text("a picture")
    return folder


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    root = tmp_path / "mlruns"
    for number, name in (("0", "Default"), ("1", "wine")):
        (root / number).mkdir(parents=True)
        (root / number / "meta.yaml").write_text(f"experiment_id: '{number}'\nlifecycle_stage: active\nname: {name}\n")
    write_run(root / "1", RUN)
    write_run(root / "1", OTHER, status=1, stage="deleted")
    return root


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def test_import_keeps_every_value_name_time_and_status(mlruns: Path, store: Store) -> None:
    report = import_mlruns(mlruns, store)
    assert (report.experiments, report.runs, report.params, report.metric_values, report.artifacts) == (1, 2, 2, 8, 2)
    assert report.problems == []
    run = store.get_run(RUN)
    assert (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time) == (
        "old-012",
        "FINISHED",
        1700000000000,
        1700000005000,
    )
    assert store.get_experiment(run.info.experiment_id).name == "wine"
    assert run.data.params == {"alpha": "0.5"} and run.data.metrics["val/loss"] == 1e308
    assert run.data.tags["nbtrack.note"] == "better than <b>before</b>"
    history = store.get_metric_history(RUN, "rmse")
    assert history.step.tolist() == [0, 1, -2] and history.value.tolist()[:2] == [0.9, 0.7]
    assert math.isnan(history.value[2])
    assert history.timestamp.tolist() == [1700000001000, 1700000002000, 1700000003000]
    assert store.read_blob(run.artifacts["plots/roc.txt"].digest) == b"a picture"
    trashed = store.get_run(OTHER)
    assert (trashed.info.status, trashed.info.lifecycle_stage) == ("KILLED", "deleted")


def test_import_twice_adds_nothing_and_never_touches_the_source(mlruns: Path, store: Store) -> None:
    def digest() -> str:
        files = sorted(path for path in mlruns.rglob("*") if path.is_file())
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

    before = digest()
    import_mlruns(mlruns, store)
    again = import_mlruns(mlruns, store)
    assert (again.runs, again.known) == (0, 2)
    assert len(store.search_runs(view="ALL")) == 2
    assert digest() == before


def test_import_dry_run_counts_and_writes_nothing(mlruns: Path, store: Store) -> None:
    assert import_mlruns(mlruns, store, dry_run=True).runs == 2
    assert store.search_runs(view="ALL") == [] and len(store.list_experiments()) == 1


def test_import_damaged_run_costs_that_run_only(mlruns: Path, store: Store) -> None:
    (mlruns / "1" / OTHER / "meta.yaml").write_text("")
    metrics = mlruns / "1" / RUN / "metrics" / "rmse"
    metrics.write_text("1700000001000 0.9 0\nrubbish\n1700000002000 0.7")
    report = import_mlruns(mlruns, store)
    assert report.runs == 1 and store.get_metric_history(RUN, "rmse").value.tolist() == [0.9]
    told = "\n".join(report.problems)
    assert OTHER in told and "meta.yaml is empty" in told and "is torn" in told and "timestamp value step" in told


def test_import_yaml_that_would_run_code_is_refused(mlruns: Path, store: Store, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (mlruns / "1" / RUN / "meta.yaml").write_text(f"name: !!python/object/apply:os.mkdir ['{canary}']\n")
    report = import_mlruns(mlruns, store)
    assert not canary.exists() and any("cannot be read" in problem for problem in report.problems)


def test_import_links_are_not_followed(mlruns: Path, store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("key")
    (mlruns / "1" / RUN / "artifacts" / "link").symlink_to(secret)
    (mlruns / "1" / RUN / "params" / "link").symlink_to(secret)
    report = import_mlruns(mlruns, store)
    run = store.get_run(RUN)
    assert "link" not in run.artifacts and "link" not in run.data.params
    assert sum("it is a link" in problem for problem in report.problems) == 2


def test_import_folder_that_is_no_mlruns_says_so(tmp_path: Path, store: Store) -> None:
    with pytest.raises(InvalidInputError, match="expected an mlruns folder"):
        import_mlruns(tmp_path / "nothing", store)


def test_import_command_reports_and_takes_json(mlruns: Path, tmp_path: Path) -> None:
    words = ["import", str(mlruns), "--store", str(tmp_path / "store")]
    first = CliRunner().invoke(cli, words)
    assert first.exit_code == 0, first.output
    assert "2 runs of 1 experiment imported" in first.stdout
    second = CliRunner().invoke(cli, [*words, "--json"])
    assert json.loads(second.stdout)["known"] == 2
