"""Keras 3: models in Keras's own ``.keras`` form: their structure and weights as data, under any backend.

Classes written in the notebook travel by value, so that another process has them, too. A stranger's model is loaded
only if it consists of nothing but Keras's own layers.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nbtrack.errors import IntegrityError, InvalidInputError, UntrustedModelError
from nbtrack.models.flavors import (
    Saved,
    check_kind,
    comes_from,
    file_of,
    need,
    overrides_of,
    pickled,
    put_overrides,
    rows_of,
    table_of,
    unpickled,
)

NAME = PACKAGE = MODULE = "keras"
PRIORITY = 10  # with PyTorch as its backend its layers are PyTorch's modules, too
_FILE = "model.keras"
_CUSTOM = "classes.pkl"
_SMALL: Final = 256  # rows that are one batch
_MODULES: Final = frozenset(
    {"keras", "keras.activations", "keras.constraints", "keras.initializers", "keras.layers", "keras.regularizers"}
    | {"keras.ops", "keras.random", "keras.dtype_policies", "keras.quantizers"}
)
_RUNS_CODE: Final = frozenset({"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"})


def handles(model: Any) -> bool:
    """Return whether this is a model of Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and comes_from(model, "keras") and isinstance(model, keras.Model)


def save(model: Any) -> Saved:
    """Return the model as a ``.keras`` file, with the classes that are not Keras's own."""
    check_kind(handles(model), model, NAME, "a keras.Model")
    keras = need(MODULE, PACKAGE)
    custom = {type(part) for part in (model, *model._flatten_layers()) if type(part).__module__.split(".")[0] != NAME}
    known = {cls.__name__: cls for cls in custom} | {keras.saving.get_registered_name(cls): cls for cls in custom}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, _FILE)
        try:
            _write(model, path)
            if custom:  # Keras notes down the defaults of a model's own __init__ for whatever it was called with
                keras.saving.load_model(path, custom_objects=known, safe_mode=False, compile=False)
        except (ValueError, NotImplementedError, TypeError) as error:
            raise InvalidInputError(
                f"keras.log_model: Keras cannot load what it saves of this model ({str(error).splitlines()[0]}). Give"
                f" {', '.join(sorted(cls.__name__ for cls in custom)) or 'its parts'} a get_config() that returns the"
                " arguments of __init__."
            ) from None
        files = {_FILE: path.read_bytes()}
    if custom:
        files[_CUSTOM] = pickled(known, kind=type(model).__name__)
    files |= overrides_of(model, ("predict", "predict_on_batch"))
    return Saved(files, {"backend": keras.backend.backend()})


def _write(model: Any, path: Path) -> None:
    try:
        model.save(path)
    except OSError:  # a loss without source code; what predicts is whole without what the model was compiled with
        if not getattr(model, "compiled", False):
            raise
        model.compiled = False
        try:
            model.save(path)
        finally:
            model.compiled = True


def load(files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
    """Return the model; in a process that has not chosen a backend yet, on the one that it was made with."""
    if NAME not in sys.modules and options.get("backend") in {"torch", "jax", "tensorflow"}:
        os.environ.setdefault("KERAS_BACKEND", str(options["backend"]))
    keras = need(MODULE, PACKAGE)
    data = file_of(files, _FILE, what)
    custom: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, _FILE)
        path.write_bytes(data)
        try:
            if not trusted:
                _check(path, what)
                model = keras.saving.load_model(path, compile=False, safe_mode=True)
                return put_overrides(model, files, trusted, what)
            if _CUSTOM in files:
                custom = unpickled(files[_CUSTOM], what)
            try:
                model = keras.saving.load_model(path, custom_objects=custom, safe_mode=False)
            except (TypeError, ValueError):  # a loss of the user's own, say: what predicts is whole without it
                model = keras.saving.load_model(path, custom_objects=custom, safe_mode=False, compile=False)
        except UntrustedModelError:
            raise
        except (TypeError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise IntegrityError(f"{what}: Keras cannot read its {_FILE} ({str(error)[:300]}).") from None
    return put_overrides(model, files, trusted, what)


def _check(path: Path, what: str) -> None:
    """Raise UntrustedModelError if the structure names anything but Keras's own layers, or a file to be read."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config.pop("compile_config", None)
    for part in _objects(config):
        module, name, registered = part.get("module"), part["class_name"], part.get("registered_name")
        own = module in _MODULES and registered in {None, name} and name not in _RUNS_CODE
        settings = part.get("config")
        if not own or (isinstance(settings, dict) and isinstance(settings.get("vocabulary"), str)):
            raise UntrustedModelError(
                f"{what}: it names {f'{module}.{name}'[:200]!r}, which could run a stranger's code or read files; this"
                " model was not logged by you on this machine. If you trust its author, load it with the trust="
                " argument."
            )


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object that a configuration describes."""
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            if "class_name" in part and part["class_name"] not in {
                "__tensor__",
                "__numpy__",
                "__tuple__",
                "__keras_tensor__",
            }:
                yield part
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return ``model.predict(data)``; a model with several inputs gets the columns of these names.

    Several outputs come as a frame with a column for each.
    """
    names = [one.name for one in getattr(model, "inputs", None) or ()]
    if len(names) > 1 and all(name in getattr(data, "columns", data) for name in names):
        fed: Any = {name: _numbers(rows_of(data[name]).reshape(len(data[name]), -1)) for name in names}
        rows = len(data[names[0]])
    else:
        fed = _numbers(rows_of(data))
        rows = len(fed)
    if "predict" in vars(model):
        answer = model.predict(fed, **(params or {}))
    elif params or rows > _SMALL:
        answer = model.predict(fed, verbose=0, **(params or {}))
    else:
        answer = model.predict_on_batch(fed)
    if isinstance(answer, (list, tuple)):
        answer = dict(zip(getattr(model, "output_names", map(str, range(len(answer)))), answer, strict=False))
    return table_of(answer) if isinstance(answer, dict) else answer


def _numbers(array: Any) -> Any:
    return array.astype("float32") if array.dtype.kind == "f" or array.dtype == object else array


def modules(model: Any) -> set[str]:
    """Return the packages of its layers, and the backend that computes them."""
    import keras

    own = {type(part).__module__.partition(".")[0] for part in (model, *model._flatten_layers())}
    return own | {"keras", keras.backend.backend(), "cloudpickle"}
