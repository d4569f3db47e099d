"""One tracked cell: what is collected of it, part by part."""

from __future__ import annotations

import ast
import contextvars
import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture import fingerprints, progress, seeds
from nbtrack.capture import fitted as models_of
from nbtrack.capture.environment import GitProbe, package_roots, package_versions, python_facts
from nbtrack.capture.figures import Gallery
from nbtrack.capture.metrics import find_metrics
from nbtrack.capture.params import find_params
from nbtrack.capture.pins import Choice, Kind, keep
from nbtrack.capture.printed import printed_calls, printed_metrics
from nbtrack.capture.resolve import MISSING, plain, scalar
from nbtrack.capture.slice import Slice, slice_of
from nbtrack.capture.upstream import upstream_params
from nbtrack.capture.usage import Usage
from nbtrack.entities import MANIFEST_NAME, TAG_CELL, TAG_CODE
from nbtrack.names import MAX_KEY
from nbtrack.reprs.numbers import plural
from nbtrack.tracking.failure import describe_error
from nbtrack.tracking.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbtrack.capture.autolog.recorder import Recorder
    from nbtrack.capture.displays import Displays
    from nbtrack.capture.live import Watched
    from nbtrack.capture.options import TrackOptions
    from nbtrack.capture.scan import Scan
    from nbtrack.capture.showing import Card
    from nbtrack.capture.slice_history import Execution
    from nbtrack.capture.streams import Streams
    from nbtrack.entities import Run
    from nbtrack.tracking import ActiveRun

MAX_SOURCE = 200_000
GIT = "git commit"


_PLAIN: Final = (
    *(ast.Module, ast.Expr, ast.Assign, ast.AnnAssign, ast.Name, ast.Constant, ast.expr_context),
    *(ast.Tuple, ast.List, ast.Set, ast.Dict, ast.UnaryOp, ast.unaryop),
)


@dataclass
class Cell:
    """A cell that runs tracked, or has just run."""

    run: ActiveRun
    options: TrackOptions
    source: str
    scan: Scan | None
    names: Mapping[str, Any]
    notebook: Path | None = None
    cell_id: str | None = None
    folder: Path | None = None  # where the kernel worked when the cell began
    card: Card | None = None
    wants_card: bool = False  # whether somebody sees a card before the cell has ended
    git: GitProbe | None = None
    streams: Streams | None = None
    displays: Displays | None = None
    gallery: Gallery = field(default_factory=Gallery)
    readings: fingerprints.Readings | None = None
    usage: Usage = field(default_factory=Usage)
    watched: Watched | None = None
    pins: Mapping[str, Choice] = field(default_factory=dict)
    execution: Execution | None = None  # where it stands among all that the kernel ran
    slice: Slice | None = None
    history: list[Any] = field(default_factory=list)  # the texts of the cells before
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    seen: tuple[int, Run] | None = None
    held: dict[str, int] = field(default_factory=dict)
    redactor: Redactor = field(default_factory=Redactor)
    captured: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    ended_ms: int | None = None
    error: BaseException | None = None
    result: Any = None
    roots: set[str] = field(default_factory=set)
    estimators: list[models_of.Fitted] = field(default_factory=list)
    autolog: Recorder | None = None

    def wants(self, part: str) -> bool:
        """Return whether this part is to be captured."""
        return part not in self.options.no_capture

    @property
    def tree(self) -> ast.AST | None:
        """The parsed cell."""
        return self.scan.tree if self.scan is not None else None

    @property
    def states_values(self) -> bool:
        """Whether it only gives names to plain values: nothing can train in it."""
        return self.tree is not None and all(isinstance(node, _PLAIN) for node in ast.walk(self.tree))

    @property
    def trainers(self) -> list[str]:
        """The names that the cell assigns or calls a method of: where a trainer would be held."""
        if self.scan is None:
            return []
        called = [call.func.value for call in self.scan.calls if isinstance(call.func, ast.Attribute)]
        return list({*self.scan.assigned, *(node.id for node in called if isinstance(node, ast.Name))})

    def expected_steps(self) -> int | None:
        """Return how many values a loop of the cell will log, if its text says so."""
        return progress.expected_steps(self.tree, self.names)

    def remember_names(self) -> None:
        """Remember, by identity only, what the names that the cell assigns hold before it runs."""
        if self.scan is not None:
            self.held = {name: id(self.names[name]) for name in self.scan.assigned if name in self.names}

    def known_names(self) -> Mapping[str, Any]:
        """Return the user's variables; of a cell that failed, without those that it did not get to assign."""
        if self.error is None or self.scan is None:
            return self.names
        stale = {name for name, before in self.held.items() if id(self.names.get(name)) == before}
        return {name: value for name, value in self.names.items() if name not in stale}


def cell_tags(cell_id: str | None, raw: str) -> dict[str, str]:
    """Return the tags by which the runs of one cell find each other, also where its code has changed meanwhile."""
    code = raw.partition("\n")[2] if raw.lstrip().startswith("%%track") else raw
    digest = hashlib.sha256(Redactor().source(code.strip()[:MAX_SOURCE]).encode(errors="replace")).hexdigest()
    return {TAG_CODE: digest[:12]} | ({TAG_CELL: cell_id} if cell_id else {})


def capture_source(cell: Cell) -> dict[str, Any]:
    """Return the text of the cell, without secrets."""
    source = cell.redactor.source(cell.source[:MAX_SOURCE])
    cell.captured.append(f"cell source ({plural(len(source.splitlines()), 'line')})")
    return {"source": source, "cell_hash": hashlib.sha256(cell.source.encode()).hexdigest()[:16]}


def capture_error(cell: Cell, file_name: str | None) -> None:
    """Keep the exception that ended the cell."""
    if cell.error is not None:
        cell.record["error"] = describe_error(cell.error, redactor=cell.redactor, from_file=file_name)
        cell.captured.append("traceback")


def capture_output(cell: Cell, kept: Mapping[str, str]) -> None:
    """Keep the end of what the cell printed."""
    for name, text in kept.items():
        cell.record[name] = cell.redactor.text(text)
        cell.captured.append(f"{name} ({plural(len(text.splitlines()), 'line')})")


def capture_estimators(cell: Cell) -> None:
    """Find the fitted estimators of the cell: params and models both come from them."""
    if cell.scan is not None and (cell.wants("params") or cell.wants("model")):
        cell.estimators = models_of.find_fitted(cell.scan, cell.known_names())
    if cell.autolog is not None:
        trained = [(one.model, one.example) for one in cell.autolog.trained if one.model is not None]
        cell.estimators = models_of.with_trained(cell.estimators, trained, cell.known_names())
        cell.captured += cell.autolog.captured()


def _asked(cell: Cell, expression: str, what: str) -> Any:
    try:
        return eval(expression, {"__builtins__": {}}, dict(cell.names))  # noqa: S307 - a variable that the user named
    except Exception as error:
        cell.missing.append(f"{what} {expression}: {type(error).__name__}: {error}"[:200])
        return MISSING


def _scalar(value: Any) -> Any:
    number = scalar(value)
    return MISSING if number is None else number


def _pinned_names(cell: Cell, kind: Kind, read: Callable[[Any], Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a pinned name of the cell holds, where nothing else says that it is a param or a metric."""
    assigned = cell.scan.assigned if cell.scan is not None else {}
    held = cell.known_names()
    keys = [pin.partition(":")[2] for pin, choice in cell.pins.items() if pin.startswith(kind) and choice == "pinned"]
    values = {key: read(held[key]) for key in keys if key in assigned and key in held and key not in found}
    return {key: value for key, value in values.items() if value is not MISSING and value is not None}


def _pinned(cell: Cell, kind: Kind, found: dict[str, Any]) -> dict[str, Any]:
    kept, left_out = keep(kind, found, cell.pins)
    cell.missing += [f"{kind} {key} (unpinned)" for key in left_out]
    return kept


def find_slice(cell: Cell) -> None:
    """Find the cells that this one used: their params are its params, too."""
    cell.slice = slice_of(cell)
    if cell.slice is not None:
        cell.captured.append(f"slice ({plural(len(cell.slice.cells), 'cell')})")


def capture_params(cell: Cell) -> None:
    """Log the params found, and those asked for with ``-p``; explicit ones stay as they are."""
    found: dict[str, Any] = {}
    if cell.scan is not None and cell.wants("params"):
        outer = [one for one in models_of.outermost(cell.estimators) if hasattr(one.estimator, "get_params")]
        found = find_params(cell.scan, cell.known_names(), {one.name: one.estimator for one in outer})
        found = {**(cell.autolog.params if cell.autolog is not None else {}), **found}
        found = _pinned(cell, "param", {**_pinned_names(cell, "param", plain, found), **found})
        if cell.slice is not None:
            found |= _pinned(cell, "param", upstream_params(cell.slice, cell.known_names(), found))
    for expression in cell.options.params:
        value = _asked(cell, expression, "param")
        if value is not MISSING:
            kept = plain(value)
            found[expression] = repr(value)[:500] if kept is MISSING else kept
    params = {
        cell.redactor.text(key)[:MAX_KEY]: cell.redactor.value(key, value if isinstance(value, str) else str(value))
        for key, value in found.items()
        if key not in cell.run.logged_params
    }
    if params:
        cell.run.log_params(params)
        cell.captured.append(f"{plural(len(params), 'param')}: {', '.join(params)}"[:400])


def capture_metrics(cell: Cell, printed: str = "") -> None:
    """Log the metrics found, and those asked for with ``-m``; explicit ones stay as they are.

    Parameters
    ----------
    cell
        The cell.
    printed
        What it wrote to stdout.
    """
    found: dict[str, float | list[float]] = {}
    if cell.scan is not None and cell.wants("metrics"):
        found = find_metrics(cell.scan, cell.known_names(), cell.result)
        seen = cell.autolog.results if cell.autolog is not None else {}
        found |= {key: value for key, value in seen.items() if value not in found.values()}
        logged = dict.fromkeys(cell.run.logged_metrics, 0.0)
        for key, value in printed_calls(cell.scan, cell.known_names(), printed).items():
            if value not in found.values():
                found.setdefault(key, value)
        found |= printed_metrics(printed, found | logged)
        found = _pinned(cell, "metric", {**_pinned_names(cell, "metric", _scalar, found), **found})
    for expression in cell.options.metrics:
        value = _asked(cell, expression, "metric")
        if value is MISSING:
            continue
        number = scalar(value)
        if number is None:
            cell.missing.append(f"metric {expression}: expected a number, got {type(value).__name__}")
        else:
            found[expression] = number
    found = {cell.redactor.text(key): value for key, value in found.items() if key not in cell.run.logged_metrics}
    single = {key: value for key, value in found.items() if isinstance(value, float)}
    if single:
        cell.run.log_metrics(single)
    for key, curve in found.items():
        if isinstance(curve, list):
            for step, value in enumerate(curve):
                cell.run.log_metric(key, value, step=step)
    if found:
        cell.captured.append(f"{plural(len(found), 'metric')}: {', '.join(found)}"[:400])


def capture_models(cell: Cell) -> None:
    """Log the models that the cell fitted, unless it logged one itself."""
    if cell.error is not None or not cell.wants("model"):
        return
    models = models_of.models_to_log(cell.estimators)
    if not models:
        return
    logged = cell.run.store.get_run(cell.run.run_id).artifacts
    if any(path.endswith("/" + MANIFEST_NAME) for path in logged):
        return
    shown: list[dict[str, Any]] = []
    for one in models:
        if not models_of.has_flavor(one.estimator):
            cell.missing.append(f"model {type(one.estimator).__name__} ({one.name}): no flavor saves such a model")
            continue
        path = "model" if len(models) == 1 else one.name
        shown.append(models_of.log_fitted(cell.run, one, path, cell.names))
        cell.captured.append(models_of.describe_model(shown[-1]))
    if shown:
        cell.record["models"] = shown


def measure(cell: Cell) -> None:
    """Stop the clocks: what we do afterwards is not the cell's time."""
    cell.ended_ms = time.time_ns() // 1_000_000
    usage = cell.usage.stop()
    cell.record |= {"wall_s": usage["wall_s"], "cpu_s": usage["cpu_s"], "usage": usage}
    if "peak_memory_bytes" in usage:
        cell.record["peak_memory_mb"] = round(usage["peak_memory_bytes"] / 2**20, 1)


def look_at_data(cell: Cell, cache: fingerprints.Cache) -> None:
    """Look at the data that the cell reads, before it does."""
    if cell.tree is not None:
        cell.readings = fingerprints.Readings(cache)
        cell.readings.before(fingerprints.read_names(cell.tree), cell.names)
        cell.readings.files(fingerprints.read_files([cell.tree], cell.names))


def note_data(cell: Cell) -> None:
    """Say which data are fingerprinted, also those that the cells before read for it; that is done later."""
    if cell.readings is not None and cell.tree is not None:
        made = [
            name for name in fingerprints.read_names(cell.tree) if name in (cell.scan.assigned if cell.scan else ())
        ]
        cell.readings.after(made, cell.known_names())
        cell.readings.files(fingerprints.read_files([cell.tree], cell.names), late=True)
        if cell.slice is not None:
            cell.readings.after(cell.slice.inputs, cell.known_names())
            cell.readings.files([path for path in map(Path, cell.slice.paths) if path.is_file()], late=True)
        cell.captured += cell.readings.captured()


def note_alerts(cell: Cell) -> None:
    """Write how often alerts came, and say which conditions are about metrics that never did."""
    cell.run.count_alerts()
    cell.missing += [f"alert {text!r}: no such metric was logged" for text in cell.run.unmet]


def note_shown(cell: Cell) -> None:
    """Say which figures and tables are kept; they are written later."""
    cell.captured += cell.gallery.captured()
    if cell.gallery.beyond:
        cell.missing.append(f"{plural(cell.gallery.beyond, 'more figure or table')}")


def capture_seeds(cell: Cell) -> None:
    """Keep the seeds that the cell sets, and those that earlier cells left in force."""
    if cell.tree is None:
        return
    found = {**seeds.set_earlier(cell.history, cell.names), **seeds.seeds_in([cell.tree], cell.names)}
    if found:
        cell.record["seeds"] = found
        cell.captured.append(f"{plural(len(found), 'seed')}: {', '.join(found)}"[:300])


def note_environment(cell: Cell) -> None:
    """Note which packages are in use; their versions are looked up later."""
    if cell.wants("packages"):
        cell.roots = package_roots(cell.names, cell.scan.imports if cell.scan else ())
        cell.captured.append("Python, platform and package versions")
    if cell.git is not None and cell.git.root is not None:
        cell.captured.append(GIT)


def environment(cell: Cell) -> dict[str, Any]:
    """Return the versions of Python and the packages in use."""
    return {**python_facts(), "packages": package_versions(cell.roots)}
