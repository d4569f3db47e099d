"""autolog: what libraries report while they train, recorded without a line of the user's.

One small file for each library. It has::

    NAME: str                     # "xgboost"; what one calls it here
    MODULES: tuple[str, ...]      # once one of these is imported, there is something to hook
    install(hooks) -> None        # put the hooks in place; they are taken away again through `hooks`

A tracked cell hooks the libraries that are imported, and those that it imports itself, and takes all hooks away when
it ends. ``nbtrack.autolog()`` does so for good. Nothing is imported for it.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.autolog.hooks import Hooks, guarded, loaded
from nbtrack.capture.autolog.recorder import Recorder, forget, open_recorder
from nbtrack.errors import InvalidInputError

if TYPE_CHECKING:
    from nbtrack.tracking import ActiveRun

# Library -> the modules that bring it; the file beside this one is only imported once one of them is.
LIBRARIES: Final[dict[str, tuple[str, ...]]] = {
    "sklearn": ("sklearn",),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "keras": ("keras",),
    "lightning": ("lightning", "pytorch_lightning"),
    "optuna": ("optuna",),
    "statsmodels": ("statsmodels.base.model",),
}
_ALIASES: Final = {"pytorch": "lightning"}  # what trains PyTorch's modules by itself

_lock: Final = threading.RLock()
_always: Final[set[str]] = set()  # asked for, whether a cell is tracked or not
_never: Final[set[str]] = set()
_installed: Final[dict[tuple[str, str], Hooks]] = {}
_cells: Final[list[Recorder]] = []


def autolog(library: str | None = None, *, disable: bool = False) -> None:
    """Record what libraries train from now on: params, curves while they grow, models, child runs of searches.

    Tracked cells record that anyway. This is for cells that are not tracked, for scripts and jobs: a training is
    recorded in the run that is active, or in one of its own.

    Parameters
    ----------
    library
        Only this one: ``"sklearn"``, ``"xgboost"``, ``"lightgbm"``, ``"keras"``, ``"lightning"`` (also called
        ``"pytorch"``), ``"optuna"`` or ``"statsmodels"``. All of them if not given.
    disable
        Record it no more, not in tracked cells either.

    Raises
    ------
    InvalidInputError
        If `library` is none of these.
    """
    name = _ALIASES.get(library or "", library)
    if name is not None and name not in LIBRARIES:
        raise InvalidInputError(f"autolog: expected one of {', '.join(LIBRARIES)}, got {library!r}.")
    names = set(LIBRARIES) if name is None else {name}
    with _lock:
        (_never if disable else _always).update(names)
        (_always if disable else _never).difference_update(names)
        _sync()


def always(library: str) -> bool:
    """Return whether a training without a run is to get one of its own."""
    return library in _always


def begin(run: ActiveRun, wants: Callable[[str], bool]) -> Recorder:
    """Record what trains from now on, for the run of a cell; :func:`end` must follow."""
    recorder = open_recorder(run, wants)
    with _lock:
        _cells.append(recorder)
        _sync()
    return recorder


def end(recorder: Recorder) -> None:
    """Take the hooks away, unless another cell or the user wants them."""
    with _lock:
        if recorder in _cells:
            _cells.remove(recorder)
        _sync()
    forget(recorder.run)


def _wanted(name: str) -> bool:
    return name not in _never and (name in _always or bool(_cells))


def _sync() -> None:
    """Put in place the hooks that are wanted and can be, take away all others."""
    waiting = set()
    for name, modules in LIBRARIES.items():
        for module in modules:
            known = _installed.get((name, module))
            if not _wanted(name):
                if known is not None:
                    _installed.pop((name, module)).undo()
            elif loaded(module) is None:
                waiting.add(module)
            elif known is None:
                _install(name, module)
    _finder.watch(waiting)


def _install(name: str, module: str) -> None:
    hooks = _installed[name, module] = Hooks(name)

    def install() -> bool:
        import_module(f"{__name__}.{name}").install(hooks, sys.modules[module])
        return True

    if guarded(name, install) is None:
        hooks.undo()


class _Finder(importlib.abc.MetaPathFinder):
    """Tells when one of the libraries has been imported: then, not before, there is something to hook."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._asking = threading.local()

    def watch(self, modules: set[str]) -> None:
        self._waiting = modules
        if modules and self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        elif not modules and self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._waiting or getattr(self._asking, "now", False):
            return None
        self._asking.now = True
        try:
            found = (finder.find_spec(fullname, path, target) for finder in list(sys.meta_path) if finder is not self)
            spec = next((one for one in found if one is not None), None)
        finally:
            self._asking.now = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """Lets the library's own loader do its work, and hooks the library afterwards."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        found: ModuleType | None = self._own.create_module(spec)
        return found

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        module.__loader__ = self._own
        self._own.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__._initializing = False  # type: ignore[attr-defined] # all of it is there now
        with _lock:
            _sync()


_finder: Final = _Finder()
