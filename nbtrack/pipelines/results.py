"""What pipelines leave: what became of each step, and how that is shown, also while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nbtrack.pipelines.board import was_shown_here
from nbtrack.reprs.html import ACCENT, BAD, DIM, GOOD, box, dim, esc, table
from nbtrack.reprs.numbers import format_duration, short_id

TAG_PIPELINE: Final = "nbtrack.pipeline"
SIGNS: Final = {
    "ran": ("✓", GOOD),
    "reused": ("↺", ACCENT),
    "failed": ("✗", BAD),
    "running": ("●", ACCENT),
    "not run": ("○", DIM),
    "left out": ("–", DIM),
}


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step.

    `status` is ``"ran"``, ``"reused"`` (its code, params and inputs were those of an earlier run, `run_id`),
    ``"failed"`` or ``"not run"``. `inputs` tells for each argument which step returned it, ``""`` for a param;
    `not_kept` why a later pipeline cannot reuse it, empty if it can; `store` where its run lies, if not beside the
    pipeline's.
    """

    name: str
    status: str = "not run"
    run_id: str = ""
    seconds: float = 0.0
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    not_kept: str = ""
    store: str = ""


Watch = Callable[[StepResult], None]


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What a pipeline did: its parent run, each step, and the values that the steps returned."""

    run_id: str
    steps: tuple[StepResult, ...]
    values: Mapping[str, Any]
    shown_in: int | None = field(default=None, repr=False, compare=False)

    @property
    def step_run_ids(self) -> Mapping[str, str]:
        """Step name -> the run that did it, also where that was an earlier pipeline's."""
        return {step.name: step.run_id for step in self.steps}

    def __repr__(self) -> str:
        told = ", ".join(f"{step.name} {step.status}" for step in self.steps)
        return f"<PipelineResult {self.run_id}: {told}>"

    def _repr_html_(self) -> str:
        return steps_html(self.steps)

    def _ipython_display_(self) -> None:
        if not was_shown_here(self.shown_in):
            from IPython.display import display

            display({"text/plain": repr(self), "text/html": self._repr_html_()}, raw=True)


class Steps:
    """The steps of a pipeline that goes on, as a board shows them."""

    def __init__(self, done: Mapping[str, StepResult]) -> None:
        self.done = done

    def lines(self) -> Sequence[Sequence[str]]:
        """Return a row a step."""
        rows = [[one.name, mark(one.status), short_id(one.run_id), _time(one)] for one in self.done.values()]
        return [["step", "", "run", "time"], *rows]

    def html(self) -> str:
        """Return them as a table."""
        return steps_html(tuple(self.done.values()))


def mark(status: str) -> str:
    """Return the sign and the word of what became of something."""
    return f"{SIGNS[status][0]} {status}"


def mark_html(status: str) -> str:
    """Return the same as markup."""
    return f'<span style="color:{SIGNS[status][1]};white-space:nowrap">{mark(status)}</span>'


def steps_html(steps: Sequence[StepResult]) -> str:
    """Return steps as a table."""
    rows = []
    for step in steps:
        takes = ", ".join(f"{esc(name, 40)} ← {esc(source or 'params', 40)}" for name, source in step.inputs.items())
        notes = [f"runs each time: {esc(step.not_kept, 160)}"] if step.not_kept else []
        notes += [f"in {esc(step.store, 80)}"] if step.store else []
        told = [esc(step.name, 60), mark_html(step.status), takes, esc(short_id(step.run_id)), dim("; ".join(notes))]
        rows.append([*told, _time(step)])
    return box(table(["step", "", "takes", "run", "", "time"], rows, left=5), worst([one.status for one in steps]))


def worst(statuses: Sequence[str]) -> str:
    """Return the colour of several things together."""
    return BAD if "failed" in statuses else ACCENT if {"running", "not run"} & set(statuses) else GOOD


def _time(step: StepResult) -> str:
    return format_duration(step.seconds) if step.status in {"ran", "reused", "failed"} else ""


def reused_card(step: str, run_id: str, outputs: Sequence[str], hint: str = "") -> dict[str, str]:
    """Return what stands under a step that was not run, by media type."""
    left = ", ".join(outputs)
    text = f"↺ {step}: reused from run {run_id}; code, params and inputs are unchanged."
    inner = f"<b>↺ {esc(step)}</b> reused from run {esc(short_id(run_id))}: code, params and inputs are unchanged." + (
        f" {dim('leaves ' + esc(left, 300))}" if left else ""
    )
    if hint:
        text, inner = f"{text} {hint}", f"{inner} {dim(esc(hint))}"
    return {"text/plain": text, "text/html": box(inner, ACCENT)}
