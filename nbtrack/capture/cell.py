"""One tracked cell: what is collected of it, part by part."""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbtrack.capture import fitted as models_of
from nbtrack.capture.environment import GitProbe, package_roots, package_versions, python_facts
from nbtrack.capture.metrics import find_metrics
from nbtrack.capture.params import find_params
from nbtrack.capture.printed import printed_metrics
from nbtrack.capture.resolve import MISSING, plain, scalar
from nbtrack.entities import MANIFEST_NAME
from nbtrack.names import MAX_KEY
from nbtrack.reprs.numbers import plural
from nbtrack.tracking.failure import describe_error
from nbtrack.tracking.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbtrack.capture.options import TrackOptions
    from nbtrack.capture.scan import Scan
    from nbtrack.capture.streams import Streams
    from nbtrack.tracking import ActiveRun

MAX_SOURCE = 200_000
GIT = "git commit"


@dataclass
class Cell:
    """A cell that runs tracked, or has just run."""

    run: ActiveRun
    options: TrackOptions
    source: str
    scan: Scan | None
    names: Mapping[str, Any]
    notebook: Path | None = None
    git: GitProbe | None = None
    streams: Streams | None = None
    held: dict[str, int] = field(default_factory=dict)
    redactor: Redactor = field(default_factory=Redactor)
    captured: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    started_s: float = field(default_factory=time.perf_counter)
    cpu_s: float = field(default_factory=time.process_time)
    ended_ms: int | None = None
    error: BaseException | None = None
    result: Any = None
    roots: set[str] = field(default_factory=set)
    estimators: list[models_of.Fitted] = field(default_factory=list)

    def wants(self, part: str) -> bool:
        """Return whether this part is to be captured."""
        return part not in self.options.no_capture

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


def _asked(cell: Cell, expression: str, what: str) -> Any:
    try:
        return eval(expression, {"__builtins__": {}}, dict(cell.names))  # noqa: S307 - a variable that the user named
    except Exception as error:
        cell.missing.append(f"{what} {expression}: {type(error).__name__}: {error}"[:200])
        return MISSING


def capture_params(cell: Cell) -> None:
    """Log the params found, and those asked for with ``-p``; explicit ones stay as they are."""
    found: dict[str, Any] = {}
    if cell.scan is not None and cell.wants("params"):
        estimators = {one.name: one.estimator for one in models_of.outermost(cell.estimators)}
        found = find_params(cell.scan, cell.known_names(), estimators)
    for expression in cell.options.params:
        value = _asked(cell, expression, "param")
        if value is not MISSING:
            kept = plain(value)
            found[expression] = repr(value)[:500] if kept is MISSING else kept
    params = {
        key[:MAX_KEY]: cell.redactor.value(key, value if isinstance(value, str) else str(value))
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
        logged = dict.fromkeys(cell.run.logged_metrics, 0.0)
        found |= printed_metrics(printed, found | logged)
    for expression in cell.options.metrics:
        value = _asked(cell, expression, "metric")
        if value is MISSING:
            continue
        number = scalar(value)
        if number is None:
            cell.missing.append(f"metric {expression}: expected a number, got {type(value).__name__}")
        else:
            found[expression] = number
    found = {key: value for key, value in found.items() if key not in cell.run.logged_metrics}
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
    cell.record["wall_s"] = round(time.perf_counter() - cell.started_s, 6)
    cell.record["cpu_s"] = round(time.process_time() - cell.cpu_s, 6)
    try:
        import resource
    except ImportError:  # Windows
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, KiB elsewhere
    cell.record["peak_memory_mb"] = round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


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
