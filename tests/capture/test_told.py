"""Results that a cell computes, names and tells, although nothing in their names says that they are results."""

from __future__ import annotations

import pytest

MAKE = """import numpy as np, time
from sklearn.linear_model import Ridge
rng = np.random.default_rng(0)
x = rng.normal(size=50)
"""


def metrics_of(notebook, cell: str) -> dict[str, float]:
    """Run a tracked cell after one that makes data; return the metrics found."""
    notebook.ok(MAKE)
    notebook.ok(f"%%track\n{cell}")
    return dict(notebook.last.data.metrics)


@pytest.mark.parametrize(
    "telling",
    [
        "print(f'price: {price:.2f}')",
        "print('price', round(price, 2))",
        "print('done. price = %.2f' % price)",
        "print('price {:.2f}'.format(price))",
        "print('price {:.2f} % of par'.format(price))",
        "print('{set} price %.2f' % price)",
        "print('the price is ' + str(price))",
        "print(f'{price=:.3f}')",
        "print(f'half: {1.96 * price:.2f}')",
        "price",
        "price, len(x)",
        "if True:\n    print('price', price)",
    ],
)
def test_named_number_that_is_told_is_kept_in_full(notebook, telling):
    found = metrics_of(notebook, f"payoff = np.maximum(x, 0)\nprice = payoff.mean()\n{telling}")
    assert found == {"price": pytest.approx(notebook.shell.user_ns["price"], abs=0, rel=1e-15)}


@pytest.mark.parametrize(
    "cell",
    [
        "t0 = time.time()\ny = x * 2\nprint(f'took {time.time() - t0:.1f} s')",
        "start = time.perf_counter()\nused = time.perf_counter() - start\nprint('used', used)",
        "eta = 3.5 * (time.time() - 1)\nprint(f'ETA {eta:.1f}')",
        "rate = 2 ** -3\nprint('rate', rate)",
        "center = x.mean()\nprint('center of x:', center)",
        "low = x.min(); x_max = float(x.max())\nprint(low, x_max)",
        "shrink = np.exp(x.std())\nRidge(alpha=shrink).fit(x[:, None], x)\nprint('shrink', shrink)",
        "for k in range(3):\n    part = x[k] * 2\n    print('part', part)",
        "hidden = float(np.exp(x).mean())",
        "n_above = float((x > 0).sum()) * 1.0\nprint(n_above)",
        "w = np.linalg.norm(x)\nprint('w =', w)",
        "best_loss = float('inf')\nprint(best_loss)",
        "neg = (x < 0).sum()\nprint(f'{neg} negatives')",
    ],
    ids=[
        "clock",
        "stopwatch",
        "eta",
        "written",
        "data",
        "range",
        "setting",
        "loop",
        "untold",
        "count",
        "letter",
        "inf",
        "neg",
    ],
)
def test_number_that_is_no_result_is_left_out(notebook, cell):
    assert metrics_of(notebook, cell) == {}


def test_label_names_what_its_variable_does_not(notebook):
    found = metrics_of(notebook, "inside = (np.abs(x * 2) < 2).mean()\nprint('95%% coverage: %.2f' % inside)")
    assert found == {"coverage": notebook.shell.user_ns["inside"]}


def test_field_of_an_object_is_kept_under_its_label_and_no_property_runs(notebook):
    notebook.ok(
        "class Trainer:\n    def __init__(self): self.best = 0.75\n    @property\n    def worst(self): raise SystemExit"
    )
    found = metrics_of(
        notebook, "t = Trainer()\nprint('best val auc', t.best)\nprint('rmse', 'none')\n_ = Trainer.worst"
    )
    assert found == {"best_val_auc": 0.75}


@pytest.mark.parametrize(
    "telling",
    [
        "report",
        "print(report)",
        "for key, value in report.items():\n    print(key, value)",
        "import pandas as pd\npd.Series(report)",
    ],
)
def test_siblings_of_a_result_are_results(notebook, telling):
    cell = f"report = {{'MAE': np.abs(x).sum() / 7, 'bias': x.sum() / 9, 'n': 50, 'threshold': x[0] / 2}}\n{telling}"
    found = metrics_of(notebook, cell)
    held = notebook.shell.user_ns["report"]
    assert found == {"MAE": held["MAE"], "bias": held["bias"]}


@pytest.mark.parametrize(
    "cell",
    [
        "limits = {'max_error': 0.1, 'ridge': 0.01}\nlimits",
        "{'max_error': 0.1, 'ridge': 0.01}",
        "import pandas as pd\npd.Series({'max_error': 0.1, 'ridge': 0.01})",
        "import pandas as pd\ngrades = pd.DataFrame({'score': x})\nsummary = grades.describe()\nsummary",
        "before.groupby('school').mean()",
        "before.describe()",
    ],
    ids=["settings", "settings shown", "settings in a series", "described here", "data by group", "data described"],
)
def test_shown_settings_and_shown_data_are_no_results(notebook, cell):
    notebook.ok("import pandas as pd\nbefore = pd.DataFrame({'school': ['A', 'B'] * 5, 'score': [0.5, 1.5] * 5})")
    assert metrics_of(notebook, cell) == {}


@pytest.mark.parametrize("telling", ["report", "import pandas as pd\npd.Series(report)", "print(report)"])
def test_settings_beside_a_result_are_no_results(notebook, telling):
    notebook.ok("ridge = 0.01")
    report = "{'MAE': np.abs(x).sum() / 7, 'bias': x.sum() / 9, 'lr': lr, 'ridge': ridge, 'cap': 2.5}"
    assert metrics_of(notebook, f"lr = 0.1\nreport = {report}\n{telling}").keys() == {"MAE", "bias"}


def test_duration_that_timeit_measured_is_a_result(notebook):
    found = metrics_of(notebook, "import timeit\nfit_time = timeit.timeit('pass', number=10)")
    assert found.keys() == {"fit_time"}


def test_small_table_of_results_is_kept_by_row(notebook):
    cell = (
        "import pandas as pd\n"
        "table = pd.DataFrame({'dev': {'auc': 0.5, 'rows': 3.0}, 'oot': {'auc': 0.25, 'rows': 4.0}}).T\n"
        "print(table.round(2).to_string())"
    )
    assert metrics_of(notebook, cell) == {"dev.auc": 0.5, "oot.auc": 0.25}


def test_curves_under_the_names_of_splits_are_kept_with_the_name_of_their_history(notebook):
    metrics_of(notebook, "hist = {'train': [], 'valid': []}\nfor k in range(3):\n    hist['train'].append(1 / (k + 1))")
    assert {key: one.count for key, one in notebook.last.summaries.items()} == {"hist.train": 3}


@pytest.mark.parametrize(
    ("before", "cell", "expected"),
    [
        (
            "",
            "from types import SimpleNamespace\nm = SimpleNamespace(r=0.05, T=1.0)\nm.r",
            {"m.r": "0.05", "m.T": "1.0"},
        ),
        ("cols = ['a', 'b']", "cols += ['c']", {"cols": "['a', 'b', 'c']"}),
        (
            "from enum import Enum\nfrom dataclasses import dataclass\nclass Kind(Enum):\n    HUBER = 1\n"
            "@dataclass\nclass Settings:\n    kind: Kind = Kind.HUBER",
            "cfg = Settings()",
            {"cfg.kind": "HUBER"},
        ),
        (
            "from scipy.optimize import minimize",
            "fit = minimize(lambda v: (v ** 2).sum(), np.ones(2), method='BFGS', options={'maxiter': 50})",
            {"method": "BFGS", "options.maxiter": "50"},
        ),
        (
            "DEFAULTS = {'lr': 0.1, 'gamma': 0.5}\nclass Net:\n    def __init__(self, **given):\n"
            "        self.hparams = {**DEFAULTS, **given}",
            "net = Net(lr=0.2)",
            {"lr": "0.2", "gamma": "0.5"},
        ),
        (
            "class Cfg(dict):\n    __getattr__ = dict.__getitem__\n    def items(self): raise SystemExit\n"
            "cfg = Cfg(model=Cfg(alpha=0.5), seed=3)",
            "y = cfg.model.alpha * cfg.seed",
            {"cfg.model.alpha": "0.5", "cfg.seed": "3"},
        ),
        ("", "message = ''", {}),
    ],
    ids=["namespace", "grown list", "enum", "options", "merged defaults", "own dict", "empty text"],
)
def test_settings_in_more_shapes_are_found(notebook, before, cell, expected):
    notebook.ok(f"import numpy as np\n{before}")
    notebook.ok(f"%%track\n{cell}")
    assert dict(notebook.last.data.params) == expected


def test_lists_set_before_nbtrack_was_loaded_are_found(notebook):
    notebook.shell.run_line_magic("unload_ext", "nbtrack")
    notebook.ok("import numpy as np\nBOUNDS = (-1.0, 3.0)\nrates = [0.1, 0.5]\ngone = [1, 2]")
    notebook.ok("grid = np.linspace(*BOUNDS, 5)\nw = np.array(rates)\ngone.append(3)")
    notebook.shell.run_line_magic("load_ext", "nbtrack")
    notebook.ok("%%track\nscore = float(np.dot(w, w) + grid.sum() + sum(gone))")
    assert dict(notebook.last.data.params) == {"BOUNDS": "(-1.0, 3.0)", "rates": "[0.1, 0.5]"}
