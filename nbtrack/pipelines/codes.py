"""What a step depends on, as a digest: its code and what that refers to, and the values it is given."""

from __future__ import annotations

import sys
import sysconfig
import types
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, Final

SIMPLE: Final = (str, int, float, bool, bytes, type(None))
_INSTALLED: Final = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib")})


class UnknownError(Exception):
    """Something cannot be told by its bytes; the message says what."""


def code_digest(function: Callable[..., Any]) -> str:
    """Return what changes when the function does, or anything of the user's that it refers to.

    Code of installed packages counts by their version. Comments and line numbers do not count.

    Raises
    ------
    UnknownError
        If it refers to a value that cannot be pickled.
    """
    told: list[str] = [f"{sys.version_info[:2]}"]
    _tell(function, told, set())
    return sha256("\n".join(told).encode("utf-8", "backslashreplace")).hexdigest()


def value_digest(value: Any) -> str:
    """Return what changes when a value does; a path or text that names a file stands for its content.

    Raises
    ------
    UnknownError
        If it cannot be pickled.
    """
    if isinstance(value, (str, Path)):
        content = _file_digest(value)
        if content:
            return f"file {content}"
    if isinstance(value, SIMPLE):
        return f"{type(value).__name__} {value!r}"
    return sha256(pickled(value)).hexdigest()


def pickled(value: Any) -> bytes:
    """Return the pickle of a value; raises UnknownError if it has none."""
    import cloudpickle

    try:
        found: bytes = cloudpickle.dumps(value, protocol=5)
    except Exception as error:
        raise UnknownError(f"{type(value).__name__} cannot be pickled ({error})") from error
    return found


def _file_digest(path: str | Path) -> str:
    try:
        if len(str(path)) > 4096 or not Path(path).is_file():
            return ""
        digest = sha256()
        with Path(path).open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except (OSError, ValueError):
        return ""
    return digest.hexdigest()


def _tell(value: Any, told: list[str], seen: set[int]) -> None:
    """Add what a value that code refers to depends on."""
    if isinstance(value, SIMPLE):
        told.append(f"{type(value).__name__} {value!r}")
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, types.ModuleType):
        told.append(f"module {value.__name__} {_version(value.__name__)}")
    elif isinstance(value, (types.FunctionType, types.MethodType, type)) and not _is_users(value):
        told.append(f"{value.__module__}.{value.__qualname__} {_version(str(value.__module__))}")
    elif isinstance(value, types.MethodType):
        _tell(value.__func__, told, seen)
        _tell(value.__self__, told, seen)
    elif isinstance(value, types.FunctionType):
        _tell_function(value, told, seen)
    elif isinstance(value, type):
        told.append(f"class {value.__qualname__}")
        for base in value.__bases__:
            _tell(base, told, seen)
        for name, member in sorted(vars(value).items()):
            if name not in {"__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__"}:
                told.append(name)
                _tell(getattr(member, "__func__", member), told, seen)
    elif isinstance(value, (types.BuiltinFunctionType, types.MethodDescriptorType, types.MemberDescriptorType)):
        told.append(repr(getattr(value, "__qualname__", value)))
    else:
        told.append(sha256(pickled(value)).hexdigest())


def _tell_function(function: types.FunctionType, told: list[str], seen: set[int]) -> None:
    told.append(f"def {function.__qualname__}")
    for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        _tell(default, told, seen)
    _tell_code(function.__code__, function.__globals__, told, seen)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        told.append(f"closure {name}")
        try:
            _tell(cell.cell_contents, told, seen)
        except ValueError:  # not set yet
            continue


def _tell_code(code: types.CodeType, names: Mapping[str, Any], told: list[str], seen: set[int]) -> None:
    told.append(code.co_code.hex())
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            _tell_code(const, names, told, seen)
        else:
            told.append(repr(sorted(const, key=repr) if isinstance(const, frozenset) else const))
    for name in code.co_names:
        told.append(name)
        if name in names:
            _tell(names[name], told, seen)


def _is_users(value: Any) -> bool:
    module = sys.modules.get(str(value.__module__))
    if str(value.__module__).partition(".")[0] == "nbtrack":
        return False
    if module is None or value.__module__ == "__main__":
        return True
    file = getattr(module, "__file__", None)
    return file is not None and not str(Path(file).resolve()).startswith(_INSTALLED)


def _version(module: str) -> str:
    root = module.partition(".")[0]
    try:
        return metadata.version(root)
    except (metadata.PackageNotFoundError, ValueError):
        return str(getattr(sys.modules.get(root), "__version__", ""))
