"""Many pipelines after one another, in one table; one that fails does not stop the others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.errors import InvalidInputError, NotFoundError, PipelineError
from nbtrack.pipelines.board import Board, as_text, was_shown_here
from nbtrack.pipelines.declared import Pipeline, find_pipelines
from nbtrack.pipelines.results import StepResult, mark, mark_html, worst
from nbtrack.registry.policies import get_policies, why_line_not
from nbtrack.reprs.html import BAD, box, dim, esc, table
from nbtrack.reprs.numbers import clean, format_duration, plural, short_id
from nbtrack.tracking.location import get_store, get_tracking_uri, working_in

if TYPE_CHECKING:
    import pandas as pd

TAG_RETRAIN: Final = "nbtrack.retrain"  # which call of retrain_all a pipeline's run belongs to
TAG_ENVIRONMENT: Final = "nbtrack.environment"
_HEAD: Final = ("pipeline", "line", "", "steps", "run", "store", "time", "")


@dataclass(frozen=True, slots=True)
class Retrained:
    """What became of one pipeline.

    `status` is ``"ran"``, ``"reused"`` (no step had changed), ``"failed"``, ``"left out"`` (`why` says by what), or
    ``"not run"``. Where it failed, `run_id` is the run of the step that did. `steps` are as in a
    :class:`~nbtrack.pipelines.results.PipelineResult`; `store` has its run.
    """

    name: str
    line: str | None = None
    status: str = "not run"
    run_id: str = ""
    store: str = ""
    steps: tuple[StepResult, ...] = ()
    seconds: float = 0.0
    why: str = ""
    error: BaseException | None = field(default=None, repr=False, compare=False)

    @property
    def progress(self) -> str:
        """The steps so far, in signs."""
        begun = [one for one in self.steps if one.status != "not run"]
        return " ".join(f"{one.name} {'…' if one.status == 'running' else mark(one.status)[0]}" for one in begun)


class RetrainResult(Sequence[Retrained]):
    """What became of all pipelines, in order; a table in a notebook and in text."""

    def __init__(self, rows: Sequence[Retrained], environment: str | None, batch: str) -> None:
        self.rows, self.environment, self.batch = list(rows), environment, batch
        self.shown_in: int | None = None

    def __getitem__(self, at: Any) -> Any:
        return next(one for one in self.rows if one.name == at) if isinstance(at, str) else self.rows[at]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Retrained]:
        return iter(self.rows)

    @property
    def failed(self) -> list[Retrained]:
        """Those that failed."""
        return [one for one in self.rows if one.status == "failed"]

    @property
    def stores(self) -> list[str]:
        """All stores that something was logged to: ``nbtrack.compare`` shows them together."""
        places = [place for row in self.rows for place in (row.store, *(one.store for one in row.steps)) if place]
        return list(dict.fromkeys(places))

    def raise_failed(self) -> None:
        """Raise a PipelineError that names those that failed, if some did."""
        if found := self.failed:
            told = "; ".join(f"{one.name}: {one.why}" for one in found)
            raise PipelineError(f"retrain_all: {len(found)} of {len(self)} failed. {told}") from found[0].error

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame, a row a pipeline: ``pipeline``, ``line``, ``status``, ``run_id``, ``store``, ``seconds``,
        ``why``."""
        import pandas as pd

        rows = [(one.name, one.line, one.status, one.run_id, one.store, one.seconds, one.why) for one in self.rows]
        return pd.DataFrame(rows, columns=["pipeline", "line", "status", "run_id", "store", "seconds", "why"])

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        counts = {status: sum(one.status == status for one in self.rows) for status in ("ran", "reused", "failed")}
        parts = [f"{counts['ran']} trained"]
        parts += [f"{counts['reused']} unchanged"] if counts["reused"] else []
        parts += [f"{counts['failed']} failed"] if counts["failed"] else []
        out = sum(one.status == "left out" for one in self.rows)
        parts += [f"{out} left out"] if out else []
        waiting = sum(one.status in {"not run", "running"} for one in self.rows)
        parts += [f"{waiting} to go"] if waiting else []
        where = f" for {self.environment}" if self.environment else ""
        return f"{plural(len(self), 'pipeline')}{where}: {', '.join(parts)}."

    def lines(self) -> Sequence[Sequence[str]]:
        """Return the table as text, the heads first."""
        return [_HEAD, *(self._cells(one, clean, mark) for one in self.rows)]

    def html(self) -> str:
        """Return the table as HTML."""
        rows = [self._cells(one, esc, mark_html)[:-1] for one in self.rows]
        told = []
        for one in self.rows:
            if one.why:
                text = f"{esc(one.name, 60)}: {esc(one.why, 600)}"
                shown = f'<span style="color:{BAD}">{text}</span>' if one.status == "failed" else dim(text)
                told.append(f"<div>{shown}</div>")
        head = f"<b>{esc(self.verdict)}</b>"
        inner = head + table(_HEAD[:-1], rows, left=7) + "".join(told)
        return box(inner, worst([one.status for one in self.rows]))

    @staticmethod
    def _cells(one: Retrained, text: Callable[[Any, int], str], sign: Callable[[str], str]) -> list[str]:
        took = format_duration(one.seconds) if one.seconds else ""
        place = Path(one.store).name
        names = (text(one.name, 60), text(one.line or "", 20), _trained(sign(one.status)), text(one.progress, 120))
        return [*names, text(short_id(one.run_id), 8), text(place, 40), took, text(one.why, 200)]

    def __repr__(self) -> str:
        return f"{self.verdict}\n{as_text(self.lines())}"

    def _repr_html_(self) -> str:
        return self.html()

    def _ipython_display_(self) -> None:
        if not was_shown_here(self.shown_in):
            from IPython.display import display

            display({"text/plain": repr(self), "text/html": self.html()}, raw=True)


def retrain_all(
    pipelines: Sequence[Pipeline] | str | os.PathLike[str] | None = None,
    *,
    env: str | None = None,
    params: Mapping[str, Any] | None = None,
    force: bool | Sequence[str] = False,
    store: str | Path | None = None,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
) -> RetrainResult:
    """Run many pipelines one after the other; one that fails is a red row, and the others go on.

    Parameters
    ----------
    pipelines
        What :func:`~nbtrack.pipelines.declared.pipeline` made, or a ``pipelines.toml``; if not given, those declared in
        this process, else those of the nearest ``pipelines.toml`` at or above the working directory.
    env
        An environment with a policy, such as ``"INT"``: pipelines whose code line does not fit it are left out. Steps
        that ask for `env` are given it.
    params
        Params for all of them; they come before a pipeline's own.
    force
        Run all steps, or those of these names, even if nothing has changed.
    store
        The store of pipelines that name none; the one in use if not given.
    progress
        Show the table as it grows, in a notebook or on a terminal.
    say
        Where no table can be drawn again, called with a line for every pipeline that has ended.

    Returns
    -------
    RetrainResult
        A sequence of what became of each, with ``failed``, ``stores``, ``raise_failed()`` and ``to_frame()``.

    Raises
    ------
    InvalidInputError
        If there is no pipeline, or its declaration cannot be read.
    NotFoundError
        If the environment has no policy.
    KeyboardInterrupt
        On Ctrl-C: the pipeline that runs is KILLED, the others are not begun.

    Examples
    --------
    >>> nbtrack.retrain_all(env="INT")  # doctest: +SKIP
    """
    found = find_pipelines(pipelines)
    with working_in(store):
        policy = _policy(env)
        batch = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        result = RetrainResult([Retrained(one.name, one.line) for one in found], env.upper() if env else None, batch)
        for at, one in enumerate(found):
            if policy is not None and (why := why_line_not(one.line, policy)) is not None:
                result.rows[at] = replace(result.rows[at], status="left out", why=why)
        tags = {TAG_RETRAIN: batch, **({TAG_ENVIRONMENT: env.upper()} if env else {})}
        given = {**({"env": env.upper()} if env else {}), **(params or {})}
        with Board(result, wanted=progress, say=say) as board:
            result.shown_in = board.shown_in
            for at, one in enumerate(found):
                if result.rows[at].status != "left out":
                    _run(one, at, result, board, given, tags, force)
                row = result.rows[at]
                board.update(f"{_trained(mark(row.status))}  {row.name}  {row.why or format_duration(row.seconds)}")
    return result


def _trained(text: str) -> str:
    return text.replace("✓ ran", "✓ trained")


def _policy(env: str | None) -> str | None:
    """Return what an environment lets in."""
    if env is None:
        return None
    if not env.strip():
        raise InvalidInputError(f"retrain_all: expected the name of an environment, got {env!r}.")
    policies = get_policies(store=get_store())
    if env.upper() not in policies:
        known = ", ".join(f"{name}: {text}" for name, text in policies.items()) or "none"
        raise NotFoundError(
            f"retrain_all: environment {env.upper()!r} has no policy; the policies are: {known}."
            f" nbtrack.set_policy({env.upper()!r}, '<=1.0') sets one."
        )
    return policies[env.upper()]


def _run(
    one: Pipeline,
    at: int,
    result: RetrainResult,
    board: Board,
    params: Mapping[str, Any],
    tags: Mapping[str, Any],
    force: bool | Sequence[str],
) -> None:
    started = time.perf_counter()
    steps: dict[str, StepResult] = {}

    def change(**news: Any) -> None:
        seconds = time.perf_counter() - started
        result.rows[at] = replace(result.rows[at], steps=tuple(steps.values()), seconds=seconds, **news)
        board.update()

    def watch(step: StepResult) -> None:
        steps[step.name] = step
        change()

    with working_in(one.store):
        change(status="running", store=get_tracking_uri())
    try:
        own = {name: value for name, value in params.items() if name not in one.params}
        done = one(force=force, tags=tags, progress=False, watch=watch, **own)
    except KeyboardInterrupt:
        change(status="failed", why="stopped by Ctrl-C")
        raise
    except (Exception, SystemExit) as error:
        failed = next((step for step in steps.values() if step.status == "failed"), None)
        told = f"{type(error).__name__}: {error}"
        change(
            status="failed",
            run_id=failed.run_id if failed else "",
            why=f"{failed.name}: {told}" if failed else told,
            error=error,
        )
        return
    steps.update((step.name, step) for step in done.steps)
    reused = bool(done.steps) and all(step.status == "reused" for step in done.steps)
    change(status="reused" if reused else "ran", run_id=done.run_id)
