"""All libraries at once: nothing stays hooked, a failing hook leaves the training alone, and hooking costs little."""

from __future__ import annotations

import sys
import time

import pytest

import nbtrack
from nbtrack.capture import autolog
from nbtrack.capture.autolog import hooks as looking
from nbtrack.capture.autolog import recorder
from nbtrack.errors import CaptureWarning
from nbtrack.tracking import begin_run
from tests.capture.conftest import notebook, workdir  # noqa: F401 - fixtures
from tests.libraries.conftest import library

torch = library("torch")
for name in ("xgboost", "lightgbm", "keras", "lightning.pytorch", "optuna", "statsmodels.api"):
    library(name)
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # inside Keras
    pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning"),  # inside Lightning
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:lightning"),
]

TRAININGS = {
    "xgboost": "xgb.train({}, xgb.DMatrix(X, y), 2)",
    "lightgbm": "lgb.train({'verbosity': -1}, lgb.Dataset(X, y), 2)",
    "keras": "net().fit(X, y, epochs=1, verbose=0)",
    "lightning": "trainer().fit(Net(), data)",
    "optuna": "optuna.create_study().optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=2)",
    "statsmodels": "sm.OLS(y, X).fit()",
    "sklearn": "LinearRegression().fit(X, y)",
}
SETUP = """
import logging, numpy as np, torch, xgboost as xgb, lightgbm as lgb, keras, optuna, statsmodels.api as sm
import lightning.pytorch as pl
from sklearn.linear_model import LinearRegression
from torch.utils.data import DataLoader, TensorDataset
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
optuna.logging.set_verbosity(optuna.logging.WARNING)
X = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
y = X.sum(1)
def net():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def training_step(self, batch, _):
        return self.layer(batch[0]).pow(2).mean()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)
data = DataLoader(TensorDataset(torch.tensor(X)), batch_size=20)
def trainer():
    return pl.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
                      enable_progress_bar=False, enable_model_summary=False)
"""


@pytest.fixture
def ready(notebook):  # noqa: F811
    notebook.ok(SETUP)
    return notebook


def attributes() -> dict[tuple[int, str], object]:
    """Every attribute of every class and module of all these libraries."""
    found: dict[tuple[int, str], object] = {}
    roots = {"sklearn", "xgboost", "lightgbm", "keras", "lightning", "pytorch_lightning", "optuna", "statsmodels"}
    for name, module in sys.modules.copy().items():  # a copy is taken at once, while threads import further modules
        if name.partition(".")[0] not in roots or module is None:
            continue
        for owner in (module, *(one for one in vars(module).copy().values() if isinstance(one, type))):
            found |= {(id(owner), key): value for key, value in vars(owner).copy().items()}
    return found


def test_every_attribute_of_every_library_is_the_very_same_before_and_after(ready):
    for training in TRAININGS.values():  # what libraries import or note down at first use
        ready.ok(training)
    before = attributes()
    assert len(before) > 10_000
    ready.ok("%%track\n" + "\n".join(TRAININGS.values()))
    after = attributes()
    ours = {key: value for key, value in after.items() if str(getattr(value, "__module__", "")).startswith("nbtrack")}
    assert ours == {}
    hooked = {key for key in before if before[key] is not after.get(key) and hasattr(after.get(key), "__wrapped__")}
    assert hooked == set()
    assert {key for key in before if callable(before[key]) and before[key] is not after.get(key)} == set()
    run = next(run for run in ready.runs if "captured" in run.capture)
    assert {one.partition(":")[0] for one in run.capture["captured"]} >= set(TRAININGS)


@pytest.mark.parametrize("name", TRAININGS)
def test_failure_in_a_hook_is_told_and_the_training_goes_on(ready, monkeypatch, name):
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError(f"ours in {name}")

    monkeypatch.setattr(recorder.Recorder, "training", fail)
    with pytest.warns(CaptureWarning, match=rf"autolog of {name}: RuntimeError: ours in {name}\. The training goes on"):
        ready.ok(f"%%track --no-capture model\nresult = {TRAININGS[name]}")
    assert next(run for run in ready.runs if "captured" in run.capture).info.status == "FINISHED"


def test_hooking_all_of_them_costs_a_cell_little(workdir):  # noqa: F811
    with begin_run() as run:
        took = []
        for _ in range(20):
            began = time.thread_time()
            autolog.end(autolog.begin(run, lambda part: True))
            took.append(time.thread_time() - began)
    assert min(took) < 0.003
    assert not looking.quiet()


def test_autolog_for_good_gives_each_training_a_run_of_its_own(workdir):  # noqa: F811
    import numpy as np
    import xgboost

    nbtrack.xgboost.autolog()
    try:
        data = xgboost.DMatrix(np.arange(20.0).reshape(10, 2), np.arange(10.0))
        xgboost.train({"max_depth": 1}, data, 3, evals=[(data, "train")], verbose_eval=False)
        run = nbtrack.last_active_run()
        assert (run.info.status, run.data.params) == ("FINISHED", {"max_depth": "1"})
        assert run.summaries["train-rmse"].count == 3
        assert "xgboost/importance.json" in run.artifacts
        with pytest.raises(xgboost.core.XGBoostError, match="Unknown objective"):
            xgboost.train({"objective": "nothing"}, data, 3)
        assert nbtrack.last_active_run().info.status == "FAILED"
        assert nbtrack.active_run() is None
    finally:
        nbtrack.xgboost.autolog(disable=True)
        autolog._never.clear()
