"""PyTorch modules: plain ones, ones written in the notebook, strangers' ones."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import IntegrityError, InvalidInputError, UntrustedModelError
from nbtrack.models import load_bundle, read_model
from tests.libraries.conftest import library
from tests.libraries.forging import resigned

torch = library("torch")
ROWS = np.arange(12.0).reshape(4, 3)


class Net(torch.nn.Module):
    """As a notebook has it: it travels by value only if it is not importable, see below."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.BatchNorm1d(4))
        self.head = torch.nn.Linear(4, 1)
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, x, shift=0.0):
        return self.head(self.layers(x)) * self.scale + shift


def answers(model, rows=ROWS):
    model.eval()
    with torch.no_grad():
        return model(torch.tensor(rows, dtype=torch.float32)).numpy()


def test_module_comes_back_with_buffers_frozen_parameters_and_params(store):
    net = Net()
    net.head.weight.requires_grad = False
    with nbtrack.start_run():
        info = nbtrack.pytorch.log_model(net, "net", input_example=ROWS)
    assert info.manifest.flavor == "pytorch"
    assert "torch" in info.manifest.environment["packages"]
    bundle = load_bundle(info.model_uri)
    assert np.array_equal(bundle.predict(ROWS), answers(net))
    assert np.array_equal(bundle.predict(pd.DataFrame(ROWS), {"shift": 1.0}), answers(net) + 1)
    assert not bundle.model.head.weight.requires_grad
    assert bundle.model.layers[0].weight.requires_grad
    assert isinstance(bundle.model.head.weight, torch.nn.Parameter)
    assert not bundle.model.training


def test_class_written_in_the_notebook_is_had_by_another_process(tmp_path):
    code = f"""
import torch, nbtrack
class Mine(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(2, 1)
        self.b = self.a
    def forward(self, x):
        return torch.relu(self.a(x) + self.b(x))
torch.manual_seed(0)
net = Mine()
nbtrack.save_model(net, {str(tmp_path / "m")!r}, input_example=[[1.0, 2.0]])
print(net(torch.tensor([[1.0, 2.0]])).item())
"""
    wrote = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = nbtrack.pytorch.load_model(tmp_path / "m")
    assert type(loaded).__name__ == "Mine"
    assert loaded.a.weight is loaded.b.weight
    assert float(nbtrack.predict(tmp_path / "m", [[1.0, 2.0]])[0, 0]) == pytest.approx(float(wrote.stdout))


def test_stranger_gets_plain_layers_and_of_other_modules_the_tensors(tmp_path, stranger):
    plain = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.GELU(), torch.nn.Dropout(0.5), torch.nn.TransformerEncoderLayer(8, 2, 16),
        torch.nn.Linear(8, 2),
    )  # fmt: skip
    nbtrack.save_model(plain, tmp_path / "plain")
    nbtrack.save_model(Net(), tmp_path / "own")
    with stranger():
        assert np.array_equal(answers(nbtrack.load_model(tmp_path / "plain")), answers(plain))
        with pytest.raises(UntrustedModelError, match=r"names '.*Net'.*could run a stranger's code") as refused:
            nbtrack.load_model(tmp_path / "own")
        tensors = nbtrack.pytorch.load_state_dict(tmp_path / "own")
        net = Net()
        net.load_state_dict(tensors, strict=False)
        digest = str(refused.value).rpartition("'")[0].rpartition("'")[2]
        assert np.array_equal(answers(nbtrack.load_model(tmp_path / "own", trust=digest)), answers(net))


@pytest.mark.parametrize(
    "payload",
    [
        b"cos\nsystem\n(S'touch /tmp/never'\ntR.",
        b"ctorch.nn.modules.linear\nLinear.__init__\n.",
        b"ctorch.hub\nload\n(S'a/b'\nS'c'\ntR.",
        b"ctorch.nn.modules.module\nrandom\n.",
        b"ctorch.nn.utils.parametrize\nregister_parametrization\n.",
    ],
)
def test_foreign_pickle_that_names_anything_else_is_refused(tmp_path, stranger, payload):
    nbtrack.save_model(torch.nn.Linear(1, 1), tmp_path / "m")
    forged = resigned(tmp_path / "m", tmp_path / "bad", "module.pkl", payload)
    with stranger(), pytest.raises(UntrustedModelError, match=r"no layer of PyTorch's own"):
        nbtrack.load_model(forged)


def test_broken_files_and_wrong_models_say_what_is_wrong(tmp_path, stranger):
    nbtrack.save_model(torch.nn.Linear(1, 1), tmp_path / "m")
    with pytest.raises(IntegrityError, match=r"PyTorch cannot read its tensors\.pt"):
        nbtrack.load_model(resigned(tmp_path / "m", tmp_path / "a", "tensors.pt", b"nothing"))
    with stranger(), pytest.raises(IntegrityError, match="it cannot be unpickled"):
        nbtrack.load_model(resigned(tmp_path / "m", tmp_path / "b", "module.pkl", b"nothing"))
    with pytest.raises(InvalidInputError, match=r"expected a torch\.nn\.Module, got list"):
        nbtrack.pytorch.save_model([1], tmp_path / "n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript itself is deprecated
        scripted = torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1, 1))
    with pytest.raises(InvalidInputError, match="got one compiled to TorchScript"):
        nbtrack.save_model(scripted, tmp_path / "n")
    nbtrack.pyfunc.save_model(lambda rows: rows, tmp_path / "len")
    with pytest.raises(InvalidInputError, match="is no model of PyTorch but one of pyfunc"):
        nbtrack.pytorch.load_state_dict(tmp_path / "len")


def test_embedding_gets_whole_numbers_and_replaced_methods_survive(tmp_path):
    net = torch.nn.Sequential(torch.nn.Embedding(10, 2), torch.nn.Flatten())
    words = np.array([[1, 2], [3, 9]])
    nbtrack.save_model(net, tmp_path / "words", input_example=words)
    expected = net(torch.tensor(words)).detach().numpy()
    assert np.array_equal(nbtrack.predict(tmp_path / "words", words), expected)
    line = torch.nn.Linear(3, 1)
    line.predict = lambda x: torch.sigmoid(line(x)).round()
    nbtrack.save_model(line, tmp_path / "line", input_example=ROWS)
    assert set(np.unique(nbtrack.predict(tmp_path / "line", ROWS))) <= {0.0, 1.0}


def test_tensors_are_stored_once_and_the_training_mode_is_left_alone(tmp_path):
    big = torch.nn.Linear(500, 500)
    assert big.training
    nbtrack.save_model(big, tmp_path / "m", input_example=np.zeros((2, 500)))
    assert big.training
    files = read_model(tmp_path / "m").files
    assert len(files["module.pkl"]) < 5_000
    assert len(files["tensors.pt"]) < 500 * 501 * 4 + 20_000


def test_module_that_answers_with_a_dict_gives_a_frame_and_others_are_refused(tmp_path):
    class Both(torch.nn.Module):
        def __init__(self, tuple_too=False):
            super().__init__()
            self.tuple_too = tuple_too

        def forward(self, x):
            return (x, x) if self.tuple_too else {"sum": x.sum(1), "twice": x * 2}

    nbtrack.save_model(Both(), tmp_path / "m", input_example=ROWS)
    answer = nbtrack.predict(tmp_path / "m", ROWS)
    assert answer["sum"].tolist() == ROWS.sum(1).tolist()
    assert answer["twice"].tolist() == (ROWS * 2).tolist()
    nbtrack.save_model(Both(True), tmp_path / "n")
    with pytest.raises(InvalidInputError, match="expected the module to answer with a tensor or a dict of tensors"):
        nbtrack.predict(tmp_path / "n", ROWS)
