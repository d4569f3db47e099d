"""The cells that a kernel executed: their text, and what each did to the user's names, as cheaply as can be had.

What a cell means is read later, when a slice is asked for. Here, while the user waits, only three things are noted:
which names hold another object than before, of what kind these are, and which global random generators moved on.
"""

from __future__ import annotations

import ctypes
import datetime
import sys
import threading
import types
from dataclasses import dataclass, field
from itertools import compress, islice, repeat
from operator import ne
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, cast

from nbtrack.capture.slice_known import NUMPY, PYTHON, TORCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from nbtrack.capture.slice import Slice
    from nbtrack.capture.slice_flow import Flow

MAX_NAMES: Final = 3_000  # what comes after is not compared: that alone would take longer than a cell may
MAX_EXECUTIONS: Final = 20_000
_GONE: Final = object()
MAX_WATCHED: Final = 300
_SIZED: Final = frozenset({"flat", "container", "frame", "object"})
_MT19937_BYTES: Final = 625 * 4  # 624 words and the position
_VALUES: Final = (bool, int, float, complex, str, bytes, type(None), range, frozenset, PurePath, slice)
_TIMES: Final = (datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo)
_CODE: Final = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)
_FRAMES: Final = frozenset({"DataFrame", "Series", "Index", "LazyFrame", "RangeIndex", "MultiIndex", "DatetimeIndex"})


@dataclass(frozen=True, slots=True)
class Kind:
    """What a name holds.

    `sort` is ``value`` (cannot change), ``frame``, ``array``, ``view`` (an array that shares memory), ``flat`` (a
    container of values), ``container``, ``iterator``, ``module``, ``code`` or ``object``.
    """

    sort: str
    module: str = ""  # where its type, or the module or function itself, comes from
    text: str | None = None  # of a text or path


def kind_of(value: Any) -> Kind:
    """Return what a value is; looks at types and at the first items of containers only."""
    if isinstance(value, _VALUES):
        return Kind("value", text=str(value)[:300] if isinstance(value, (str, PurePath)) else None)
    kind = type(value)
    module = str(kind.__module__)
    root = module.partition(".")[0]
    if kind is types.ModuleType or isinstance(value, types.ModuleType):
        return Kind("module", str(value.__name__))
    if isinstance(value, _CODE):
        return Kind("code", str(getattr(value, "__module__", "") or ""))
    if kind in (list, set, dict, tuple):
        held = value.values() if kind is dict else value
        plain = all(isinstance(one, _VALUES) for one, _ in zip(held, range(20), strict=False))
        return Kind(("value" if kind is tuple else "flat") if plain else "container")
    if root == "numpy":
        if kind.__name__ == "ndarray":
            return Kind("array" if value.base is None and value.dtype != object else "view", module)
        return Kind("value" if hasattr(value, "dtype") and getattr(value, "shape", None) == () else "object", module)
    if kind.__name__ in _FRAMES:
        shares = root == "pandas" and getattr(sys.modules.get("pandas"), "__version__", "3") < "3"
        return Kind("container" if shares else "frame", module)
    if isinstance(value, _TIMES):
        return Kind("value")
    if hasattr(kind, "__next__"):
        return Kind("iterator", module)
    return Kind("object", module)


def _size(value: Any) -> int | None:
    """Return how much a container or frame of a usual kind holds."""
    if isinstance(value, (list, dict, set)):
        return len(value)
    if type(value).__name__ == "DataFrame" and type(value).__module__.startswith("pandas"):
        return len(value.index) * 1_000_003 + len(value.columns)
    return None


@dataclass(slots=True, eq=False)
class Execution:
    """One execution of a cell. `known` is false for those before nbtrack was loaded: only their text is there."""

    index: int
    raw: str
    python: str | None = None
    count: int | None = None
    cell_id: str | None = None
    known: bool = True
    done: bool = False
    failed_at: int | None = None  # the line, in `python`, that raised
    refused: bool = False  # never ran: wrong syntax, or a wrong magic
    changed: Mapping[str, Kind] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    grown: frozenset[str] = frozenset()  # names of containers and frames that hold more, or less, than before
    moved: frozenset[str] = frozenset()  # global random generators that the cell drew from or seeded
    history: History | None = None


class Names:
    """Which of the user's names hold another object than when last looked at.

    Objects are told apart by their identity and not kept alive. Only the user's own names are looked at, those that
    are new found at the end of the namespace: IPython keeps two names of its own for every cell that ever ran there.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names
        self.stale = True  # nothing was looked at yet
        self._keys: list[str] = []
        self._known: set[str] = set()
        self._ids: list[int] = []
        self._size = 0
        self._sizes: dict[str, tuple[int, int]] = {}

    def sizes(self) -> list[str]:
        """Return the names of containers and frames that changed their size since this was last asked."""
        names, grown = self.names, []
        for name, (before, size) in list(self._sizes.items()):
            value = names.get(name, _GONE)
            now = _size(value)
            if now is None:
                del self._sizes[name]
                continue
            if id(value) == before and now != size:
                grown.append(name)
            self._sizes[name] = (id(value), now)
        return grown

    def watch(self, name: str) -> None:
        """Watch the size of what a name holds."""
        value = self.names.get(name, _GONE)
        size = _size(value)
        if size is not None and len(self._sizes) < MAX_WATCHED:
            self._sizes[name] = (id(value), size)

    def look(self) -> tuple[list[str], list[str]]:
        """Return the names that were bound since the last look, and those that are gone."""
        names = self.names
        now = list(map(id, map(names.get, self._keys, repeat(_GONE))))
        moved = list(compress(self._keys, map(ne, self._ids, now)))
        gone = [name for name in moved if name not in names]
        ahead = len(names) if self.stale else max(0, len(names) - self._size + len(gone)) + 8
        fresh = [
            name
            for name in islice(reversed(cast("dict[str, Any]", names)), ahead)
            if name[:1] != "_" and name not in self._known
        ]
        fresh = fresh[: MAX_NAMES - len(self._keys)]
        self._keys += reversed(fresh)
        self._ids = now + [id(names.get(name, _GONE)) for name in self._keys[len(now) :]]
        self._known.update(fresh)
        self._size, self.stale = len(names), False
        if gone:
            kept = [name not in gone for name in self._keys]
            self._keys, self._ids = list(compress(self._keys, kept)), list(compress(self._ids, kept))
            self._known.difference_update(gone)
        return [*(name for name in moved if name in names), *fresh], gone


class History:
    """Every execution of a shell, in order."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.executions: list[Execution] = []
        self.lock = threading.Lock()
        self.flow: Flow | None = None
        self._slices: dict[int, Slice] = {}
        self._open: list[tuple[ExecutionInfo, Execution]] = []
        self._names = Names(shell.user_ns)
        self._random: dict[str, Any] = {}
        self._remember_earlier()

    def _remember_earlier(self) -> None:
        """Take over the cells that ran before nbtrack was loaded, as far as IPython kept them."""
        manager = getattr(self.shell, "history_manager", None)
        texts = list(getattr(manager, "input_hist_raw", None) or [])[1:]
        for count, raw in enumerate(texts[-MAX_EXECUTIONS:], start=max(1, len(texts) - MAX_EXECUTIONS + 1)):
            if raw and count < self.shell.execution_count:
                self.executions.append(Execution(len(self.executions), raw, None, count, known=False, done=True))

    def begin(self, info: ExecutionInfo) -> Execution | None:
        """Note that a cell starts; None for one that runs inside of another."""
        self._open = [pair for pair in self._open if not pair[1].done][-8:]
        raw = info.raw_cell or ""
        if self._open and self._inside():
            return None
        with self.lock:
            if len(self.executions) >= MAX_EXECUTIONS:
                return None
            execution = Execution(len(self.executions), raw, getattr(info, "transformed_cell", None))
            execution.cell_id = getattr(info, "cell_id", None)
            if info.store_history:
                execution.count = self.shell.execution_count - 1
            execution.history = self
            self.executions.append(execution)
        self._open.append((info, execution))
        self._random = random_states()
        if self._names.stale:
            self._names.look()
        return execution

    def slice_at(self, execution: Execution, names: Mapping[str, Any]) -> Slice:
        """Return the slice of an execution that has ended; worked out once."""
        from nbtrack.capture.slice import find_slice

        with self.lock:
            if execution.index not in self._slices:
                self._slices = {execution.index: find_slice(self, execution, names)}
            return self._slices[execution.index]

    def _inside(self) -> bool:
        """Whether the shell is still running the cell that it told us of last."""
        frame: types.FrameType | None = sys._getframe(1)
        depth = 0
        while frame is not None:
            depth += frame.f_code.co_name == "run_cell_async"
            frame = frame.f_back
        return depth > 1

    def end(self, result: ExecutionResult) -> None:
        """Note what a cell has done."""
        at = next((i for i in range(len(self._open) - 1, -1, -1) if self._open[i][0] is result.info), None)
        if at is None:
            at = next(
                (i for i in range(len(self._open) - 1, -1, -1) if self._open[i][0].raw_cell == result.info.raw_cell),
                None,
            )
        if at is None:
            return
        execution = self._open.pop(at)[1]
        before, states = self._random, random_states()
        execution.moved = frozenset(name for name, state in states.items() if before.get(name) != state)
        names = self.shell.user_ns
        changed, gone = self._names.look()
        execution.changed = {name: kind_of(names[name]) for name in changed if name in names}
        execution.gone = frozenset(gone)
        execution.grown = frozenset(self._names.sizes())
        for name, kind in execution.changed.items():
            if kind.sort in _SIZED:
                self._names.watch(name)
        execution.refused = result.error_before_exec is not None
        if result.error_in_exec is not None:
            execution.failed_at = _line(result.error_in_exec, self.shell)
        execution.done = True


def _line(error: BaseException, shell: InteractiveShell) -> int:
    """Return the line of the cell that raised: the first frame that IPython compiled."""
    known = getattr(shell.compile, "_filename_map", {})
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name in known or name.startswith("<ipython-input") or "ipykernel_" in name:
            return trace.tb_lineno
        trace = trace.tb_next
    return 1


def random_states() -> dict[str, Any]:
    """Return a digest of the state of each global random generator that is in use."""
    states: dict[str, Any] = {}
    if (random := sys.modules.get("random")) is not None:
        states[PYTHON] = hash(random.getstate())
    numpy = sys.modules.get("numpy.random")
    if numpy is not None and hasattr(numpy, "get_bit_generator"):
        states[NUMPY] = _numpy_state(numpy.get_bit_generator())
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        states[TORCH] = hash(torch.get_rng_state().numpy().tobytes())
    return states


def _numpy_state(generator: Any) -> Any:
    """Return a digest of the state; that of the usual generator is read where it lies: ten times faster."""
    if type(generator).__name__ == "MT19937":
        return hash(ctypes.string_at(generator.ctypes.state_address, _MT19937_BYTES))
    return str(generator.state)
