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


OWN = """def parted(rows, fraction, shuffle=True):
    at = int(len(rows) * fraction)
    return rows[:at], rows[at:]

def judged(truth, guess):
    hits = np.mean(truth == guess)
    return log_loss(truth, guess * 0.8 + 0.1), balanced_accuracy_score(truth, guess), hits * 0, len(truth)

def picture(values, bins=30):
    fig, ax = plt.subplots()
    ax.hist(values, bins=bins)
    return fig

def told(text, width=40):
    print(text.center(width))

def walk(rows, start, pace, rounds):
    for _ in range(rounds):
        start += pace * (sum(rows) / len(rows) - start)
    return start, abs(start)"""
CALLS = """%%track
train, test = parted(truth, 0.75, shuffle=False)
ll, balanced, _, rows = judged(truth, guess)
shown = picture(guess, bins=12)
told("done", width=60)
steps = {"start": 0.5, "pace": 0.25, "rounds": 4}
where, final_cost = walk(list(guess), **steps)
price = 3"""


def test_calls_of_own_functions_state_params_and_give_metrics_by_what_they_return(notebook):
    notebook.ok(
        "import numpy as np\nimport matplotlib.pyplot as plt\n"
        "from sklearn.metrics import balanced_accuracy_score, log_loss\n"
        "truth = np.array([0, 1] * 8)\nguess = np.array([0, 1, 1, 1] * 4)"
    )
    notebook.ok(OWN)
    notebook.ok(CALLS)
    run = notebook.last
    expected = {"fraction": "0.75", "shuffle": "False", "start": "0.5", "pace": "0.25", "rounds": "4", "price": "3"}
    assert dict(run.data.params) == expected
    assert set(run.data.metrics) == {"ll", "balanced", "final_cost"}
    assert run.data.metrics["balanced"] == 0.75


def test_amounts_are_settings_where_written_out_and_results_where_computed(notebook):
    notebook.ok("%%track\ncost = 4\nlift = abs(-0.3) / 0.2 - 1\ntotal_cost = cost * 7")
    assert dict(notebook.last.data.params) == {"cost": "4"}
    assert notebook.last.data.metrics == {"lift": pytest.approx(0.5), "total_cost": 28}


def test_metric_that_is_only_printed_by_its_call_is_exact(notebook):
    notebook.ok(
        "from sklearn.metrics import accuracy_score, classification_report\ny, p = [0, 1, 1] * 3, [0, 1, 0] * 3"
    )
    notebook.ok(
        "%%track\nfor i in range(3):\n    print(i / 7)\nprint(accuracy_score(y, p))\nprint(classification_report(y, p))"
    )
    assert notebook.last.data.metrics["accuracy_score"] == 2 / 3
    assert "accuracy" not in notebook.last.data.metrics  # the report's, rounded


SEARCHED = """%%track
pipe.set_params(**start)
for depth in (1, 2, 3):
    tried = DecisionTreeClassifier(max_depth=depth, criterion="entropy", random_state=0).fit(X, y)
search = RandomizedSearchCV(pipe, {"max_depth": randint(1, 4)}, n_iter=2, random_state=0).fit(X, y)"""


def test_settings_that_a_loop_tries_are_left_out_and_distributions_are_told_by_name(notebook):
    notebook.ok(
        "from scipy.stats import randint\nfrom sklearn.datasets import load_iris\n"
        "from sklearn.model_selection import RandomizedSearchCV\nfrom sklearn.tree import DecisionTreeClassifier\n"
        "X, y = load_iris(return_X_y=True)\npipe = DecisionTreeClassifier()\n"
        "start = {'criterion': 'gini', 'min_samples_leaf': 2}"
    )
    notebook.ok(SEARCHED)
    params = dict(notebook.last.data.params)
    assert params["param_distributions"] == "{'max_depth': randint(1, 4)}"
    assert params["criterion"] == "gini"  # said, although it is the default
    assert params["min_samples_leaf"] == "2"
    assert params["tried.criterion"] == "entropy"
    assert not [key for key in params if "max_depth" in key and "best" not in key]


HELPED = """%%track
cfg = base | {"width": 8}
best, spread = curve_fit(line, xs, ys, p0=guess, maxfev=900)
for name, error in zip("ab", np.sqrt(np.diag(spread))):
    print(name)
summary = {kind: float(getattr(np, kind)(ys - line(xs, *best))) for kind in ("mean", "std")}
outcome = {key: abs(value) + LIMIT for key, value in zip(("rmse", "mae", "rows"), (0.25, 0.5, 9))}
tested = [{"test_acc": sum(outcome.values()) / 40}]
past_maes.append(outcome["rmse"]); past_maes.append(outcome["mae"])
model = Ridge(alpha=3.0, tol=0.1) if LIMIT > 90 else Ridge(alpha=2.0)
model.fit(xs[:, None], ys)"""


def test_params_and_metrics_that_come_by_a_detour_are_found(notebook, workdir):
    (workdir / "limits_of_mine.py").write_text("LIMIT = 2\nUNUSED = 3\nFOLDER = '/data/x'\n")
    notebook.ok("import sys; sys.path.insert(0, '.')\nfrom limits_of_mine import *")
    notebook.ok("from scipy.optimize import curve_fit\nfrom sklearn.linear_model import Ridge\nimport numpy as np")
    notebook.ok(
        "def line(x, a, b):\n    return a * x + b\nxs = np.arange(9.0)\nys = 2 * xs + np.sin(xs)\npast_maes = []"
    )
    notebook.ok("base = {'width': 4, 'rate': 0.5}\nguess = [1.0, 0.0]")
    notebook.ok(HELPED)
    run = notebook.last
    expected = {
        "cfg.width": "8",
        "cfg.rate": "0.5",
        "maxfev": "900",
        "guess": "[1.0, 0.0]",
        "LIMIT": "2",
        "alpha": "2.0",
    }
    assert {key: value for key, value in run.data.params.items() if key != "p0"} == expected
    assert set(run.data.metrics) == {"rmse", "mae", "test_acc", "past_maes"}
    assert run.summaries["past_maes"].count == 2


SET_LATER = """class Plan:
    rounds = 2
    rate = 0.5
    quick = True
plan = Plan()
plan.rounds = 3
draws = 4 if plan.quick else 400
def advance(level, number, pace=0.1):
    return level + pace * number
def labelled(values, prefix="all"):
    return {prefix + "_mae": sum(values) / len(values)}"""
COUNTED = """%%track
level, kept = 1.0, []
for number in range(plan.rounds):
    level = advance(level, number)
    kept.append(level > draws / 4)
acceptance_rate = sum(kept) / len(kept)
max_dd = min(0.0, level - 2)
learning_rate = level / 10
found = labelled([level], prefix="late")
rows = [[0.0], [1.0], [2.0], [4.0]]
search = GridSearchCV(Ridge(), [{"alpha": [1.0, 2.0]}, {"tol": [0.1]}], cv=2).fit(rows, [0, 1, 2, 3])"""


def test_settings_of_an_object_are_those_it_has_now_and_counters_are_none(notebook):
    notebook.ok("from sklearn.linear_model import Ridge\nfrom sklearn.model_selection import GridSearchCV")
    notebook.ok(SET_LATER)
    notebook.ok(COUNTED)
    run = notebook.last
    params = {key: value for key, value in run.data.params.items() if not key.startswith("best__")}
    expected = {"plan.rounds": "3", "plan.rate": "0.5", "plan.quick": "True", "draws": "4"}
    searched = {"cv": "2", "estimator": "Ridge", "param_grid": "[{'alpha': [1.0, 2.0]}, {'tol': [0.1]}]"}
    assert params == {**expected, **searched}
    assert {"acceptance_rate", "max_dd", "late_mae"} <= set(run.data.metrics)
    assert not {"learning_rate", "number"} & set(run.data.metrics)


BREWED = """%%track
tank = Tank()
setattr(tank, "litres", 40)
for _ in range(brew["rounds"]):
    tank.fill(brew["pace"])
colours["hops"] = len(brew)
FIGSIZE = (4, 3)
mixed = kept.eval("total = sour + @extra").total.sum() * colours["malt"]"""


def test_settings_changed_by_later_cells_are_those_in_use_whatever_the_dict_is_called(notebook):
    notebook.ok("import pandas as pd\nbrew = {'rounds': 9, 'pace': 0.5, 'yeast': 'ale'}\ncolours = {'malt': 1}")
    notebook.ok("class Tank:\n    def fill(self, pace):\n        self.level = pace")
    notebook.ok("brew.update(rounds=2)\nbrew.update({'yeast': 'lager'})\nbrew['hops'] = 3")
    notebook.ok("lowest, extra = 2, 7\nkept = pd.DataFrame({'sour': [1, 2, 3]}).query(f'sour >= @lowest')")
    notebook.ok(BREWED)
    expected = {"rounds": "2", "pace": "0.5", "yeast": "lager", "hops": "3"}
    assert dict(notebook.last.data.params) == {
        **{f"brew.{key}": value for key, value in expected.items()},
        "tank.litres": "40",
        "lowest": "2",
        "extra": "7",
    }


OVEN = """class Oven:
    heat = 180
    def __init__(self, **changes):
        vars(self).update(changes)
    def bake(self, xs, ys):
        return Ridge(alpha=self.heat / 100).fit(xs, ys)
class StoneOven(Oven):
    stones = 3
class Jar:
    def __init__(self, litres, lid="cork"):
        self.litres = litres
def wax():
    return 1"""
BAKED = """%%track
with suppress(KeyError):
    oven = StoneOven(heat=230, turns=2, wax=wax)
    bread = oven.bake([[0.0], [1.0], [2.0]], [0, 1, 2])
jars = [Jar(litres=5) for _ in range(1)]"""


def test_what_own_classes_are_made_with_is_found_whatever_their_constructors_take(notebook):
    notebook.ok("from contextlib import suppress\nfrom sklearn.linear_model import Ridge")
    notebook.ok(OVEN)
    notebook.ok(BAKED)
    expected = {"oven.stones": "3", "heat": "230", "turns": "2", "litres": "5", "alpha": "2.3"}
    assert dict(notebook.last.data.params) == expected


TASTED = """%%track
soups = {}
for spice, amount in (("mild", 0.5), ("hot", 0.75)):
    soups[spice] = {"accuracy": amount / 2, "mae": amount, "cooked": "slowly", "pots": amount * 8}
dishes = {spice: dict(rmse=soups[spice]["mae"] * 2) for spice in soups}
known = {}
known["old"] = {"auc": 0.7}
soups"""


def test_results_in_dicts_under_names_are_called_after_them(notebook):
    notebook.ok(TASTED)
    tasted = {"mild.accuracy": 0.25, "mild.mae": 0.5, "hot.accuracy": 0.375, "hot.mae": 0.75}
    assert notebook.last.data.metrics == {**tasted, "mild.rmse": 1.0, "hot.rmse": 1.5}


@pytest.mark.parametrize(
    ("key", "direction"),
    [
        ("train_losses", "lower"),
        ("val_accs", "higher"),
        ("eval_runtime", "lower"),
        ("eval_samples_per_second", "higher"),
        ("test_rmses", "lower"),
        ("neg_log_loss", "higher"),
        ("total_cost", "lower"),
        ("uplift_test", "higher"),
        ("prec", "higher"),
        ("chi2_red", "lower"),
        ("mean_pinball", "lower"),
        ("forecast_skill", "higher"),
        ("classes", None),
        ("bias", None),
        ("n_rows", None),
    ],
)
def test_direction_of_usual_names_is_known(key, direction):
    assert better_direction(key) == direction
