"""The last words of a tracked cell: what can wait until its result is shown, and the end of its run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from nbtrack.capture import cell as parts
from nbtrack.capture.figures import write_shown
from nbtrack.capture.notebook import find_by_content
from nbtrack.capture.slice import capture_slice
from nbtrack.entities import TAG_SOURCE
from nbtrack.tracking import pending, source_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbtrack.capture.cell import Cell
    from nbtrack.capture.failsafe import Failsafe
    from nbtrack.entities import Status
    from nbtrack.store.base import RunWriter


class Ending:
    """Ends runs: at once if all is known, else in a thread that the next cell does not wait for.

    `correct` is called, in the cell's own context, if less could be kept than its card says.
    """

    def __init__(self, failsafe: Failsafe, correct: Callable[[Cell, Status], None]) -> None:
        self._failsafe = failsafe
        self._correct = correct

    def seal(self, cell: Cell, status: Status) -> None:
        """End the run of a cell."""
        run_id = cell.run.run_id
        writer = cell.run.release()
        if _nothing_left(cell):
            self._last_words(cell, writer, status)
            return
        thread = threading.Thread(
            target=self._last_words, args=(cell, writer, status), name=f"nbtrack-end-{run_id[-8:]}"
        )
        pending.add(run_id)
        thread.start()

    def _last_words(self, cell: Cell, writer: RunWriter, status: Status) -> None:
        said = len(cell.missing)
        claimed = list(cell.captured)
        late: dict[str, Any] = {}
        guard = self._failsafe.run
        try:
            if cell.wants("packages"):
                late |= guard("packages", lambda: parts.environment(cell), cell.missing) or {}
            git = cell.git
            if git is not None and git.root is not None:
                late["git"] = guard("git", git.answer, cell.missing)
                if late["git"] is None:
                    cell.captured = [part for part in cell.captured if part != parts.GIT]
            late |= guard("notebook", lambda: _place(cell, writer), cell.missing) or {}
            if _wants_slice(cell):
                sliced = guard("slice", lambda: capture_slice(cell, writer), cell.missing)
                if not sliced:
                    cell.captured = [part for part in cell.captured if not part.startswith("slice (")]
                late |= sliced or {}
            late |= self._shown(cell, writer)
            late |= self._data(cell)
            if len(cell.missing) > said:
                late["not_captured"] = list(cell.missing)
            if cell.captured != claimed:
                late["captured"] = list(cell.captured)
            guard("record", lambda: writer.log_capture(cell.redactor.json(late)))
        finally:
            guard("end of the run", lambda: writer.end(status, cell.ended_ms))
            pending.done(cell.run.run_id)
        if cell.captured != claimed:
            guard("card", lambda: cell.context.run(self._correct, cell, status))

    def _shown(self, cell: Cell, writer: RunWriter) -> dict[str, Any]:
        """Write the figures and tables that the cell displayed; return their entries of the record."""
        gallery = cell.gallery
        claimed = gallery.captured()
        for kept in (gallery.figures, gallery.tables):
            for one in list(kept):
                known = len(cell.missing)
                self._failsafe.run("figures", lambda one=one: write_shown(writer, one, cell.redactor), cell.missing)  # type: ignore[misc]
                if len(cell.missing) > known:
                    kept.remove(one)
        _restate(cell, claimed, gallery.captured())
        return gallery.records()

    def _data(self, cell: Cell) -> dict[str, Any]:
        """Hash the data that the cell read; return their entry of the record."""
        readings = cell.readings
        if readings is None or not readings.sources:
            return {}

        def failed(name: str, error: Exception) -> None:
            self._failsafe.fail("data", error, cell.missing, name)

        claimed = readings.captured()
        found = self._failsafe.run("data", lambda: readings.record(failed), cell.missing) or []
        known = {one["name"] for one in found}
        readings.sources = [source for source in readings.sources if source.name in known]
        _restate(cell, claimed, readings.captured())
        return {"data": found} if found else {}


def _wants_slice(cell: Cell) -> bool:
    return cell.execution is not None and cell.wants("slice") and cell.wants("source")


def _nothing_left(cell: Cell) -> bool:
    shown = cell.gallery.figures or cell.gallery.tables
    read = cell.readings is not None and cell.readings.sources
    return not _wants_slice(cell) and not shown and not read and (cell.git is None or cell.git.ready)


def _place(cell: Cell, writer: RunWriter) -> dict[str, Any]:
    """Look for the notebook and the cell in the files beside, where the host told neither."""
    if not cell.wants_card or not cell.wants("source") or (cell.notebook is not None and cell.cell_id is not None):
        return {}
    folder = cell.notebook or cell.folder
    found = find_by_content(folder, cell.source) if folder is not None and folder.exists() else None
    if found is None:
        return {}
    path, cell_id = found
    if cell.notebook is None and (source := source_tag(cell.run.store, path)) is not None:
        writer.set_tags({TAG_SOURCE: source})
    return {"notebook": path.name, "cell_id": cell_id, "notebook_found": "by the text of the cell"}


def _restate(cell: Cell, claimed: list[str], true: list[str]) -> None:
    """Let the list of what was captured say what is true."""
    if claimed != true:
        cell.captured = [part for part in cell.captured if part not in claimed] + true
