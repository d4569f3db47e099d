"""Compares what a storm of killed writers was promised with what the store holds, and with the bytes themselves."""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from nbtrack.store import FileStore
from nbtrack.store.base import Store


def read_acks(folder: Path) -> dict[str, list[list[Any]]]:
    """Return the acknowledged calls of each run, in the order in which its writers made them."""
    found: dict[str, list[list[Any]]] = defaultdict(list)
    files = sorted(folder.glob("*.acks"), key=lambda path: [int(n) for n in path.name.split(".")[:-1]])
    for file in files:
        for line in file.read_bytes().splitlines():
            run, *what = json.loads(line)
            found[run].append(what)
    return found


def raw_lines(root: Path) -> tuple[int, int]:
    """Read every log with nothing but ``json``: return numbers of whole lines and torn tails; fail on bad lines."""
    whole = torn = 0
    for log in root.glob("runs/*/*.jsonl"):
        lines = log.read_bytes().split(b"\n")
        torn += bool(lines.pop())
        for line in lines:
            if line:
                json.loads(line)
                whole += 1
    return whole, torn


def missing_of(store: Store, run_id: str, acks: list[list[Any]]) -> list[str]:
    """Return what was acknowledged for a run and is not there."""
    run = store.get_run(run_id)
    inputs = {i.name for i in run.inputs.dataset_inputs}
    lost: list[str] = []
    values: dict[str, list[float]] = defaultdict(list)
    statuses: set[str] = set()
    for op, *what in acks:
        match op:
            case "create":
                good = run.info.run_name == what[0]
            case "metric":
                values[what[0]].append(what[1])
                good = True
            case "param":
                good = run.data.params.get(what[0]) == what[1]
            case "tag":
                good = run.data.tags.get(what[0]) == what[1]
            case "tagged":
                good = set(run.data.tags.get(what[0], "-")) <= {"ü"}
            case "artifact":
                artifact = run.artifacts.get(what[0])
                good = artifact is not None and (artifact.digest, artifact.size_bytes) == (what[1], what[2])
                good = good and sha256(store.blob_path(what[1]).read_bytes()).hexdigest() == what[1]
            case "input":
                good = what[0] in inputs
            case "capture":
                good = run.capture.get(what[0]) == {"source": "x = 1\n" * 50}
            case _:
                good = op in {"resuming", "resume", "end"}
        if not good:
            lost.append(f"{run_id}: {op} {what}")
        match op:
            case "end":
                statuses = {what[0]}
            case "resuming":
                statuses |= {"CRASHED"}
            case "tag":
                pass
            case _:  # killed after it; perhaps between the end and its acknowledgement
                statuses = {"CRASHED", "FINISHED", "FAILED", "KILLED"}
    if run.info.status not in statuses:
        lost.append(f"{run_id}: shown {run.info.status}, expected {statuses}")
    sessions = sum(op in {"create", "resume"} for op, *_ in acks) + 1
    for key, expected in values.items():
        lost += _missing_values(store, run_id, key, expected, sessions)
    return lost


def _missing_values(store: Store, run_id: str, key: str, expected: list[float], sessions: int) -> list[str]:
    history = store.get_metric_history(run_id, key)
    found = history.value.tolist()
    at = 0
    for value in expected:
        try:
            at = found.index(value, at) + 1
        except ValueError:
            return [f"{run_id}: {key} = {value} of {len(expected)} values"]
    if len(found) > len(expected) + sessions:
        return [f"{run_id}: {key} has {len(found)} values, {len(expected)} were logged"]
    if history.step.tolist() != list(range(len(found))):
        return [f"{run_id}: {key} counts {history.step.tolist()[:20]}…"]
    summary = store.get_run(run_id).summaries[key]
    if (summary.last, summary.count, summary.max) != (found[-1], len(found), max(found)):
        return [f"{run_id}: {key} summary {summary}"]
    return []


def judge_storm(root: Path, notes: Path) -> dict[str, Any]:
    """Return facts about a storm: how much was promised, what is missing, what is damaged."""
    acks = read_acks(notes)
    commits = acks.pop("", [])
    store = FileStore.open(root)
    whole, torn = raw_lines(root)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lost = [text for run_id, what in acks.items() for text in missing_of(store, run_id, what)]
        numbers = [c["number"] for c in store.read_commits("storm")]
        by_number = {c["number"]: c["who"] for c in store.read_commits("storm")}
        lost += [f"commit {what}" for _, *what in commits if by_number.get(what[0]) != what[1]]
        if numbers != list(range(1, len(numbers) + 1)) or len(set(by_number.values())) != len(numbers):
            lost.append(f"commits are numbered {numbers[:20]}…")
        listed = {r.run_id for r in store.search_runs(max_results=10**6)}
    unseen = sorted(set(acks) - listed)
    return {
        "acknowledged": sum(map(len, acks.values())) + len(commits),
        "runs": len(acks),
        "lines": whole,
        "torn": torn,
        "lost": lost,
        "unseen": unseen,
        "warned": [str(w.message) for w in caught],
    }
