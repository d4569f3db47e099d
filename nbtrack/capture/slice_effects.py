"""What one execution leaves behind: names bound, objects changed, files, random generators, settings, magics."""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING, Final

from nbtrack.capture import slice_known as known
from nbtrack.capture.slice_objects import Frame, Obj, Objs, Var, reach, reach_changed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbtrack.capture.slice_flow import Flow
    from nbtrack.capture.slice_history import Execution, Kind

PATH: Final = re.compile(r"[\w~*.{}$-]*[/\\][^\s'\"]*|[\w*-]+\.[A-Za-z][\w]{0,7}")


class Effects:
    """The state of a reading, and everything that changes it."""

    # What the parts above this one bring: the reader is one object in several files.
    eval: Callable[..., Objs]
    block: Callable[..., None]
    bind: Callable[..., None]
    statement: Callable[..., None]
    attribute: Callable[..., Objs]
    overloaded: Callable[..., None]

    def __init__(self, flow: Flow, execution: Execution) -> None:
        self.flow, self.execution = flow, execution
        self.index = execution.index
        self.kinds: Mapping[str, Kind] = execution.changed
        self.top = self.frame = flow.names
        self.calls: list[Frame] = []
        self.active: list[ast.AST] = []
        self.returned: list[Obj] = []
        self.steps = 0
        self.needs: set[int] = set()
        self.reads: dict[str, None] = {}
        self.writes: dict[str, None] = {}
        self.unknown: dict[str, None] = {}
        self.missing: dict[str, None] = {}
        self.changed: dict[int, Obj] = {}
        self.drew: set[str] = set()
        self.stated_draws: set[str] = set()
        self.seeded: set[str] = set()
        self.bound: dict[str, list[Obj]] = {}
        self.loaded: set[str] = set()
        self.last_value: Objs = ()
        self.paths: dict[str, None] = {}  # files read that no cell wrote, as far as is known
        self.elsewhere = False  # what is read runs in other processes: what it changes there is not seen here
        self._touched: set[int] = set()

    @property
    def in_function(self) -> bool:
        """Whether the body of a function is being read."""
        return bool(self.calls)

    # -- objects -----------------------------------------------------------------------------------------------------
    def touch(self, name: str, var: Var) -> None:
        """Note that a name of the notebook was read, as it is now."""
        self.loaded.add(name)
        if id(var) in self._touched:
            return
        self._touched.add(id(var))
        self.needs.update(var.makers)
        if any(maker != self.index for maker in var.makers):
            self.reads[name] = None
        for one in reach(var.objs):
            self.needs.update(one.writers)

    def change(self, objs: Objs, *, deep: bool) -> None:
        """Note that objects were changed where they are; `deep`: perhaps also what they hold."""
        seen: set[int] = set()
        waiting = list(objs)
        if deep:  # a function that an object holds stays what it is; what it closes over is reached by itself
            waiting += [one for one in reach_changed(objs) if one.sort != "code" or one.methods is not None]
        waiting += [whole for one in objs for whole in one.wholes]
        while waiting:
            one = waiting.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            waiting.extend(one.wholes)
            if one.sort in {"value", "module"} or one.dotted:
                continue
            self.needs.update(one.writers)
            if self.elsewhere:
                continue
            if self.index not in one.writers:
                one.writers.append(self.index)
            self.changed[id(one)] = one

    def store(self, base: Objs, key: str, objs: Objs, *, nested: bool) -> None:
        """Note ``base.key = objs`` or ``base[key] = objs``."""
        self.change(base, deep=nested)
        for one in base:
            if one.dotted:
                self.patch(one)
            if one.methods is not None and key and not key.startswith("["):
                one.methods = {**one.methods, key: objs}
            if key:
                certain = len(base) == 1 and not self.frame.journal
                one.attrs[key] = objs if certain else (*one.attrs.get(key, ()), *objs)
            held = [o for o in objs if o is not one and o.sort != "value"]
            if one.sort not in {"frame", "array"}:
                one.contains.extend(o for o in held if o not in one.contains)

    def module(self, root: str) -> Obj:
        """Return the object of a top-level module: one for all names that lead to it."""
        root = root.partition(".")[0]
        found = self.flow.modules.get(root)
        if found is None:
            found = self.flow.modules[root] = Obj("module", root)
        return found

    def patch(self, one: Obj) -> None:
        """Note that something of a module was set."""
        module = self.module(one.dotted)
        if module.dotted in known.COSMETIC:
            return
        self.needs.update(module.writers)
        if self.index not in module.writers:
            module.writers.append(self.index)
        self.changed[id(module)] = module

    def imported(self, name: str) -> Obj:
        """Note an import; return the module."""
        module = self.module(name)
        self.needs.update(module.writers)
        root = module.dotted
        if root and known.origin(root) == "local":
            for pattern in (f"{root}.py", f"*/{root}.py", f"{root}/*"):
                self.read_file(pattern)
            self.use("<sys.path>")
        if root and known.origin(root) != "stdlib":
            self.use("<environ>")
        return module

    def note_import(self, module: str, name: str) -> None:
        """Remember an import that may be there for its effect alone."""
        self.flow.imports.append((self.index, module, name))

    def star_import(self, name: str, module: Obj) -> None:
        """Bind what ``from name import *`` binds."""
        loaded = sys.modules.get(name)
        held = getattr(loaded, "__dict__", {})
        public = getattr(loaded, "__all__", None) or [one for one in held if not one.startswith("_")]
        for one in public:
            self.bind(str(one), (Obj("", f"{name}.{one}", may=[module]),))
        if loaded is None and not self.execution.known:
            self.missing[f"from {name} import *: the module is not loaded, so its names are not known"] = None

    # -- things that have no name ------------------------------------------------------------------------------------
    def use(self, place: str) -> None:
        """Note that something of the process is read: the environment, a random generator."""
        var = self.flow.places.get(place)
        if var is not None:
            self.needs.update(var.makers)
            for one in var.objs:
                self.needs.update(one.writers)

    def alter(self, place: str) -> None:
        """Note that something of the process is changed, so that what it was still counts."""
        self.use(place)
        var = self.flow.places.setdefault(place, Var((), (Obj(),)))
        if self.index not in var.objs[0].writers:
            var.objs[0].writers.append(self.index)

    def seed(self, generator: str) -> None:
        """Note that a generator is set: what it was before no longer counts."""
        if self.elsewhere:
            return
        if generator in self.drew:
            self.alter(generator)
        else:
            self.flow.places[generator] = Var((self.index,), (Obj(),))
        self.seeded.add(generator)

    def draw(self, generator: str) -> None:
        """Note that a number is drawn from a generator."""
        if self.elsewhere:
            return
        self.drew.add(generator)
        if generator in self.flow.places:
            self.alter(generator)

    def randomness(self, dotted: str, last: str, keywords: frozenset[str]) -> None:
        """Note what a function of a library does to the random generators."""
        if (seeded := known.SEEDING.get(dotted)) is not None:
            for generator in seeded:
                self.seed(generator)
            return
        if known.SEEDS_ALL.fullmatch(last):
            for generator in known.GENERATORS:
                self.seed(generator)
            return
        drawn = known.draws(dotted, keywords)
        if drawn is not None and (not self.execution.known or drawn in {known.TENSORFLOW, *self.execution.moved}):
            self.draw(drawn)
            self.stated_draws.add(drawn)  # others are seen, too, but many libraries draw numbers that change nothing

    def settings(self, one: Obj, base: Objs, dotted: str, last: str, node: ast.Call, statement: bool) -> None:
        """Note a call that changes a setting of the whole process."""
        root = dotted.partition(".")[0]
        if dotted == "os.chdir":
            self.change_folder(None)
        elif dotted in {"os.getenv", "os.putenv", "os.environ.get"} or dotted.startswith("os.environ."):
            (self.alter if last in {"putenv", "update", "setdefault", "pop"} else self.use)("<environ>")
        elif dotted.startswith("sys.path."):
            self.alter("<sys.path>")
        elif statement and root not in {"builtins", *known.COSMETIC} and known.SETTING.fullmatch(last):
            first = node.args[0] if node.args else None
            shown = isinstance(first, ast.Constant) and known.COSMETIC_SETTING.match(str(first.value))
            if not shown and (one.dotted and not one.dotted.startswith("builtins.")):
                self.patch(one)

    # -- files ---------------------------------------------------------------------------------------------------------
    def path_text(self, dotted: str, last: str, args: Sequence[Objs], base: Objs) -> str | None:
        """Return the text of a path that a call makes of others."""
        texts = [next((one.text for one in objs if one.text), "*") for objs in args]
        if dotted in known.JOINS:
            return "/".join(text.rstrip("/") for text in texts) if texts else "."
        own = next((one.text for one in base if one.text), None)
        if own is not None and last in {"joinpath", "with_name"}:
            return "/".join([own if last == "joinpath" else own.rpartition("/")[0] or ".", *texts])
        if own is not None and last in {"resolve", "absolute", "expanduser", "as_posix", "strip", "format"}:
            return own if last != "format" else re.sub(r"\{[^}]*\}", "*", own)
        return None

    def files(
        self, dotted: str, last: str, args: Sequence[Objs], kwargs: Mapping[str, Objs], base: Objs, node: ast.Call
    ) -> tuple[str, str] | None:
        """Note the files that a call reads or writes; return path and mode if it opens one."""
        given = [*args, *kwargs.values()]
        texts = [one.text for objs in given for one in objs if one.text and "\n" not in one.text]
        own = [one.text for one in base if one.text]
        if dotted in known.JOINS:
            return None
        if dotted == "os.chdir" and texts:
            self.change_folder(texts[0])
        if last == "open":
            texts = own or texts
            mode_node = next((k.value for k in node.keywords if k.arg == "mode"), None)
            stated = (a for a in node.args if isinstance(a, ast.Constant) and a.value in _MODES)
            mode_node = mode_node or next(stated, None)
            mode = str(mode_node.value) if isinstance(mode_node, ast.Constant) else "r"
            if texts:
                self.access(texts[0], write=bool(set(mode) & set("wax+")), read=bool(set(mode) & set("ra+")))
                return texts[0], mode
            return None
        for objs in [base, *given]:
            for one in objs:
                if one.file is not None:
                    path, mode = one.file
                    writes = bool(set(mode) & set("wax+")) and not last.startswith("read")
                    self.access(path, write=writes, read="r" in mode or "+" in mode)
        if last == "connect" and texts:
            self.access(texts[0], write=True, read=True)
            return texts[0], "r+"
        if known.MOVES_FILE.fullmatch(last) and dotted.partition(".")[0] in {"shutil", "os", ""} and len(texts) > 1:
            self.access(texts[0], write=False, read=True)
            self.access(texts[1], write=True, read=False)
        elif dotted.startswith("builtins.") or (not dotted and not own and not texts):
            return None
        else:
            writes = known.WRITES_FILE.fullmatch(last) is not None
            if writes:  # into an open file or a database
                opened = [o for objs in given for o in objs if o.sort == "iterator" or o.file or last == "to_sql"]
                self.change(tuple(one for one in opened if not one.own), deep=False)
            for text in own if own and not texts else [*own, *texts]:
                if writes or PATH.fullmatch(text) or self.flow.written(text):
                    self.access(text, write=writes, read=not writes)
        return None

    def access(self, path: str, *, write: bool, read: bool) -> None:
        if read:
            self.read_file(path)
        if write:
            folder = path.rpartition("/")[0]
            if folder:
                self.use("<cwd>")
                self.needs.update(self.flow.written(folder, inside=False))
            self.flow.wrote(path, self.index)

    def change_folder(self, path: str | None) -> None:
        """Note a change of the working directory."""
        self.alter("<cwd>")
        if path is not None:
            self.needs.update(self.flow.written(path, inside=False))
            self.flow.moved_to(path)

    def read_file(self, path: str) -> None:
        """Note that a file is read."""
        self.use("<cwd>")
        writers = self.flow.written(path)
        self.needs.update(writers)
        if not writers and "*" not in path:
            self.paths[path] = None


_MODES: Final = frozenset(
    {"r", "w", "a", "x", "rb", "wb", "ab", "xb", "rt", "wt", "at", "xt"}
    | {"r+", "w+", "a+", "rb+", "wb+", "ab+", "r+b", "w+b"}
)
