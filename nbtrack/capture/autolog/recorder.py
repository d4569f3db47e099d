"""What autolog has seen for one run: metrics go into it at once, params and models when it ends.

Whatever the user logs himself wins, also if he does so later. So params wait for the end, and a metric is left to him
from the moment that he logs it, too.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.autolog.hooks import guarded, keep_quiet
from nbtrack.capture.resolve import MISSING, plain
from nbtrack.capture.settings import is_setting
from nbtrack.entities import MANIFEST_NAME
from nbtrack.models.seen import saw
from nbtrack.names import MAX_KEY, check_key
from nbtrack.tracking import stack
from nbtrack.tracking.redaction import Redactor

if TYPE_CHECKING:
    from nbtrack.tracking import ActiveRun

MAX_TRAININGS: Final = 20  # of one library in one run whose curves are kept
MAX_PARAMS: Final = 200
_EXAMPLE_ROWS: Final = 5
_recorders: Final[dict[str, Recorder]] = {}
_lock: Final = threading.RLock()


class Trained:
    """A model that was trained; kept alive only while it is the last one, so that a loop over many holds one.

    Attributes
    ----------
    example : Any
        The first rows of what it was trained on, or None.
    """

    def __init__(self, model: Any, data: Any) -> None:
        self.example = _head(data)
        self._kept: Any = model
        try:
            self._model: Callable[[], Any] = weakref.ref(model)
            saw(model, data)
        except TypeError:
            self._model = lambda: model

    @property
    def model(self) -> Any:
        """The model, if it is still there."""
        return self._model()

    def release(self) -> None:
        """Leave it to the user whether the model lives on."""
        self._kept = None


def _head(data: Any) -> Any:
    shape = getattr(data, "shape", None)
    if not isinstance(shape, tuple) or not shape or not shape[0]:
        return None
    rows = data.iloc[:_EXAMPLE_ROWS] if hasattr(data, "iloc") else data[:_EXAMPLE_ROWS]
    copy = getattr(rows, "copy", None) or getattr(rows, "clone", None)  # a view would keep all of it
    return copy() if callable(copy) else rows


class Recorder:
    """What autolog has seen for one run.

    Parameters
    ----------
    run
        The run.
    wants
        Says whether a part (``"params"``, ``"metrics"``, ``"model"``) is to be captured.
    """

    def __init__(self, run: ActiveRun, wants: Callable[[str], bool] = lambda part: True) -> None:
        self.run = run
        self.wants = wants
        self.params: dict[str, Any] = {}
        self.results: dict[str, float] = {}  # metrics that the user may have under a name of his own
        self.trained: list[Trained] = []
        self.said: dict[str, str] = {}
        self.later: dict[str, Callable[[], None]] = {}  # what waits for the end, by what it is; later wins
        self._own: dict[str, int] = {}  # metric -> how many of its values are ours
        self._trainings: dict[str, int] = {}

    # -- what the hooks of a library say ---------------------------------------------------------------------------
    def training(self, library: str) -> str | None:
        """Count a training; return what its metrics' names begin with, or None if there are too many to be kept."""
        count = self._trainings[library] = self._trainings.get(library, 0) + 1
        return None if count > MAX_TRAININGS else "" if count == 1 else f"{library}{count}."

    def trainings(self, library: str) -> int:
        """Return how many trainings of a library there were."""
        return self._trainings.get(library, 0)

    def metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Log values at one step, but for those that the user logs himself."""
        if not self.wants("metrics"):
            return
        logged = self.run.summaries() if self._own else {}
        mine = {}
        for name, value in values.items():
            key = _key(name)
            count = self._own.get(key, 0)
            theirs = logged[key].count != count if key in logged else key in self.run.logged_metrics and not count
            if not theirs:
                mine[key] = value
                self._own[key] = count + 1
        if mine:
            self.run.log_metrics(mine, step=step)

    def found_params(self, params: Mapping[str, Any], owner: str = "") -> None:
        """Note params; they are logged when the run ends. A name that is taken gets its owner in front."""
        for name, value in params.items():
            kept = plain(value)
            if kept is MISSING or kept is None or not is_setting(str(name), kept):
                continue
            key = _key(name)
            if key in self.params and str(self.params[key]) != str(kept):
                key = _key(f"{owner}.{name}")
            if len(self.params) < MAX_PARAMS:
                self.params.setdefault(key, kept)

    def found_model(self, model: Any, data: Any = None) -> None:
        """Note a model that was trained, and on what; it is logged when the run ends."""
        if self.trained and self.trained[-1].model is model:
            self.trained.pop()
        for one in self.trained:
            one.release()
        self.trained = [one for one in self.trained if one.model is not None and one.model is not model]
        self.trained.append(Trained(model, data))

    def say(self, library: str, text: str) -> None:
        """Say in the list of what was captured what this library did; later wins."""
        self.said[library] = text

    # -- its end ---------------------------------------------------------------------------------------------------
    def captured(self) -> list[str]:
        """Return the entries for the list of what was captured."""
        return [f"{library}: {text}" for library, text in self.said.items()]

    def finish(self) -> None:
        """Do what had to wait: child runs, tables."""
        with keep_quiet():
            for one in self.later.values():
                guarded("what was trained", one)
        self.later.clear()

    def close(self) -> None:
        """Log all that waited, for a run that no cell fills."""
        forget(self.run)
        self.finish()
        guarded("params", self._log_what_waited)
        if self.wants("model"):
            guarded("models", self._log_models)
        if self.said:
            guarded("record", lambda: self.run.log_capture({"captured": self.captured()}))

    def _log_what_waited(self) -> None:
        redactor = Redactor()
        params = {k: redactor.value(k, str(v)) for k, v in self.params.items() if k not in self.run.logged_params}
        if params and self.wants("params"):
            self.run.log_params(params)
        results = {k: v for k, v in self.results.items() if k not in self.run.logged_metrics}
        if results and self.wants("metrics"):
            self.run.log_metrics(results)

    def _log_models(self) -> None:
        from nbtrack.capture.fitted import Fitted, log_fitted, models_to_log

        kept = [Fitted("model", one.model, None, True, one.example) for one in self.trained if one.model is not None]
        models = models_to_log(kept)
        if not models or any(
            p.endswith("/" + MANIFEST_NAME) for p in self.run.store.get_run(self.run.run_id).artifacts
        ):
            return
        self.run.log_capture({"models": [log_fitted(self.run, models[-1], "model", {})]})


def _key(name: Any) -> str:
    """Return a name that a library made up as one that a run takes."""
    text = "".join(c if c.isalnum() or c in "_-. /" else "_" for c in str(name))[:MAX_KEY].strip()
    return check_key(text or "_", "key")


def forget(run: ActiveRun) -> None:
    """Let go of what was seen for a run."""
    with _lock:
        _recorders.pop(run.run_id, None)


def open_recorder(run: ActiveRun, wants: Callable[[str], bool]) -> Recorder:
    """Return a new recorder for a run; whoever called says when the run is over."""
    with _lock:
        recorder = _recorders[run.run_id] = Recorder(run, wants)
    return recorder


def recorder_here() -> Recorder | None:
    """Return what records for the run that is active here; None if there is no run."""
    run = stack.current()
    if run is None:
        return None
    with _lock:
        recorder = _recorders.get(run.run_id)
        if recorder is None:
            around = next((r for r in reversed(list(_recorders.values())) if r.run.scope == "cell"), None)
            recorder = _recorders[run.run_id] = Recorder(run) if around is None else Recorder(run, around.wants)
            run.before_end.append(recorder.close)
    return recorder
