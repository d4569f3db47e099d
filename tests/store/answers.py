"""Everything a store answers, as plain values: two stores, or one before and after damage, are compared by them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbtrack.errors import DamageWarning, NbtrackError
from nbtrack.store import FileStore

from .promises.base import make_run


@dataclass
class Answers:
    """What was answered, by question; what was warned of; and which questions ended in an error of ours."""

    found: dict[str, Any] = field(default_factory=dict)
    warned: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    def ask(self, question: str, call: Callable[[], Any]) -> None:
        """Ask one question. Any exception that is not ours is a crash, and passes through."""
        try:
            self.found[question] = call()
        except NbtrackError as error:
            self.errors[question] = f"{type(error).__name__}: {error}"

    def different(self, other: Answers) -> set[str]:
        """Return the questions that are answered otherwise, or not at all."""
        keys = self.found.keys() | other.found.keys() | self.errors.keys() | other.errors.keys()
        return {k for k in keys if self.found.get(k, "no answer") != other.found.get(k, "no answer")}


def all_answers(root: Path) -> Answers:
    """Open a store afresh and ask it everything, also what only the index knows."""
    answers = Answers()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            store = FileStore.open(root)
        except NbtrackError as error:
            answers.errors["open"] = f"{type(error).__name__}: {error}"
        else:
            _ask_all(answers, store)
    strange = [w for w in caught if not issubclass(w.category, DamageWarning)]
    assert not strange, [str(w.message) for w in strange]
    answers.warned = [str(w.message) for w in caught]
    return answers


def _ask_all(answers: Answers, store: FileStore) -> None:
    rows: dict[str, Any] = {}

    def search() -> None:
        for run in store.search_runs(view="ALL", max_results=10**6):
            rows[run.run_id] = run

    answers.ask("search", search)
    for run_id, row in rows.items():
        answers.ask(f"found {run_id}", lambda row=row: repr((row.info, row.data, row.summaries)))
        if row.info.run_name.startswith("crowd "):
            continue  # there are many, and what the index says of them is enough
        answers.ask(f"run {run_id}", lambda run_id=run_id: repr(store.get_run(run_id)))
        for key in row.data.metrics:
            answers.ask(f"history {run_id} {key}", lambda run_id=run_id, key=key: _history(store, run_id, key))
    answers.ask("models", store.list_models)
    for name in answers.found.get("models", ()):
        answers.ask(f"commits {name}", lambda name=name: store.read_commits(name))
    answers.ask("experiments", lambda: [repr(e) for e in store.list_experiments("ALL")])
    answers.ask("filter", lambda: [r.run_id for r in store.search_runs(filter_string="metrics.m >= 3 or tags.x = '1'")])
    for blob in sorted(Path(store.uri).glob("blobs/*/*")):
        answers.ask(f"blob {blob.name}", lambda blob=blob: store.read_blob(blob.name))


def _history(store: FileStore, run_id: str, key: str) -> tuple[int, bytes, bytes, bytes]:
    history = store.get_metric_history(run_id, key)
    return len(history), history.step.tobytes(), history.value.tobytes(), history.timestamp.tobytes()


def filled(root: Path) -> FileStore:
    """Return a store that holds one of everything."""
    store = FileStore.open(root)
    wine = store.create_experiment("wine", tags={"a": "1"})
    writer = store.create_run(wine, "full", tags={"t": "ü"}, start_time_ms=1_700_000_000_000)
    writer.log_params({"lr": 0.1})
    for step in range(30):
        writer.log_metrics({"loss": 1 / (step + 1), "acc": step / 30}, step=step)
    writer.log_artifact(b"weights", "model/w.bin")
    writer.log_capture({"cell": "x = 1"})
    writer.end(end_time_ms=1_700_000_060_000)
    store.edit_run(writer.run_id, tags={"note": "edited"})
    make_run(store, "trash", start=1_700_000_100_000)
    store.edit_run(make_run(store, "gone", start=1_700_000_200_000), deleted=True)
    store.append_commit("clf", {"action": "register", "version": 1})
    store.append_commit("clf", {"action": "stage", "version": 1})
    store.search_runs()
    return store
