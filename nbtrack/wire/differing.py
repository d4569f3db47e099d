"""The request and the answer that say why runs are different.

Part of the vocabulary of ``messages.py``, in a file of its own for its length.
"""

from __future__ import annotations

from typing import Literal

from nbtrack.wire.base import Answer, Number, Request


class GetDiff(Request, frozen=True, tag="diff"):
    """Why are these runs different? The first one is what the others are compared with."""

    run_ids: list[str]


class Difference(Answer, frozen=True):
    """One thing in which runs differ, and which may be why their metrics do.

    `kind` is ``param``, ``cell`` (the code of the tracked cell), ``upstream`` (the code of a cell that it used),
    ``data``, ``seed``, ``environment`` (Python and packages) or ``git``. `values` has one entry a run, null where a run
    has no such thing. `weight` (0 to 1) says how likely it matters. `patches` is empty but for code: one entry a run,
    a unified diff from the first run's code to this one's, empty where both are the same.
    """

    kind: Literal["param", "cell", "upstream", "data", "seed", "environment", "git"]
    key: str
    values: list[str | None]
    weight: float
    text: str  # in words: "C: 0.1 → 3.0"
    patches: list[str]


class MetricDifference(Answer, frozen=True):
    """A metric in which runs differ: one value a run, null where a run has none."""

    key: str
    values: list[Number | None]
    better: Literal["higher", "lower"] | None = None


class RunDiff(Answer, frozen=True):
    """Why runs are different: `differences` holds what most likely matters first.

    `verdict` says it in one sentence; `same` and `unknown` say in words what was compared without a difference, and
    what could not be compared.
    """

    run_ids: list[str]
    run_names: list[str]
    verdict: str
    metrics: list[MetricDifference]
    differences: list[Difference]
    same: list[str]
    unknown: list[str]


ANSWERS: dict[str, type[Answer]] = {"diff": RunDiff}
