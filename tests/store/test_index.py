"""The index against the plain meaning: whatever happens to a store, every reader finds what its files say."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtrack.store import FileStore, page, search
from nbtrack.store.finder import Finder
from nbtrack.store.query import parse_filter, parse_order
from nbtrack.store.state import RunState, to_run
from nbtrack.store.writer import FileRunWriter

from .plain_search import matches, ordered

if sys.platform != "win32":
    import fcntl

T0 = 1_700_000_000_000
DAY_MS = 86_400_000
STEPS = int(os.environ.get("NBTRACK_INDEX_STEPS", "120"))


def from_files(root: Path) -> list[RunState]:
    """Return every run as its files say, without the index."""
    finder = Finder(str(root))
    ids = {path.name[:21] for path in root.glob("runs/*/*.jsonl") if "~" not in path.name and "+" not in path.name}
    return [finder.get(run_id)[1] for run_id in sorted(ids)]


def plain(state: RunState) -> str:
    """Return what a search must find of a run."""
    run = to_run(state)
    return repr(
        (run.info, sorted(run.data.params.items()), sorted(run.data.tags.items()), sorted(run.summaries.items()))
    )


def found_by(store: FileStore) -> list[str]:
    """Return what a store finds of its runs, newest first."""
    return [
        repr(
            (
                run.info,
                sorted(run.data.params.items()),
                sorted(run.data.tags.items()),
                sorted((key, run.summaries[key]) for key in run.summaries),
            )
        )
        for run in store.search_runs(view="ALL", max_results=10**6)
    ]


def die(writer: FileRunWriter) -> None:
    """Do to a writer what its process's death does: its lock goes at once, also where its heart beat just now."""
    with writer._lock:
        if sys.platform != "win32":
            fcntl.flock(writer._fd, fcntl.LOCK_UN)  # a beat that is under way holds a copy of the descriptor
        os.close(writer._fd)
        writer._fd, writer._ended, writer._detour = -1, True, True


class Life:
    """A store to which things happen at random."""

    def __init__(self, root: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.root = root
        self.store = FileStore.open(root)
        self.live: list[FileRunWriter] = []
        self.ended: list[str] = []

    def value(self) -> float:
        """Return a metric's value, now and then an odd one."""
        return self.rng.choice([self.rng.random(), float(self.rng.randrange(5)), float("nan"), float("inf"), -1e308])

    def step(self) -> None:
        """Let one thing happen."""
        rng = self.rng
        match rng.choice("cccllllleeeddrgttk"):
            case "c":
                start = T0 + rng.randrange(4) * DAY_MS + rng.randrange(3)
                writer = self.store.create_run(start_time_ms=start, tags={"kind": rng.choice("ab")})
                writer.log_params({"lr": rng.choice([0.1, 0.01, "auto"])})
                self.live.append(writer)
            case "l" if self.live:
                writer = rng.choice(self.live)
                for _ in range(rng.choice([1, 3, 400])):
                    writer.log_metrics({rng.choice(["m", "loss", "loss.min"]): self.value()})
            case "e" if self.live:
                writer = self.live.pop(rng.randrange(len(self.live)))
                writer.end(rng.choice(["FINISHED", "FAILED"]))
                self.ended.append(writer.run_id)
            case "d" if self.ended:
                self.store.edit_run(rng.choice(self.ended), deleted=rng.random() < 0.6)
            case "t" if self.ended or self.live:
                ids = self.ended + [writer.run_id for writer in self.live]
                self.store.edit_run(rng.choice(ids), tags={"note": rng.choice(["x", "y", None])}, metrics={"late": 1.5})
            case "r" if self.ended:
                run_id = rng.choice(self.ended)
                if self.store.get_run(run_id).info.lifecycle_stage == "active":
                    self.ended.remove(run_id)
                    self.live.append(self.store.resume_run(run_id))
            case "g":
                gone = self.store.gc(dry_run=False).run_ids
                self.ended = [run_id for run_id in self.ended if run_id not in gone]
            case "k" if self.live:  # its writer dies
                writer = self.live.pop()
                die(writer)
                self.ended.append(writer.run_id)
            case _:
                pass


@pytest.mark.parametrize("seed", range(3))
def test_index_of_every_reader_says_what_the_files_say(tmp_path: Path, seed: int) -> None:
    life = Life(tmp_path / "store", seed)
    old = FileStore(life.root)
    for number in range(STEPS):
        life.step()
        if number % 5 == 0:
            expected = [plain(state) for state in ordered(from_files(life.root), [], ())]
            assert found_by(old) == expected, f"seed {seed}, step {number}: a reader that was there all along"
            if number % 20 == 0:
                assert found_by(FileStore(life.root)) == expected, f"seed {seed}, step {number}: a new reader"
                if life.rng.random() < 0.5:
                    old._search.index.save()
                elif life.rng.random() < 0.3:
                    shutil.rmtree(life.root / "index", ignore_errors=True)
    assert len(expected) > 10
    for writer in life.live:
        writer.end()


VALUES = st.sampled_from(["0.1", "0.5", "1", "-1e308", "2", "0"])
WORDS = st.sampled_from(["a", "b", "auto", "0.1", "x", "%a%", "_", "A%", "finished", "FINISHED", "active"])
NUMBERS = st.sampled_from(
    ["metrics.m", "metrics.loss", "metrics.loss.min", "max(metrics.loss)", "count(metrics.m)", "metrics.none",
     "start_time", "end_time", "duration", "step(metrics.m)", "metrics.loss.max_step"]
)  # fmt: skip
TEXTS = st.sampled_from(
    ["params.lr", "tags.kind", "tags.note", "params.none", "status", "run_name", "user_id", "lifecycle_stage",
     "experiment_id"]
)  # fmt: skip
COMPARISONS = st.one_of(
    st.builds("{} {} {}".format, NUMBERS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), VALUES),
    st.builds("{} {} '{}'".format, TEXTS, st.sampled_from(["=", "!=", "like", "ilike", "not like"]), WORDS),
    st.builds("{} {} ('{}', '{}')".format, TEXTS, st.sampled_from(["in", "not in"]), WORDS, WORDS),
    st.builds("{} {}".format, st.one_of(NUMBERS, TEXTS), st.sampled_from(["is null", "is not null"])),
    st.builds("params.lr {} {}".format, st.sampled_from(["<", ">", "=", "!="]), VALUES),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner),
    ),
    max_leaves=6,
)
ORDERS = st.lists(
    st.builds("{} {}".format, st.one_of(NUMBERS, TEXTS), st.sampled_from(["", "ASC", "DESC"])), max_size=3
)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[FileStore, list[RunState]]:
    """A store that has seen something, and its runs as the files say."""
    life = Life(tmp_path_factory.mktemp("lived") / "store", 99)
    for _ in range(160):
        life.step()
    for writer in life.live:
        writer.end()
    life.store._search.index.save()
    return FileStore(life.root), from_files(life.root)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=FILTERS, order=ORDERS, limit=st.one_of(st.none(), st.integers(0, 40)))
def test_search_agrees_with_the_plain_meaning_of_filter_and_order(
    lived: tuple[FileStore, list[RunState]], text: str, order: list[str], limit: int | None
) -> None:
    store, states = lived
    keys = {key for state in states for key in state.metrics}
    wanted = [state for state in states if matches(parse_filter(text), state, keys)]
    expected = [state.run_id for state in ordered(wanted, parse_order(order), keys)]
    table = store.run_table(filter_string=text, order_by=order, max_results=limit, view="ALL", keys=[])
    assert list(table.run_ids) == expected[:limit]
    assert table.total == len(expected)


def test_pages_read_from_logs_say_what_the_files_say(
    lived: tuple[FileStore, list[RunState]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_WORTH", 0)
    monkeypatch.setattr(search, "_PAGES_FROM_LOGS", 10**9)
    store, states = lived
    from_logs = 0
    for state in states:
        (run,) = store.search_runs(filter_string=f"run_id = '{state.run_id}'", view="ALL")
        params, tags, summaries = (sorted(x.items()) for x in (run.data.params, run.data.tags, run.summaries))
        assert repr((run.info, params, tags, summaries)) == plain(state)
        assert sorted(run.data.metrics) == sorted(state.metrics)
        folder, _ = store._finder.files(state.run_id)
        from_logs += store._search.index.is_one_sealed_log(state.run_id, Path(folder).name)
    assert 5 < from_logs < len(states), "both kinds were asked"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_filter_of_any_text_is_read_or_refused(text: str) -> None:
    from nbtrack.errors import FilterSyntaxError

    try:
        parse_filter(text)
    except FilterSyntaxError as error:
        assert str(error).startswith("filter:")


def test_search_at_best_takes_the_value_at_the_step_of_the_others_best(tmp_path: Path) -> None:
    store = FileStore.open(tmp_path / "store")
    ids = []
    for shift in range(4):
        writer = store.create_run(start_time_ms=T0 + shift)
        for step in range(9):
            writer.log_metrics({"loss": 10.0 * shift + step, "acc": -abs(step - 2 * shift)}, step=step)
        writer.log_metrics({"alone": 1.0})
        writer.end()
        ids.append(writer.run_id)
    lonely = store.create_run(start_time_ms=T0 + 9)
    lonely.log_metric("loss", 1.0)
    lonely.end()
    expression = "at_max(metrics.loss, metrics.acc)"
    keys = [("metric", expression), ("metric", "min(metrics.loss)"), ("metric", "at_min(metrics.acc, metrics.acc)")]
    table = store.run_table(order_by=[f"{expression} DESC"], keys=keys)
    columns = {column.key: column.values for column in table.columns if column.kind == "metric"}
    assert list(table.run_ids) == [*reversed(ids), lonely.run_id]
    assert columns[expression] == [36.0, 24.0, 12.0, 0.0, None]
    assert columns["min(metrics.loss)"] == [30.0, 20.0, 10.0, 0.0, 1.0]
    assert columns["at_min(metrics.acc, metrics.acc)"] == [-6.0, -4.0, -6.0, -8.0, None]
    assert [run.run_id for run in store.search_runs(filter_string=f"{expression} = 24")] == [ids[2]]
    assert store.search_runs(filter_string="at_max(metrics.loss, metrics.none) >= 0") == []
