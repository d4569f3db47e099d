"""What ``%nbtrack doctor`` says of the notebook itself: what is hooked, what is known, what went wrong."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from nbtrack.capture.environment import find_git
from nbtrack.capture.notebook import notebook_path

if TYPE_CHECKING:
    from nbtrack.capture.tracker import CellTracker

Condition = tuple[str, bool, str, str]  # what was looked at, whether it is well, what was seen, what to do if not


def conditions(tracker: CellTracker) -> list[Condition]:
    """Return what can be said of a shell that tracks cells."""
    return [_hooks(tracker), _notebook(tracker), _git(tracker), _samples(), _told(tracker)]


def _hooks(tracker: CellTracker) -> Condition:
    callbacks = tracker.shell.events.callbacks
    transforms = tracker.shell.input_transformer_manager.cleanup_transforms
    missing = [
        name
        for name, there in (
            ("the %%track line", tracker.transform in transforms),
            ("before a cell", tracker.pre_run_cell in callbacks["pre_run_cell"]),
            ("after a cell", tracker.post_run_cell in callbacks["post_run_cell"]),
        )
        if not there
    ]
    if missing:
        return "hooks", False, f"gone: {', '.join(missing)}", "%unload_ext nbtrack, then %load_ext nbtrack"
    return "hooks", True, f"in place; %track auto is {'on' if tracker.auto else 'off'}", ""


def _notebook(tracker: CellTracker) -> Condition:
    path = notebook_path(tracker.shell.user_ns)
    if path is not None:
        return "notebook", True, str(path), ""
    return "notebook", True, "its path is not told by this host; runs are found by the text of their cell", ""


def _git(tracker: CellTracker) -> Condition:
    from pathlib import Path

    path = notebook_path(tracker.shell.user_ns)
    root = find_git(path.parent if path is not None else Path.cwd())
    return "git", True, f"commit and changes of {root}" if root else "no repository here, so runs hold no commit", ""


def _samples() -> Condition:
    if find_spec("psutil") is None:
        return "memory", False, "cannot be seen without psutil", "pip install psutil"
    return "memory", True, "looked at once a second", ""


def _told(tracker: CellTracker) -> Condition:
    said = tracker.failsafe.said
    if not said:
        return "capture", True, "nothing has failed in this kernel", ""
    return "capture", False, f"{len(said)} failed; the last: {said[-1][:300]}", "--no-capture PART leaves a part out"
