"""Reads expressions: which objects they may be, and which names, attributes and items that takes."""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.slice_calls import Calls
from nbtrack.capture.slice_objects import Closure, Frame, Obj, Objs, Var, join, unique

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbtrack.capture.slice_history import Kind

_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_OVERLOADED: Final = (
    *(
        "__add__",
        "__radd__",
        "__mul__",
        "__rmul__",
        "__sub__",
        "__truediv__",
        "__matmul__",
        "__eq__",
        "__lt__",
        "__gt__",
    ),
    *("__getitem__", "__len__", "__contains__", "__bool__", "__neg__", "__pow__", "__le__", "__ge__", "__float__"),
)

_LOOKING: Final = frozenset({"plot", "hist", "style", "str", "dt", "cat", "hvplot"})  # of a frame: they change nothing


class Expressions(Calls):
    """The part of the reader that follows expressions and names."""

    # -- expressions -----------------------------------------------------------------------------------------------
    def eval(self, node: ast.expr | None) -> Objs:
        """Read an expression; return what it may be."""
        if node is None:
            return ()
        if isinstance(node, ast.Name):
            return self.load(node.id)
        if isinstance(node, ast.Constant):
            return (Obj("value", text=node.value if isinstance(node.value, str) else None),)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.Attribute):
            return self.attribute(self.eval(node.value), node.attr)
        if isinstance(node, ast.Subscript):
            return self.subscript(node)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return (Obj(contains=[one for item in node.elts for one in self.eval(item)]),)
        if isinstance(node, ast.Dict):
            return self._dict(node)
        if isinstance(node, ast.IfExp):
            self.eval(node.test)
            return unique((*self.eval(node.body), *self.eval(node.orelse)))
        if isinstance(node, ast.BoolOp):
            return unique(one for value in node.values for one in self.eval(value))
        if isinstance(node, ast.NamedExpr):
            objs = self.eval(node.value)
            self.bind(node.target.id, objs, walrus=True)
            return objs
        if isinstance(node, ast.Lambda):
            return (Obj("code", codes=(Closure(node, self.frame),)),)
        if isinstance(node, _COMPREHENSIONS):
            return self._comprehension(node)
        return self._rest(node)

    def _rest(self, node: ast.expr) -> Objs:
        if isinstance(node, ast.JoinedStr):
            return (Obj("value", text=self._pattern(node)),)
        if isinstance(node, ast.BinOp):
            left, right = self.eval(node.left), self.eval(node.right)
            self.overloaded((*left, *right))
            text = joined(left, right, "/" if isinstance(node.op, ast.Div) else "")
            return (Obj("value" if text else "", may=[*left, *right], text=text, computed=True),)
        if isinstance(node, ast.Starred):
            return self.items(self.eval(node.value))
        if isinstance(node, ast.Await):
            return self.consume(self.eval(node.value))
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            self.returned.extend(self.eval(node.value))
            return (Obj(),)
        read = [one for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr) for one in self.eval(child)]
        if isinstance(node, ast.Compare):
            self.overloaded(read)
            return (Obj(may=[one for one in read if one.sort in {"", "object"}], computed=True),)
        return (Obj(may=read, computed=True),)

    def _pattern(self, node: ast.JoinedStr) -> str:
        pieces = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                pieces.append(str(part.value))
            elif isinstance(part, ast.FormattedValue):
                objs = self.eval(part.value)
                self.overloaded(objs)
                if part.format_spec is not None:
                    self.eval(part.format_spec)
                texts = {one.text for one in objs}
                pieces.append((texts.pop() if len(texts) == 1 else None) or "*")
        return "".join(pieces)

    def _dict(self, node: ast.Dict) -> Objs:
        made = Obj()
        for key, value in zip(node.keys, node.values, strict=True):
            objs = self.eval(value)
            if key is None:
                made.contains.extend(one for obj in objs for one in obj.contains)
                continue
            self.eval(key)
            made.contains.extend(objs)
            if isinstance(key, ast.Constant):
                made.attrs[f"[{key.value!r}]"] = objs
        return (made,)

    def _comprehension(self, node: Any) -> Objs:
        outer = self.frame
        first = self.eval(node.generators[0].iter)
        self.frame = Frame(outer)
        try:
            for number, generator in enumerate(node.generators):
                items = self.items(first if number == 0 else self.eval(generator.iter))
                self.assign(generator.target, items, None)
                for test in generator.ifs:
                    self.eval(test)
            elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            held = [one for element in elements for one in self.eval(element)]
        finally:
            inner, self.frame = self.frame, outer
        if isinstance(node, ast.GeneratorExp):
            return (Obj("iterator", contains=held, may=list(first), codes=(Closure(node.elt, inner),)),)
        return (Obj(contains=held),)

    def subscript(self, node: ast.Subscript) -> Objs:
        """Read ``a[b]``."""
        constant = node.slice.value if isinstance(node.slice, ast.Constant) else None
        called = (
            node.value.func.id if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) else ""
        )
        if called in {"globals", "locals", "vars"} and isinstance(constant, str) and not node.value.args:  # type: ignore[attr-defined]
            return self.load(constant)
        if isinstance(node.value, ast.Name) and node.value.id == "Out" and isinstance(constant, int):
            return self.load(f"_{constant}")
        base = self.eval(node.value)
        self.eval(node.slice)
        self.overloaded(base)
        if constant is not None:
            stored = unique(one for obj in base for one in obj.attrs.get(f"[{constant!r}]", ()))
            if stored:
                return stored
        if base and all(one.sort == "frame" or self.fresh(one) for one in base):
            return (Obj(may=list(base), computed=True),)
        if base and all(one.dotted for one in base):  # list[int], np.s_[1:]
            return base
        computed = any(one.sort in {"array", "view"} for one in base)
        return unique((*(held for one in base for held in one.contains), Obj(wholes=base, computed=computed)))

    def attribute(self, base: Objs, name: str) -> Objs:
        """Return what an attribute of any of these objects may be."""
        found: list[Obj] = []
        rest: list[Obj] = []
        for one in base:
            if one.dotted and one.sort in {"module", ""}:
                patched = one.attrs.get(name, ())
                found.extend(patched)
                found.append(Obj("", f"{one.dotted}.{name}", may=[one]))
            elif name in one.attrs:
                found.extend(one.attrs[name])
            elif (method := self.method(one, name)) is not None:
                found.extend(method)
            else:
                rest.append(one)
        if rest and (all(self.fresh(one) for one in rest) or (name in _LOOKING and _of_frames(rest))):
            found.append(Obj(may=rest, computed=True))
        elif rest:
            text = next((one.text for one in rest if one.text), None)
            text = text.rpartition("/")[0] or "." if text and name == "parent" else None
            found.append(Obj(wholes=tuple(rest), text=text, sort="value" if text else ""))
        return unique(found)

    def overloaded(self, objs: Iterable[Obj]) -> None:
        """Run what an operator on an object of a class of the notebook would run."""
        for one in objs:
            if one.kind:
                for name in _OVERLOADED:
                    self.run_method(one, (name,))

    # -- names -----------------------------------------------------------------------------------------------------
    def assign(self, target: ast.expr, objs: Objs, value: ast.expr | None) -> None:
        """Bind or store what was computed."""
        if isinstance(target, ast.Name):
            self.bind(target.id, objs)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, objs, None)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, objs, value)
        elif isinstance(target, ast.Attribute):
            base = self.eval(target.value)
            self.store(base, target.attr, objs, nested=not isinstance(target.value, ast.Name))
            if isinstance(target.value, ast.Call):  # decimal.getcontext().prec = 4
                for module in (held for one in base for held in one.may if held.dotted):
                    self.patch(module)
        elif isinstance(target, ast.Subscript):
            called = target.value.func if isinstance(target.value, ast.Call) else None
            if isinstance(called, ast.Name) and called.id in {"globals", "locals"}:
                self.eval(target.slice)
                if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
                    self.bind(target.slice.value, objs, everywhere=True)
                return
            base = self.eval(target.value)
            self.eval(target.slice)
            key = f"[{target.slice.value!r}]" if isinstance(target.slice, ast.Constant) else ""
            self.store(base, key, objs, nested=not isinstance(target.value, ast.Name))

    def _unpack(self, target: ast.Tuple | ast.List, objs: Objs, value: ast.expr | None) -> None:
        starred = any(isinstance(one, ast.Starred) for one in target.elts)
        held = objs[0].contains if len(objs) == 1 else []
        if (
            isinstance(value, (ast.Tuple, ast.List))
            and len(held) == len(target.elts) == len(value.elts)
            and not starred
        ):
            for one, obj in zip(target.elts, held, strict=True):
                self.assign(one, (obj,), None)
            return
        items = self.items(objs) if value is not None else objs
        for one in target.elts:
            self.assign(one, tuple(obj if obj.codes or obj.kind else self.piece(obj) for obj in items), None)

    @staticmethod
    def piece(obj: Obj) -> Obj:
        """Return one of the things that an object stands for."""
        return Obj(may=list(obj.may), contains=list(obj.contains), wholes=(*obj.wholes, obj), computed=obj.computed)

    def bind(self, name: str, objs: Objs, *, walrus: bool = False, everywhere: bool = False) -> None:
        """Bind a name in the frame that it belongs to."""
        frame = self.frame
        scope = "global" if everywhere else frame.outer.get(name)
        if scope == "global":
            frame = self.top
        elif scope == "nonlocal" and frame.parent is not None:
            frame = frame.parent
            while frame.parent is not None and name not in frame.vars:
                frame = frame.parent
            self.change((frame.state,), deep=False)
        elif walrus:
            while frame is not self.top and frame not in self.calls and frame.parent is not None:
                frame = frame.parent
        if frame is not self.top:
            self.settle(objs, None)
            frame.bind(name, Var((), objs))
            return
        self.settle(objs, self.kinds.get(name))
        self.bound.setdefault(name, []).extend(objs)
        bound = Var((self.index,), objs)
        if self.frame is not self.top and (before := frame.vars.get(name)) is not None:
            bound = join([before, bound])  # a function that says `global`: it may not get there
        frame.bind(name, bound)
        self.writes[name] = None

    def settle(self, objs: Objs, kind: Kind | None) -> None:
        """Note what a name that was just bound turned out to hold."""
        for one in objs:
            if kind is not None and not one.sort:
                one.sort = kind.sort
                if kind.text is not None:
                    one.text = kind.text
                root = kind.module.partition(".")[0]
                if root and root not in {"builtins", "__main__"} and kind.sort != "module":
                    one.may.append(self.module(root))
            if one.sort == "value" or (one.own and one.computed):
                one.may = [held for held in one.may if held.sort == "module"]
                one.contains, one.codes, one.wholes = [], (), ()
            for whole in one.wholes:
                if one not in whole.parts:
                    whole.parts.append(one)

    def load(self, name: str) -> Objs:
        """Return what a name may be bound to, and note that it was read."""
        frame: Frame | None = self.frame
        while frame is not None and frame is not self.top:
            if name in frame.vars and (frame is self.frame or not frame.is_class):
                return frame.vars[name].objs
            frame = frame.parent
        var = self.top.vars.get(name)
        if var is None:
            if hasattr(builtins, name) or name in {"get_ipython", "display", "In", "Out", "exit", "quit"}:
                return (Obj("", f"builtins.{name}"),)
            self.unknown[name] = None
            return (Obj(),)
        self.touch(name, var)
        return var.objs


def _of_frames(objs: list[Obj]) -> bool:
    """Whether these are frames, or columns of frames."""
    return all(one.sort == "frame" or (one.wholes and all(w.sort == "frame" for w in one.wholes)) for one in objs)


def joined(left: Objs, right: Objs, sign: str) -> str | None:
    """Return the text of ``left + right`` or ``left / right``, as far as it is known."""
    a, b = (next((one.text for one in side if one.text), None) for side in (left, right))
    if a is None:
        return None
    return f"{a.rstrip('/') if sign else a}{sign}{'*' if b is None else b}"
