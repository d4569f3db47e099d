"""What a call does: to its arguments, to the object whose method it is, to random generators, files and modules."""

from __future__ import annotations

import ast
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from nbtrack.capture import slice_known as known
from nbtrack.capture.slice_objects import Closure, Frame, Obj, Objs, Var, reach, unique
from nbtrack.capture.slice_texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_DEPTH: Final = 12
MAX_CALLS: Final = 400  # of functions of the notebook, within one cell
# Give what they were given, or pieces of it.
_VIEWS: Final = frozenset({"zip", "enumerate", "reversed", "iter", "filter", "map"})
_COPIES: Final = frozenset({"list", "tuple", "sorted", "set", "dict", "copy"})
_VIEW_METHODS: Final = frozenset({"items", "values", "keys", "get", "iterrows", "itertuples", "groupby"})
_RUNS_METHODS: Final = frozenset(
    {"len", "print", "str", "repr", "sum", "min", "max", "sorted", "iter", "list", "set", "tuple", "float"}
)
_DEEP_COPIES: Final = frozenset({"copy.deepcopy", "sklearn.base.clone", "sklearn.clone"})
_FIXED: Final = frozenset({"value", "frame", "module", "code"})
_OUTPUTS: Final = frozenset({"out", "evals_result", "history"})
_QUERIES: Final = frozenset({"query", "eval"})


class Calls(Texts):
    """The part of the reader that follows calls."""

    def call(self, node: ast.Call, *, statement: bool = False) -> Objs:
        """Read a call; return what it may give."""
        if (magic := self.magic(node)) is not None:
            return magic
        base: Objs = ()
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if isinstance(node.func, ast.Attribute):
            base = self.eval(node.func.value)
            target = self.attribute(base, name)
        else:
            target = self.eval(node.func)
        args = [self.eval(arg) for arg in node.args]
        kwargs = {keyword.arg or "**": self.eval(keyword.value) for keyword in node.keywords}
        given = unique(one for objs in (*args, *kwargs.values()) for one in objs)
        for one in given:
            if one.sort == "iterator":
                self.consume((one,))
        self._named(node, name, base)
        results: list[Obj] = []
        unknown = []
        for one in target:
            if one.codes or one.methods is not None:
                results.extend(self.invoke((one,), args, kwargs, node))
            elif one.dotted:
                results.extend(self._known(one, base, args, kwargs, node, statement))
            else:
                unknown.append(one)
        if unknown:
            results.extend(self._method(name, base or tuple(unknown), args, kwargs, node, statement))
        return unique(results)

    def _named(self, node: ast.Call, name: str, base: Objs) -> None:
        """Note what the text of a call alone tells: ``inplace=True``, ``out=x``, ``@name`` in a query."""
        for keyword in node.keywords:
            value = keyword.value
            if keyword.arg == "inplace" and not (isinstance(value, ast.Constant) and value.value is False):
                self.change(base, deep=False)
            elif keyword.arg in _OUTPUTS:
                self.change(self.eval(value), deep=True)
        if name in _QUERIES and node.args:
            texts = [part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
            self.names_in(" ".join(map(str, texts)), sign="@")

    # -- functions of the notebook ---------------------------------------------------------------------------------
    def invoke(
        self,
        target: Objs,
        args: Sequence[Objs],
        kwargs: Mapping[str, Objs],
        node: ast.Call | None,
    ) -> Objs:
        """Follow a call of functions and classes of the notebook; others give an object that may hold its arguments."""
        results: list[Obj] = []
        for one in target:
            if one.methods is not None:
                results.append(self._instance(one, args, kwargs))
            elif one.codes:
                for code in one.codes:
                    results.extend(self.follow(code, args, kwargs))
            else:
                given = [held for objs in (*args, *kwargs.values()) for held in objs]
                results.append(Obj(may=[one, *given], computed=True))
        return unique(results)

    def _instance(self, made_of: Obj, args: Sequence[Objs], kwargs: Mapping[str, Objs]) -> Obj:
        made = Obj("object", kind=(made_of,))
        held = [one for objs in (*args, *kwargs.values()) for one in objs]
        if not any(self.run_method(made, (name,), args, kwargs) for name in ("__init__", "__new__")):
            made.contains.extend(one for one in held if one.sort != "value")
            made.attrs.update(kwargs)
        self.run_method(made, ("__post_init__",))
        made.may.extend(one for one in held if not one.own)
        return made

    def method(self, one: Obj, name: str) -> Objs | None:
        """Return the methods of that name that an instance, or a class, of the notebook has; bound to it."""
        waiting, seen = list(one.kind if one.kind else (one,) if one.methods is not None else ()), set()
        while waiting:
            kind = waiting.pop(0)
            if id(kind) in seen:
                continue
            seen.add(id(kind))
            if kind.methods is not None and name in kind.methods:
                return tuple(self._bound(held, one) for held in kind.methods[name]) or None
            waiting.extend(kind.bases)
        return None

    def _bound(self, held: Obj, one: Obj) -> Obj:
        if not held.codes:
            return held
        codes = []
        for code in held.codes:
            decorators = getattr(code.node, "decorator_list", [])
            names = {d.id if isinstance(d, ast.Name) else getattr(d, "attr", "") for d in decorators}
            bound: Objs = (one,) if one.kind else ()
            if "classmethod" in names:
                bound = one.kind or (one,)
            elif "staticmethod" in names:
                bound = ()
            made = Closure(code.node, code.frame, code.name, code.owner, bound)
            if names & {"property", "cached_property"} and one.kind:
                results = self.follow(made, [], {})
                return Obj(may=list(results), contains=list(results))
            codes.append(made)
        return Obj("code", codes=tuple(codes), may=list(held.may))

    def run_method(
        self, one: Obj, names: Sequence[str], args: Sequence[Objs] = (), kwargs: Mapping[str, Objs] | None = None
    ) -> Objs:
        """Follow the first of these methods that the class of an object has; nothing if it has none."""
        for name in names:
            if one.kind and (found := self.method(one, name)) is not None:
                return self.invoke(found, args, kwargs or {}, None) or (Obj(),)
        return ()

    def follow(self, code: Closure, args: Sequence[Objs], kwargs: Mapping[str, Objs]) -> Objs:
        """Read the body of a function as if it ran now; return what it may give."""
        node = code.node
        given = unique(one for objs in (*args, *kwargs.values()) for one in objs)
        self.steps += 1
        if node in self.active or len(self.active) >= MAX_DEPTH or self.steps > MAX_CALLS:
            if node not in self.active:
                self.names_in_tree(node)
            return (Obj(may=list(given)),)
        outer, calls, returned = self.frame, self.calls, self.returned
        self.frame, self.returned = Frame(code.frame), []
        self.calls = [*calls, self.frame]
        self.active.append(node)
        try:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                self._parameters(node.args, [code.bound, *args] if code.bound else args, kwargs, given)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if code.owner is not None:
                    self._super(code)
                self.block(node.body)
            elif isinstance(node, ast.Lambda):
                self.returned.extend(self.eval(node.body))
            elif isinstance(node, ast.expr):
                self.frame = code.frame
                self.returned.extend(self.eval(node))
            found = unique(self.returned)
        finally:
            self.frame, self.calls, self.returned = outer, calls, returned
            self.active.pop()
        if isinstance(node, ast.AsyncFunctionDef) or (isinstance(node, ast.FunctionDef) and _yields(node)):
            return (Obj("iterator", contains=list(found), may=list(given), codes=(code,)),)
        return found or (Obj("value"),)

    def _super(self, code: Closure) -> None:
        bases = code.owner.bases if code.owner is not None else ()
        held = Obj("object", kind=bases, may=list(code.bound), wholes=code.bound)
        self.frame.vars["super"] = Var((), (Obj("code", codes=(), may=[held], dotted="<super>"),))
        self.frame.vars["<super>"] = Var((), (held,))

    def _parameters(self, spec: ast.arguments, args: Sequence[Objs], kwargs: Mapping[str, Objs], given: Objs) -> None:
        spread = "**" in kwargs
        names = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
        for number, name in enumerate(names):
            objs = args[number] if number < len(args) else kwargs.get(name, given if spread else ())
            self.frame.vars[name] = Var((), objs or (Obj(),))
        for arg in spec.kwonlyargs:
            self.frame.vars[arg.arg] = Var((), kwargs.get(arg.arg) or (Obj(),))
        if spec.vararg is not None:
            rest = [one for objs in args[len(names) :] for one in objs]
            self.frame.vars[spec.vararg.arg] = Var((), (Obj(contains=rest),))
        if spec.kwarg is not None:
            rest = [one for key, objs in kwargs.items() if key not in names for one in objs]
            self.frame.vars[spec.kwarg.arg] = Var((), (Obj(contains=rest),))

    def consume(self, objs: Objs) -> Objs:
        """Note that generators and coroutines run on; return what they may give."""
        found: list[Obj] = []
        for one in objs:
            if one.sort == "iterator":
                self.change((one,), deep=False)
                for code in one.codes:
                    if isinstance(code.node, ast.Lambda) or code.node not in self.active:
                        self.follow(code, [tuple(one.may)], {})
                found.extend(one.contains)
            elif one.kind:
                self.run_method(one, ("__iter__", "__aiter__"))
                found.extend(self.run_method(one, ("__next__", "__anext__")))
            found.append(one)
        return unique(found)

    def items(self, objs: Objs) -> Objs:
        """Return what going through these may give."""
        self.consume(objs)
        held = unique(item for one in objs for item in one.contains)
        if objs and all(one.sort in {"frame", "value", "flat"} for one in objs):
            return held or (Obj(),)
        return unique((*held, *(Obj(wholes=(one,), may=[part for part in one.may if not part.own]) for one in objs)))

    # -- functions of libraries ------------------------------------------------------------------------------------
    def _known(
        self, one: Obj, base: Objs, args: Sequence[Objs], kwargs: Mapping[str, Objs], node: ast.Call, statement: bool
    ) -> Objs:
        dotted, last = one.dotted, one.dotted.rpartition(".")[2]
        root = dotted.partition(".")[0]
        given = [held for objs in (*args, *kwargs.values()) for held in objs]
        if dotted == "<super>":
            return self.frame.vars["<super>"].objs if "<super>" in self.frame.vars else tuple(one.may)
        if root == "builtins" and (special := self._builtin(last, args, node)) is not None:
            return special
        self.randomness(dotted, last, frozenset(kwargs))
        self.settings(one, base, dotted, last, node, statement)
        if (at := known.MUTATING_FUNCTIONS.get(dotted)) is not None and at < len(args):
            self.change(args[at], deep=False)
            for held in args[at]:
                held.contains.extend(o for objs in args[at + 1 :] for o in objs if not o.own)
        with self._in_processes(_runs_elsewhere(dotted, node)):
            self.callbacks(given)
        if root not in known.PURE_ROOTS and self._changes_arguments(root, last, statement):
            local = known.origin(root) == "local"
            self.change(tuple(o for o in given if local or not o.own), deep=True)
        text = self.path_text(dotted, last, args, base)
        opened = self.files(dotted, last, args, kwargs, base, node)
        if last in _VIEWS or root == "itertools":
            return (Obj(wholes=tuple(given), may=given, contains=[h for g in given for h in g.contains]),)
        if last in _COPIES and root in {"builtins", "copy"}:
            return (Obj(contains=[h for g in given for h in g.contains], may=given, computed=True),)
        if dotted in _DEEP_COPIES:
            return tuple(_deep_copy(g) for g in given)
        if last == "partial":
            return (Obj("code", may=given, codes=tuple(code for g in given for code in g.codes)),)
        sort = "" if not opened else "iterator" if last == "open" else "object"
        return (Obj(sort, text=text, file=opened, may=[one, *given], computed=not opened),)

    def _changes_arguments(self, root: str, last: str, statement: bool) -> bool:
        origin = known.origin(root)
        return origin == "local" or (statement and origin == "library") or last.endswith("_")

    def _builtin(self, name: str, args: Sequence[Objs], node: ast.Call) -> Objs | None:
        first = args[0] if args else ()
        if name == "next":
            return self.consume(first)
        if name in {"exec", "eval"}:
            return self.code_in_text(node)
        if name in {"globals", "locals", "vars"} and not args:
            self.missing[f"{name}() names variables at run time"] = None
            return (Obj(),)
        if name in {"getattr", "setattr"} and len(args) > 1:
            text = next((one.text for one in args[1] if one.text), None)
            if name == "setattr" and len(args) > 2:
                self.store(first, text or "", args[2], nested=False)
                return (Obj("value"),)
            return unique((*(self.attribute(first, text) if text else ()), *(args[2] if len(args) > 2 else ()))) or None
        if name == "input":
            self.missing["input() asks for an answer"] = None
        if name in _RUNS_METHODS:
            self._runs_methods(args)
        if name in {"display", "print"}:
            return (Obj("value"),)
        return None

    def _runs_methods(self, args: Sequence[Objs]) -> None:
        given = unique(one for objs in args for one in objs)
        self.overloaded(given)
        for one in given:
            self.run_method(one, ("__iter__",))
            self.run_method(one, ("__str__", "__repr__"))

    @contextmanager
    def _in_processes(self, elsewhere: bool) -> Iterator[None]:
        before, self.elsewhere = self.elsewhere, self.elsewhere or elsewhere
        try:
            yield
        finally:
            self.elsewhere = before

    def callbacks(self, given: Sequence[Obj]) -> None:
        """Functions of the notebook that were handed to a library may run: read them."""
        waiting = [code for one in reach(given) for code in one.codes if one.sort != "iterator"]
        if not waiting:
            return
        others = tuple(one for one in given if not one.codes)
        for code in {id(code): code for code in waiting}.values():
            self.follow(code, [others] * 4, {})

    # -- methods of objects of libraries -------------------------------------------------------------------------------
    def _method(
        self,
        name: str,
        base: Objs,
        args: Sequence[Objs],
        kwargs: Mapping[str, Objs],
        node: ast.Call,
        statement: bool,
    ) -> Objs:
        given = [held for objs in (*args, *kwargs.values()) for held in objs]
        self.callbacks([*base, *given])
        self.files("", name, args, kwargs, base, node)
        if name == "sample" and "random_state" not in kwargs:
            self.randomness("numpy.random.choice", name, frozenset())
        deeper = False
        for one in base:
            sorts = {one.sort} if one.sort else {whole.sort for whole in one.wholes} or {""}
            if name not in known.CONTAINER_MUTATORS and self.fresh(one):
                continue
            if name in known.CONTAINER_MUTATORS and not sorts <= {"frame", "array", "view", "value"}:
                self.change((one,), deep=False)
                if name in known.STORING:
                    one.contains.extend(held for held in given if held.sort != "value")
            elif sorts <= {"frame"}:
                if name in known.FRAME_MUTATORS:
                    self.change((one,), deep=False)
            elif sorts <= {"array", "view"}:
                if name in known.ARRAY_MUTATORS:
                    self.change((one,), deep=False)
            elif not sorts <= {"value", "flat"} and not known.PURE_METHODS.fullmatch(name):
                deeper = True
                self.change((one,), deep=True)
                one.contains.extend(o for o in given if not o.own and o is not one and o.sort != "")
                one.may.extend(o for o in given if o.sort == "" and o is not one and not o.computed)
        if deeper:
            self.change(
                tuple(one for one in given if one.sort in {"object", "container", ""} and not one.computed), deep=True
            )
        text = self.path_text("", name, args, base)
        if name in _VIEW_METHODS:
            held = [item for one in base for item in one.contains]
            return (Obj(wholes=base, contains=held, may=list(base)),)
        return (Obj(text=text, may=[*base, *given], wholes=() if name == "copy" else base, computed=True),)

    @staticmethod
    def fresh(one: Obj) -> bool:
        """Whether this was computed of values and frames only, step by step: changing it changes none of them."""
        seen: set[int] = set()
        waiting = [one]
        while waiting:
            held = waiting.pop()
            if id(held) in seen or (held is not one and (held.dotted or held.sort in _FIXED)):
                continue
            seen.add(id(held))
            # Of what it was given: a column, a group, an accessor; a list written out.
            given = (held.wholes or tuple(held.contains)) if held is not one and not held.computed else ()
            if held.sort or held.kind or held.codes or not (given or (held.computed and held.may)):
                return False
            waiting.extend(given or held.may)
        return True


def _deep_copy(one: Obj) -> Obj:
    """Return what a copy of all of an object is: of the same kind, and no part of it."""
    codes = [held for held in reach(one.contains) if held.codes or held.methods is not None]
    return Obj(one.sort or "object", kind=one.kind, codes=one.codes, contains=codes, text=one.text)


def _runs_elsewhere(dotted: str, node: ast.Call) -> bool:
    """Return whether a call runs the functions that it is given in other processes: a sweep, if not told otherwise."""
    executors = [keyword.value for keyword in node.keywords if keyword.arg in {"executor", None}]
    return dotted in {"nbtrack.sweep", "nbtrack.pipelines.sweep"} and not executors


def _yields(node: ast.FunctionDef) -> bool:
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        one = waiting.pop()
        if isinstance(one, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(one))
    return False
