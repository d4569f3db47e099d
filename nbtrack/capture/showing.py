"""The one output of a tracked cell: a running picture if it takes long, the final one in its place."""

from __future__ import annotations

import dataclasses
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.view import view_bundle
from nbtrack.entities import DEFAULT_EXPERIMENT_ID, TAG_ALERTS, Run, Status
from nbtrack.reprs import run_card_html, run_card_text
from nbtrack.tracking.previous import previous_run, same_cell
from nbtrack.tracking.resumed import joined_history, resumed_runs

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbtrack.capture.cell import Cell
    from nbtrack.store.base import Store

MAX_CURVE_POINTS: Final = 200
AFTER_CLEAR_S: Final = 0.6  # a cell that clears its outputs to draw anew is left the time to do so


class Card:
    """Publishes the card of one cell; what comes later takes the place of what was there."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._display_id = secrets.token_hex(16)
        self._published_s = 0.0
        self._lock = threading.Lock()

    def publish(self, cell: Cell, bundle: dict[str, Any], *, running: bool = False) -> None:
        """Show a bundle: in place of the one before, unless the cell has cleared its outputs since."""
        with self._lock:
            cleared_s = cell.displays.cleared_s if cell.displays is not None else 0.0
            if running and time.monotonic() - cleared_s < AFTER_CLEAR_S:
                return
            update = self._published_s > cleared_s
            transient = {"display_id": self._display_id}
            self._shell.display_pub.publish(data=bundle, metadata={}, transient=transient, update=update)
            self._published_s = time.monotonic()


class Cards:
    """Makes the cards of one shell's cells, each with the change against the run before it."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str, str], Run] = {}  # the last run with metrics, of each cell

    def running(self, cell: Cell, live: dict[str, Any]) -> dict[str, Any]:
        """Return the output of a cell that still runs.

        Parameters
        ----------
        cell
            The cell.
        live
            What a front end of ours shows at once, without asking.
        """
        run, store = cell.run, cell.run.store
        if cell.seen is None or cell.seen[0] != len(run.logged_params):
            cell.seen = len(run.logged_params), store.get_run(run.run_id)
        capture = {"progress": live["progress"], "wall_s": live["elapsed_s"]}
        seen = dataclasses.replace(cell.seen[1], summaries=run.summaries(), capture=capture)
        tags = {**seen.data.tags, TAG_ALERTS: live["alerts"]}
        seen = dataclasses.replace(seen, data=dataclasses.replace(seen.data, tags=tags))
        curves = {one["key"]: [float(value) for value in one["value"]] for one in live["series"]}
        html = run_card_html(seen, experiment=self._experiment(store, seen.info.experiment_id), curves=curves)
        return view_bundle("card", store, [run.run_id], html, run_card_text(seen), cell.notebook, {"live": live})

    def final(self, cell: Cell, status: Status) -> dict[str, Any]:
        """Return the output of a cell that has ended."""
        run, store = cell.run, cell.run.store
        seen = store.get_run(run.run_id)
        seen = dataclasses.replace(seen, info=dataclasses.replace(seen.info, status=status))
        experiment_id = seen.info.experiment_id
        previous = self._previous(store, seen)
        before = resumed_runs(store, [run.run_id]) if cell.options.resume else {}
        curves = {
            key: joined_history(store, run.run_id, key, before).value[-MAX_CURVE_POINTS:].tolist()
            for key, summary in seen.summaries.items()
            if summary.count > 1
        }
        html = run_card_html(seen, previous, experiment=self._experiment(store, experiment_id), curves=curves)
        text = run_card_text(seen, previous)
        self._remember(store, seen)
        return view_bundle("card", store, [run.run_id], html, text, cell.notebook)

    def _experiment(self, store: Store, experiment_id: str) -> str:
        if experiment_id == DEFAULT_EXPERIMENT_ID:
            return ""
        return store.get_experiment(experiment_id).name

    def _previous(self, store: Store, run: Run) -> Run | None:
        """Return the run to show the change against: of this cell if there is one, else the one before."""
        if not run.summaries:
            return None
        known = self._before.get((store.uri, run.info.experiment_id, same_cell(run)))
        return known or previous_run(store, run)

    def _remember(self, store: Store, run: Run) -> None:
        if run.summaries:
            self._before[store.uri, run.info.experiment_id, same_cell(run)] = run
