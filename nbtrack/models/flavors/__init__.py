"""One file for each library. A file here is a flavor: put one in, and it is found; nothing else needs to know it.

A flavor imports its library only inside its functions, and has::

    NAME: str                                 # "sklearn"; what the manifest says
    PACKAGE, MODULE: str                      # what to `pip install`, what to `import`
    PRIORITY: int = 0                         # asked first if higher: XGBClassifier is scikit-learn's, too
    handles(model) -> bool                    # told from type(model) alone
    save(model) -> Saved                      # the bytes of its files, and what `load` must know
    load(files, options, trusted, what) -> model   # from bytes that were verified already
    predict(model, data, params) -> predictions
    modules(model) -> set[str]                # the top-level modules that the model's code comes from
"""

from __future__ import annotations

import io
import pickle
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol

from nbtrack.entities import MANIFEST_NAME
from nbtrack.errors import IntegrityError, InvalidInputError, MissingLibraryError, UntrustedModelError

OVERRIDES = "overrides.pkl"
_MODEL = "model"  # how the overrides name the model that they belong to


@dataclass(frozen=True, slots=True)
class Saved:
    """A model as bytes: `files` by their relative path, `options` as plain JSON values."""

    files: Mapping[str, bytes]
    options: Mapping[str, Any] = field(default_factory=dict)


class Flavor(Protocol):
    """What a file in this folder offers."""

    NAME: str
    PACKAGE: str
    MODULE: str
    PRIORITY: int

    def handles(self, model: Any) -> bool:
        """Whether this flavor can save `model`, told from its type alone."""

    def save(self, model: Any) -> Saved:
        """Return the model as bytes."""

    def load(self, files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
        """Return the model; unless `trusted`, without running code that the files bring."""

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what the model predicts for data that fits its signature."""

    def modules(self, model: Any) -> set[str]:
        """Return the top-level modules that the model's code comes from."""


@lru_cache(maxsize=1)
def flavors() -> dict[str, Flavor]:
    """Return all flavors by name, the one to be asked first first."""
    found: list[Any] = [import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    found.sort(key=lambda flavor: (-flavor.PRIORITY, flavor.NAME))
    return {flavor.NAME: flavor for flavor in found}


def get_flavor(name: str) -> Flavor:
    """Return a flavor; raises InvalidInputError naming those that there are."""
    found = flavors().get(name)
    if found is None:
        raise InvalidInputError(f"flavor: expected one of {', '.join(flavors())}, got {name!r}.")
    return found


def find_flavor(model: Any) -> Flavor:
    """Return the flavor that can save `model`; raises InvalidInputError."""
    for flavor in flavors().values():
        if flavor.handles(model):
            return flavor
    kind = type(model)
    raise InvalidInputError(
        f"log_model: {kind.__module__}.{kind.__qualname__} is of no library known here; expected a model of one of"
        f" {', '.join(flavors())}. Name the flavor, or wrap the model in an estimator of scikit-learn."
    )


def need(module: str, package: str, version: str = "") -> Any:
    """Return an optional library; raises MissingLibraryError with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        pin = f"=={version}" if version else ""
        raise MissingLibraryError(
            f"{package} is needed for this model and is not installed ({error}). Run: pip install '{package}{pin}'",
            name=module,
        ) from None


def comes_from(model: Any, package: str) -> bool:
    """Return whether a class of `model` is defined in `package`; imports nothing."""
    return any(cls.__module__.partition(".")[0] == package for cls in type(model).__mro__)


def cloudpickle() -> Any:
    """Return cloudpickle, which joblib brings: as a package of its own, or (before joblib 1.6) inside it."""
    try:
        return import_module("cloudpickle")
    except ImportError:
        try:
            return import_module("joblib.externals.cloudpickle")
        except ImportError:
            return need("cloudpickle", "cloudpickle")


def pickled(value: Any, named: Callable[[Any], str | None] | None = None, kind: str = "") -> bytes:
    """Return a pickle of protocol 5; code that no other process could import goes in by value.

    Parameters
    ----------
    value
        What to pickle.
    named
        Says of each part by which name it goes in, if not by value.
    kind
        What it is called in messages; the class of `value` if not given.

    Raises
    ------
    InvalidInputError
        If a part of it cannot be pickled.
    """

    buffer = io.BytesIO()
    pickler = cloudpickle().CloudPickler(buffer, protocol=5)
    if named is not None:
        pickler.persistent_id = named
    try:
        pickler.dump(value)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInputError(
            f"log_model: {kind or type(value).__name__} holds something that cannot be saved ({error}). Remove open"
            " files, connections, locks and generators from it."
        ) from None
    return buffer.getvalue()


def unpickled(data: bytes, what: str, named: Callable[[str], Any] | None = None) -> Any:
    """Return what the user's own pickle holds.

    Raises
    ------
    IntegrityError
        If the packages that are installed cannot make sense of it.
    """
    reader = pickle.Unpickler(io.BytesIO(data))
    if named is not None:
        reader.persistent_load = named  # type: ignore[method-assign]
    try:
        return reader.load()
    except ImportError:
        raise
    except (pickle.UnpicklingError, AttributeError, EOFError, TypeError, ValueError, KeyError) as error:
        raise IntegrityError(
            f"{what}: it cannot be loaded with the packages installed here ({type(error).__name__}: {error}). Install"
            f" the versions that its {MANIFEST_NAME} names."
        ) from error


def file_of(files: Mapping[str, bytes], name: str, what: str) -> bytes:
    """Return the bytes of a model's file; raises IntegrityError if it is missing."""
    data = files.get(name)
    if data is None:
        raise IntegrityError(f"{what}: its file {name!r} is missing. Log the model again.")
    return data


def check_kind(found: bool, model: Any, flavor: str, expected: str) -> None:
    """Raise InvalidInputError unless a model is `found` to be what its flavor saves."""
    if not found:
        raise InvalidInputError(
            f"{flavor}.log_model: expected {expected}, got {type(model).__name__}. nbtrack.log_model finds the flavor"
            " that fits."
        )


def overrides_of(model: Any, only: Collection[str] = ()) -> dict[str, bytes]:
    """Return the methods that were replaced on the instance (``model.predict = …``) as a file, if there are any.

    For formats that hold data alone. `only` names the methods to look at, where a library replaces some itself.
    """
    kind = type(model)
    found = {
        name: value
        for name, value in vars(model).items()
        if callable(value) and callable(getattr(kind, name, None)) and (not only or name in only)
    }
    if not found:
        return {}
    return {OVERRIDES: pickled(found, lambda part: _MODEL if part is model else None, kind.__name__)}


def put_overrides(model: Any, files: Mapping[str, bytes], trusted: bool, what: str) -> Any:
    """Return `model` with the methods that were replaced on it; raises UntrustedModelError for a stranger's."""
    data = files.get(OVERRIDES)
    if data is None:
        return model
    if not trusted:
        raise UntrustedModelError(
            f"{what}: methods of this model were replaced by code of its author, and it was not logged by you on this"
            " machine. If you trust its author, load it with the trust= argument."
        )
    for name, method in unpickled(data, what, lambda _: model).items():
        setattr(model, name, method)
    return model


def rows_of(data: Any) -> Any:
    """Return a frame, series or sparse matrix as a plain array; anything else as numpy takes it."""
    import numpy as np

    if hasattr(data, "to_numpy"):
        return data.to_numpy()
    return np.asarray(data.toarray() if hasattr(data, "toarray") else data)


def table_of(answers: Mapping[str, Any]) -> Any:
    """Return several outputs as a frame with a column for each; values of more than one number are lists."""
    import numpy as np
    import pandas as pd

    columns = {}
    for name, answer in answers.items():
        array = np.asarray(answer)
        array = array.reshape(len(array)) if array.shape[1:] == (1,) else array
        columns[name] = array if array.ndim == 1 else array.tolist()
    return pd.DataFrame(columns)
