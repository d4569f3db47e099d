"""The reference flow that ships with the project, run as its users would run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbtrack

TEN = {
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "matthews_corrcoef", "roc_auc", "average_precision",
    "log_loss", "brier_score",
}  # fmt: skip


def test_reference_flow_trains_evaluates_and_registers(root: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    command = [sys.executable, "-m", "nbtrack.cli", "run", str(root / "notebooks" / "reference"), "--store", store]
    done = subprocess.run([*command, "-P", "rounds=15"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    nbtrack.set_tracking_uri(store)
    runs = nbtrack.search_runs(search_all_experiments=True).set_index("run_name")
    assert set(runs.index) == {"flow", "train", "evaluate", "register"} and set(runs["status"]) == {"FINISHED"}
    flow = runs.loc["flow", "run_id"]
    assert {runs.loc[name, "tags.nbtrack.parent_run_id"] for name in ("train", "evaluate", "register")} == {flow}
    evaluated = nbtrack.get_run(runs.loc["evaluate", "run_id"]).data.metrics
    assert evaluated.keys() == TEN and evaluated["roc_auc"] > 0.97
    assert len(nbtrack.get_metric_history(runs.loc["train", "run_id"], "validation_0-logloss")) == 15
    (staged,) = nbtrack.Client().get_latest_versions("breast-cancer", ["Staging"])
    assert staged.run_id == runs.loc["train", "run_id"]
    wrong = subprocess.run([*command, "-P", "max_depth=-3"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    failed = nbtrack.search_runs(search_all_experiments=True)
    newest = dict(zip(failed["run_name"][:2], failed["status"][:2], strict=True))
    assert newest == {"train": "FAILED", "flow": "FAILED"}
