"""Any Python: an object with a ``predict`` method, or a plain function of the data, with the code it brings.

It is a pickle with code in it, so only who wrote it (or who trusts it by its digest) can load it.
"""

from __future__ import annotations

import inspect
import io
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbtrack.errors import IntegrityError, InvalidInputError, UntrustedModelError
from nbtrack.models.flavors import Saved, cloudpickle, unpickled

if TYPE_CHECKING:
    from pathlib import Path

    from nbtrack.entities import ModelInfo, Signature
    from nbtrack.tracking import ActiveRun

NAME = "pyfunc"
PACKAGE = MODULE = "cloudpickle"
PRIORITY = -10  # whoever knows the model better comes first
_FILE = "model.pkl"


def handles(model: Any) -> bool:
    """Return whether this can be asked for predictions at all."""
    return not isinstance(model, type) and (inspect.isfunction(model) or callable(getattr(model, "predict", None)))


def save(model: Any) -> Saved:
    """Return the object as a pickle that holds the code it needs."""
    if not handles(model):
        raise InvalidInputError(
            f"pyfunc.log_model: expected a function, or an object with a predict method, got {type(model).__name__}."
        )
    buffer = io.BytesIO()
    try:
        cloudpickle().CloudPickler(buffer, protocol=5).dump(model)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInputError(
            f"log_model: {type(model).__name__} holds something that cannot be saved ({error}). Remove open files,"
            " connections, locks and generators from it."
        ) from None
    return Saved({_FILE: buffer.getvalue()})


def load(files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
    """Return the object; a stranger's is refused."""
    data = files.get(_FILE)
    if data is None:
        raise IntegrityError(f"{what}: its file {_FILE!r} is missing. Log the model again.")
    if not trusted:
        raise UntrustedModelError(
            f"{what}: a pyfunc model brings code of its own, and this one was not logged by you on this machine. If you"
            " trust its author, load it with the trust= argument."
        )
    return unpickled(data, what)


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return ``model.predict(data)``, or ``model(data)`` of a function, with params by name."""
    ask = model if inspect.isfunction(model) else model.predict
    return ask(data, **params) if params else ask(data)


def modules(model: Any) -> set[str]:
    """Return the top-level modules of its classes."""
    return {"cloudpickle", *(cls.__module__.partition(".")[0] for cls in type(model).__mro__)}


def log_model(
    python_model: Any,
    name: str | None = None,
    *,
    artifact_path: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    run: ActiveRun | None = None,
) -> ModelInfo:
    """Log a function or an object with a predict method; see :func:`nbtrack.log_model`."""
    from nbtrack.models import saving

    return saving.log_model(
        python_model,
        name or artifact_path or "model",
        flavor=NAME,
        signature=signature,
        input_example=input_example,
        registered_model_name=registered_model_name,
        run=run,
    )


def save_model(
    python_model: Any, path: str | Path, *, signature: Signature | None = None, input_example: Any = None
) -> ModelInfo:
    """Save a function or an object with a predict method as a folder; see :func:`nbtrack.save_model`."""
    from nbtrack.models import saving

    return saving.save_model(python_model, path, flavor=NAME, signature=signature, input_example=input_example)


def load_model(model_uri: str | Path, *, trust: str | None = None) -> Any:
    """Return the model that a URI or folder holds; see :func:`nbtrack.load_model`."""
    from nbtrack.models import loading

    return loading.load_model(model_uri, trust=trust)
