"""``%load_ext nbtrack``: the ``%%track``, ``%track`` and ``%nbtrack`` magics. Thin: the rooms below do the work."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult
from IPython.core.error import UsageError
from IPython.core.getipython import get_ipython

from nbtrack import tracking
from nbtrack.capture import CellTracker
from nbtrack.capture.options import HELP, OPTIONS, PARTS
from nbtrack.errors import NbtrackError, RunStateError
from nbtrack.reprs import (
    model_version_html,
    model_version_text,
    registered_model_html,
    run_card_html,
    run_card_text,
    small_table_html,
    small_table_text,
)
from nbtrack.reprs.numbers import clean

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbtrack.capture.cell import Cell
    from nbtrack.capture.options import TrackOptions
    from nbtrack.pipelines.cells_live import LiveSteps

COMMANDS: Final[dict[str, str]] = {
    "compare": "compare [FILTER]         the runs side by side: %nbtrack compare metrics.accuracy > 0.9",
    "runs": "runs [FILTER]            the last twenty runs",
    "diff": "diff RUN RUN…            why runs are different, what most likely matters first",
    "lineage": "lineage [RUN]            the cells and the data that made a run, and what was made of it",
    "store": "store                    where the runs lie, and how many there are",
    "doctor": "doctor                   whether everything is in place, and what to do if not",
    "help": "help                     what may follow %%track, and what is captured",
}
_ATTRIBUTE: Final = "_nbtrack_tracker"


class Shown:
    """A small table that a notebook shows as HTML and a terminal as text."""

    def __init__(self, head: list[str], rows: list[list[Any]], left: int = 2) -> None:
        self.head, self.rows, self.left = head, rows, left

    def __repr__(self) -> str:
        return small_table_text(self.head, self.rows)

    def _repr_html_(self) -> str:
        return small_table_html(self.head, self.rows, self.left)


def _tracker(shell: InteractiveShell) -> CellTracker:
    tracker = getattr(shell, _ATTRIBUTE, None)
    if not isinstance(tracker, CellTracker):
        raise UsageError("nbtrack is not loaded in this notebook. Run: %load_ext nbtrack")
    return tracker


def track_cell(line: str, cell: str) -> None:
    """Track this cell as a run."""
    shell = get_ipython()
    if not cell.strip():
        raise UsageError("%%track: the cell is empty. Put the code to track below the %%track line.")
    shell.run_cell(f"%%track {line}\n{cell}").raise_error()  # a script made from a notebook gets here


track_cell.__doc__ = f"Track this cell as a run.\n\n{HELP}\n"


def track_line(line: str) -> None:
    """Track every following cell that trains something or logs a metric: ``%track auto``; ``%track off`` ends that."""
    word = line.strip().lower()
    if word not in {"auto", "off"}:
        raise UsageError(f"%track: expected 'auto' or 'off', got {line.strip()!r}. A single cell starts with %%track.")
    _tracker(get_ipython()).auto = word == "auto"


def _short(run_id: str) -> str:
    return run_id[-8:]


def _runs(text: str) -> Shown:
    frame: Any = tracking.search_runs(filter_string=text, max_results=20)
    metrics = [name for name in frame.columns if name.startswith("metrics.")][:6]
    head = ["run", "id", "status", "started", *(name.removeprefix("metrics.") for name in metrics)]
    started = frame["start_time"].dt.strftime("%Y-%m-%d %H:%M:%S").tolist()
    columns = [frame["run_name"], map(_short, frame["run_id"]), frame["status"], started]
    scored = [["–" if math.isnan(value) else value for value in frame[name].tolist()] for name in metrics]
    rows = [list(row) for row in zip(*columns, *scored, strict=True)]
    return Shown(head, rows, left=4)


def _find(wanted: str) -> Any:
    ids = tracking.get_store().run_table(view="ALL", keys=[]).run_ids
    fitting = [one for one in ids if one.endswith(wanted) or one.startswith(wanted)]
    if len(fitting) != 1:
        raise UsageError(f"%nbtrack: {wanted!r} fits {len(fitting)} runs; expected one. %nbtrack runs shows their ids.")
    return tracking.get_run(fitting[0])


def _diff(text: str) -> Any:
    from nbtrack.capture.differences import diff

    wanted = shlex.split(text)
    if len(wanted) < 2:
        raise UsageError(f"%nbtrack diff: expected two or more runs, got {text!r}. %nbtrack runs shows them.")
    return diff(*[_find(one) for one in wanted])


def _lineage(text: str) -> Any:
    from nbtrack.capture.lineage import lineage

    if text:
        return lineage(_find(text))
    last = tracking.get_store().search_runs(max_results=1)
    if not last:
        raise UsageError("%nbtrack lineage: there is no run yet. A cell that starts with %%track makes one.")
    return lineage(last[0])


def _store() -> Shown:
    info = tracking.get_store().info()
    keys = ["uri", "runs", "experiments", "models", "size_bytes", "writable", "format_version"]
    return Shown(["store", ""], [[key, str(info[key])] for key in keys if key in info])


def _doctor() -> Shown:
    from nbtrack.capture.condition import conditions
    from nbtrack.lab.checks import examine
    from nbtrack.widget.hosts import live_place

    found = [(one.what, one.ok, one.seen, one.do) for one in examine(tracking.get_tracking_uri())]
    found += conditions(_tracker(get_ipython()))
    places = {
        "picture": "comparisons come to life over their picture, cards through JupyterLab's server",
        "output": "comparisons come to life in an output beside their picture",
        "nowhere": "nobody seems to look: cells leave pictures only",
    }
    found.append(("live views", True, places[live_place()], ""))
    rows = [["ok" if ok else "warn", what, seen, do] for what, ok, seen, do in found]
    return Shown(["", "what", "seen", "what to do"], rows, left=4)


def nbtrack_line(line: str) -> Any:
    """Look at what was tracked: ``%nbtrack compare | runs | diff RUN RUN | lineage [RUN] | store | doctor | help``."""
    command, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    try:
        if command == "compare":
            from nbtrack.widget import compare

            return compare(filter=rest)
        if command == "runs":
            return _runs(rest)
        if command == "diff":
            return _diff(rest)
        if command == "lineage":
            return _lineage(rest)
        if command == "store":
            return _store()
        if command == "doctor":
            return _doctor()
        if command == "help":
            print(HELP)  # noqa: T201 - a question of the user's
            return None
    except NbtrackError as error:
        raise UsageError(f"%nbtrack {command}: {error}") from None
    known = "\n".join(f"  %nbtrack {text}" for text in COMMANDS.values())
    raise UsageError(f"%nbtrack: expected one of these, got {line.strip()!r}.\n{known}")


# -- completion --------------------------------------------------------------------------------------------------------
def _experiments() -> list[str]:
    try:
        return [experiment.name for experiment in tracking.get_store(create=False).list_experiments()]
    except (NbtrackError, OSError):
        return []


def _after(line: str, words: list[str], shell: InteractiveShell) -> list[str]:
    before = words[-2] if len(words) > 1 else ""
    kind = OPTIONS.get(before)
    if kind == "experiment":
        return [shlex.quote(name) for name in _experiments()]
    if kind == "no_capture":
        return list(PARTS)
    if kind in {"param", "metric"}:
        return [name for name in shell.user_ns if not name.startswith("_")]
    return list(OPTIONS) if words[-1].startswith("-") else []


def match_arguments(context: CompletionContext) -> SimpleMatcherResult:
    """Complete the arguments of our magics."""
    shell = get_ipython()
    line = context.line_with_cursor[: context.cursor_position] if context.line_with_cursor else ""
    words = line.split(" ")
    found: list[str] = []
    if line.startswith("%%track "):
        found = _after(line, words, shell)
    elif line.startswith("%nbtrack ") and len(words) == 2:
        found = list(COMMANDS)
    elif line.startswith("%track ") and len(words) == 2:
        found = ["auto", "off"]
    fitting = [SimpleCompletion(text, type="magic argument") for text in found if text.startswith(words[-1])]
    return {"completions": fitting, "suppress": bool(fitting), "matched_fragment": words[-1]}


match_arguments.matcher_api_version = 2  # type: ignore[attr-defined]


# -- coming and going --------------------------------------------------------------------------------------------------
# Shown by name: neither module is imported before there is something of it to show.
_HTML: Final[dict[str, Callable[[Any], str]]] = {
    "nbtrack.entities.Run": run_card_html,
    "nbtrack.entities.ModelVersion": model_version_html,
    "nbtrack.entities.RegisteredModel": registered_model_html,
}


def _commit_text(commit: Any) -> str:
    from nbtrack.registry import describe

    return f"{commit.number}: {describe(commit)}, by {commit.user}" + (f", {commit.note!r}" if commit.note else "")


def _promotion_text(promotion: Any) -> str:
    return "; refused: ".join([promotion.text, *promotion.refusals])


_TEXT: Final[dict[str, Callable[[Any], str]]] = {
    "nbtrack.entities.Run": run_card_text,
    "nbtrack.entities.ModelVersion": model_version_text,
    "nbtrack.entities.Commit": _commit_text,
    "nbtrack.registry.stages.Promotion": _promotion_text,
}


def _printer(text: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
    def show(record: Any, printer: Any, _cycle: bool) -> None:
        for number, line in enumerate(text(record).split("\n")):
            if number:
                printer.break_()
            printer.text(clean(line, 2_000))

    return show


def _show_records(ipython: InteractiveShell) -> None:
    """Let a cell that ends with a model's version, a promotion or a history show it in words."""
    formatters = ipython.display_formatter.formatters
    for name, html in _HTML.items():
        formatters["text/html"].for_type_by_name(*name.rsplit(".", 1), html)
    for name, text in _TEXT.items():
        formatters["text/plain"].for_type_by_name(*name.rsplit(".", 1), _printer(text))


class _Steps:
    """Steps that need not run again; what decides that is imported when the first step comes."""

    def __init__(self, shell: InteractiveShell, tracker: CellTracker) -> None:
        self._shell, self._tracker = shell, tracker
        self._live: LiveSteps | None = None

    def forget(self) -> None:
        """Let the cell run that is about to start."""
        if self._live is not None:
            self._live.forget()

    def unchanged(self, raw: str, options: TrackOptions) -> bool:
        """Return whether a step need not run."""
        if self._live is None:
            from nbtrack.pipelines.cells_live import LiveSteps

            self._live = LiveSteps(self._shell, self._tracker)
        return self._live.unchanged(raw, options)

    def leave(self, cell: Cell) -> None:
        """Keep what a step left."""
        if self._live is not None:
            self._live.leave(cell)


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Add the magics and the hooks to a shell; doing so again changes nothing."""
    if isinstance(getattr(ipython, _ATTRIBUTE, None), CellTracker):
        return
    tracker = CellTracker(ipython)
    tracker.steps = _Steps(ipython, tracker)
    tracker.install()
    setattr(ipython, _ATTRIBUTE, tracker)
    _show_records(ipython)
    ipython.register_magic_function(track_cell, "cell", "track")
    ipython.register_magic_function(track_line, "line", "track")
    ipython.register_magic_function(nbtrack_line, "line", "nbtrack")
    if ipython.Completer is not None:
        ipython.Completer.custom_matchers.append(match_arguments)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take the magics and the hooks away again."""
    tracker = getattr(ipython, _ATTRIBUTE, None)
    if isinstance(tracker, CellTracker):
        tracker.uninstall()
        tracker.steps = None
        delattr(ipython, _ATTRIBUTE)
    formatters = ipython.display_formatter.formatters
    for kind, shown in (("text/html", _HTML), ("text/plain", _TEXT)):
        for name in shown:
            formatters[kind].pop(name, None)
    magics = ipython.magics_manager.magics
    for kind, name in (("cell", "track"), ("line", "track"), ("line", "nbtrack")):
        magics[kind].pop(name, None)
    if ipython.Completer is not None and match_arguments in ipython.Completer.custom_matchers:
        ipython.Completer.custom_matchers.remove(match_arguments)


def load() -> None:
    """Do what ``%load_ext nbtrack`` does, where a magic cannot be used.

    Raises
    ------
    RunStateError
        If this is no notebook and no IPython.
    """
    shell = get_ipython()
    if shell is None:
        raise RunStateError(
            "nbtrack.load: there is no IPython here. Run it in a notebook; a script uses nbtrack.start_run()."
        )
    load_ipython_extension(shell)
