"""Params and metrics in the shapes that notebooks give them: configs in configs, curves in dicts, plurals, prints."""

from __future__ import annotations

import pytest

from nbtrack.reprs.directions import better_direction

DATACLASSES = """%%track
from dataclasses import dataclass, field
@dataclass
class Optimiser:
    name: str = "adam"
    lr: float = 1e-3
@dataclass
class Config:
    epochs: int = 5
    hidden: tuple = (64, 32)
    optimiser: Optimiser = field(default_factory=Optimiser)
cfg = Config(epochs=7)"""
ADDED = "%%track\nparams = {'lr': 0.1, 'tree': {'depth': 4}}\nparams['rounds'] = 100\nparams['made'] = [1, 2][0]"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (
            DATACLASSES,
            {
                "cfg.epochs": "7",
                "cfg.hidden": "(64, 32)",
                "cfg.optimiser.name": "adam",
                "cfg.optimiser.lr": "0.001",
            },
        ),
        (ADDED, {"params.lr": "0.1", "params.tree.depth": "4", "params.rounds": "100"}),
    ],
    ids=["a dataclass in a dataclass", "settings added by key"],
)
def test_params_are_found(notebook, cell, expected):
    notebook.ok(cell)
    assert dict(notebook.last.data.params) == expected


CURVES = """%%track
history = {"loss": [], "val_acc": [], "epoch": [], "name": []}
accs = []
for epoch in range(4):
    history["loss"].append(1 / (epoch + 1)); history["val_acc"].append(epoch / 4)
    history["epoch"].append(epoch); history["name"].append("x")
    accs.append(epoch / 4)"""


def test_curves_collected_in_a_dict_and_under_a_plural_are_found(notebook):
    notebook.ok(CURVES)
    run = notebook.last
    assert {key: summary.count for key, summary in run.summaries.items()} == {"loss": 4, "val_acc": 4, "accs": 4}
    assert run.summaries["loss"].last == 0.25


def test_printed_curve_is_whole_though_one_of_its_values_is_known(notebook):
    notebook.ok(
        "%%track\nbest = score = None\nfor i in range(1, 5):\n    print(f'Epoch {i}: val_auc={0.5 + i / 10:.2f}')\n"
        "final_score = 0.8 * 1.0"
    )
    assert notebook.last.summaries["val_auc"].count == 4
    notebook.ok("%%track\nscore = 0.8 * 1.0\nprint(f'accuracy: {score:.2f}')")
    assert notebook.last.data.metrics == {"score": 0.8}


def test_counters_of_a_results_dict_are_no_metrics(notebook):
    notebook.ok(
        "%%track\nmetrics = {'eval_loss': 0.5 * 1, 'eval_runtime': 1.0 * 2, 'epoch': 3.0 * 1, 'global_step': 9 * 1}"
    )
    assert notebook.last.data.metrics == {"eval_loss": 0.5, "eval_runtime": 2.0}


@pytest.mark.parametrize(
    ("key", "direction"),
    [
        ("train_losses", "lower"),
        ("val_accs", "higher"),
        ("eval_runtime", "lower"),
        ("eval_samples_per_second", "higher"),
        ("test_rmses", "lower"),
        ("neg_log_loss", "higher"),
        ("classes", None),
        ("bias", None),
        ("n_rows", None),
    ],
)
def test_direction_of_usual_names_is_known(key, direction):
    assert better_direction(key) == direction
