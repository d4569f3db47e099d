"""PyTorch: modules. Their tensors are data of their own; the module around them is a pickle without tensors.

A class written in the notebook travels by value, so that another process has it, too. A stranger's module is loaded
only if it consists of nothing but PyTorch's own layers; of any other one the tensors can be had.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from nbtrack.errors import IntegrityError, InvalidInputError, UntrustedModelError
from nbtrack.models.flavors import Saved, check_kind, comes_from, file_of, need, pickled, rows_of, table_of, unpickled

NAME = "pytorch"
PACKAGE = MODULE = "torch"
PRIORITY = 5
_MODULE_FILE = "module.pkl"
_TENSORS_FILE = "tensors.pt"
_FUNCTIONS: Final = frozenset({"relu", "gelu", "silu", "elu", "leaky_relu", "tanh", "sigmoid", "softmax"})


def handles(model: Any) -> bool:
    """Return whether this is a module of PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and comes_from(model, "torch") and isinstance(model, torch.nn.Module)


def save(model: Any) -> Saved:
    """Return the module and its tensors, which come back on the CPU."""
    check_kind(handles(model), model, NAME, "a torch.nn.Module")
    torch = need(MODULE, PACKAGE)
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if isinstance(model, torch.jit.ScriptModule):
        raise InvalidInputError("pytorch.log_model: expected the module itself, got one compiled to TorchScript.")
    tensors, names = {}, {}
    for kind in (model.named_parameters, model.named_buffers):
        for name, tensor in kind():  # a tensor that two layers share comes once
            tensors[name], names[id(tensor)] = tensor.detach(), (name, isinstance(tensor, torch.nn.Parameter))
    learns = {name: tensor.requires_grad for name, tensor in model.named_parameters()}
    data = pickled(model, lambda part: names[id(part)][0] if id(part) in names else None)
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return Saved({_MODULE_FILE: data, _TENSORS_FILE: buffer.getvalue()}, {"parameters": learns})


def tensors_of(files: Mapping[str, bytes], what: str) -> dict[str, Any]:
    """Return the tensors of a model by name, on the CPU; no code of anybody's runs."""
    torch = need(MODULE, PACKAGE)
    try:
        tensors = torch.load(io.BytesIO(file_of(files, _TENSORS_FILE, what)), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise IntegrityError(f"{what}: PyTorch cannot read its {_TENSORS_FILE} ({str(error)[:200]}).") from None
    if not isinstance(tensors, dict):
        raise IntegrityError(f"{what}: its {_TENSORS_FILE} holds no tensors by name. Log the model again.")
    return tensors


class _LayersOnly(pickle.Unpickler):
    """Makes PyTorch's own layers and nothing else."""

    def __init__(self, data: bytes, what: str, tensors: Mapping[str, Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._what = what
        self._tensors = tensors

    def persistent_load(self, name: Any) -> Any:
        return self._tensors[name]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {("collections", "OrderedDict"), ("builtins", "set")}:
            return super().find_class(module, name)
        if module == "torch.nn.functional" and name in _FUNCTIONS:
            return super().find_class(module, name)
        if module.startswith("torch.nn.modules.") and "." not in name:
            found = getattr(import_module(module), name, None) if module in sys.modules else None
            base = sys.modules["torch"].nn.Module
            if isinstance(found, type) and issubclass(found, base) and found.__module__ == module:
                return found
        raise UntrustedModelError(
            f"{self._what}: it names {f'{module}.{name}'[:200]!r}, which is no layer of PyTorch's own and could run a"
            " stranger's code; this model was not logged by you on this machine. If you trust its author, load it with"
            " the trust= argument."
        )


def load(files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
    """Return the module, ready to predict (``eval()``)."""
    torch = need(MODULE, PACKAGE)
    tensors = tensors_of(files, what)
    for name, learns in dict(options.get("parameters", {})).items():
        if name in tensors:
            tensors[name] = torch.nn.Parameter(tensors[name], requires_grad=bool(learns))
    data = file_of(files, _MODULE_FILE, what)
    if trusted:
        model = unpickled(data, what, tensors.__getitem__)
    else:
        try:
            model = _LayersOnly(data, what, tensors).load()
        except UntrustedModelError:
            raise
        except Exception as error:  # garbage can make an unpickler raise anything
            raise IntegrityError(f"{what}: it cannot be unpickled ({type(error).__name__}).") from None
    if not isinstance(model, torch.nn.Module):
        raise IntegrityError(f"{what}: expected a torch.nn.Module, got {type(model).__name__}. Log the model again.")
    return model.eval()


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return what the module answers to rows of numbers, as an array; a dict as a frame with a column for each.

    Numbers become tensors of the type of its parameters; whole ones stay whole where it looks them up in a table.
    A ``predict`` that was put on the module is asked instead, with the same tensor.
    """
    import numpy as np

    torch = need(MODULE, PACKAGE)
    array = rows_of(data)
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    looks_up = any(isinstance(part, (torch.nn.Embedding, torch.nn.EmbeddingBag)) for part in model.modules())
    if array.dtype.kind in "iu" and looks_up:
        tensor = torch.as_tensor(array.astype(np.int64))
    else:
        kind = first.dtype if first is not None else torch.float32
        tensor = torch.as_tensor(np.ascontiguousarray(array, dtype=np.float64)).to(kind)
    tensor = tensor.to(first.device) if first is not None else tensor
    ask = model.predict if "predict" in vars(model) else model
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            answer = ask(tensor, **(params or {}))
    finally:
        model.train(training)
    return _plain(answer, torch)


def _plain(answer: Any, torch: Any) -> Any:
    if isinstance(answer, torch.Tensor):
        return (
            answer.detach().float().cpu().numpy() if answer.dtype == torch.bfloat16 else answer.detach().cpu().numpy()
        )
    if isinstance(answer, Mapping):
        return table_of({str(key): _plain(value, torch) for key, value in answer.items()})
    if hasattr(answer, "shape"):
        return answer
    raise InvalidInputError(
        f"predict: expected the module to answer with a tensor or a dict of tensors, got {type(answer).__name__}. Wrap"
        " it in a module that returns one."
    )


def modules(model: Any) -> set[str]:
    """Return the packages of all its layers, and the one that carries classes of the notebook."""
    return {"torch", "cloudpickle", *(type(part).__module__.partition(".")[0] for part in model.modules())}
