"""The hooks around a cell: open a run before it, fill and end it after."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack.capture import cell as parts
from nbtrack.capture.cell import Cell
from nbtrack.capture.environment import GitProbe
from nbtrack.capture.failsafe import Failsafe
from nbtrack.capture.notebook import notebook_path
from nbtrack.capture.options import TrackOptions, parse_options
from nbtrack.capture.scan import fits_or_logs, scan_cell
from nbtrack.capture.streams import Streams
from nbtrack.capture.transform import track_line, transform
from nbtrack.capture.view import view_bundle
from nbtrack.entities import DEFAULT_EXPERIMENT_ID, TAG_NOTE, TAG_PARENT, TAG_RESUMED, Run, Status
from nbtrack.errors import InvalidInputError, NbtrackError
from nbtrack.reprs import run_card_html, run_card_text
from nbtrack.tracking import begin_run, pending, set_source, stack
from nbtrack.tracking.location import experiment_id_for_new_run, get_or_create_experiment, store_for_writing
from nbtrack.tracking.run import status_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from nbtrack.store.base import RunWriter, Store

TAG_STEP = "nbtrack.step"
MAX_CURVE_POINTS = 200


class CellTracker:
    """Tracks the cells of one shell that start with ``%%track``, or all that train something (`auto`)."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.auto = False
        self.failsafe = Failsafe()
        self._open: list[tuple[ExecutionInfo, int, Cell | None]] = []
        self._lock = threading.Lock()
        self._before: dict[tuple[str, str], Run | None] = {}

    # -- coming and going ------------------------------------------------------------------------------------------
    def install(self) -> None:
        """Put the hooks and the input transform in place."""
        self.shell.input_transformer_manager.cleanup_transforms.insert(0, self.transform)
        self.shell.events.register("pre_run_cell", self.pre_run_cell)
        self.shell.events.register("post_run_cell", self.post_run_cell)

    def uninstall(self) -> None:
        """Take them away again."""
        transforms = self.shell.input_transformer_manager.cleanup_transforms
        transforms[:] = [one for one in transforms if one != self.transform]
        for event, hook in (("pre_run_cell", self.pre_run_cell), ("post_run_cell", self.post_run_cell)):
            if hook in self.shell.events.callbacks[event]:
                self.shell.events.unregister(event, hook)

    def transform(self, lines: list[str]) -> list[str]:
        """Make the ``%%track`` line a comment; wrong arguments stop the cell with a UsageError."""
        try:
            return transform(lines)
        except InvalidInputError as error:
            from IPython.core.error import UsageError

            raise UsageError(str(error)) from None

    # -- before the cell -------------------------------------------------------------------------------------------
    def pre_run_cell(self, info: ExecutionInfo) -> None:
        """Open a run if the cell is to be tracked. Never raises."""
        cell = None
        mark = stack.mark()
        try:
            cell = self._begin(info)
        except NbtrackError as error:
            self._say(f"this cell runs untracked. {error}")
        except Exception as error:
            self._say(f"this cell runs untracked: {type(error).__name__}: {error}")
        with self._lock:
            self._open.append((info, mark, cell))
            del self._open[:-64]  # cells whose end nobody told us of

    def _say(self, text: str) -> None:
        self.failsafe.tell("tracking", repr(time.monotonic_ns()), text)  # every such cell says so, not only the first

    def _begin(self, info: ExecutionInfo) -> Cell | None:
        raw = info.raw_cell or ""
        line = track_line(raw)
        meta = getattr(info, "cell_meta", None)
        asked = (
            isinstance(meta, dict) and isinstance(meta.get("nbtrack"), dict) and meta["nbtrack"].get("track") is True
        )
        if line is None and not self.auto and not asked:
            return None
        try:
            options = parse_options(self._expanded(line or ""))
        except InvalidInputError:
            if line is not None and line == self._expanded(line):
                return None  # the transform has said so already, and the cell does not run
            raise
        scan = scan_cell(self._python_of(info, raw))
        if line is None and not asked and (scan is None or not fits_or_logs(scan)):
            return None
        if line is not None and not raw.replace("\r", "").strip().partition("\n")[2].strip():
            sys.stdout.write("%%track: the cell is empty. Put the code to track below the %%track line.\n")
            return None
        return self._open_run(info, raw, options, scan)

    def _expanded(self, line: str) -> str:
        """Fill in ``{variable}`` and ``$variable``, as IPython does in the line of any magic."""
        return str(self.shell.var_expand(line, depth=0)) if "{" in line or "$" in line else line

    def _python_of(self, info: ExecutionInfo, raw: str) -> str:
        transformed = getattr(info, "transformed_cell", None)  # unknown to older IPython
        try:
            return transformed if isinstance(transformed, str) else str(self.shell.transform_cell(raw))
        except Exception:  # whatever a transform raises, IPython itself has told the user
            return ""

    def _open_run(self, info: ExecutionInfo, raw: str, options: TrackOptions, scan: Any) -> Cell:
        store = store_for_writing()
        names = self.shell.user_ns
        notebook = notebook_path(names)
        set_source(notebook)
        if options.experiment is not None:
            experiment_id = get_or_create_experiment(store, options.experiment).experiment_id
        else:
            experiment_id = experiment_id_for_new_run(store)
        tags: dict[str, Any] = dict(options.tags)
        if options.note:
            tags[TAG_NOTE] = options.note
        if options.step:
            tags[TAG_STEP] = options.step
        if options.resume:
            tags[TAG_RESUMED] = self._find_run(store, options.resume)
        around = stack.current()
        nested = around is not None and around.scope == "cell"
        run = begin_run(None, experiment_id, options.name, nested, None, tags, scope="cell", store=store)
        cell = Cell(run, options, raw, scan, names, notebook)
        try:
            self._prepare(cell, info)
        except BaseException:
            run.end("KILLED")
            raise
        return cell

    def _prepare(self, cell: Cell, info: ExecutionInfo) -> None:
        first: dict[str, Any] = {
            "notebook": cell.notebook.name if cell.notebook else None,
            "cell_id": getattr(info, "cell_id", None),
            "execution_count": self.shell.execution_count - bool(info.store_history),
        }
        guard = self.failsafe.run
        if cell.wants("source"):
            first |= guard("source", lambda: parts.capture_source(cell), cell.missing) or {}
        guard("record", lambda: cell.run.log_capture(first), cell.missing)
        if cell.wants("git"):
            cell.git = guard("git", lambda: GitProbe((cell.notebook or Path.cwd() / "x").parent), cell.missing)
        guard("names", cell.remember_names, cell.missing)
        if cell.wants("output"):
            cell.streams = guard("output", Streams, cell.missing)
            if cell.streams is not None:
                cell.streams.start()
        cell.started_s, cell.cpu_s = time.perf_counter(), time.process_time()

    def _find_run(self, store: Store, wanted: str) -> str:
        found = store.run_table(view="ALL", keys=[]).run_ids
        fitting = [one for one in found if one == wanted or one.endswith(wanted) or one.startswith(wanted)]
        if len(fitting) != 1:
            raise InvalidInputError(
                f"%%track: --resume {wanted!r} fits {len(fitting)} runs of the store {store.name!r}; expected one."
                " `nbtrack runs list` shows the ids."
            )
        return fitting[0]

    # -- after the cell --------------------------------------------------------------------------------------------
    def post_run_cell(self, result: ExecutionResult) -> None:
        """Fill and end the run of the cell, and show its card. Never raises."""
        with self._lock:
            at = self._index(result.info)
            if at is None:
                return
            _, mark, cell = self._open.pop(at)
        error = result.error_before_exec or result.error_in_exec
        if isinstance(error, SystemExit):
            status: Status = "KILLED" if error.code in (None, 0) else "FAILED"  # exit() left the rest of the cell out
        else:
            status = status_of(error)
        if cell is None:
            if error is not None:
                self._end_opened(mark, status, None)
            return
        cell.error, cell.result = error, result.result
        try:
            self._end_opened(mark, status, cell)
            self._collect(cell)
            self._show(cell, status)
        finally:
            if cell.streams is not None:
                cell.streams.stop()
            self._seal(cell, status)

    def _index(self, info: ExecutionInfo) -> int | None:
        """Return which open cell has ended; IPython makes a second record of it where showing its exception failed."""
        newest = range(len(self._open) - 1, -1, -1)
        same = next((i for i in newest if self._open[i][0] is info), None)
        if same is not None:
            return same
        return next((i for i in newest if self._open[i][0].raw_cell == info.raw_cell), None)

    def _end_opened(self, mark: int, status: Status, cell: Cell | None) -> None:
        """End the runs that the cell started by itself: a forgotten one must never stand in the way of the next."""
        for run in stack.opened_since(mark):
            if cell is None or run is not cell.run:
                self.failsafe.run("runs started in the cell", lambda run=run: run.end(status))  # type: ignore[misc]

    def _collect(self, cell: Cell) -> None:
        def guard(part: str, function: Any) -> None:
            self.failsafe.run(part, function, cell.missing)

        parts.measure(cell)
        kept = cell.streams.stop() if cell.streams is not None else {}
        cell.streams = None
        guard("traceback", lambda: parts.capture_error(cell, self._file_name(cell)))
        guard("model", lambda: parts.capture_estimators(cell))
        guard("params", lambda: parts.capture_params(cell))
        guard("metrics", lambda: parts.capture_metrics(cell, kept.get("stdout", "")))
        guard("model", lambda: parts.capture_models(cell))
        guard("output", lambda: parts.capture_output(cell, kept))
        guard("packages", lambda: parts.note_environment(cell))
        if found := sum(cell.redactor.found.values()):
            cell.captured.append(f"{found} secret{'' if found == 1 else 's'} redacted")
        left_out = sorted(cell.options.no_capture)
        cell.missing += [f"{part} (--no-capture)" for part in left_out]
        cell.record |= {"captured": list(cell.captured), "not_captured": list(cell.missing)}
        guard("record", lambda: cell.run.log_capture(cell.record))

    def _file_name(self, cell: Cell) -> str | None:
        """Return the name under which IPython compiled the cell, to leave its own frames out of the traceback."""
        trace = cell.error.__traceback__ if cell.error is not None else None
        known = getattr(self.shell.compile, "_filename_map", {})
        while trace is not None:
            name = trace.tb_frame.f_code.co_filename
            if name in known or name.startswith("<ipython-input") or "ipykernel_" in name:
                return name
            trace = trace.tb_next
        return None

    def _show(self, cell: Cell, status: Status) -> None:
        def show() -> None:
            run, store = cell.run, cell.run.store
            seen = store.get_run(run.run_id)
            seen = dataclasses.replace(seen, info=dataclasses.replace(seen.info, status=status))
            previous = self._previous(store, seen)
            name = ""
            if seen.info.experiment_id != DEFAULT_EXPERIMENT_ID:
                name = store.get_experiment(seen.info.experiment_id).name
            curves = {
                key: store.get_metric_history(run.run_id, key).value[-MAX_CURVE_POINTS:].tolist()
                for key, summary in seen.summaries.items()
                if summary.count > 1
            }
            html = run_card_html(seen, previous, experiment=name, curves=curves)
            text = run_card_text(seen, previous)
            bundle = view_bundle("card", store, [run.run_id], html, text, cell.notebook)
            self.shell.display_pub.publish(data=bundle, metadata={})
            where = store.uri, seen.info.experiment_id
            self._before[where] = seen if seen.summaries else previous

        self.failsafe.run("card", show)

    def _previous(self, store: Store, run: Run) -> Run | None:
        """Return the run to show the change against: the one before it in its experiment that has metrics."""
        where = store.uri, run.info.experiment_id
        if where in self._before:
            return self._before[where]
        before = store.search_runs([run.info.experiment_id], max_results=10)
        return next(
            (one for one in before if one.run_id != run.run_id and one.summaries and TAG_PARENT not in one.data.tags),
            None,
        )

    def _seal(self, cell: Cell, status: Status) -> None:
        """End the run: at once if all is known, else in a thread that the next cell does not wait for."""
        run_id = cell.run.run_id
        writer = cell.run.release()
        if cell.git is None or cell.git.ready:
            self._last_words(cell, writer, status)
            return
        thread = threading.Thread(
            target=self._last_words, args=(cell, writer, status), name=f"nbtrack-end-{run_id[-8:]}"
        )
        pending.add(run_id)
        thread.start()

    def _last_words(self, cell: Cell, writer: RunWriter, status: Status) -> None:
        said = len(cell.missing)
        late: dict[str, Any] = {}
        try:
            if cell.wants("packages"):
                late |= self.failsafe.run("packages", lambda: parts.environment(cell), cell.missing) or {}
            git = cell.git
            if git is not None and git.root is not None:
                late["git"] = self.failsafe.run("git", git.answer, cell.missing)
                if late["git"] is None:
                    late["captured"] = [part for part in cell.captured if part != parts.GIT]
            if len(cell.missing) > said:
                late["not_captured"] = list(cell.missing)
            self.failsafe.run("record", lambda: writer.log_capture(cell.redactor.json(late)))
        finally:
            self.failsafe.run("end of the run", lambda: writer.end(status, cell.ended_ms))
            pending.done(cell.run.run_id)
