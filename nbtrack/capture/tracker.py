"""The hooks around a cell: open a run before it, fill and end it after."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nbtrack.capture import autolog, seeds
from nbtrack.capture import cell as parts
from nbtrack.capture.cell import Cell
from nbtrack.capture.displays import Displays
from nbtrack.capture.ending import Ending
from nbtrack.capture.environment import GitProbe
from nbtrack.capture.failsafe import Failsafe
from nbtrack.capture.fingerprints import Cache
from nbtrack.capture.live import Pulse, Watched
from nbtrack.capture.notebook import notebook_path
from nbtrack.capture.options import TrackOptions, asks_for_help, parse_options
from nbtrack.capture.pins import pins_of
from nbtrack.capture.scan import fits_or_logs, scan_cell
from nbtrack.capture.showing import Card, Cards
from nbtrack.capture.slice_history import History
from nbtrack.capture.streams import Streams
from nbtrack.capture.transform import track_line, transform
from nbtrack.entities import TAG_NOTE, TAG_RESUMED, Status
from nbtrack.errors import InvalidInputError, NbtrackError
from nbtrack.tracking import begin_run, set_source, source_tag, stack
from nbtrack.tracking.location import experiment_id_for_new_run, get_or_create_experiment, store_for_writing
from nbtrack.tracking.redaction import Redactor
from nbtrack.tracking.resumed import next_steps
from nbtrack.tracking.run import status_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from nbtrack.store.base import Store

TAG_STEP = "nbtrack.step"


class Steps(Protocol):
    """Knows which cells that are steps need not run."""

    def forget(self) -> None:
        """Let the cell run that is about to start."""

    def unchanged(self, raw: str, options: TrackOptions) -> bool:
        """Return whether a step need not run: what it leaves is there, its card says so, and it will do nothing."""

    def leave(self, cell: Cell) -> None:
        """Keep what a step that has run left, with its run."""


class CellTracker:
    """Tracks the cells of one shell that start with ``%%track``, or all that train something (`auto`)."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.auto = False
        self.failsafe = Failsafe()
        self._open: list[tuple[ExecutionInfo, int, Cell | None]] = []
        self._lock = threading.Lock()
        self.history = History(shell)
        self._cards = Cards()
        self._data = Cache()
        self.last_run_id: str | None = None  # of the cell that was tracked last
        self.steps: Steps | None = None
        self._pulse = Pulse(partial(self.failsafe.fail, "live"))
        self._ending = Ending(self.failsafe, self._show)

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
        if self.steps is not None:
            self.steps.forget()
        execution = self.failsafe.run("slice", lambda: self.history.begin(info))
        try:
            cell = self._begin(info)
        except NbtrackError as error:
            self._say(f"this cell runs untracked. {error}")
        except Exception as error:
            self._say(f"this cell runs untracked: {type(error).__name__}: {error}")
        if cell is not None:
            cell.execution = execution
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
        if (line is None and not self.auto and not asked) or asks_for_help(line or ""):
            return None
        try:
            options = parse_options(self._expanded(line or ""))
        except InvalidInputError:
            if line is not None and line == self._expanded(line):
                return None  # the transform has said so already, and the cell does not run
            raise
        scan = scan_cell(self._python_of(info, raw))
        if line is None and not asked and (scan is None or not fits_or_logs(scan, self.shell.user_ns)):
            return None
        if line is not None and not raw.replace("\r", "").strip().partition("\n")[2].strip():
            sys.stdout.write("%%track: the cell is empty. Put the code to track below the %%track line.\n")
            return None
        steps = self.steps
        if options.step and steps and self.failsafe.run("step", lambda: steps.unchanged(raw, options)):
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
        redactor = Redactor()
        tags: dict[str, Any] = redactor.json(options.tags) | parts.cell_tags(getattr(info, "cell_id", None), raw)
        name = redactor.text(options.name) if options.name else options.name
        if options.note:
            tags[TAG_NOTE] = redactor.text(options.note)
        if options.step:
            tags[TAG_STEP] = options.step
        if options.resume:
            tags[TAG_RESUMED] = self._find_run(store, options.resume)
        around = stack.current()
        nested = around is not None and around.scope == "cell"
        run = begin_run(None, experiment_id, name, nested, None, tags, scope="cell", store=store)
        self.last_run_id = run.run_id
        if options.resume:
            run.go_on_from(next_steps(store, tags[TAG_RESUMED]))
        cell = Cell(run, options, raw, scan, names, notebook, card=Card(self.shell), redactor=redactor)
        cell.cell_id = getattr(info, "cell_id", None)
        try:
            for condition in options.alerts:
                run.alert_when(condition)
            cell.folder = self.failsafe.run("notebook", Path.cwd)
            self._prepare(cell, info)
        except BaseException:
            run.end("KILLED")
            raise
        return cell

    def _prepare(self, cell: Cell, info: ExecutionInfo) -> None:
        first: dict[str, Any] = {
            "notebook": cell.redactor.text(cell.notebook.name) if cell.notebook else None,
            "cell_id": cell.cell_id,
            "execution_count": self.shell.execution_count - bool(info.store_history),
        }
        guard = self.failsafe.run
        if cell.wants("source"):
            first |= guard("source", lambda: parts.capture_source(cell), cell.missing) or {}
        guard("record", lambda: cell.run.log_capture(first), cell.missing)
        if cell.wants("git"):
            cell.git = guard("git", lambda: GitProbe((cell.notebook or Path.cwd() / "x").parent), cell.missing)
        guard("names", cell.remember_names, cell.missing)
        cell.pins = guard("pins", lambda: pins_of(cell.run.store, source_tag(cell.run.store)), cell.missing) or {}
        cell.history = list(self.shell.user_ns.get("In", ()))[-seeds.MAX_CELLS :]
        if cell.wants("output"):
            cell.streams = guard("output", Streams, cell.missing)
            if cell.streams is not None:
                cell.streams.start()
        if cell.wants("figures"):
            guard("figures", lambda: self._listen(cell), cell.missing)
        if cell.wants("data"):
            guard("data", lambda: parts.look_at_data(cell, self._data), cell.missing)
        cell.wants_card = getattr(self.shell, "kernel", None) is not None
        cell.watched = Watched(cell, self._show_running)
        cell.usage.start()
        guard("live", lambda: self._pulse.watch(cell.watched), cell.missing)  # type: ignore[arg-type]
        if cell.wants("autolog") and not cell.states_values:
            cell.autolog = guard("autolog", lambda: autolog.begin(cell.run, cell.wants), cell.missing)

    def _listen(self, cell: Cell) -> None:
        told = partial(self.failsafe.fail, "figures", missing=cell.missing)
        cell.displays = Displays(self.shell, cell.gallery.see, told)
        cell.displays.start()

    def _show_running(self, cell: Cell, live: dict[str, Any]) -> None:
        if cell.card is not None:
            cell.card.publish(cell, self._cards.running(cell, live), running=True)

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
        self.failsafe.run("slice", lambda: self.history.end(result))
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
        seen = cell.autolog
        if seen is not None:
            self.failsafe.run("autolog", lambda: autolog.end(seen), cell.missing)
        try:
            self._end_opened(mark, status, cell)
            self._collect(cell)
            self._show(cell, status)
        finally:
            if cell.displays is not None:
                cell.displays.stop()
            if cell.streams is not None:
                cell.streams.stop()
            self._ending.seal(cell, status)

    def _show(self, cell: Cell, status: Status) -> None:
        """Show how the cell ended, in place of what showed it running."""
        card = cell.card
        if card is not None:
            self.failsafe.run("card", lambda: card.publish(cell, self._cards.final(cell, status)))

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

        if cell.watched is not None:
            self._pulse.end(cell.watched)
            if cell.watched.last is not None:
                cell.record["progress"] = cell.watched.last
        guard("usage", lambda: parts.measure(cell))
        if cell.displays is not None:
            guard("figures", cell.displays.stop)
            guard("figures", lambda: parts.note_shown(cell))
        kept = cell.streams.stop() if cell.streams is not None else {}
        cell.streams = None
        if cell.autolog is not None:
            guard("autolog", cell.autolog.finish)
        guard("traceback", lambda: parts.capture_error(cell, self._file_name(cell)))
        guard("model", lambda: parts.capture_estimators(cell))
        if cell.wants("slice"):
            guard("slice", lambda: parts.find_slice(cell))
        guard("params", lambda: parts.capture_params(cell))
        guard("metrics", lambda: parts.capture_metrics(cell, kept.get("stdout", "")))
        guard("model", lambda: parts.capture_models(cell))
        guard("alerts", lambda: parts.note_alerts(cell))
        guard("output", lambda: parts.capture_output(cell, kept))
        if cell.wants("data"):
            guard("data", lambda: parts.note_data(cell))
        if cell.wants("seeds"):
            guard("seeds", lambda: parts.capture_seeds(cell))
        guard("packages", lambda: parts.note_environment(cell))
        if self.steps is not None and cell.options.step and cell.error is None:
            guard("step", partial(self.steps.leave, cell))
        if found := sum(cell.redactor.found.values()):
            cell.captured.append(f"{found} secret{'' if found == 1 else 's'} redacted")
        left_out = sorted(cell.options.no_capture)
        cell.missing += [f"{part} (--no-capture)" for part in left_out]
        for told in (cell.captured, cell.missing):
            told[:] = cell.redactor.json(told)
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
