"""Compares what a storm of killed writers was promised with what the store holds, and with the bytes themselves."""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from nbtrack.entities import Run
from nbtrack.errors import DamageWarning
from nbtrack.store import FileStore
from nbtrack.store.base import Store


def read_acks(folder: Path) -> dict[str, list[list[Any]]]:
    """Return the acknowledged calls of each run, in the order in which its writers made them."""
    found: dict[str, list[list[Any]]] = defaultdict(list)
    files = sorted(folder.glob("*.acks"), key=lambda path: [int(n) for n in path.name.split(".")[:-1]])
    for file in files:
        for line in file.read_bytes().split(b"\n")[:-1]:  # a note without its newline was never given
            run, *what = json.loads(line)
            found[run].append(what)
    return found


def raw_lines(root: Path) -> tuple[int, set[str]]:
    """Read every log with nothing but ``json``: return the number of whole lines, and the names of torn logs."""
    whole = 0
    torn: set[str] = set()
    for log in root.glob("runs/*/*.jsonl"):
        lines = log.read_bytes().split(b"\n")
        if lines.pop():
            torn.add(log.name)
        for line in lines:
            if line:
                json.loads(line)  # fails on a bad one
                whole += 1
    return whole, torn


def tear(root: Path, count: int) -> set[str]:
    """Leave a torn last line in so many logs of dead writers, as a kill does in a long write; return their names."""
    torn = set()
    for log in sorted(root.glob("runs/*/*.jsonl")):
        data = log.read_bytes()
        if len(torn) < count and b'"loss":' in data and data.endswith(b"\n") and b'\n{"end":' not in data:
            log.write_bytes(data + b'[12,3,{"lo')
            torn.add(log.name)
    return torn


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
        lost += _missing_values(store, run, key, expected, sessions)
    return lost


def _missing_values(store: Store, run: Run, key: str, expected: list[float], sessions: int) -> list[str]:
    run_id = run.run_id
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
    summary = run.summaries[key]
    if (summary.last, summary.count, summary.max) != (found[-1], len(found), max(found)):
        return [f"{run_id}: {key} summary {summary}"]
    return []


def judge_storm(root: Path, notes: Path) -> dict[str, Any]:
    """Return facts about a storm: how much was promised, what is missing, and whether damage was told truthfully."""
    acks = read_acks(notes)
    commits = acks.pop("", [])
    store = FileStore.open(root)
    whole, torn = raw_lines(root)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DamageWarning)
        lost = [text for run_id, what in acks.items() for text in missing_of(store, run_id, what)]
        numbers = [c["number"] for c in store.read_commits("storm")]
        by_number = {c["number"]: c["who"] for c in store.read_commits("storm")}
        lost += [f"commit {what}" for _, *what in commits if by_number.get(what[0]) != what[1]]
        if numbers != list(range(1, len(numbers) + 1)) or len(set(by_number.values())) != len(numbers):
            lost.append(f"commits are numbered {numbers[:20]}…")
        listed = {r.run_id for r in store.search_runs(max_results=10**6)}
        differing = _differing(FileStore.open(root))
    warned = [str(w.message) for w in caught]
    return {
        "acknowledged": sum(map(len, acks.values())) + len(commits),
        "runs": len(acks),
        "lines": whole,
        "torn": len(torn),
        "lost": lost,
        "unseen": sorted(set(acks) - listed),
        "differing": differing,
        "untold": sorted(log for log in torn if not any(f"{log}: its last line is torn" in text for text in warned)),
        "told falsely": [text for text in warned if not any(f"{log}: its last line is torn" in text for log in torn)],
        "odd": _odd(store, root, torn),
    }


def _differing(store: FileStore) -> list[str]:
    """Return what a search tells of other runs, or otherwise, once the index is built anew."""
    before = {r.run_id: repr(r) for r in store.search_runs(view="ALL", max_results=10**7)}
    store.rebuild_index()
    after = {r.run_id: repr(r) for r in store.search_runs(view="ALL", max_results=10**7)}
    return [
        f"{run_id}: {before.get(run_id)} became {after.get(run_id)}"
        for run_id in before.keys() | after.keys()
        if before.get(run_id) != after.get(run_id)
    ]


def _odd(store: FileStore, root: Path, torn: set[str]) -> list[str]:
    """Return what ``check`` names that no kill explains: a kill leaves torn logs, and logs that were never written."""
    problems = list(store.check())
    explained = {log for log in torn if any(p.path.endswith(log) and "is torn" in p.what for p in problems)}
    odd = [f"{log}: check does not name it" for log in sorted(torn - explained)]
    for problem in problems:
        empty = "is empty" in problem.what and not (root / problem.path).stat().st_size
        if not empty and not ("is torn" in problem.what and Path(problem.path).name in torn):
            odd.append(f"{problem.path}: {problem.what}")
    return odd
