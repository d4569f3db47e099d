"""autolog in a real kernel: the library is imported by the tracked cell itself, and the training is interrupted."""

from __future__ import annotations

from tests.capture.conftest import kernel  # noqa: F401 - a fixture
from tests.libraries.conftest import library

library("xgboost")

CELL = """%%track
import time
import numpy as np
import xgboost as xgb
class Slow(xgb.callback.TrainingCallback):
    def after_iteration(self, model, epoch, evals_log):
        print(f"round {epoch}.", flush=True)
        time.sleep(0.05)
data = xgb.DMatrix(np.arange(20.0).reshape(10, 2), np.arange(10.0))
xgb.train({"max_depth": 2}, data, 500, evals=[(data, "train")], verbose_eval=False, callbacks=[Slow()])
"""


def test_interrupted_training_keeps_its_curve_and_leaves_nothing_hooked(kernel):  # noqa: F811
    reply = kernel.run(CELL, interrupt_when="round 6.")
    assert reply.error == "KeyboardInterrupt"
    assert "nbtrack" not in reply.traceback
    run = kernel.last()
    assert run.info.status == "KILLED"
    assert 6 <= run.summaries["train-rmse"].count < 500
    assert run.data.params["max_depth"] == "2"
    left = kernel.run(
        "import sys\nfrom xgboost.callback import CallbackContainer\n"
        "print([name for name, value in [*vars(CallbackContainer).items(), *vars(xgb.Booster).items()]"
        " if 'nbtrack' in getattr(getattr(value, '__code__', None), 'co_filename', '')],"
        " [one for one in sys.meta_path if 'nbtrack' in type(one).__module__])"
    )
    assert left.text.strip() == "[] []"
