"""Reads the statements of one cell in order: names, objects, and the functions of the notebook that it calls."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from nbtrack.capture.slice_expressions import Expressions
from nbtrack.capture.slice_objects import Closure, Frame, Obj, Objs, unique

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@lru_cache(maxsize=4096)
def parse(python: str) -> ast.Module | None:
    """Return the tree of Python text; None if it is no Python."""
    try:
        return ast.parse(python)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class Reader(Expressions, ast.NodeVisitor):
    """Reads one execution; see :class:`~nbtrack.capture.slice_flow.Flow` for what becomes of what it finds."""

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Read statements in order."""
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Read one statement."""
        handler = getattr(self, f"visit_{type(node).__name__}", None)
        if handler is not None:
            handler(node)

    def _branch(self, *blocks: Sequence[ast.stmt], complete: bool = False) -> None:
        taken = []
        for statements in blocks:
            self.frame.open_branch()
            self.block(statements)
            taken.append(self.frame.take_branch())
        self.frame.merge(taken, complete=complete)

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call):
            result = self.call(value, statement=True)
            if isinstance(node.value, ast.Await):
                self.consume(result)
        else:
            result = self.eval(node.value)
        if not self.in_function:
            self.last_value = result

    def visit_Assign(self, node: ast.Assign) -> None:
        objs = self.eval(node.value)
        for target in node.targets:
            self.assign(target, objs, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not self.in_function:
            self.eval(node.annotation)
        if node.value is not None:
            self.assign(node.target, self.eval(node.value), node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        value = self.eval(node.value)
        if isinstance(node.target, ast.Name):
            held = self.load(node.target.id)
            if any(not one.sort or one.sort in {"view", "array", "container", "flat", "object"} for one in held):
                self.change(held, deep=False)  # `a += b` changes a list or an array where it is
                for one in held:
                    one.contains.extend(o for o in value if not o.own)
            changed = tuple(one for one in held if one.sort != "value") or (Obj(computed=True),)
            self.bind(node.target.id, changed)
        else:
            self.eval(node.target)
            self.assign(node.target, value, node.value)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.load(target.id)
                self.bind(target.id, ())
            elif isinstance(target, (ast.Attribute, ast.Subscript)):
                self.change(self.eval(target.value), deep=False)
                if isinstance(target, ast.Subscript):
                    self.eval(target.slice)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.returned.extend(self.eval(node.value))

    def visit_If(self, node: ast.If) -> None:
        self.eval(node.test)
        self._branch(node.body, node.orelse, complete=True)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        items = self.items(self.eval(node.iter))
        self.frame.open_branch()
        self.assign(node.target, items, None)
        self.block(node.body)
        taken = self.frame.take_branch()
        self.frame.merge([taken], complete=False)
        self._branch(node.orelse)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self.visit_For(node)

    def visit_While(self, node: ast.While) -> None:
        self.eval(node.test)
        self._branch(node.body)
        self._branch(node.orelse)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            objs = self.eval(item.context_expr)
            self.consume(objs)
            entered = unique(one for obj in objs for one in self.run_method(obj, ("__enter__", "__aenter__")) or (obj,))
            if item.optional_vars is not None:
                self.assign(item.optional_vars, entered, item.context_expr)
            for obj in objs:
                self.run_method(obj, ("__exit__", "__aexit__"))
        self.block(node.body)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.visit_With(node)

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        self._branch([*node.body, *node.orelse])
        for handler in node.handlers:
            if handler.type is not None:
                self.eval(handler.type)
            self.frame.open_branch()
            if handler.name:
                self.bind(handler.name, (Obj("value"),))
            self.block(handler.body)
            self.frame.merge([self.frame.take_branch()], complete=False)
        self.block(node.finalbody)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self.visit_Try(node)

    def visit_Match(self, node: ast.Match) -> None:
        subject = self.eval(node.subject)
        taken = []
        for case in node.cases:
            self.frame.open_branch()
            for pattern in ast.walk(case.pattern):
                if isinstance(pattern, (ast.MatchValue, ast.MatchClass)):
                    self.eval(pattern.value if isinstance(pattern, ast.MatchValue) else pattern.cls)
                name = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
                if isinstance(name, str):
                    self.bind(name, (Obj(wholes=subject),))
            if case.guard is not None:
                self.eval(case.guard)
            self.block(case.body)
            taken.append(self.frame.take_branch())
        self.frame.merge(taken, complete=False)

    def visit_Raise(self, node: ast.Raise) -> None:
        for part in (node.exc, node.cause):
            if part is not None:
                self.eval(part)

    def visit_Assert(self, node: ast.Assert) -> None:
        self.eval(node.test)
        if node.msg is not None:
            self.eval(node.msg)

    def visit_Global(self, node: ast.Global) -> None:
        self.frame.outer.update(dict.fromkeys(node.names, "global"))

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.frame.outer.update(dict.fromkeys(node.names, "nonlocal"))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            module = self.imported(alias.name)
            if alias.asname:
                self.bind(alias.asname, (Obj("module", alias.name, may=[module]),))
            else:
                self.bind(alias.name.partition(".")[0], (module,))
            self.note_import(alias.name, alias.asname or alias.name.partition(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        name = "." * node.level + (node.module or "")
        module = self.imported(name)
        for alias in node.names:
            if alias.name == "*":
                self.star_import(name, module)
                continue
            self.bind(alias.asname or alias.name, (Obj("", f"{name}.{alias.name}", may=[module]),))
            self.note_import(name, alias.asname or alias.name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.bind(node.name, self.function(node))

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, owner: Obj | None = None) -> Objs:
        """Return the object that a ``def`` makes: what its decorators return, if it has some."""
        made: Objs = (Obj("code", codes=(Closure(node, self.frame, node.name, owner),)),)
        if self.in_function:
            made[0].may.append(self.frame.state)
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
            made[0].contains.extend(self.eval(default))
        for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            if arg.annotation is not None and not self.in_function:
                self.eval(arg.annotation)
        for decorator in reversed(node.decorator_list):
            wrapper = self.eval(decorator)
            plain = all(one.dotted.startswith(("builtins.", "functools.", "abc.", "contextlib.")) for one in wrapper)
            if plain and wrapper:
                continue
            wrapped = self.invoke(wrapper, [made], {}, None)
            made = (Obj("code", may=[*made, *wrapper, *wrapped], codes=unique_codes((*wrapped, *made))),)
        return made

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        bases = unique(one for base in node.bases for one in self.eval(base))
        for keyword in node.keywords:
            self.eval(keyword.value)
        made = Obj("code", methods={}, bases=bases)
        decorators = [self.eval(decorator) for decorator in node.decorator_list]
        made.may.extend(one for objs in decorators for one in objs)
        outer, self.frame = self.frame, Frame(self.frame, is_class=True)
        try:
            for statement in node.body:
                if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self.bind(statement.name, self.function(statement, made))
                else:
                    self.statement(statement)
            made.methods = {name: var.objs for name, var in self.frame.vars.items()}
        finally:
            self.frame = outer
        for objs in made.methods.values():
            made.contains.extend(one for one in objs if not one.codes)
        held: Objs = (made,)
        for decorator in reversed(decorators):  # one of the notebook may put the class into a registry, or give another
            own = tuple(one for one in decorator if one.codes or one.methods is not None)
            held = unique((*held, *self.invoke(own, [held], {}, None)))
        self.bind(node.name, held)


def unique_codes(objs: Iterable[Obj]) -> tuple[Closure, ...]:
    """Return the functions behind objects."""
    return tuple({id(code): code for one in objs for code in one.codes}.values())
