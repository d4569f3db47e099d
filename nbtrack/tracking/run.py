"""The run one logs on."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

from nbtrack.entities import DatasetInput, MetricSummary, Run, RunData, RunInfo, RunInputs, Status
from nbtrack.errors import InvalidInputError, RunStateError
from nbtrack.names import check_artifact_path, check_key
from nbtrack.tracking import stack
from nbtrack.tracking.alerting import Alerting, Append

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    import plotly.graph_objects as go

    from nbtrack.plots import Kind
    from nbtrack.store.base import RunWriter, Store

_P = ParamSpec("_P")
_R = TypeVar("_R")
_ENDS: tuple[Status, ...] = ("FINISHED", "FAILED", "KILLED")


def status_of(error: BaseException | None) -> Status:
    """Return how a run ended that left with `error`: an interrupt is KILLED, any other exception FAILED."""
    if error is None:
        return "FINISHED"
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CancelledError":
        return "KILLED"
    if isinstance(error, SystemExit):
        return "FINISHED" if error.code in (None, 0) else "FAILED"
    return "FAILED"


class ActiveRun(Alerting):
    """A run that may still be logged on. ``start_run`` yields one; as a context manager it ends with the block.

    Attributes
    ----------
    run_id : str
        The id of the run.
    store : Store
        The store that it lies in.
    scope : {"block", "cell"}
        Whether it ends with its block (or `end_run`), or with the notebook cell that it tracks.
    experiment_id : str or None
        The experiment it was started in.
    """

    def __init__(self, store: Store, writer: RunWriter, *, scope: Literal["block", "cell"] = "block") -> None:
        self.store = store
        self.run_id = writer.run_id
        self.scope = scope
        self.experiment_id: str | None = None
        self.logged_params: set[str] = set()
        self._writer = writer
        self.append_metric: Append = writer.log_metric
        self._pid = os.getpid()
        self._ended = False
        self.entered = False
        self.before_end: list[Callable[[], None]] = []  # what has to be logged last; does not raise
        self.recreate: Callable[[], ActiveRun] | None = None

    # -- what it is ------------------------------------------------------------------------------------------------
    def _run(self) -> Run:
        return self.store.get_run(self.run_id)

    @property
    def info(self) -> RunInfo:
        """What the run is, as the store knows it now."""
        return self._run().info

    @property
    def data(self) -> RunData:
        """What the run logged up to now."""
        return self._run().data

    @property
    def inputs(self) -> RunInputs:
        """What the run read."""
        return self._run().inputs

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self._ended or self._writer.ended

    # -- logging ---------------------------------------------------------------------------------------------------
    def log_param(self, key: str, value: Any) -> Any:
        """Set one param, once; return `value`. Setting it to the same text again does nothing."""
        self.log_params({key: value})
        return value

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Set params, as text. Raises InvalidInputError if one is already set to something else."""
        for key in params:
            check_key(key, "param key")
        self._writer.log_params(params)
        self.logged_params.update(params)

    def set_early_params(self, params: Mapping[str, Any]) -> None:
        """Set the params that stand if this process dies before they are logged."""
        self._writer.set_early_params(params)

    def log_metric(self, key: str, value: Any, step: int | None = None, timestamp: int | None = None) -> None:
        """Append one value of a metric.

        Parameters
        ----------
        key
            Its name.
        value
            One number; also a numpy scalar or a tensor of one element. NaN and infinities are kept.
        step
            Its place on the x axis; without it each metric counts on from its own last step, from 0.
        timestamp
            When, in ms since 1970 UTC; now if not given.
        """
        self.append_metric(key, value, step, timestamp)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None, timestamp: int | None = None) -> None:
        """Append one value of each metric, all at the same step."""
        if metrics:
            self._writer.log_metrics(metrics, step, timestamp)
            if self._watch is not None:
                self._watch.look(metrics)

    @property
    def logged_metrics(self) -> set[str]:
        """The metrics logged up to now."""
        return set(self.summaries())

    def go_on_from(self, steps: Mapping[str, int]) -> None:
        """Let metrics that count their own steps begin at these: the run takes over the curves of another."""
        self._writer.first_steps = steps

    def summaries(self) -> Mapping[str, MetricSummary]:
        """Each metric logged up to now, in one line; from memory, so it may be asked often."""
        return self._writer.summaries()

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag, as text; later wins."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags, as text; later wins."""
        for key in tags:
            check_key(key, "tag key")
        self._writer.set_tags(tags)

    def delete_tag(self, key: str) -> None:
        """Remove a tag."""
        self._writer.delete_tag(check_key(key, "tag key"))

    def set_name(self, run_name: str) -> None:
        """Rename the run."""
        self._writer.set_name(run_name)

    def log_capture(self, record: Mapping[str, Any]) -> None:
        """Merge plain JSON values into what was captured of the run."""
        self._writer.log_capture(record)

    # -- artifacts -------------------------------------------------------------------------------------------------
    def log_bytes(self, data: bytes | str | Path, artifact_file: str) -> None:
        """Store bytes, or the file at a path, under the artifact path `artifact_file`."""
        self._writer.log_artifact(data, check_artifact_path(artifact_file))

    def log_artifact(self, local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Store a file, or a folder with all in it, in the folder `artifact_path` of the run."""
        path = Path(local_path)
        if path.is_dir():
            self.log_artifacts(path, f"{artifact_path}/{path.name}" if artifact_path else path.name)
            return
        if not path.is_file():
            raise InvalidInputError(
                f"log_artifact: there is no file {str(path)!r} (working directory {str(Path.cwd())!r})."
                " Give the path of a file or folder."
            )
        self.log_bytes(path, f"{artifact_path}/{path.name}" if artifact_path else path.name)

    def log_artifacts(self, local_dir: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Store all files in a folder, with their folders, in the folder `artifact_path` of the run.

        A link that leads out of the folder is refused: what it names may be nobody's business, such as a key.
        """
        root = Path(local_dir)
        if not root.is_dir():
            raise InvalidInputError(
                f"log_artifacts: expected a folder, got {str(root)!r}. log_artifact takes one file."
            )
        prefix = f"{artifact_path}/" if artifact_path else ""
        inside = root.resolve()
        for path in sorted(root.rglob("*")):
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise InvalidInputError(
                    f"log_artifacts: {str(path)!r} is a link that leads out of the folder, to {str(path.resolve())!r}."
                    " Remove it, or log that file itself with log_artifact."
                )
            if path.is_file():
                self.log_bytes(path, prefix + path.relative_to(root).as_posix())

    def log_text(self, text: str, artifact_file: str) -> None:
        """Store text as the file `artifact_file` (UTF-8)."""
        self.log_bytes(text.encode(), artifact_file)

    def log_dict(self, dictionary: Any, artifact_file: str) -> None:
        """Store a dict or list as JSON, or as YAML if `artifact_file` ends in ``.yaml`` or ``.yml``."""
        from nbtrack.tracking.artifacts import encode_dict

        self.log_bytes(encode_dict(dictionary, artifact_file), artifact_file)

    def log_figure(self, figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None) -> None:
        """Store a matplotlib, plotly or altair figure as the ending says: png, svg, pdf, html or json."""
        from nbtrack.tracking.artifacts import encode_figure

        self.log_bytes(encode_figure(figure, artifact_file, save_kwargs or {}), artifact_file)

    def log_image(
        self, image: Any, artifact_file: str | None = None, key: str | None = None, step: int | None = None
    ) -> None:
        """Store an image: an array (height, width[, 1, 3 or 4]) of bytes or of floats in 0 to 1, or a PIL image.

        Give either `artifact_file`, or `key` and `step` for one of a series (``images/<key>/00000010.png``).
        """
        from nbtrack.tracking.artifacts import encode_image

        if (artifact_file is None) == (key is None):
            raise InvalidInputError(f"log_image: give artifact_file or key; got {artifact_file!r} and {key!r}.")
        path = artifact_file or f"images/{key}/{step or 0:08d}.png"
        self.log_bytes(encode_image(image, path), path)

    def log_table(self, data: Any, artifact_file: str) -> None:
        """Store a DataFrame, or a dict of columns, as JSON; rows are added to a table already there."""
        from nbtrack.tracking.artifacts import encode_table

        known = self._run().artifacts.get(check_artifact_path(artifact_file))
        before = None if known is None else self.store.read_blob(known.digest)
        self.log_bytes(encode_table(data, before), artifact_file)

    def log_input(
        self,
        dataset: Any,
        context: str | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        name: str | None = None,
    ) -> DatasetInput:
        """Record the data that the run reads: a DataFrame, an array, or the path of a file; return its record.

        Parameters
        ----------
        dataset
            The data. Only its fingerprint is stored: content hash, shape, columns and types.
        context
            What it is for, such as ``"training"``.
        tags
            More to say about it; stored with the fingerprint.
        name
            What to call it.
        """
        from nbtrack.tracking.datasets import describe_dataset

        record = describe_dataset(dataset, name=name, context=context or "", tags=tags or {})
        self._writer.log_inputs([record])
        return record

    # -- what it looks like ----------------------------------------------------------------------------------------
    def plot(self, kind: Kind = "curves", **options: Any) -> go.Figure:
        """Return a plotly figure of the run, as :func:`nbtrack.plot` does: its metric curves unless told otherwise."""
        from nbtrack.tracking.plotting import plot

        return plot(self, kind, store=self.store, **options)

    # -- its end ---------------------------------------------------------------------------------------------------
    def end(self, status: str = "FINISHED") -> None:
        """End the run as FINISHED, FAILED or KILLED. Doing so again does nothing; a forked child only lets go of it."""
        wanted = str(status).upper()
        found = next((s for s in _ENDS if s == wanted), None)
        if found is None:
            raise InvalidInputError(f"end_run: expected one of {', '.join(_ENDS)}, got {status!r}.")
        already, self._ended = self._ended, True
        stack.remove(self)
        if not already and self._pid == os.getpid():
            for last_words in self.before_end:
                last_words()
            self.count_alerts()
            self._writer.end(found)

    def release(self) -> RunWriter:
        """Take the run off the active ones without ending it; whoever called must end the writer."""
        self.count_alerts()
        self._ended = True
        stack.remove(self)
        return self._writer

    def __enter__(self) -> Self:
        if self.ended:
            raise RunStateError(f"run {self.run_id}: it has ended; start_run(run_id={self.run_id!r}) goes on with it.")
        self.entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = status_of(error)
        if error is not None and status != "FINISHED" and not self.ended:
            from nbtrack.tracking.failure import describe_error

            self._writer.log_capture({"error": describe_error(error)})
        self.end(status)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Use ``@start_run(…)`` as a decorator: every call of `function` is a run of its own.

        The run that ``start_run`` has begun for the decorator line itself is taken back.
        """
        if self.recreate is None or self.entered:
            raise RunStateError(f"run {self.run_id}: only a fresh start_run(…) can decorate a function.")
        stack.remove(self)
        self._ended = True
        self._writer.discard()
        return decorated(function, self.recreate)

    # -- how it looks ----------------------------------------------------------------------------------------------
    def __repr__(self) -> str:
        info = self.info
        return f"<ActiveRun {info.run_name!r} {info.status} {self.run_id}>"

    def _repr_html_(self) -> str:
        from nbtrack.reprs import run_card_html

        return run_card_html(self._run())


def decorated(function: Callable[_P, _R], start: Callable[[], ActiveRun]) -> Callable[_P, _R]:
    """Return `function` so that each call of it, sync or async, is inside a run that `start` begins."""
    from inspect import iscoroutinefunction

    if iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            with start():
                return await function(*args, **kwargs)

        return cast("Callable[_P, _R]", call_async)

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with start():
            return function(*args, **kwargs)

    return call
