"""Hooks into a library: attributes of its classes and modules, replaced for a while and given back as they were.

A hook looks on. The training call is the user's: it gets what he gave it and raises what it raises; whatever fails in
a hook is told once, and the training goes on.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from nbtrack.capture.failsafe import Failsafe

Call = tuple[Any, tuple[Any, ...], dict[str, Any]]
Begin = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Call | None]
End = Callable[[Any, Any, BaseException | None], None]

_MISSING: Final = object()
failsafe: Final = Failsafe()


class _Inside(threading.local):
    """Which libraries train in this thread now, and whether what they do inside of that is to be kept quiet."""

    def __init__(self) -> None:
        self.libraries: list[str] = []
        self.quiet = 0


_inside: Final = _Inside()


def inside(library: str) -> bool:
    """Return whether a training of this library has begun in this thread and goes on."""
    return library in _inside.libraries


def quiet() -> bool:
    """Return whether what trains here is a part of something that is recorded as a whole, as in a grid search."""
    return _inside.quiet > 0


@contextmanager
def keep_quiet() -> Iterator[None]:
    """Record nothing of what trains in this block and thread."""
    _inside.quiet += 1
    try:
        yield
    finally:
        _inside.quiet -= 1


@contextmanager
def anew() -> Iterator[None]:
    """Record what trains in this block as if nothing went on around it: a trial has a run of its own."""
    before = _inside.libraries, _inside.quiet
    _inside.libraries, _inside.quiet = [], 0
    try:
        yield
    finally:
        _inside.libraries, _inside.quiet = before


def guarded(library: str, function: Callable[[], Any]) -> Any:
    """Return what `function` returns; None, and a warning once, where it raises."""
    try:
        return function()
    except Exception as error:
        text = f"autolog of {library}: {type(error).__name__}: {error}. The training goes on; this is not recorded."
        failsafe.tell(library, f"{type(error).__name__}: {error}", text[:500])
        return None


def bound(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
    """Return the arguments of a call by name; None if they do not fit, which the function itself will say."""
    try:
        return inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return None


@dataclass(eq=False, slots=True)
class _Watch:
    """What looks on at a training; nobody does once `hooks` is None."""

    hooks: Hooks | None
    begin: Begin
    end: End
    wrappers: dict[Any, Any] = field(default_factory=dict)  # by what they stand for; made once, as there are hundreds


_watches: Final[dict[tuple[str, type, tuple[str, ...]], _Watch]] = {}


class Hooks:
    """The hooks into one library.

    Parameters
    ----------
    library
        What autolog calls it.
    """

    def __init__(self, library: str) -> None:
        self.library = library
        self._on = True
        self._pid = os.getpid()
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        self._watches: list[_Watch] = []

    @property
    def live(self) -> bool:
        """Whether there is something to look on for; not in a forked child, whose runs are its parent's."""
        return self._on and self._pid == os.getpid()

    # -- replacing and giving back ---------------------------------------------------------------------------------
    def replace(self, owner: Any, name: str, replacement: Any) -> None:
        """Put `replacement` in the place of an attribute of a class or module."""
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, before, replacement))

    def undo(self) -> None:
        """Give back every attribute, unless somebody else has replaced it since; then ours only passes on."""
        self._on = False
        for watch in self._watches:
            if watch.hooks is self:
                watch.hooks = None
        for owner, name, before, replacement in reversed(self._replaced):
            if vars(owner).get(name, _MISSING) is not replacement:
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._replaced.clear()

    # -- looking on ------------------------------------------------------------------------------------------------
    def around(self, owner: Any, name: str, begin: Begin, end: End) -> None:
        """Look on where a training is called.

        Parameters
        ----------
        owner, name
            The function or method.
        begin
            Takes it and its arguments; returns what `end` is to be given, and the arguments to call it with, or None
            to leave the call alone. Not called for a training inside of one of the same library, nor where it is to be
            quiet.
        end
            Takes what `begin` returned, the result, and the exception, if one was raised.
        """
        self.replace(owner, name, self._wrapper(getattr(owner, name), _Watch(self, begin, end)))

    def _wrapper(self, original: Any, watch: _Watch) -> Any:
        library = self.library

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            hooks = watch.hooks
            if hooks is None or not hooks.live or _inside.quiet or library in _inside.libraries:
                return original(*args, **kwargs)
            begin, end = watch.begin, watch.end
            begun, args, kwargs = guarded(library, lambda: begin(original, args, kwargs)) or (None, args, kwargs)
            _inside.libraries.append(library)
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                raised = error
                guarded(library, lambda: end(begun, None, raised))
                raise
            else:
                guarded(library, lambda: end(begun, result, None))
                return result
            finally:  # until here: what `end` asks of the library may train something itself
                _inside.libraries.remove(library)

        return call

    def after(self, owner: Any, name: str, look: Callable[[tuple[Any, ...], dict[str, Any], Any], None]) -> None:
        """Call `look` with the arguments and the result of a method, each time it has returned."""
        original, library = getattr(owner, name), self.library

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            result = original(*args, **kwargs)
            if self.live and not _inside.quiet:
                guarded(library, lambda: look(args, kwargs, result))
            return result

        self.replace(owner, name, call)

    def every_class(self, base: type, names: tuple[str, ...], begin: Begin, end: End) -> None:
        """Look on at methods of all classes made from `base`, also of those that are yet to be made.

        Classes of the notebook itself are left alone: they travel to other processes by value, and hooks must not.
        """

        watch = _watches.setdefault((self.library, base, names), _Watch(self, begin, end))
        watch.hooks, watch.begin, watch.end = self, begin, end
        self._watches.append(watch)

        def wrap(cls: type) -> None:
            if cls.__module__ == "__main__":
                return
            for name in names:
                original = vars(cls).get(name)
                if isinstance(original, types.FunctionType):
                    wrapper = watch.wrappers.get(original)
                    if wrapper is None:
                        wrapper = watch.wrappers[original] = self._wrapper(original, watch)
                    self.replace(cls, name, wrapper)

        def init_subclass(cls: type[Any], /, **kwargs: Any) -> None:
            inherited.__get__(None, cls)(**kwargs)
            if self.live:
                guarded(self.library, lambda: wrap(cls))

        own = vars(base).get("__init_subclass__")
        inherited: Any = own or next(
            vars(one)["__init_subclass__"] for one in base.__mro__[1:] if "__init_subclass__" in vars(one)
        )
        for cls in _made_from(base):
            wrap(cls)
        self.replace(base, "__init_subclass__", classmethod(init_subclass))


def _made_from(base: type) -> list[type]:
    found, stack, seen = [], [base], set()
    while stack:
        cls = stack.pop()
        if cls not in seen:
            seen.add(cls)
            found.append(cls)
            stack.extend(type.__subclasses__(cls))
    return found


def loaded(module: str) -> Any:
    """Return a module that is imported, and done with it; else None."""
    found = sys.modules.get(module)
    spec = getattr(found, "__spec__", None)
    return None if found is None or getattr(spec, "_initializing", False) else found
