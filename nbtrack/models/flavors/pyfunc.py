"""Any Python: an object with a ``predict`` method, or a plain function of the data, with the code it brings.

It is a pickle with code in it, so only who wrote it (or who trusts it by its digest) can load it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from nbtrack.errors import UntrustedModelError
from nbtrack.models.flavors import Saved, check_kind, file_of, pickled, unpickled

NAME = "pyfunc"
PACKAGE = MODULE = "cloudpickle"
PRIORITY = -10  # whoever knows the model better comes first
_FILE = "model.pkl"
MLFLOW_OPTION = "mlflow"  # option: MLflow wrote it, and asks it in its own way


def handles(model: Any) -> bool:
    """Return whether this can be asked for predictions at all."""
    return not isinstance(model, type) and (inspect.isfunction(model) or callable(getattr(model, "predict", None)))


def save(model: Any) -> Saved:
    """Return the object as a pickle that holds the code it needs."""
    check_kind(handles(model), model, NAME, "a function, or an object with a predict method")
    return Saved({_FILE: pickled(model)})


def load(files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
    """Return the object; a stranger's is refused."""
    data = file_of(files, _FILE, what)
    if not trusted:
        raise UntrustedModelError(
            f"{what}: a pyfunc model brings code of its own, and this one was not logged by you on this machine. If you"
            " trust its author, load it with the trust= argument."
        )
    model = unpickled(data, what)
    if options.get(MLFLOW_OPTION):
        from nbtrack.models.mlflow_folder import PythonModel

        return PythonModel(model)
    return model


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return ``model.predict(data)``, or ``model(data)`` of a function, with params by name."""
    ask = model if inspect.isfunction(model) else model.predict
    return ask(data, **params) if params else ask(data)


def modules(model: Any) -> set[str]:
    """Return the top-level modules of its classes."""
    return {"cloudpickle", *(cls.__module__.partition(".")[0] for cls in type(model).__mro__)}
