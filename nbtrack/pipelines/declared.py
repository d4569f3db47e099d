"""Pipelines under a name: declared in Python, or in a file ``pipelines.toml``."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.errors import InvalidInputError
from nbtrack.names import check_run_name
from nbtrack.pipelines.file_steps import FileStep
from nbtrack.pipelines.projects import read_project
from nbtrack.pipelines.steps import Step, run_pipeline
from nbtrack.registry.policies import checked_line
from nbtrack.tracking.location import working_in

if TYPE_CHECKING:
    from nbtrack.pipelines.results import PipelineResult, Watch

FILE: Final = "pipelines.toml"
_KEYS: Final = ("steps", "params", "line", "store")
_STEP_KEYS: Final = ("path", "name", "entry", "takes", "returns", "reuse", "store", "env_manager")
_declared: dict[str, Pipeline] = {}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps under a name, with their params: call it to run it.

    `line` is the line of code that it makes models of, such as ``"2.0"``; an environment's policy may keep it out.
    """

    name: str
    steps: Sequence[Step] | str | os.PathLike[str]
    params: Mapping[str, Any] = field(default_factory=dict)
    line: str | None = None
    store: str | None = None

    def __call__(
        self,
        *,
        force: bool | Sequence[str] = False,
        tags: Mapping[str, Any] | None = None,
        progress: bool = True,
        watch: Watch | None = None,
        **params: Any,
    ) -> PipelineResult:
        """Run it: see :func:`~nbtrack.pipelines.steps.run_pipeline`. `params` replace its own of the same name."""
        with working_in(self.store):
            return run_pipeline(
                self.steps,
                self.name,
                params={**self.params, **params},
                force=force,
                tags=tags,
                progress=progress,
                watch=watch,
            )


def pipeline(
    name: str,
    steps: Sequence[Step] | str | os.PathLike[str],
    *,
    params: Mapping[str, Any] | None = None,
    line: str | None = None,
    store: str | Path | None = None,
) -> Pipeline:
    """Declare a pipeline under a name, for :func:`~nbtrack.pipelines.retraining.retrain_all`, and return it.

    Parameters
    ----------
    name
        The name, also of its runs; one that was declared before under this name is replaced.
    steps, params
        As for :func:`~nbtrack.pipelines.steps.run_pipeline`.
    line
        The line of code that its models are of, such as ``"2.0"``.
    store
        The store of its runs; the one in use if not given. A step may have another: ``@nbtrack.step(store=…)``.

    Raises
    ------
    InvalidInputError
        If the line is no version.

    Examples
    --------
    >>> wine = nbtrack.pipeline("wine", [tune, train, evaluate], params={"seed": 3}, line="2.0")  # doctest: +SKIP
    >>> wine(seed=4)  # doctest: +SKIP
    """
    checked = None if line is None else checked_line(line, f"pipeline {name!r}")
    place = None if store is None else str(store)
    made = Pipeline(check_run_name(name), steps, dict(params or {}), checked, place)
    _declared[name] = made
    return made


def find_pipelines(wanted: Sequence[Pipeline] | str | os.PathLike[str] | None) -> list[Pipeline]:
    """Return the pipelines that are meant.

    Parameters
    ----------
    wanted
        Pipelines; or a file such as ``pipelines.toml``, or its folder; or None: those declared in this process, else
        those of the nearest ``pipelines.toml`` at or above the working directory.

    Raises
    ------
    InvalidInputError
        If there is none, or two share a name.
    """
    if wanted is None:
        if _declared:
            return list(_declared.values())
        here = Path.cwd()
        file = next((one / FILE for one in (here, *here.parents) if (one / FILE).is_file()), None)
        if file is None:
            raise InvalidInputError(
                f"retrain_all: there is no pipeline. nbtrack.pipeline(NAME, STEPS) declares one, or a {FILE} names it."
            )
        return read_pipelines(file)
    if isinstance(wanted, (str, os.PathLike)):
        return read_pipelines(Path(wanted))
    if isinstance(wanted, Pipeline) or not all(isinstance(one, Pipeline) for one in wanted):
        raise InvalidInputError(
            "retrain_all: expected a list of pipelines, which nbtrack.pipeline(NAME, STEPS) makes, or a file."
        )
    names = [one.name for one in wanted]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InvalidInputError(f"retrain_all: expected different names, got {sorted(twice)!r} more than once.")
    return list(wanted)


def read_pipelines(file: Path) -> list[Pipeline]:
    """Return the pipelines of a file; paths in it are relative to its folder.

    Raises
    ------
    InvalidInputError
        If it cannot be read, or says what it should not; the message names the place.
    """
    file = file / FILE if file.is_dir() else file
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"{file}: cannot be read ({error.strerror or error}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file}: is no TOML: {error}.") from error
    if not found:
        raise InvalidInputError(f"{file}: names no pipeline; expected [NAME] and steps = […] for each.")
    return [_read(file, name, entry) for name, entry in found.items()]


def _read(file: Path, name: str, entry: Any) -> Pipeline:
    where = f"{file}: [{name}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("steps"), list) or not entry["steps"]:
        raise InvalidInputError(f'{where}: expected steps = ["train.ipynb", …], got {entry!r:.80}.')
    _check_keys(where, entry, _KEYS)
    params = entry.get("params", {})
    if not isinstance(params, dict):
        raise InvalidInputError(f"{where}: params: expected {{name = value, …}}, got {params!r:.80}.")
    line, store = entry.get("line"), entry.get("store")
    steps = [_step(where, file.parent, one) for one in entry["steps"]]
    only = steps[0] if len(steps) == 1 else None
    if isinstance(only, Pipeline):
        own = replace(only, name=name, params={**only.params, **params})
        steps, params, line, store = own.steps, own.params, line or own.line, store or own.store  # type: ignore[assignment]
    elif isinstance(only, Path):  # a notebook by itself: its cells may be the steps
        read_project(only)  # is there such a file
        steps = str(only)  # type: ignore[assignment]
    if isinstance(steps, list):
        steps = [FileStep(one) if isinstance(one, Path) else one for one in steps]
    if store is not None and "://" not in str(store):
        store = str(file.parent / str(store))
    checked = None if line is None else checked_line(str(line), where)
    return Pipeline(check_run_name(name), steps, params, checked, None if store is None else str(store))


def _check_keys(where: str, found: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := [key for key in found if key not in known]:
        raise InvalidInputError(f"{where}: {unknown[0]!r} is not known there; expected {', '.join(known)}.")


def _step(where: str, folder: Path, told: Any) -> Any:
    """Return what a step of the file stands for: a path, ``folder#entry``, ``file.py:name``, or a table of these."""
    if isinstance(told, dict):
        _check_keys(f"{where}: steps", told, _STEP_KEYS)
        options = {key: value for key, value in told.items() if key != "path"}
        if "store" in options and "://" not in str(options["store"]):
            options["store"] = folder / str(options["store"])
        return FileStep(folder / str(told.get("path", "")), **options)
    if not isinstance(told, str):
        raise InvalidInputError(f"{where}: steps: expected text or a table, got {told!r:.80}.")
    path, colon, name = told.rpartition(":")
    if colon and path.endswith(".py"):
        return _attribute(where, folder / path, name)
    path, hash_, entry = told.partition("#")
    return FileStep(folder / path, entry=entry) if hash_ else folder / path


def _attribute(where: str, file: Path, name: str) -> Any:
    """Return what a Python file calls `name`; the file's folder is where its imports are looked for, too."""
    import importlib.util
    import sys

    if not file.is_file():
        raise InvalidInputError(f"{where}: steps: there is no file {file}.")
    module_name = f"nbtrack_pipelines_{abs(hash(str(file.resolve()))):x}"
    module = sys.modules.get(module_name)
    if module is None:
        spec = importlib.util.spec_from_file_location(module_name, file)
        assert spec is not None and spec.loader is not None  # noqa: S101 - a .py file has both
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        sys.path.insert(0, str(file.resolve().parent))
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise InvalidInputError(f"{where}: {file} cannot be loaded: {type(error).__name__}: {error}") from error
        finally:
            sys.path.remove(str(file.resolve().parent))
    found = getattr(module, name, None)
    if not callable(found):
        raise InvalidInputError(f"{where}: {file} has no function or pipeline {name!r}.")
    return found
