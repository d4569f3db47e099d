"""Which executed cells each executed cell needs: read forwards, once each, when a slice is first asked for."""

from __future__ import annotations

import ast
import fnmatch
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture import slice_known as known
from nbtrack.capture.slice_objects import Frame, Obj, Var, unique
from nbtrack.capture.slice_reader import Reader, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.capture.slice_history import Execution, History

MAX_SOURCE: Final = 500_000


@dataclass(frozen=True, slots=True)
class Done:
    """What one execution read and wrote, and which earlier ones it needs."""

    needs: frozenset[int]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unseeded: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    stopped_at: int | None = None  # the first line that did not run to its end


class Flow:
    """What is known after each execution of a history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.names = Frame()
        self.modules: dict[str, Obj] = {}
        self.places: dict[str, Var] = {}
        self.imports: list[tuple[int, str, str]] = []
        self.loaded: dict[str, int] = {}
        self.done: list[Done] = []
        self.folder = ""  # the working directory, seen from where it was at first
        self._files: list[tuple[str, int]] = []

    def translate(self, code: str) -> str:
        """Return the text of a cell as Python, as IPython runs it."""
        try:
            return str(self.history.shell.transform_cell(code))
        except Exception:  # IPython told the user when the cell ran
            return code

    def python_of(self, execution: Execution) -> str:
        """Return the text of an execution as Python."""
        if execution.python is None:
            execution.python = self.translate(execution.raw)
        return execution.python

    def advance(self, index: int) -> None:
        """Read the executions up to and with this one."""
        for execution in self.history.executions[len(self.done) : index + 1]:
            try:
                self.done.append(self._read(execution))
            except Exception as error:  # one strange cell must not cost the slices of all that follow
                self._bind_changed(execution)
                told = f"the cell could not be read: {type(error).__name__}"
                self.done.append(Done(frozenset(), (), tuple(execution.changed), missing=(told,)))

    def _bind_changed(self, execution: Execution) -> None:
        for name, kind in execution.changed.items():
            self.names.vars[name] = Var((execution.index,), (Obj(kind.sort, text=kind.text),))

    def _read(self, execution: Execution) -> Done:
        if execution.refused:
            return Done(frozenset(), (), ())
        python = self.python_of(execution)
        tree = parse(python) if len(python) <= MAX_SOURCE else None
        if tree is None:
            self._bind_changed(execution)
            told = ("the cell is no Python",) if execution.changed else ()
            return Done(frozenset(), (), tuple(execution.changed), missing=told)
        before = dict(self.names.vars)
        reader = Reader(self, execution)
        stopped = None
        for number, statement in enumerate(tree.body):
            if execution.failed_at is not None and _last_line(statement) >= execution.failed_at:
                stopped = _first_line(statement)
                if number or isinstance(statement, (ast.For, ast.While, ast.With, ast.If, ast.Try, ast.Expr)):
                    self.names.open_branch()
                    reader.statement(statement)
                    self.names.merge([self.names.take_branch()], complete=False)
                break
            reader.statement(statement)
        self._correct(reader, execution, before)
        self._output(reader, execution, tree)
        self.loaded.update(dict.fromkeys(reader.loaded, execution.index))
        return Done(
            frozenset(reader.needs - {execution.index}),
            tuple(reader.reads),
            tuple(self._written_names(reader)),
            tuple(reader.missing),
            tuple(reader.unknown),
            tuple(one for one in reader.stated_draws if one not in self.places),
            tuple(reader.paths),
            stopped,
        )

    def _correct(self, reader: Reader, execution: Execution, before: Mapping[str, Var]) -> None:
        """Let what was seen to happen correct what the text seemed to say."""
        index = execution.index
        for generator in execution.moved:
            if generator not in reader.drew and generator not in reader.seeded:
                reader.draw(generator)
        if not execution.known:
            return
        for name in execution.grown:
            if (held := self.names.vars.get(name)) is not None:
                reader.touch(name, held)
                reader.change(held.objs, deep=False)
        for name, kind in execution.changed.items():
            var = self.names.vars.get(name)
            if var is None or index not in var.makers:  # exec, a star import, %run, globals()
                made = Obj(kind.sort, text=kind.text)
                if kind.sort == "code":
                    made.may.append(reader.module(kind.module or "builtins"))
                self.names.vars[name] = Var((index,), (made,))
                reader.writes[name] = None
            elif var.makers != (index,):
                self.names.vars[name] = Var((index,), unique(reader.bound.get(name, ())) or var.objs)
        for name in list(reader.writes):
            var = self.names.vars.get(name)
            if name not in execution.changed and var is not None and len(var.makers) > 1 and name in before:
                self.names.vars[name] = before[name]  # a branch that was not taken
                del reader.writes[name]
        for name in execution.gone:
            self.names.vars.pop(name, None)

    def _output(self, reader: Reader, execution: Execution, tree: ast.Module) -> None:
        if execution.count is None or not tree.body or not isinstance(tree.body[-1], ast.Expr):
            return
        var = Var((execution.index,), reader.last_value or (Obj(),))
        self.names.vars["_"] = self.names.vars[f"_{execution.count}"] = var

    def _written_names(self, reader: Reader) -> list[str]:
        found = dict.fromkeys(name for name in reader.writes if name in self.names.vars)
        changed = reader.changed
        for name, var in self.names.vars.items():
            if name not in found and not name.startswith("_") and any(id(one) in changed for one in var.objs):
                found[name] = None
        return list(found)

    # -- files ---------------------------------------------------------------------------------------------------------
    def wrote(self, path: str, index: int) -> None:
        """Note that an execution wrote a file, or made a folder."""
        self._files.append((self._place(path), index))

    def written(self, path: str, *, inside: bool = True) -> list[int]:
        """Return the executions that made this file or a folder around it; `inside`: or a file in this folder."""
        wanted = self._place(path)
        return [
            index
            for written, index in self._files
            if _same_file(wanted, written) or (inside and written.startswith(wanted + "/"))
        ]

    def moved_to(self, path: str) -> None:
        """Note a change of the working directory."""
        self.folder = self._place(path)

    def _place(self, path: str) -> str:
        path = _clean(path)
        return path if path.startswith(("/", "~", "*")) or not self.folder else _clean(f"{self.folder}/{path}")

    # -- slices --------------------------------------------------------------------------------------------------------
    def needed(self, index: int) -> list[int]:
        """Return the executions that one needs, in order, itself last."""
        self.advance(index)
        found: set[int] = set()
        waiting = [index, *self._side_imports(index)]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting.extend(self.done[one].needs)
        return sorted(found)

    def _side_imports(self, index: int) -> list[int]:
        """Return the cells with an import whose name nobody ever read: it may be there for what it does."""
        return [
            at
            for at, module, name in self.imports
            if at < index and self.loaded.get(name, -1) < at and _acts(module, name)
        ]


def _acts(module: str, name: str) -> bool:
    """Whether an import may be there for what it does: a module of the user, or one that switches something on."""
    root = module.partition(".")[0]
    if root in known.COSMETIC or known.origin(root) == "stdlib":
        return False
    return known.origin(root) == "local" or "experimental" in module or name in {root, module}


def _first_line(node: ast.stmt) -> int:
    decorators: list[Any] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(int(one.lineno) for one in decorators)])


def _last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _clean(path: str) -> str:
    path = path.replace("\\", "/").removeprefix("file://")
    return posixpath.normpath(path) if path else "."


def _same_file(a: str, b: str) -> bool:
    if a == b or a.startswith(b + "/"):
        return True
    if a.startswith("/") != b.startswith("/") and (a.endswith("/" + b) or b.endswith("/" + a)):
        return True
    return ("*" in b and fnmatch.fnmatchcase(a, b)) or ("*" in a and fnmatch.fnmatchcase(b, a))
