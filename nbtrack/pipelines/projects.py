"""What can be run, and with which parameters: the entry points of an ``MLproject`` file, a notebook, or a script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from nbtrack.errors import InvalidInputError, MissingLibraryError

_FILES: Final = ("MLproject", "MLProject", "mlproject")
_KEYS: Final = ("name", "entry_points", "python_env", "conda_env", "docker_env")
_TYPES: Final = ("string", "float", "path", "uri")
_FIELD: Final = re.compile(r"(?<!\$)\{(\w+)\}")
_SUFFIXES: Final = (".py", ".sh", ".ipynb")
_NOTHING: Final = "\0"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an entry point. `default` is None where it must be given."""

    name: str
    kind: str = "string"
    default: str | None = None


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One thing that can be run: a command with ``{parameters}`` in it, or a file."""

    name: str
    command: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A folder, a notebook or a script, and how to run it. `environment` is the kind and the file of its packages."""

    folder: Path
    name: str
    entry_points: Mapping[str, EntryPoint]
    environment: tuple[str, Path] | None = None

    def entry(self, name: str) -> EntryPoint:
        """Return an entry point; a script or notebook of the folder is one, too. Raises InvalidInputError."""
        if name in self.entry_points:
            return self.entry_points[name]
        file = self.folder / name
        inside = file.resolve().is_relative_to(self.folder.resolve())
        if file.suffix in _SUFFIXES and file.is_file() and inside:
            return EntryPoint(name, file=file)
        raise InvalidInputError(
            f"project {self.name!r}: there is no entry point {name!r}; there are"
            f" {', '.join(map(repr, self.entry_points)) or 'none'}. A .py, .sh or .ipynb file of the folder is one too."
        )


def read_project(path: Path) -> Project:
    """Return the project at `path`: a folder with an ``MLproject`` file or with scripts, or one notebook or script.

    Raises
    ------
    InvalidInputError
        If there is nothing to run, or the file does not say what it should; the message names the place.
    """
    if path.is_file():
        if path.suffix not in _SUFFIXES:
            raise InvalidInputError(f"run {path}: expected a folder, or a {', '.join(_SUFFIXES)} file.")
        return Project(path.parent, path.name, {"main": EntryPoint("main", file=path)})
    if not path.is_dir():
        raise InvalidInputError(f"run {path}: there is no such folder or file.")
    file = next((path / name for name in _FILES if (path / name).is_file()), None)
    if file is None:
        return Project(path, path.resolve().name, {})
    try:
        import yaml
    except ImportError:
        raise MissingLibraryError(
            f"run {file}: PyYAML reads it, and is not installed. Run: pip install pyyaml"
        ) from None
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file}: is no YAML: {' '.join(str(error).split())}.") from error
    return _project(file, found)


def _project(file: Path, found: Any) -> Project:
    if not isinstance(found, dict):
        raise InvalidInputError(f"{file}: expected `name:` and `entry_points:`, got {type(found).__name__}.")
    _check_keys(f"{file}", found, _KEYS)
    entries = found.get("entry_points") or {}
    if not isinstance(entries, dict):
        raise InvalidInputError(f"{file}: entry_points: expected names with a `command:` each, got {entries!r:.80}.")
    points = {str(name): _entry(file, str(name), entry) for name, entry in entries.items()}
    kinds = [key for key in ("python_env", "conda_env", "docker_env") if key in found]
    if len(kinds) > 1:
        raise InvalidInputError(f"{file}: expected one of {', '.join(kinds)}, got all of them.")
    environment = (kinds[0], file.parent / str(found[kinds[0]])) if kinds else None
    return Project(file.parent, str(found.get("name") or file.parent.resolve().name), points, environment)


def _check_keys(where: str, found: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    if unknown := [key for key in found if key not in known]:
        close = get_close_matches(str(unknown[0]), known, n=1)
        raise InvalidInputError(
            f"{where}: {unknown[0]!r} is not known there; expected {', '.join(known)}."
            + (f" Did you mean {close[0]!r}?" if close else "")
        )


def _entry(file: Path, name: str, entry: Any) -> EntryPoint:
    where = f"{file}: entry_points: {name}"
    if not isinstance(entry, dict) or not isinstance(entry.get("command"), str):
        raise InvalidInputError(f"{where}: expected a `command:`, got {entry!r:.80}.")
    _check_keys(where, entry, ("command", "parameters"))
    parameters = entry.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise InvalidInputError(f"{where}: parameters: expected names with a type each, got {parameters!r:.80}.")
    points = {str(key): _parameter(f"{where}: parameters: {key}", str(key), told) for key, told in parameters.items()}
    return EntryPoint(name, entry["command"], points)


def _parameter(where: str, name: str, told: Any) -> Parameter:
    if not isinstance(told, dict):
        told = {"type": told}
    _check_keys(where, told, ("type", "default"))
    kind = str(told.get("type") or "string")
    if kind not in _TYPES:
        raise InvalidInputError(f"{where}: expected type {', '.join(_TYPES)}, got {kind!r}.")
    default = told.get("default")
    return Parameter(name, kind, None if default is None else str(default))


def values_of(entry: EntryPoint, given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return every parameter of an entry point with its value, then what was given beyond them.

    Raises
    ------
    InvalidInputError
        If one is missing, is no number where one is expected, or names a file that is not there.
    """
    missing = [p.name for p in entry.parameters.values() if p.name not in given and p.default is None]
    if missing:
        raise InvalidInputError(
            f"entry point {entry.name!r}: {', '.join(map(repr, missing))} must be given: -P {missing[0]}=VALUE."
        )
    values = {}
    for name, parameter in entry.parameters.items():
        default = parameter.default if parameter.default is not None else _NOTHING
        values[name] = _checked(entry, parameter, given.get(name, default), folder)
    return values | {name: value for name, value in given.items() if name not in values}


def _checked(entry: EntryPoint, parameter: Parameter, value: str, folder: Path) -> str:
    where = f"entry point {entry.name!r}: parameter {parameter.name!r}"
    if parameter.kind == "float":
        try:
            float(value)
        except ValueError:
            raise InvalidInputError(f"{where}: expected a number, got {value!r:.80}.") from None
    if parameter.kind == "path" and "://" not in value:
        path = (folder / value).resolve() if not Path(value).is_absolute() else Path(value)
        if not path.exists():
            raise InvalidInputError(f"{where}: there is no file {value!r:.200} in {folder}.")
        return str(path)
    return value


def command_of(entry: EntryPoint, values: Mapping[str, str], python: str, *, posix: bool) -> list[str]:
    """Return the argument list that runs an entry point; values never meet a shell unquoted.

    A command that is more than one program (``&&``, ``|``, ``>``) goes through ``sh``, with every value quoted.
    """
    extra = [name for name in values if name not in entry.parameters]
    if entry.file is not None:
        runner = {".py": [python], ".sh": ["sh"]}[entry.file.suffix]
        return [*runner, str(entry.file), *(word for name in extra for word in (f"--{name}", values[name]))]
    unknown = [name for name in _FIELD.findall(entry.command) if name not in values]
    if unknown:
        raise InvalidInputError(
            f"entry point {entry.name!r}: its command names {{{unknown[0]}}}, which is no parameter of it;"
            f" they are {', '.join(map(repr, entry.parameters)) or 'none'}."
        )
    if re.search(r"[;&|<>`\n]|\$\(", entry.command):
        if not posix:
            raise InvalidInputError(
                f"entry point {entry.name!r}: its command needs a POSIX shell. Make it one program, or run it on Linux."
            )
        text = _FIELD.sub(lambda match: shlex.quote(values[match[1]]), entry.command)
        return ["sh", "-c", " ".join([text, *(f"--{name} {shlex.quote(values[name])}" for name in extra)])]
    words = [_FIELD.sub(lambda match: values[match[1]], word) for word in shlex.split(entry.command)]
    words += [word for name in extra for word in (f"--{name}", values[name])]
    return [python, *words[1:]] if words[0] in {"python", "python3"} else words
