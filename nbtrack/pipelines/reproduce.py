"""Does a run give the same again? Its slice is run in a clean kernel, and every value compared."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.differences import circumstances, in_words
from nbtrack.capture.replay import slice_cells
from nbtrack.entities import TAG_PARENT, TAG_SOURCE, Run
from nbtrack.errors import InvalidInputError, MissingLibraryError, NotebookError
from nbtrack.pipelines.rerun import Rerun, notebook_of, pinned_values
from nbtrack.reprs.directions import TIME_WORDS, name_words
from nbtrack.reprs.html import BAD, GOOD, box, dim, esc, table
from nbtrack.reprs.numbers import clean, format_number, plural, short_id
from nbtrack.tracking import get_store

if TYPE_CHECKING:
    import threading

    from nbtrack.pipelines.execution import Watcher
    from nbtrack.store.base import Store

TAG_REPRODUCED: Final = "nbtrack.reproduced"
TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What running a run's slice again gave.

    `differences` holds (kind, key, before, after) of every value that is not the same, in the order in which the run
    logged them; `changed` says in words what around the code changed since: data, packages, seeds. `error` says why
    the slice did not run to its end, if so.
    """

    run_id: str
    run_name: str
    reproduced: bool
    compared: int
    largest: float
    differences: tuple[tuple[str, str, str, str], ...] = ()
    changed: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    error: str = ""
    at: str = ""
    seconds: float = 0.0
    missing: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if self.error:
            return f"Not reproduced: {self.error}"
        values = plural(self.compared, "value")
        if self.reproduced:
            size = "exactly the same" if self.largest == 0 else f"the same within {self.largest:.1g}"
            return f"Reproduced: {values}, all {size}."
        kind, key, before, after = self.differences[0]
        since = f" Since then changed: {'; '.join(self.changed[:3])}." if self.changed else ""
        first = f"{kind} {key} was {before} and is {after}"
        return f"Not reproduced: {len(self.differences)} of {values} differ, first {first}.{since}"

    def __repr__(self) -> str:
        lines = [f"{self.run_name} {short_id(self.run_id)}: {self.verdict}"]
        lines += [f"  {kind} {key}: {before} → {after}" for kind, key, before, after in self.differences[:20]]
        lines += [f"  changed: {text}" for text in self.changed]
        if not self.reproduced:
            lines += [f"  known to be missing: {text}" for text in self.missing]
        return "\n".join(clean(line, 400) for line in lines)

    def _repr_html_(self) -> str:
        sign, colour = ("✓", GOOD) if self.reproduced else ("✗", BAD)
        inner = f'<span style="color:{colour}">{sign}</span> <b>{esc(self.run_name)}</b> {esc(self.verdict, 600)}'
        if self.differences:
            rows = [[esc(part, 80) for part in row] for row in self.differences[:20]]
            inner += table(["", "key", "was", "is"], rows, left=2)
        notes = [*self.changed, *(() if self.reproduced else self.missing)]
        inner += "".join(f"<div>{dim(esc(text, 300))}</div>" for text in notes)
        return box(inner, colour)

    def record(self) -> dict[str, Any]:
        """Return plain values, for the run's record."""
        return {
            "reproduced": self.reproduced,
            "at": self.at,
            "verdict": self.verdict,
            "compared": self.compared,
            "largest": self.largest,
            "differences": [list(row) for row in self.differences[:100]],
            "changed": list(self.changed),
            "not_compared": list(self.not_compared),
            "error": self.error,
            "seconds": round(self.seconds, 3),
        }


def reproduce(
    run: Run | str,
    *,
    store: Store | None = None,
    folder: str | Path | None = None,
    tolerance: float = TOLERANCE,
    timeout_s: int | None = None,
    stamp: bool = True,
) -> Reproduction:
    """Run the slice of a run again in a clean kernel, and compare every metric and param.

    The cells are executed where the notebook lies, as if it were restarted: files that they write are written again.
    Nothing is added to the store but the stamp: the tag ``nbtrack.reproduced`` (``yes`` or ``no``, and when) and the
    entry ``reproduced`` of the run's record, which says what differs.

    Parameters
    ----------
    run
        A run that a notebook's cell made, or its id.
    store
        Where it lies; the store in use if not given.
    folder
        Where to execute; the folder of the notebook if not given, else the working directory.
    tolerance
        How much a metric may differ: absolute for values up to 1, relative above.
    timeout_s
        How long one cell may take, in seconds; as long as it wants if not given.
    stamp
        Whether to write the result to the run.

    Returns
    -------
    Reproduction
        Shows itself as text and HTML. Metrics that measure time are not compared.

    Raises
    ------
    InvalidInputError
        If the run has no slice, such as one that a script made.
    MissingLibraryError
        If nbclient or ipykernel is not installed.
    NotFoundError
        If there is no such run.

    Examples
    --------
    >>> nbtrack.reproduce("0199f2c4")  # doctest: +SKIP
    shy-fox 0199f2c4: Reproduced: 12 values, all exactly the same.
    """
    return reproduce_watched(
        run.run_id if isinstance(run, Run) else run,
        store or get_store(create=False),
        folder=folder,
        tolerance=tolerance,
        timeout_s=timeout_s,
        stamp=stamp,
    )


def reproducible(run: Run, store: Store) -> list[dict[str, Any]]:
    """Return the cells to run again; raises InvalidInputError if there are none."""
    cells = slice_cells(run, store)
    if not cells:
        raise InvalidInputError(
            f"reproduce: run {run.info.run_name!r} has no slice. Only a cell that was tracked in a notebook, and not"
            " with `--no-capture slice`, can be run again."
        )
    return cells


def reproduce_watched(
    run_id: str,
    store: Store,
    *,
    folder: str | Path | None = None,
    tolerance: float = TOLERANCE,
    timeout_s: int | None = None,
    stamp: bool = True,
    watcher: Watcher | None = None,
    stop: threading.Event | None = None,
) -> Reproduction:
    """Do as :func:`reproduce` says, telling `watcher` how far it is; raises Stopped, without a stamp, after `stop`."""
    run = store.get_run(run_id)
    cells = reproducible(run, store)
    began = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="nbtrack-reproduce-", ignore_cleanup_errors=True) as place:
        where = _folder(run, store, folder)
        uri = str(Path(place) / "store")
        conductor = Rerun(cells, uri, pinned_values(run, store))
        error = _execute(cells, conductor, where, timeout_s=timeout_s, watcher=watcher, stop=stop)
        from nbtrack.store import open_store

        other = open_store(uri)
        again = _last_run(other)
        found = _compare(run, store, again, other, tolerance, error)
    seconds = (datetime.now(UTC) - began).total_seconds()
    slice_record = run.capture.get("slice") or {}
    result = Reproduction(
        run.run_id,
        run.info.run_name,
        at=began.isoformat(timespec="seconds"),
        seconds=seconds,
        missing=tuple(slice_record.get("missing") or ()),
        **found,
    )
    if stamp:
        word = "yes" if result.reproduced else "no"
        tags = {TAG_REPRODUCED: f"{word} {result.at}"}
        store.edit_run(run.run_id, tags=tags, capture={"reproduced": result.record()})
    return result


def _folder(run: Run, store: Store, folder: str | Path | None) -> Path:
    if folder is not None:
        if not Path(folder).is_dir():
            raise InvalidInputError(f"reproduce: expected a folder, got {str(folder)!r}.")
        return Path(folder).absolute()
    source = run.data.tags.get(TAG_SOURCE, "")
    if source.endswith(".ipynb"):
        notebooks = (Path(store.uri).parent / source).parent
        if notebooks.is_dir():
            return notebooks.resolve()
    return Path.cwd()


def _execute(
    cells: list[dict[str, Any]],
    conductor: Rerun,
    folder: Path,
    *,
    timeout_s: int | None,
    watcher: Watcher | None,
    stop: threading.Event | None,
) -> str:
    """Execute the cells; return why they did not run to their end, or nothing."""
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
        import nbformat
    except ImportError as error:
        raise MissingLibraryError(
            f"reproduce: a clean kernel needs {error.name}, which is not installed. pip install 'nbtrack[lab]'"
        ) from None
    from nbtrack.pipelines.execution import Execution, execute_notebook

    document = nbformat.from_dict(notebook_of(cells))
    labels = tuple(tag for cell in document.cells for tag in cell.metadata.get("tags", []))
    execution = Execution(
        document, folder, labels, watcher, answer="", timeout_s=timeout_s, stop=stop, conductor=conductor
    )
    try:
        execute_notebook(execution)
    except NotebookError as error:
        return str(error)
    return ""


def _last_run(store: Store) -> Run | None:
    runs = [store.get_run(one) for one in sorted(store.run_table(view="ALL", keys=[]).run_ids)]
    return next((one for one in reversed(runs) if TAG_PARENT not in one.data.tags), None)


def _compare(run: Run, store: Store, again: Run | None, other: Store, tolerance: float, error: str) -> dict[str, Any]:
    if again is None:
        return {"reproduced": False, "compared": 0, "largest": math.inf, "error": error or "the cell made no run."}
    rows: list[tuple[str, str, str, str]] = []
    largest, compared, left_out = 0.0, 0, []
    for key in run.data.metrics:
        if not TIME_WORDS.isdisjoint(name_words(key)):
            left_out.append(key)
            continue
        compared += 1
        size, row = _compare_metric(key, run, store, again, other, tolerance)
        largest = max(largest, size)
        if row is not None:
            rows.append(row)
    for key, value in run.data.params.items():
        compared += 1
        now = again.data.params.get(key)
        if now != value:
            rows.append(("param", key, clean(value, 80), "–" if now is None else clean(now, 80)))
    unwanted = set(run.capture.get("missing") or ())  # as the choice of the notebook's user was then
    added = [key for key in again.data.metrics if key not in run.data.metrics]
    added = [key for key in added if f"metric {key} (unpinned)" not in unwanted]
    rows += [("metric", key, "–", format_number(again.data.metrics[key])) for key in added]
    changed = tuple(in_words(one) for one in circumstances(run, again)) if rows or error else ()
    found = {"compared": compared, "largest": largest, "not_compared": tuple(left_out), "error": error}
    return {**found, "reproduced": not rows and not error, "differences": tuple(rows), "changed": changed}


def _compare_metric(
    key: str, run: Run, store: Store, again: Run, other: Store, tolerance: float
) -> tuple[float, tuple[str, str, str, str] | None]:
    """Return how far apart the values of a metric are, step by step, and the first that is not the same."""
    before = store.get_metric_history(run.run_id, key).value.tolist()
    if key not in again.data.metrics:
        return math.inf, ("metric", key, format_number(before[-1]), "–")
    after = other.get_metric_history(again.run_id, key).value.tolist()
    largest = 0.0
    for step, (a, b) in enumerate(zip(before, after, strict=False)):
        if a == b or (math.isnan(a) and math.isnan(b)):
            continue
        apart = abs(a - b) if math.isfinite(a) and math.isfinite(b) else math.inf
        largest = max(largest, apart)
        if not apart <= tolerance * max(1.0, abs(a)):
            name = key if len(before) == 1 else f"{key} (value {step + 1})"
            return largest, ("metric", name, repr(a), repr(b))
    if len(before) != len(after):
        return math.inf, ("metric", key, plural(len(before), "value"), plural(len(after), "value"))
    return largest, None
