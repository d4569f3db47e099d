"""What the reading of cells knows of the objects behind names: who made them, who changed them, what they hold."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

OWN: Final = frozenset({"value", "frame", "array", "flat"})  # share nothing with what they were computed from
Objs = tuple["Obj", ...]


@dataclass(slots=True, eq=False)
class Closure:
    """A function, lambda or generator expression, and the frame that it was made in."""

    node: ast.AST
    frame: Frame
    name: str = ""
    owner: Obj | None = None  # the class that it is a method of
    bound: Objs = ()  # the object that a bound method belongs to


@dataclass(slots=True, eq=False)
class Obj:
    """An object, or several that need not be told apart.

    `contains` is what it holds for certain (a list's items, an attribute that was set), `may` what it may hold (the
    arguments of the call that made it), `parts` what was taken out of it, `wholes` what it is itself a part of.
    `writers` are the executions that changed it after it was made.
    """

    sort: str = ""
    dotted: str = ""  # the full name of a module, or of a function or class of one
    text: str | None = None  # a text, or a pattern of it with *
    file: tuple[str, str] | None = None  # path and mode of an open file
    writers: list[int] = field(default_factory=list)
    contains: list[Obj] = field(default_factory=list)
    may: list[Obj] = field(default_factory=list)
    parts: list[Obj] = field(default_factory=list)
    wholes: Objs = ()
    codes: tuple[Closure, ...] = ()
    methods: dict[str, Objs] | None = None  # of a class: name -> function
    bases: Objs = ()
    kind: Objs = ()  # of an instance: its class
    attrs: dict[str, Objs] = field(default_factory=dict)  # what was stored under an attribute or a constant key
    computed: bool = False  # the result of a call or an operation, no part of anything unless it turns out to be

    @property
    def own(self) -> bool:
        """Whether changing what it was made of does not change it, and the other way round."""
        return self.sort in OWN

    def held(self) -> Iterator[Obj]:
        """Give everything whose change is a change of this, one level down."""
        yield from self.contains
        yield from self.may
        yield from self.parts
        yield from self.kind
        yield from self.bases


def reach(objs: Iterable[Obj]) -> list[Obj]:
    """Return the objects and all that they hold, at any depth."""
    seen: dict[int, Obj] = {}
    waiting = list(objs)
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen[id(one)] = one
            waiting.extend(one.held())
    return list(seen.values())


def reach_changed(objs: Iterable[Obj]) -> list[Obj]:
    """Return what a method of unknown effect may change: the objects, and what they hold that shares its state."""
    seen: dict[int, Obj] = {}
    waiting = list(objs)
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        waiting.extend(one.contains)
        waiting.extend(held for held in (*one.may, *one.parts) if not held.own)
    return list(seen.values())


@dataclass(slots=True, eq=False)
class Var:
    """A name: the executions that bound it, and what it is bound to."""

    makers: tuple[int, ...]
    objs: Objs


class Frame:
    """The names of one scope: the notebook, a function, a class or a comprehension."""

    def __init__(self, parent: Frame | None = None, *, is_class: bool = False) -> None:
        self.parent, self.is_class = parent, is_class
        self.vars: dict[str, Var] = {}
        self.outer: dict[str, str] = {}  # names declared global or nonlocal
        self.state = Obj("object")  # of a function that has run: what the functions made in it share
        self.journal: list[dict[str, Var | None]] = []

    def bind(self, name: str, var: Var) -> None:
        """Bind a name; in a branch, what it was before is kept for the branch that is not taken."""
        if self.journal:
            self.journal[-1].setdefault(name, self.vars.get(name))
        self.vars[name] = var

    def open_branch(self) -> None:
        """Start a block that may not run."""
        self.journal.append({})

    def take_branch(self) -> dict[str, Var]:
        """End the block, and take back what it bound."""
        bound = {}
        for name, before in self.journal.pop().items():
            if (now := self.vars.get(name)) is not None:
                bound[name] = now
            if before is None:
                self.vars.pop(name, None)
            else:
                self.vars[name] = before
        return bound

    def merge(self, branches: list[dict[str, Var]], *, complete: bool) -> None:
        """Bind what any of the branches bound; `complete` says that one of them runs for certain."""
        for name in dict.fromkeys(name for branch in branches for name in branch):
            held = [branch[name] for branch in branches if name in branch]
            before = self.vars.get(name)
            if before is not None and (not complete or len(held) < len(branches)):
                held.insert(0, before)
            self.bind(name, join(held))


def join(held: list[Var]) -> Var:
    """Return a name that is bound to one of several things."""
    if len(held) == 1:
        return held[0]
    makers = tuple(dict.fromkeys(maker for var in held for maker in var.makers))
    return Var(makers, unique(obj for var in held for obj in var.objs))


def unique(objs: Iterable[Obj]) -> Objs:
    """Return the objects without doubles, in order."""
    return tuple({id(one): one for one in objs}.values())
