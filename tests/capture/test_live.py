"""A real kernel's cell while it runs: what its card says, how often, and where it learns how far it is."""

from __future__ import annotations

import time
from importlib.util import find_spec
from itertools import pairwise

import pytest

from nbtrack.capture import progress
from nbtrack.entities import VIEW_MIME

from .conftest import Kernel

SETUP = "import time, nbtrack\n"


def lives(reply) -> list[dict]:
    """What the running card said, update by update."""
    shown = [data for data in reply.displays if VIEW_MIME in data] + [data for _, data in reply.updates]
    return [data[VIEW_MIME]["live"] for data in shown if "live" in data[VIEW_MIME]]


def told_progress(reply) -> list[dict]:
    return [one["progress"] for one in lives(reply) if one["progress"] is not None]


def test_running_cell_shows_one_card_that_is_updated_in_place(kernel: Kernel) -> None:
    reply = kernel.run(
        f"%%track\n{SETUP}for i in range(120):\n    nbtrack.log_metric('loss', 1 / (i + 1))\n    time.sleep(0.025)"
    )
    assert reply.status == "ok", reply.traceback
    (card,) = reply.cards
    assert "● running" in card["text/html"]
    assert "of 120 steps" in card["text/plain"]
    assert card[VIEW_MIME]["live"]["series"][0]["key"] == "loss"
    times = [at for at, _ in reply.updates]
    assert len(times) >= 5
    gaps = sorted(b - a for a, b in pairwise(times[:-1]))  # the last one is the final card
    assert gaps[len(gaps) // 2] > 0.18  # five a second, and no more
    final = reply.updates[-1][1]
    assert "✓ finished" in final["text/html"]
    assert "live" not in final[VIEW_MIME]
    assert max(len(str(data)) for _, data in reply.updates) < 20_000
    assert kernel.last().capture["progress"]["total"] == 120


def test_short_cell_shows_its_card_once(kernel: Kernel) -> None:
    reply = kernel.run("%%track\nx = 1")
    assert (len(reply.cards), reply.updates) == (1, [])


@pytest.mark.parametrize(
    ("cell", "source", "total"),
    [
        ("from tqdm import tqdm\nfor i in tqdm(range(40), desc='outer'):\n    time.sleep(0.06)", "tqdm", 40),
        ("for i in range(1, 41):\n    print(f'Epoch {i}/40')\n    time.sleep(0.06)", "printed", 40),
        (
            "N = 40\nfor e in range(N):\n    nbtrack.log_metrics({'a': e, 'b': e})\n    time.sleep(0.06)",
            "log_metric",
            40,
        ),
    ],
)
def test_progress_is_told_and_comes_to_its_end(kernel: Kernel, cell: str, source: str, total: int) -> None:
    told = told_progress(kernel.run(f"%%track\n{SETUP}{cell}"))
    assert told
    assert {one["source"] for one in told} == {source}
    assert {one["total"] for one in told} == {total}
    done = [one["done"] for one in told]
    assert done == sorted(done)
    assert done[-1] >= 30
    last = told[-1]
    assert 0 < last["remaining_s"] < 3 or (last["remaining_s"], last["done"]) == (0, total)


def test_progress_of_keras_is_told(kernel: Kernel) -> None:
    if find_spec("keras") is None or find_spec("torch") is None:
        pytest.skip("needs Keras and PyTorch")
    kernel.run("import os; os.environ['KERAS_BACKEND'] = 'torch'\nimport keras, numpy as np\n", timeout=120)
    told = told_progress(
        kernel.run(
            "%%track --no-capture model\nX = np.random.rand(256, 4).astype('float32')\n"
            "model = keras.Sequential([keras.layers.Dense(1)])\nmodel.compile('sgd', 'mse')\n"
            "slow = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: __import__('time').sleep(0.3))\n"
            "history = model.fit(X, X[:, :1], epochs=12, verbose=2, callbacks=[slow])",
            timeout=120,
        )
    )
    assert told
    assert {one["total"] for one in told} == {12}
    assert told[-1]["done"] >= 6


def test_progress_of_lightning_is_told(kernel: Kernel) -> None:
    if find_spec("lightning") is None:
        pytest.skip("needs PyTorch Lightning")
    setup = """
import torch, lightning, logging, warnings
warnings.filterwarnings("ignore")
class Small(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def training_step(self, batch, index):
        import time; time.sleep(0.02)
        return self.layer(batch[0]).pow(2).mean()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.rand(80, 2)), batch_size=8)
"""
    assert kernel.run(setup, timeout=180).status == "ok"
    reply = kernel.run(
        "%%track --no-capture model\ntrainer = lightning.Trainer(max_epochs=12, logger=False, accelerator='cpu',"
        " enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)\n"
        "trainer.fit(Small(), data)",
        timeout=180,
    )
    assert reply.status == "ok", reply.traceback
    told = told_progress(reply)
    assert told
    assert {(one["source"], one["unit"], one["total"]) for one in told} == {("Lightning", "epoch", 12)}
    assert told[-1]["done"] > 6


def test_cell_that_clears_its_output_still_ends_with_its_card(kernel: Kernel) -> None:
    reply = kernel.run(
        f"%%track\n{SETUP}from IPython.display import clear_output\n"
        "for i in range(8):\n    clear_output(wait=True)\n    print('round', i)\n    time.sleep(0.3)\nclear_output()"
    )
    assert reply.status == "ok", reply.traceback
    assert "✓ finished" in reply.cards[-1]["text/html"]  # as a new output: what was there before is gone


def test_interrupted_cell_ends_its_card(kernel: Kernel) -> None:
    reply = kernel.run(
        f"%%track\n{SETUP}print('begun')\nfor i in range(300):\n    nbtrack.log_metric('loss', i)\n    time.sleep(0.1)",
        interrupt_when="begun",
    )
    assert reply.error == "KeyboardInterrupt"
    shown = [*reply.cards, *(data for _, data in reply.updates)]
    assert "■ stopped" in shown[-1]["text/html"]


def test_many_cells_are_looked_at_by_one_thread(kernel: Kernel) -> None:
    for _ in range(3):
        kernel.run("%%track\nx = 1")
    reply = kernel.run("import threading\nprint([t.name for t in threading.enumerate()].count('nbtrack-live'))")
    assert reply.text.strip() == "1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Epoch 3/10\n", (2, 10, "epoch")),
        ("step [7/20] loss 0.3", (6, 20, "step")),
        ("fold 2 of 5", (1, 5, "fold")),
        ("epoch 12/10", None),
        ("ratio 3/10", None),
    ],
)
def test_printed_progress_is_read(text: str, expected: tuple[int, int, str] | None) -> None:
    found = progress.from_text(text, 1.0)
    assert (None if found is None else (found["done"], found["total"], found["unit"])) == expected


def test_tqdm_bars_of_earlier_cells_are_not_this_cells() -> None:
    from tqdm import tqdm

    bar = tqdm(total=10, disable=False, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123 - closed with the bar
    bar.update(3)
    assert progress.from_tqdm(time.time() - 1)["done"] == 3
    assert progress.from_tqdm(time.time() + 10) is None
    bar.close()
    bar.fp.close()
