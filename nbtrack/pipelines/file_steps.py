"""Notebooks, scripts and entry points as steps of a pipeline."""

from __future__ import annotations

import ast
import inspect
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.errors import InvalidInputError, PipelineError
from nbtrack.names import check_run_name
from nbtrack.pipelines.cells import Cells, steps_of
from nbtrack.pipelines.codes import UnknownError, file_digest
from nbtrack.pipelines.injection import as_text, parameters_of
from nbtrack.pipelines.keeping import TAG_STEP, Kept, Values, handing, keep_more
from nbtrack.pipelines.launch import Launch, is_notebook, read_notebook
from nbtrack.pipelines.projects import read_project
from nbtrack.tracking.location import store_for_writing

if TYPE_CHECKING:
    from nbtrack.store.base import Store

_SIMPLE: Final = (str, int, float, type(None), Path)
_MOST_MODULES: Final = 500


class FileStep:
    """A notebook, a script, or an entry point of an ``MLproject`` folder as a step.

    A notebook is given what its cell tagged ``parameters`` assigns, if an earlier step returned it or the pipeline's
    params say it; plain values as text that one can read, anything else by its digest. A script is given
    ``--name value``, an entry point its own parameters. Every step returns its run's id under its own name.

    Parameters
    ----------
    path
        A ``.ipynb``, ``.py`` or ``.sh`` file, or a folder.
    name
        What the step is called; the file's name without its ending, or the entry point's, if not given.
    entry
        The entry point of a folder.
    takes
        The names to pass to a script; a notebook or an entry point says itself what it takes.
    returns
        For a notebook, the variables that it leaves to later steps. Otherwise name -> file that it writes, relative to
        its folder; later steps get the path, and the store keeps the content.
    reuse, store
        As for :func:`~nbtrack.pipelines.steps.step`.
    env_manager : {"local", "uv"}
        As for :func:`~nbtrack.pipelines.launch.run_project`.

    Raises
    ------
    InvalidInputError
        If there is nothing to run, or it cannot be run.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        entry: str = "main",
        takes: Sequence[str] = (),
        returns: Sequence[str] | Mapping[str, str] = (),
        reuse: bool = True,
        store: str | Path | None = None,
        env_manager: str = "local",
    ) -> None:
        self.path = Path(path)
        self.project = read_project(self.path)
        self.entry = self.project.entry(entry)
        stem = self.path.stem if self.path.is_file() else f"{self.project.name} {entry}".removesuffix(" main")
        self._nbtrack_step = check_run_name(name or stem)
        self._nbtrack_reuse = reuse
        self._nbtrack_store = None if store is None else str(store)
        self._env_manager = env_manager
        self.is_notebook = is_notebook(self.entry)
        if isinstance(returns, str) or (self.is_notebook == isinstance(returns, Mapping) and returns):
            raise InvalidInputError(
                f"step {self._nbtrack_step!r}: expected returns="
                + ("['variable', …]" if self.is_notebook else "{'name': 'file'}")
                + f", got {returns!r:.80}."
            )
        self._returns = returns
        self.__signature__ = inspect.Signature(list(self._parameters(takes)))

    def __call__(self, **arguments: Any) -> str:
        """Run it by itself, outside of a pipeline; return the id of its run."""
        return self.run(self._nbtrack_step, arguments, Values(arguments), "", "")[0]

    def _parameters(self, takes: Sequence[str]) -> Iterator[inspect.Parameter]:
        kind = inspect.Parameter.KEYWORD_ONLY
        if self.is_notebook:
            assert self.entry.file is not None  # noqa: S101 - a notebook is a file
            for name in parameters_of(read_notebook(self.entry.file)):
                yield inspect.Parameter(name, kind, default=None)
            return
        for name, parameter in self.entry.parameters.items():
            empty = parameter.default is None and name.isidentifier()
            yield inspect.Parameter(name, kind, default=inspect.Parameter.empty if empty else parameter.default)
        for name in takes:
            yield inspect.Parameter(name, kind)

    def nbtrack_digest(self) -> str:
        """Return what changes when the code does: the files, and the modules of the user's that they import."""
        told = [self.entry.command, json.dumps(list(self._returns))]
        if self.entry.file is None:
            sources = {path: path.read_bytes() for path in sorted(self.project.folder.glob("*.py"))}
        elif self.is_notebook:
            cells = [cell.source for cell in read_notebook(self.entry.file).cells if cell.cell_type == "code"]
            sources = {self.entry.file: "\n\n".join(cells).encode()}
        else:
            sources = {self.entry.file: self.entry.file.read_bytes()}
        for path, content in _with_imports(sources, self.project.folder).items():
            told.append(f"{path.name} {sha256(content).hexdigest()}")
        if self.project.environment is not None:
            told.append(f"{self._env_manager} {file_digest(self.project.environment[1])}")
        return sha256("\n".join(told).encode()).hexdigest()

    def run(
        self, called: str, arguments: Mapping[str, Any], values: Values, key: str, why: str
    ) -> tuple[str, dict[str, Kept], str]:
        """Run it as a run of its own; return that run's id, what the step returned, and why it was not kept.

        Raises
        ------
        PipelineError
            If it ends with an exit code that is not 0.
        """
        store = store_for_writing()
        simple = {name: as_text(value) for name, value in arguments.items() if isinstance(value, _SIMPLE)}
        lines = self._lines(store, [name for name in arguments if name not in simple], values)
        leaving = self._cells()
        launch = Launch(
            self.project,
            self.entry,
            simple,
            env_manager=self._env_manager,
            lines=lines,
            tags={TAG_STEP: called},
            conductor=leaving,
        )
        done = launch.run(None, called)
        if done.exit_code:
            raise self._failed(called, done.run_id, done.exit_code, store)
        files = {} if leaving is not None else self._files(called, store)
        left = {} if leaving is None else {name: Kept(store, digest) for name, digest in leaving.left.items()}
        if leaving is not None and leaving.failed:
            why, key = next(iter(leaving.failed.values())), ""
        return done.run_id, keep_more(store, done.run_id, key, {called: done.run_id}, {**left, **files}), why

    def _cells(self) -> Cells | None:
        """Return who follows a notebook's cells, and asks it for what it leaves."""
        if not self.is_notebook or self.entry.file is None:
            return None
        return Cells(steps_of(read_notebook(self.entry.file)), returns=list(self._returns))

    def _lines(self, store: Store, names: Sequence[str], values: Values) -> list[str]:
        """Return the Python that gives a notebook what cannot be told in text."""
        if not names:
            return []
        if not self.is_notebook:
            raise InvalidInputError(
                f"step {self._nbtrack_step!r}: {names[0]!r} is {type(values[names[0]]).__name__}; a program takes text"
                " and numbers. Write it to a file, and pass its path."
            )
        try:
            told = [handing(store, name, values) for name in names]
        except UnknownError as error:
            raise InvalidInputError(
                f"step {self._nbtrack_step!r}: {names[0]!r} cannot be handed over; {error}"
            ) from error
        return ["from nbtrack.pipelines.keeping import handed", *told]

    def _files(self, called: str, store: Store) -> dict[str, Kept]:
        found = {}
        for name, relative in (self._returns if isinstance(self._returns, Mapping) else {}).items():
            path = self.project.folder / relative
            if not path.is_file():
                raise PipelineError(
                    f"step {called!r}: it was to write {relative!r} in {self.project.folder}, and did not."
                )
            found[name] = Kept(store, store.put_blob(path)[0], str(path))
        return found

    def _failed(self, called: str, run_id: str, code: int, store: Store) -> PipelineError:
        printed = str(store.get_run(run_id).capture.get("stdout", "")).strip().splitlines()
        last = f": {printed[-1][:300]}" if printed else ""
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        error = PipelineError(f"step {called!r}: {self.path.name} {how}{last}. Its run {run_id} has its output.")
        error.nbtrack_run_id = run_id  # type: ignore[attr-defined]
        return error


def as_file_step(path: str | os.PathLike[str]) -> FileStep:
    """Return the step that a path stands for; ``folder#entry`` names an entry point."""
    place, hash_, entry = os.fspath(path).partition("#")
    return FileStep(place, entry=entry) if hash_ else FileStep(place)


def _with_imports(sources: Mapping[Path, bytes], folder: Path) -> dict[Path, bytes]:
    """Return files with all modules beside them that they import, and what those import."""
    found = dict(sources)
    waiting = list(found)
    while waiting and len(found) < _MOST_MODULES:
        for name in _imports(found[waiting.pop()]):
            base = folder.joinpath(*name.split("."))
            for path in (base.with_suffix(".py"), base / "__init__.py"):
                if path not in found and path.is_file():
                    found[path] = path.read_bytes()
                    waiting.append(path)
    return found


def _imports(source: bytes) -> Iterator[str]:
    try:
        tree = ast.parse(b"\n".join(line for line in source.splitlines() if not line.lstrip().startswith((b"%", b"!"))))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from (
                (module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)) if module or node.level else ()
            )
