"""One file per library. A file's name is the flavor's name; nothing else needs to know of it.

Each says:

- ``NAME``: the flavor's name, the same as the file's.
- ``handles(model) -> bool``: whether this is its kind of model. It must not import the library: who holds a model of a
  library has imported it already.
- ``save(model) -> Saved``: the model as named bytes.
- ``load(read, options, own) -> model``: the model from ``read(name) -> bytes``, whose bytes are verified already. `own`
  says whether the user's own signature vouches for them; if not, no code may run that came with them.
- ``predict(model, data)``: what the model answers for rows of data.
- ``modules(model) -> set[str]``: the top-level modules whose versions matter to it.
- ``log_model``, ``save_model``, ``load_model``: the same for this flavor alone, under the library's argument names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from nbtrack.errors import InvalidInputError

Read = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Saved:
    """A model as named bytes, and what loading needs to know."""

    files: Mapping[str, bytes]
    options: Mapping[str, Any] = field(default_factory=dict)


class Flavor(Protocol):
    """What each file of this room offers."""

    NAME: str

    def handles(self, model: Any) -> bool: ...
    def save(self, model: Any) -> Saved: ...
    def load(self, read: Read, options: Mapping[str, Any], own: bool) -> Any: ...
    def predict(self, model: Any, data: Any) -> Any: ...
    def modules(self, model: Any) -> set[str]: ...


def names() -> list[str]:
    """Return the names of all flavors, sorted."""
    return sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py"))


def get(name: str) -> Flavor:
    """Return the flavor called `name`.

    Raises
    ------
    InvalidInputError
        If there is none.
    """
    if name not in names():
        raise InvalidInputError(f"flavor: expected one of {', '.join(names())}, got {name!r}.")
    return cast("Flavor", import_module(f"{__name__}.{name}"))


def find(model: Any) -> Flavor:
    """Return the flavor that handles `model`.

    Raises
    ------
    InvalidInputError
        If none does.
    """
    for name in names():
        flavor = get(name)
        if flavor.handles(model):
            return flavor
    raise InvalidInputError(
        f"log_model: no flavor handles {type(model).__module__}.{type(model).__qualname__}; there are: "
        f"{', '.join(names())}. Log a fitted model of one of these libraries."
    )
