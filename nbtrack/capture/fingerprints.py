"""Fingerprints of the data that a cell reads: of what it was when the cell read it, or a plain word that it may not be.

The content is hashed after the cell's result is shown, in a thread that nobody waits for. By then the cell, or the next
one, may have changed the data in place. So before the cell runs

- a small array is hashed at once;
- of a frame of pandas 3 a lazy copy is taken: whoever changes the frame leaves the copy as it was;
- of anything else a few rows are hashed, and again afterwards. Where they differ, the record holds the hash of the rows
  taken before, and says so.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nbtrack.capture.resolve import MISSING, callee_name, lookup, value_of

MAX_SOURCES: Final = 30
MAX_COLUMNS: Final = 200
AT_ONCE_BYTES: Final = 128 * 1024
PROBE_ROWS: Final = 16
PROBE_COLUMNS: Final = 100
PREPARE_S: Final = 0.05  # at most, before the cell (a frame takes 0.3 ms); what is left is looked at afterwards
WHOLE_FILE_BYTES: Final = 256 * 1024 * 1024
FILE_PIECES: Final = 64
FILE_PIECE_BYTES: Final = 1024 * 1024
AS_READ: Final = "as read"
BY_SAMPLE: Final = "as read, checked by a sample"
CHANGED: Final = "changed in place; the digest is of a sample taken before"
LATE: Final = "seen after the cell"
_WRITERS: Final = ("to_", "save", "dump", "write", "log_", "mkdir", "remove", "unlink", "set_", "copy", "move", "print")
_STDLIB_OPEN: Final = frozenset({"open"})


@dataclass(slots=True)
class Source:
    """One thing that a cell reads: how it was found, and what is known of it so far."""

    name: str
    kind: str
    held: Any  # the data, a lazy copy of it, or a path
    probe: str = ""
    state: str = LATE
    snapshot: bool = False  # `held` cannot change any more
    record: dict[str, Any] = field(default_factory=dict)
    key: Any = None  # what the cache remembers it by


def _kind(value: Any) -> str:
    """Return ``DataFrame``, ``Series``, ``ndarray`` or ``Tensor`` of something to fingerprint, else "" """
    kind = type(value)
    root = kind.__module__.partition(".")[0]
    if root == "pandas":
        pandas = sys.modules["pandas"]
        return next((name for name in ("DataFrame", "Series") if isinstance(value, getattr(pandas, name))), "")
    if root == "numpy" and kind.__name__ == "ndarray":
        return "ndarray" if value.ndim and value.size > 1 else ""
    if root == "torch" and kind.__name__ == "Tensor":
        return "Tensor" if value.device.type == "cpu" and value.dim() and value.numel() > 1 else ""
    return ""


@functools.cache
def _copies_lazily() -> bool:
    pandas = sys.modules["pandas"]
    return int(str(pandas.__version__).partition(".")[0]) >= 3


def _array(value: Any) -> Any:
    """Return a tensor as the array that shares its memory; anything else as it is."""
    return value.detach().numpy() if hasattr(value, "detach") else value


def _size(value: Any, kind: str) -> int:
    if kind == "DataFrame":
        return int(value.memory_usage(index=False).sum())
    return int(value.nbytes)


def _probe(value: Any, kind: str) -> str:
    """Return the hash of shape, types and a few rows spread evenly (of a small array, all): some 0.2 ms at most."""
    array = _array(value)
    count = len(array)
    step = max(1, count // PROBE_ROWS)
    digest = hashlib.sha256(f"{kind} {tuple(array.shape)}".encode())
    if kind in {"ndarray", "Tensor"} and array.nbytes <= AT_ONCE_BYTES and not array.dtype.hasobject:
        digest.update(f"{array.dtype}".encode() + array.tobytes())  # all of it, in no more time
        return digest.hexdigest()
    if kind == "DataFrame":
        digest.update(repr([(str(k), str(d)) for k, d in list(array.dtypes.items())[:MAX_COLUMNS]]).encode())
        rows = array.iloc[::step, :PROBE_COLUMNS]
        digest.update(repr([rows.iloc[:, i].tolist() for i in range(rows.shape[1])]).encode())
    elif kind == "Series":
        digest.update(f"{array.dtype} {array.iloc[::step].tolist()!r}".encode())
    else:
        flat = array.reshape(-1) if array.flags.c_contiguous else array  # also look between the rows of wide arrays
        step = max(1, len(flat) // (PROBE_ROWS * 16))
        digest.update(f"{array.dtype} {flat[::step][: PROBE_ROWS * 17].tolist()!r}".encode())
    return digest.hexdigest()


def _describe(value: Any, kind: str) -> dict[str, Any]:
    array = _array(value)
    columns = [str(name) for name in array.columns[:MAX_COLUMNS]] if kind == "DataFrame" else None
    dtypes: Any = {"": str(array.dtype)} if kind != "DataFrame" else None
    if dtypes is None:
        dtypes = {str(name): str(dtype) for name, dtype in list(array.dtypes.items())[:MAX_COLUMNS]}
    return {
        "shape": [int(n) for n in array.shape],
        "columns": columns,
        "dtypes": dtypes,
        "size_bytes": _size(value, kind),
        "path": None,
    }


class Cache:
    """Remembers the digests of objects that live, and of files that have not changed."""

    def __init__(self) -> None:
        self._objects: dict[int, tuple[weakref.ref[Any], str, dict[str, Any]]] = {}
        self._files: dict[tuple[str, int, int], dict[str, Any]] = {}
        self.hits = 0

    def find(self, source: Source) -> dict[str, Any] | None:
        """Return what is known of the same object with the same probe, or of the same file."""
        if source.kind == "file":
            known = self._files.get(source.key)
        else:
            entry = self._objects.get(id(source.key)) if source.key is not None else None
            same = entry is not None and entry[0]() is source.key and entry[1] == source.probe
            known = entry[2] if entry is not None and same else None
        self.hits += known is not None
        return known

    def keep(self, source: Source) -> None:
        """Remember a record that is certain."""
        if source.kind == "file":
            self._files[source.key] = source.record
        elif source.key is not None and source.probe:
            number = id(source.key)
            ref = weakref.ref(source.key, lambda _, n=number: self._objects.pop(n, None))  # type: ignore[misc]
            self._objects[number] = (ref, source.probe, source.record)


def look_at(name: str, value: Any, cache: Cache) -> Source | None:
    """Return what to fingerprint of a variable, as it is before the cell runs; None if it holds no data."""
    kind = _kind(value)
    if not kind:
        return None
    source = Source(name, kind, value, key=value)
    source.probe = _probe(value, kind)
    if (known := cache.find(source)) is not None:
        source.record, source.held = known, None
        source.snapshot = known["size_bytes"] <= AT_ONCE_BYTES and kind in {"ndarray", "Tensor"}
    elif kind in {"DataFrame", "Series"}:
        if _copies_lazily():
            source.held, source.snapshot = value.copy(deep=False), True
    elif value.nbytes <= AT_ONCE_BYTES:
        source.held, source.snapshot = _array(value).copy(), True
    source.state = AS_READ if source.snapshot else BY_SAMPLE
    return source


def read_names(tree: ast.AST) -> list[str]:
    """Return the names that program text reads, in the order of its text."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    nodes += [n.target for n in ast.walk(tree) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)]
    return list(dict.fromkeys(node.id for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset))))


def read_files(trees: Iterable[ast.AST], names: Mapping[str, Any]) -> list[Path]:
    """Return the existing files that calls in program text name as an argument, unless the call writes."""
    found: dict[Path, None] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or callee_name(node).startswith(_WRITERS):
                continue
            given = [*node.args[:2], *(keyword.value for keyword in node.keywords)]
            texts = [_path_text(one, names) for one in given]
            if callee_name(node) in _STDLIB_OPEN and len(texts) > 1 and set(str(texts[1])) & set("wax"):
                continue
            for text in texts:
                if text and len(found) < MAX_SOURCES and (path := _existing(text)) is not None:
                    found[path] = None
    return list(found)


def _path_text(node: ast.expr, names: Mapping[str, Any]) -> str:
    value = value_of(node, names)
    if value is MISSING:
        value = lookup(node, names)
        value = os.fspath(value) if isinstance(value, Path) else ""
    return value if isinstance(value, str) and 0 < len(value) < 1000 and "\n" not in value else ""


def _existing(text: str) -> Path | None:
    if "://" in text or ("." not in text and os.sep not in text):
        return None
    try:
        path = Path(text).expanduser()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def look_at_file(path: Path) -> Source:
    """Return what to fingerprint of a file; its size and time are those before the cell runs."""
    stat = path.stat()
    source = Source(path.name, "file", path.absolute(), state=AS_READ)
    source.key = (str(source.held), stat.st_size, stat.st_mtime_ns)
    return source


def _hash_file(path: Path) -> tuple[str, bool]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE_FILE_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest(), False
        digest = hashlib.sha256(str(size).encode())
        for piece in range(FILE_PIECES):
            file.seek((size - FILE_PIECE_BYTES) * piece // (FILE_PIECES - 1))
            digest.update(file.read(FILE_PIECE_BYTES))
        return digest.hexdigest(), True


@dataclass
class Readings:
    """What one cell reads, collected before it runs and hashed after."""

    cache: Cache
    sources: list[Source] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def before(self, names: Iterable[str], held: Mapping[str, Any]) -> None:
        """Look at variables; those for which there is no time now are looked at afterwards."""
        until = time.perf_counter() + PREPARE_S
        for name in names:
            if len(self.sources) >= MAX_SOURCES or time.perf_counter() > until:
                return
            value = held.get(name, MISSING)
            if name.startswith("_") or value is MISSING or name in self.seen:
                continue
            self.seen.add(name)
            if (source := look_at(name, value, self.cache)) is not None:
                self.sources.append(source)

    def files(self, paths: Iterable[Path], *, late: bool = False) -> None:
        """Look at files; `late`: at those that were read before anybody could."""
        known = {source.held for source in self.sources if source.kind == "file"}
        for path in paths:
            if len(self.sources) < MAX_SOURCES and path.absolute() not in known:
                known.add(path.absolute())
                source = look_at_file(path)
                source.state = LATE if late else AS_READ
                self.sources.append(source)

    def after(self, names: Iterable[str], held: Mapping[str, Any]) -> None:
        """Add what could not be seen before: data that the cell made itself and went on to use."""
        for name in names:
            if name in self.seen or name.startswith("_") or len(self.sources) >= MAX_SOURCES:
                continue
            self.seen.add(name)
            source = look_at(name, held.get(name), self.cache)
            if source is not None:
                source.state = LATE
                self.sources.append(source)

    def captured(self) -> list[str]:
        """Return what to say of it on the card."""
        if not self.sources:
            return []
        return [f"fingerprints of {', '.join(source.name for source in self.sources)}"[:300]]

    def record(self, failed: Callable[[str, Exception], None]) -> list[dict[str, Any]]:
        """Hash what is not known yet; return the entries of the run's record. `failed` is told what could not be."""
        found = []
        for source in self.sources:
            try:
                found.append({"name": source.name, "kind": source.kind, **self._finish(source), "state": source.state})
            except Exception as error:
                failed(source.name, error)
            finally:
                source.held = source.key = None
        return found

    def _finish(self, source: Source) -> dict[str, Any]:
        if not source.record:
            known = self.cache.find(source)
            if known is not None:
                source.record = known
            elif source.kind == "file":
                _finish_file(source)
            else:
                _finish_data(source)
            if source.state != CHANGED:
                self.cache.keep(source)
        return source.record


def _finish_file(source: Source) -> None:
    digest, sampled = _hash_file(source.held)
    stat = source.held.stat()
    if (stat.st_size, stat.st_mtime_ns) != source.key[1:]:
        source.state = "changed while or after the cell ran; the digest is of what it became"
        source.key = (source.key[0], stat.st_size, stat.st_mtime_ns)
    facts = {"shape": None, "columns": None, "dtypes": None, "digest": digest, "sampled": sampled}
    source.record = {**facts, "size_bytes": stat.st_size, "path": _shown_path(source.held)}


def _shown_path(path: Path) -> str:
    """Return a path seen from the working directory, where it lies below that; else only its name."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return path.name


def _finish_data(source: Source) -> None:
    from nbtrack.tracking.datasets import describe_dataset

    facts = _describe(source.held, source.kind)
    found = describe_dataset(_array(source.held))
    digest, sampled = found.digest, bool(found.profile.get("sampled"))
    if not source.snapshot and _probe(source.held, source.kind) != source.probe:
        digest, sampled, source.state = source.probe, True, CHANGED
    source.record = {**facts, "digest": digest, "sampled": sampled}
