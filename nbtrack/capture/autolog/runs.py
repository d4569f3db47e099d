"""Which run a training is recorded in: the one that is active, or one of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtrack.capture.autolog.recorder import Recorder, recorder_here
from nbtrack.tracking import begin_run
from nbtrack.tracking.run import status_of

if TYPE_CHECKING:
    from nbtrack.capture.autolog.hooks import Call, Hooks
    from nbtrack.tracking import ActiveRun


@dataclass(slots=True)
class Watch:
    """A training that goes on.

    Attributes
    ----------
    recorder
        What records it.
    what
        What its hooks have to know at its end.
    own
        The run that was started for it, to be ended with it.
    """

    recorder: Recorder
    what: Any
    own: ActiveRun | None = None
    silence: AbstractContextManager[None] | None = None

    def close(self, error: BaseException | None = None) -> None:
        """End the run that was started for this training."""
        if self.own is not None:
            self.own.end(status_of(error))


def started(library: str, what: Any = None) -> Watch | None:
    """Return the watch of a training that begins; None if it is not to be recorded."""
    from nbtrack.capture.autolog import always

    own = None
    recorder = recorder_here()
    if recorder is None:
        if not always(library):
            return None
        own = begin_run()
        recorder = recorder_here()
    return None if recorder is None else Watch(recorder, what, own)


def hook_run(hooks: Hooks, owner: Any, name: str) -> None:
    """Let a training that nothing else is recorded in have a run of its own, which ends with it, also by an error."""

    def begin(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        return started(hooks.library), args, kwargs

    def end(watch: Watch | None, result: Any, error: BaseException | None) -> None:
        if watch is not None:
            watch.close(error)

    hooks.around(owner, name, begin, end)
