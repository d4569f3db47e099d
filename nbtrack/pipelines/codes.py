"""What a step depends on, as a digest: its code and what that refers to, and the values it is given."""

from __future__ import annotations

import ast
import sys
import sysconfig
import types
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeGuard

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
    teller = _Teller({})
    teller.value(function)
    return teller.digest()


def cell_digest(code: types.CodeType, names: Mapping[str, Any], known: Mapping[int, str]) -> str:
    """Return what changes when a cell's code does, or what it refers to.

    Parameters
    ----------
    code
        The compiled cell.
    names
        The variables that it may refer to.
    known
        ``id`` of a value -> its digest, where that is known already.

    Raises
    ------
    UnknownError
        If it refers to a value that cannot be pickled.
    """
    teller = _Teller(known)
    teller.code(code, names)
    return teller.digest()


def value_digest(value: Any) -> str:
    """Return what changes when a value does; a path or text that names a file stands for its content.

    Raises
    ------
    UnknownError
        If it cannot be pickled.
    """
    if isinstance(value, (str, Path)):
        content = file_digest(value)
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


def file_digest(path: str | Path) -> str:
    """Return the sha256 of a file in hex; empty if there is no such file."""
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


class _Teller:
    """Collects what code depends on; `known` are digests of values by their id, which are not looked at again."""

    def __init__(self, known: Mapping[int, str]) -> None:
        self.told: list[str] = [f"{sys.version_info[:2]}"]
        self._seen: set[int] = set()
        self._known = known

    def digest(self) -> str:
        """Return the digest of all that was told."""
        return sha256("\n".join(self.told).encode("utf-8", "backslashreplace")).hexdigest()

    def value(self, value: Any) -> None:
        """Add what a value that code refers to depends on."""
        if isinstance(value, SIMPLE):
            self.told.append(f"{type(value).__name__} {value!r}")
            return
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if (known := self._known.get(id(value))) is not None:
            self.told.append(known)
        elif isinstance(value, types.ModuleType):
            self.told.append(f"module {value.__name__} {_version(value.__name__)}")
        elif isinstance(value, (types.FunctionType, types.MethodType, type)) and not _is_users(value):
            self.told.append(f"{value.__module__}.{value.__qualname__} {_version(str(value.__module__))}")
        elif isinstance(value, types.MethodType):
            self.value(value.__func__)
            self.value(value.__self__)
        elif isinstance(value, types.FunctionType):
            self.function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, (types.BuiltinFunctionType, types.MethodDescriptorType, types.MemberDescriptorType)):
            self.told.append(repr(getattr(value, "__qualname__", value)))
        elif callable(found := getattr(value, "nbtrack_digest", None)):
            self.told.append(str(found()))
        else:
            self.told.append(sha256(pickled(value)).hexdigest())

    def _class(self, value: type) -> None:
        self.told.append(f"class {value.__qualname__}")
        for base in value.__bases__:
            self.value(base)
        for name, member in sorted(vars(value).items()):
            if name not in {"__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__"}:
                self.told.append(name)
                self.value(getattr(member, "__func__", member))

    def function(self, function: types.FunctionType) -> None:
        """Add a function of the user's, and what it refers to."""
        self.told.append(f"def {function.__qualname__}")
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.value(default)
        self.code(function.__code__, function.__globals__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self.told.append(f"closure {name}")
            try:
                self.value(cell.cell_contents)
            except ValueError:  # not set yet
                continue

    def code(self, code: types.CodeType, names: Mapping[str, Any]) -> None:
        """Add code, and what its names stand for."""
        self.told.append(code.co_code.hex())
        for const in code.co_consts:
            if isinstance(const, types.CodeType):
                self.code(const, names)
            else:
                self.told.append(repr(sorted(const, key=repr) if isinstance(const, frozenset) else const))
        for name in code.co_names:
            self.told.append(name)
            if name in names:
                self.value(names[name])


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


def used(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the names that a cell looks up and may have from elsewhere, and those that it has bound itself before.

    Examples
    --------
    >>> [sorted(names) for names in used(ast.parse("y = f(x)\\nwith open(p) as file:\\n    z = file.read() + y"))]
    [['f', 'open', 'p', 'x'], ['file', 'y', 'z']]
    """
    loaded: set[str] = set()
    bound: set[str] = set()
    for statement in tree.body:
        targets: list[ast.AST] = []
        if isinstance(statement, ast.Assign):
            targets = [*statement.targets]
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        elif isinstance(statement, (ast.With, ast.AsyncWith)):
            targets = [one.optional_vars for one in statement.items if one.optional_vars is not None]
            targets += [target for one in statement.body if isinstance(one, ast.Assign) for target in one.targets]
        made = {node.id for target in targets for node in ast.walk(target) if _is(node, ast.Store)}
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            made |= {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            made.add(statement.name)
        reads = {node.id for node in ast.walk(statement) if _is(node, ast.Load)}
        if isinstance(statement, (ast.With, ast.AsyncWith, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            reads -= made
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            reads.add(statement.target.id)
        loaded |= reads - bound
        bound |= made - loaded
    return loaded, bound


def _is(node: ast.AST, context: type[ast.expr_context]) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, context)
