"""autolog of Keras, PyTorch Lightning and PyTorch loops: curves while they train, params, the model."""

from __future__ import annotations

import numpy as np
import pytest

import nbtrack
from nbtrack.errors import InvalidInputError
from nbtrack.tracking import get_store
from tests.capture.conftest import notebook, workdir  # noqa: F401 - fixtures
from tests.libraries.conftest import curve, library, said

torch = library("torch")
keras = library("keras")
lightning = library("lightning.pytorch")
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # inside Keras
    pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning"),  # inside Lightning
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),  # how many workers, and that there is no GPU
]

SETUP = """
import logging, numpy as np, torch, nbtrack
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
torch.manual_seed(0)
X = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
y = X.sum(1, keepdims=True)
"""
KERAS = """
import keras
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
"""
LIGHTNING = """
import lightning.pytorch as pl
from torch.utils.data import DataLoader, TensorDataset
class Net(pl.LightningModule):
    def __init__(self, lr=0.05, width=4):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))
    def forward(self, x):
        return self.net(x)
    def training_step(self, batch, _):
        loss = torch.nn.functional.mse_loss(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss
    def validation_step(self, batch, _):
        self.log("val_loss", torch.nn.functional.mse_loss(self(batch[0]), batch[1]))
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
data = DataLoader(TensorDataset(torch.tensor(X), torch.tensor(y)), batch_size=16)
def trainer(epochs, **more):
    return pl.Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
                      enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=2, **more)
"""


@pytest.fixture
def ready(notebook):  # noqa: F811
    notebook.ok(SETUP)
    return notebook


# -- Keras -------------------------------------------------------------------------------------------------------------
def test_keras_gives_a_curve_of_each_metric_while_it_trains(ready):
    ready.ok(KERAS)
    ready.ok(
        "%%track\nlive = []\n"
        "class Look(keras.callbacks.Callback):\n"
        "    def on_epoch_begin(self, epoch, logs=None):\n"
        "        live.append(len(nbtrack.get_metric_history(nbtrack.active_run().run_id, 'loss')) if epoch else 0)\n"
        "history = model.fit(X, y, epochs=4, batch_size=16, validation_split=0.25, verbose=0, callbacks=[Look()])"
    )
    run = ready.last
    for key, values in ready.names["history"].history.items():
        steps, logged = curve(run, key)
        assert steps == [0, 1, 2, 3]
        assert logged == pytest.approx(values)
    assert ready.names["live"] == [0, 1, 2, 3]
    wanted = {"epochs": "4", "batch_size": "16", "optimizer": "Adam", "learning_rate": "0.01", "loss": "mse"}
    assert wanted.items() <= run.data.params.items()
    assert said(run, "keras") == ["keras: 4 epochs"]
    assert len(ready.names["model"].history.params) > 0
    (shown,) = run.capture["models"]
    assert (shown["variable"], shown["columns"]) == ("model", 3)
    rows = ready.names["X"]
    assert np.allclose(
        nbtrack.predict(f"runs:/{run.run_id}/model", rows), ready.names["model"].predict(rows, verbose=0), atol=1e-6
    )


def test_keras_is_as_it_was_and_the_user_s_error_and_list_of_callbacks_too(ready):
    ready.ok(KERAS)
    owner = next(cls for cls in keras.Model.__mro__ if "fit" in vars(cls))
    before = vars(owner)["fit"]
    ready.ok(
        "error = ZeroDivisionError('mine')\nclass Bad(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n        raise error\nmine = [Bad()]"
    )
    result = ready.run("%%track\nmodel.fit(X, y, epochs=4, verbose=0, callbacks=mine)")
    assert result.error_in_exec is ready.names["error"]
    assert len(ready.names["mine"]) == 1
    assert vars(owner)["fit"] is before
    assert ready.last.info.status == "FAILED"


# -- Lightning ---------------------------------------------------------------------------------------------------------
def test_lightning_gives_what_the_module_logs(ready):
    ready.ok(LIGHTNING)
    before = vars(lightning.Trainer)["fit"]
    ready.ok("%%track\nnet = Net(width=5)\nt = trainer(3)\nt.fit(net, data, data)")
    assert vars(lightning.Trainer)["fit"] is before
    assert not any("nbtrack" in type(one).__module__ for one in ready.names["t"].callbacks)
    run = ready.last
    steps, values = curve(run, "train_loss_step")
    assert steps == [2, 4, 6, 8, 10, 12]
    assert values[-1] < values[0]
    assert curve(run, "val_loss")[0] == [4, 8, 12]
    assert curve(run, "train_loss_epoch")[0] == [4, 8, 12]
    final = {key: float(value) for key, value in ready.names["t"].callback_metrics.items()}
    assert curve(run, "val_loss")[1][-1] == pytest.approx(final["val_loss"])
    assert curve(run, "train_loss_epoch")[1][-1] == pytest.approx(final["train_loss_epoch"])
    wanted = {"width": "5", "max_epochs": "3", "optimizer": "SGD", "learning_rate": "0.05", "module": "Net"}
    assert wanted.items() <= run.data.params.items()
    assert said(run, "lightning") == ["lightning: 3 epochs, 12 steps"]
    assert run.capture["models"][0]["variable"] == "net"
    loaded = nbtrack.load_model(f"runs:/{run.run_id}/model")
    rows = torch.tensor(ready.names["X"])
    with torch.no_grad():
        assert torch.equal(loaded(rows), ready.names["net"](rows))


def test_lightning_error_of_the_user_passes(ready):
    ready.ok(LIGHTNING)
    ready.ok("class Bad(Net):\n    def training_step(self, batch, _):\n        raise error\nerror = KeyError('mine')")
    result = ready.run("%%track\ntrainer(1).fit(Bad(), data)")
    assert result.error_in_exec is ready.names["error"]
    assert ready.last.info.status == "FAILED"


# -- a loop by hand ----------------------------------------------------------------------------------------------------
LOOP = """
for epoch in range(3):
    net.train()
    for start in range(0, 64, 16):
        opt.zero_grad()
        value = loss(net(xs[start:start + 16]), ys[start:start + 16])
        value.backward()
        opt.step()
        trained.append(value.item())
    net.eval()
    with torch.no_grad():
        checked.append(sum(loss(net(part), ys[:8]).item() for part in (xs[:8], xs[8:16])) / 2)
"""
PARTS = """
net, xs, ys = torch.nn.Linear(3, 1), torch.tensor(X), torch.tensor(y)
opt, loss, trained, checked = torch.optim.Adam(net.parameters(), lr=0.02), torch.nn.MSELoss(), [], []
"""


def test_one_line_before_a_loop_gives_its_losses(ready):
    ready.ok(PARTS)
    ready.ok(f"%%track\nnbtrack.pytorch.watch(net, opt, loss)\n{LOOP}")
    run = ready.last
    assert curve(run, "train_loss") == (list(range(12)), ready.names["trained"])
    steps, values = curve(run, "val_loss")
    assert steps == [3, 7, 11]
    assert values == pytest.approx(ready.names["checked"])
    assert {"optimizer": "Adam", "lr": "0.02", "parameters": "4"}.items() <= run.data.params.items()
    assert said(run, "pytorch") == ["pytorch: 12 steps"]
    assert run.capture["models"][0]["variable"] == "net"
    assert not ready.names["net"]._forward_pre_hooks
    assert not ready.names["loss"]._forward_hooks
    assert not ready.names["opt"]._optimizer_step_post_hooks
    ready.ok(f"with nbtrack.start_run() as run, nbtrack.pytorch.watch(net, opt, loss, every=5):\n    x = 1\n{LOOP}")
    assert not ready.names["opt"]._optimizer_step_post_hooks


def test_watch_in_a_plain_run_ends_with_it_and_refuses_what_it_cannot_watch(workdir):  # noqa: F811
    net = torch.nn.Linear(2, 1)
    opt, loss = torch.optim.SGD(net.parameters(), lr=0.1), torch.nn.MSELoss()
    with nbtrack.start_run() as run:
        nbtrack.pytorch.watch(net, opt, loss, every=2)
        for _ in range(5):
            opt.zero_grad()
            loss(net(torch.ones(4, 2)), torch.ones(4, 1)).backward()
            opt.step()
    kept = get_store().get_run(run.run_id)
    assert curve(kept, "train_loss")[0] == [0, 2, 4]
    assert kept.data.params["optimizer"] == "SGD"
    assert kept.capture["captured"] == ["pytorch: 5 steps"]
    assert "model/nbtrack-model.json" in kept.artifacts
    assert not opt._optimizer_step_post_hooks
    with nbtrack.start_run():
        with pytest.raises(InvalidInputError, match=r"watch: loss: expected a torch\.nn\.Module, got function"):
            nbtrack.pytorch.watch(net, opt, torch.nn.functional.mse_loss)
        with pytest.raises(InvalidInputError, match=r"watch: optimizer: expected a torch\.optim\.Optimizer, got str"):
            nbtrack.pytorch.watch(net, "adam", loss)
        with pytest.raises(InvalidInputError, match="watch: every: expected 1 or more, got 0"):
            nbtrack.pytorch.watch(net, opt, loss, every=0)
