"""A run as the sum of what its files say.

A *digest* is what one file contributes: for a sealed log its last line, for a live one the fold of its lines, for an
edit its only line. :func:`merge` adds digests up, later wins per key.

A metric's summary is a list, as it stands in the file: ``[step, t, last, min, max, count, min_step, max_step]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf, nan
from typing import Any, Final

from nbtrack.entities import (
    TAG_USER,
    Artifact,
    DatasetInput,
    MetricSummary,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    Status,
)
from nbtrack.store.lines import from_json_number, to_json_number

STEP, TIME, LAST, MIN, MAX, COUNT, MIN_STEP, MAX_STEP = range(8)
ENDED: Final = frozenset({"FINISHED", "FAILED", "KILLED", "SCHEDULED"})
_GOING_ON: Final = frozenset({"RUNNING", "SCHEDULED"})  # states without an end


class Digest:
    """What one file says of a run. `end` is empty while the log is not sealed."""

    __slots__ = (
        "alive",
        "artifacts",
        "at",
        "capture",
        "damage",
        "deleted",
        "early",
        "edit",
        "end",
        "ended_at",
        "exp",
        "inputs",
        "metrics",
        "name",
        "params",
        "patches",
        "session",
        "tags",
        "torn",
        "until",
    )

    def __init__(self, at: int, until: int | None = None) -> None:
        self.at = at
        self.until = at if until is None else until
        self.edit = False
        self.session = False  # a log that decides the status, unlike an edit or the log of a forked child
        self.end = ""
        self.ended_at: int | None = None  # an edit that sets the status may say when that was
        self.name = ""
        self.exp = ""
        self.deleted: bool | None = None
        self.params: dict[str, str] = {}
        self.early: dict[str, str] = {}  # params that stand while nothing says how the run ended
        self.tags: dict[str, str | None] = {}
        self.metrics: dict[str, list[Any]] = {}
        self.artifacts: dict[str, tuple[str, int]] = {}
        self.inputs: list[dict[str, Any]] = []
        self.capture: dict[str, Any] = {}
        self.patches: list[tuple[int, dict[str, Any]]] = []
        self.alive = False
        self.torn = 0  # bytes after the last whole line
        self.damage: tuple[str, ...] = ()


class RunState:
    """A run, added up."""

    __slots__ = (
        "artifacts",
        "capture",
        "damage",
        "deleted",
        "deleted_at",
        "end",
        "exp",
        "inputs",
        "metrics",
        "name",
        "params",
        "run_id",
        "start",
        "status",
        "tags",
    )

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.name = ""
        self.exp = "0"
        self.status = "RUNNING"
        self.start = 0
        self.end: int | None = None
        self.deleted = False
        self.deleted_at = 0
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.metrics: dict[str, list[Any]] = {}
        self.artifacts: dict[str, tuple[str, int]] = {}
        self.inputs: list[dict[str, Any]] = []
        self.capture: dict[str, Any] = {}
        self.damage: tuple[str, ...] = ()


def new_summary(step: int) -> list[Any]:
    """Return the summary of a metric that has no value yet; `step` is that of the last value before."""
    return [step, 0, nan, inf, -inf, 0, step, step]


def add_value(summary: list[Any], step: int, at: int, value: float) -> None:
    """Add one value to a summary."""
    summary[STEP] = step
    summary[TIME] = at
    summary[LAST] = value
    summary[COUNT] += 1
    if value < summary[MIN] or summary[MIN] != summary[MIN]:
        summary[MIN] = value
        summary[MIN_STEP] = step
    if value > summary[MAX] or summary[MAX] != summary[MAX]:
        summary[MAX] = value
        summary[MAX_STEP] = step


def summary_to_json(summary: list[Any], base: int) -> list[Any]:
    """Return a summary as it stands in a log whose times count from `base`."""
    step, at, last, low, high, count, low_step, high_step = summary
    if low > high:  # nothing but NaN
        low, high = nan, nan
    return [
        step,
        at - base,
        to_json_number(last),
        to_json_number(low),
        to_json_number(high),
        count,
        low_step,
        high_step,
    ]


def summary_from_json(row: list[Any], base: int) -> list[Any]:
    """The reverse of :func:`summary_to_json`; raises ValueError, TypeError for anything else."""
    step, at, last, low, high, count, low_step, high_step = row
    return [
        int(step),
        at + base,
        last if type(last) is float else from_json_number(last),
        low if type(low) is float else from_json_number(low),
        high if type(high) is float else from_json_number(high),
        int(count),
        int(low_step),
        int(high_step),
    ]


def merge_summary(old: list[Any] | None, new: list[Any]) -> list[Any]:
    """Return the summary of both series together."""
    if old is None:
        return list(new)
    first, last = (old, new) if new[TIME] >= old[TIME] else (new, old)
    low = first if not last[MIN] < first[MIN] and first[MIN] == first[MIN] else last
    high = first if not last[MAX] > first[MAX] and first[MAX] == first[MAX] else last
    count = old[COUNT] + new[COUNT]
    return [last[STEP], last[TIME], last[LAST], low[MIN], high[MAX], count, low[MIN_STEP], high[MAX_STEP]]


def apply_patch(digest: Digest, patch: Mapping[str, Any]) -> None:
    """Fold one line that is not a metric line into a digest. Unknown keys are left alone."""
    if params := patch.get("params"):
        digest.params.update(params)
    if (early := patch.get("early")) is not None:
        digest.early = dict(early)
    if tags := patch.get("tags"):
        digest.tags.update(tags)
    if artifact := patch.get("artifact"):
        digest.artifacts[artifact] = (patch["sha256"], patch["size"])
    if inputs := patch.get("inputs"):
        digest.inputs.extend(inputs)
    if capture := patch.get("capture"):
        digest.capture.update(capture)
    if name := patch.get("name"):
        digest.name = name


def overlapping(digests: Iterable[Digest]) -> bool:
    """Return whether one file of a run was begun while a log of it was being written: order then matters by line."""
    found = list(digests)
    return any(a.at < b.at <= a.until for a in found for b in found if a is not b)


def merge(run_id: str, digests: Iterable[Digest]) -> RunState:
    """Add up what the files of a run say."""
    ordered = sorted(digests, key=lambda d: d.at)
    state = RunState(run_id)
    if len(ordered) > 1 and any(digest.patches for digest in ordered):
        _apply_in_time(state, ordered)
    else:
        for digest in ordered:
            _apply_texts(state, digest)
    sessions = [d for d in ordered if d.session]
    state.start = min((d.at for d in sessions), default=ordered[0].at if ordered else 0)
    for summary in (s for d in ordered for s in d.metrics.values()):
        if summary[MIN] > summary[MAX]:  # nothing but NaN
            summary[MIN] = summary[MAX] = nan
    for digest in ordered:
        state.exp = digest.exp or state.exp
        for key, summary in digest.metrics.items():
            state.metrics[key] = merge_summary(state.metrics.get(key), summary)
        state.inputs.extend(digest.inputs)
        if digest.deleted is not None:
            state.deleted, state.deleted_at = digest.deleted, digest.at
    _set_status(state, ordered, sessions)
    if sessions and not sessions[-1].end:  # nobody said how it ended
        early = {key: text for digest in ordered for key, text in digest.early.items()}
        state.params = {**early, **state.params} if early else state.params
    return state


def _set_status(state: RunState, ordered: list[Digest], sessions: list[Digest]) -> None:
    latest = sessions[-1] if sessions else None
    if latest is not None:
        state.status = latest.end or ("RUNNING" if latest.alive else "CRASHED")
        state.end = None if state.status in _GOING_ON else latest.until
    else:
        state.status = "CRASHED"
    decided_at = 0 if latest is None else latest.until if latest.end else latest.at
    for digest in ordered:
        if digest.edit and digest.end and digest.at >= decided_at:
            state.status, decided_at = digest.end, digest.at
            state.end = None if digest.end in _GOING_ON else digest.ended_at or state.end or digest.at


def _apply_texts(state: RunState, digest: Digest | RunState) -> None:
    state.name = digest.name or state.name
    state.params.update(digest.params)
    for key, value in digest.tags.items():
        if value is None:
            state.tags.pop(key, None)
        else:
            state.tags[key] = value
    state.artifacts.update(digest.artifacts)
    state.capture.update(digest.capture)


def _apply_in_time(state: RunState, digests: list[Digest]) -> None:
    """Apply the lines of overlapping files one by one, in the order in which they were written."""
    events: list[tuple[int, int, Digest]] = []
    for number, digest in enumerate(digests):
        if not digest.patches:
            events.append((digest.at, number, digest))
        for at, patch in digest.patches:
            one = Digest(at)
            apply_patch(one, patch)
            events.append((at, number, one))
    for _, _, event in sorted(events, key=lambda e: e[:2]):
        _apply_texts(state, event)


class _Summaries(Mapping[str, MetricSummary]):
    """The summaries of a run, each made when somebody asks for it: few do."""

    __slots__ = ("_rows",)

    def __init__(self, rows: dict[str, list[Any]]) -> None:
        self._rows = rows

    def __getitem__(self, key: str) -> MetricSummary:
        row = self._rows[key]
        return MetricSummary(row[LAST], row[STEP], row[TIME], row[MIN], row[MAX], row[COUNT])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self))


def to_run(state: RunState) -> Run:
    """Return the record that other rooms see."""
    metrics = state.metrics
    return Run(
        info=RunInfo(
            run_id=state.run_id,
            run_name=state.name,
            experiment_id=state.exp,
            status=as_status(state.status),
            start_time=state.start,
            end_time=state.end,
            lifecycle_stage="deleted" if state.deleted else "active",
            artifact_uri=f"runs:/{state.run_id}",
            user_id=state.tags.get(TAG_USER, ""),
        ),
        data=RunData(state.params, {key: row[LAST] for key, row in metrics.items()}, state.tags),
        inputs=RunInputs(tuple(_dataset(item) for item in state.inputs)),
        summaries=_Summaries(metrics),
        artifacts={path: Artifact(path, digest, size) for path, (digest, size) in sorted(state.artifacts.items())},
        capture=state.capture,
    )


def as_status(text: str) -> Status:
    """Return `text` as a status; CRASHED for what no store writes."""
    return text if text in {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"} else "CRASHED"  # type: ignore[return-value]


def _dataset(item: Mapping[str, Any]) -> DatasetInput:
    return DatasetInput(
        name=str(item.get("name", "")),
        context=str(item.get("context", "")),
        digest=str(item.get("digest", "")),
        source=str(item.get("source", "")),
        profile=item.get("profile") or {},
    )
