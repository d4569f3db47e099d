"""Damaged files of every kind: never a crash, never a wrong value presented as good, never harm to another run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from nbtrack.errors import DamageWarning
from nbtrack.store import FileStore

from .answers import all_answers
from .fire import environment
from .promises.base import make_run

CASES = int(
    os.environ.get("NBTRACK_FUZZ_CASES", "12")
)  # damages of each kind of file; tests/bench/fire.py asks for more
CRASHED = """
import os, sys
from nbtrack.store import FileStore
writer = FileStore.open(sys.argv[1]).create_run(run_name="crashed", start_time_ms=1_700_000_300_000)
writer.log_params({"p": 1})
for n in range(30):
    writer.log_metrics({"m": n + 0.125})
os._exit(9)
"""
KINDS = {
    "small sealed log": "runs/*/*-small.jsonl",
    "large sealed log": "runs/*/*-large.jsonl",
    "columns": "runs/*/*.cols",
    "log with columns": "runs/*/*-packed.jsonl",
    "second log of a resumed run": "runs/*/*+2.jsonl",
    "edit": "runs/*/*~*.jsonl",
    "log of a crashed run": "runs/*/*-crashed.jsonl",
    "commit": "models/*/*.json",
    "experiment": "experiments/*.json",
    "blob": "blobs/*/*",
    "note of the store": "nbtrack.json",
    "index": "index/**/*",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a file of every kind, and what each log is."""
    root = tmp_path_factory.mktemp("corpus") / "store"
    store = FileStore.open(root)
    store.create_experiment("wine", tags={"a": "1"})
    store.edit_experiment(store.create_experiment("old"), deleted=True)
    small = make_run(
        store,
        "small",
        params={"p": 1, "q": "ü"},
        metrics={"m": 3.5, "k": 1.0},
        tags={"x": "1"},
        start=1_700_000_000_000,
    )
    for name, start in (("packed", 1_700_000_050_000), ("large", 1_700_000_100_000)):
        writer = store.create_run(run_name=name, start_time_ms=start)
        for step in range(6000):
            writer.log_metrics({"m": step + 0.5, "loss": 1 / (step + 1)}, step=step, timestamp_ms=start + step)
        if name == "packed":
            writer.end(end_time_ms=start + 90_000)
            assert store.compact(dry_run=False).run_ids == (writer.run_id,)
    writer.log_artifact(b"weights" * 50, "model/w.bin")
    writer.log_capture({"cell": "x = 1"})
    writer.end(end_time_ms=1_700_000_200_000)
    resumed = store.resume_run(make_run(store, "resumed", metrics={"m": 1.0}, start=1_700_000_250_000))
    resumed.log_metrics({"m": 4.0})
    resumed.log_artifact(b"other", "o.bin")
    resumed.end()
    store.edit_run(small, tags={"note": "edited"}, metrics={"late": 7.0})
    command = [sys.executable, "-c", CRASHED, str(root)]
    assert subprocess.run(command, env=environment(), check=False).returncode == 9
    for number in range(3):
        store.append_commit("clf", {"action": "register", "version": number + 1})
    for number in range(300):
        make_run(
            store,
            f"{'crowd' if number > 3 else 'other'} {number}",
            metrics={"m": number / 100},
            start=1_700_000_400_000 + number,
        )
    store.rebuild_index()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        store.search_runs(view="ALL")
        store.get_metric_history(writer.run_id, "loss")
    for run in store.search_runs(max_results=1000):
        if run.info.run_name in {"small", "large", "packed", "crashed"}:
            (log,) = root.glob(f"runs/*/{run.run_id}.jsonl")
            log.parent.joinpath(f".{run.info.run_name}").write_text(log.name)
    return root


def files_of(root: Path, kind: str) -> list[Path]:
    """Return the files of one kind."""
    pattern = KINDS[kind]
    if "-" in pattern:
        notes = root.glob(f"runs/*/.{pattern.rpartition('-')[2].removesuffix('.jsonl')}")
        return [note.parent / note.read_text() for note in notes]
    return sorted(path for path in root.glob(pattern) if path.is_file() and not path.name.startswith("."))


def damaged(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Return other bytes than `data`, and what was done to them."""
    if not data:
        return b"\0", "a byte in an empty file"
    at = rng.randrange(len(data))
    length = rng.choice((1, 1, 2, 7, 64, 4096))
    new = bytearray(data)
    match rng.randrange(11):
        case 0:
            new[at] ^= 1 << rng.randrange(8)
            what = "bit flipped"
        case 1:
            digits = [i for i, byte in enumerate(data) if byte in b"0123456789"] or [at]
            at = rng.choice(digits)
            new[at] = rng.choice(b"0123456789")
            what = "digit changed"
        case 9 | 10:
            digits = [i for i, byte in enumerate(data) if byte in b"0123456789"] or [at]
            at = rng.choice(digits)
            new[at:at] = rng.choice((b"9" * 25, b".5", b"-", b"9223372036854775807", b"1e999"))
            what = "number changed"
        case 2:
            del new[at:]
            what = "cut"
        case 3:
            del new[at : at + length]
            what = f"{length} bytes removed"
        case 4:
            new[at:at] = rng.randbytes(length)
            what = f"{length} random bytes inserted"
        case 5:
            new[at : at + length] = bytes(len(new[at : at + length]))
            what = f"{length} bytes zeroed"
        case 6:
            new[at:at] = data[at : at + length]
            what = f"{length} bytes doubled"
        case 7:
            new[at:at] = rng.choice(
                (b"\n", b"\n\n", b"{}\n", b"[]\n", b'null\n"x"\n', b"[0,0,{}]\n", b"[" * 2000 + b"\n")
            )
            what = "lines inserted"
        case _:
            new += rng.choice((b"x", b"\n", b'{"end":"FINISHED"}\n', b'[1,2,{"m":99.5}]\n', data[-200:]))
            what = "bytes appended"
    return bytes(new), f"{what} at {at} of {len(data)}"


class Copy:
    """A copy of the corpus that can be made good again: creating files by the thousand is slow on some disks."""

    def __init__(self, corpus: Path, root: Path) -> None:
        shutil.copytree(corpus, root, copy_function=shutil.copyfile)
        self.root = root
        self.good = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        self._seen = {path: self._look(path) for path in self.good}

    @staticmethod
    def _look(path: Path) -> tuple[int, ...]:
        info = path.lstat()
        return info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns

    def restore(self) -> None:
        """Put every file back as it was."""
        for path in list(self.root.rglob("*")):
            if path not in self.good and not path.is_dir():
                path.unlink()
        for path, data in self.good.items():
            if not path.exists() or self._look(path) != self._seen[path]:
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.exists():
                    path.chmod(0o644)
                path.write_bytes(data)
                self._seen[path] = self._look(path)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file_harms_nothing_else_and_never_passes_for_good(corpus: Path, tmp_path: Path, kind: str) -> None:
    truth = all_answers(corpus)
    assert truth.errors == {} and truth.warned == []
    copy = Copy(corpus, tmp_path / "store")
    files = files_of(copy.root, kind)
    assert files
    for seed in range(CASES):
        rng = random.Random(f"{kind} {seed}")
        victim = rng.choice(files)
        data = copy.good[victim]
        bad, what = damaged(data, rng)
        if bad == data:
            continue
        victim.write_bytes(bad)
        os.utime(victim, (1.7e9, 1.7e9))  # not so young that it might still be being written
        relative = victim.relative_to(copy.root)
        judge(copy.root, truth, relative, data, f"{relative}: {what} (seed {seed})")
        copy.restore()


def like_after_a_kill(log: Path, original: bytes) -> bool:
    """Return whether a log is one that a kill could have left: nothing tells those apart, and nothing needs to."""
    data = log.read_bytes()
    crashed = b'{"end":' not in original
    return (data.endswith(b"\n") and original.startswith(data)) or (crashed and log.suffix == ".jsonl")


def judge(root: Path, truth: object, victim: Path, original: bytes, case: str) -> None:
    """Check one damaged store against the sound one."""
    from .answers import Answers

    assert isinstance(truth, Answers)
    for _ in range(2):  # as found, and with an index built anew
        now = all_answers(root)
        changed = now.different(truth)
        of_victim = {key for key in changed if concerns(key, victim)}
        assert changed - of_victim == set(), f"{case}: other answers changed"
        if of_victim - {"filter", "search"} and not like_after_a_kill(root / victim, original):
            assert now.warned or now.errors, f"{case}: wrong and nobody says so: {sorted(of_victim)}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DamageWarning)
                named = [p for p in FileStore.open(root).check() if victim.name in p.path or victim.name in p.what]
            assert named, f"{case}: check() does not name the file"
        shutil.rmtree(root / "index", ignore_errors=True)


def concerns(question: str, victim: Path) -> bool:
    """Return whether a question is about the thing that a file belongs to."""
    match victim.parts[0]:
        case "runs":
            return victim.name[:21] in question or question in {"filter"}
        case "models":
            return question in {"models", f"commits {victim.parts[1]}"}
        case "experiments":
            return question == "experiments"
        case "blobs":
            return question == f"blob {victim.name}"
        case "index":
            return False
    return True


def test_swapped_and_foreign_files_are_noticed(corpus: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    shutil.copytree(corpus, root, copy_function=shutil.copyfile)
    first, second, third = sorted(root.glob("models/clf/*.json"))
    data = second.read_bytes()
    second.write_bytes(third.read_bytes())
    with pytest.warns(DamageWarning, match=second.name):
        numbers = [c["number"] for c in FileStore.open(root).read_commits("clf")]
    assert numbers == [1, 3]
    named = {Path(p.path).name for p in FileStore.open(root).check()}
    assert second.name in named and first.name not in named
    second.write_bytes(data)
    assert [c["number"] for c in FileStore.open(root).read_commits("clf")] == [1, 2, 3]


def test_log_of_one_run_under_the_name_of_another_is_not_believed(corpus: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    shutil.copytree(corpus, root, copy_function=shutil.copyfile)
    small, large = (files_of(root, f"{name} sealed log")[0] for name in ("small", "large"))
    small.write_bytes(large.read_bytes())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store = FileStore.open(root)
        runs = [r for r in store.search_runs(max_results=1000) if r.run_id == small.name[:21]]
        named = [p for p in store.check() if small.name in p.path]
    assert caught or named
    assert named
    assert all(r.run_id == small.name[:21] for r in runs)


def test_folders_pipes_and_links_where_files_should_be_do_no_harm(corpus: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    shutil.copytree(corpus, root, copy_function=shutil.copyfile)
    truth = all_answers(root)
    day = next(root.glob("runs/*"))
    (day / ("0" * 21 + ".jsonl")).mkdir()
    os.mkfifo(day / ("1" * 21 + ".jsonl"))
    (day / ("2" * 21 + ".jsonl")).symlink_to("/etc/hostname")
    (day / ("3" * 21 + ".jsonl")).write_bytes(b"")
    (day / "notes.txt").write_text("mine")
    (day / ".DS_Store").write_bytes(b"\0")
    (root / "runs" / "yesterday").mkdir()
    os.mkfifo(root / "models" / "clf" / "00000009.json")
    (root / "models" / "notes.txt").write_text("mine")
    now = all_answers(root)
    assert {key for key in now.different(truth) if "commits" not in key and not key.endswith(tuple("0123"))} == set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        list(FileStore.open(root).check(repair=True))
        FileStore.open(root).gc(dry_run=False)
    assert (day / "notes.txt").read_text() == "mine"


def test_repair_keeps_every_good_record(corpus: Path, tmp_path: Path) -> None:
    copy = Copy(corpus, tmp_path / "store")
    root = copy.root
    files = [p for p in sorted(copy.good) if not p.name.startswith(".") and "index" not in p.parts]
    files = [p for p in files if "runs" not in p.parts] * 3 + [
        p for k in KINDS if k != "index" for p in files_of(root, k)
    ] * 3
    for seed in range(CASES):
        rng = random.Random(seed)
        victim = rng.choice(files)
        bad, what = damaged(copy.good[victim], rng)
        victim.write_bytes(bad)
        before = all_answers(root)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamageWarning)
            problems = list(FileStore.open(root).check(repair=True))
            after = all_answers(root)
            left = list(FileStore.open(root).check())
        case = f"{victim.relative_to(root)}: {what} (seed {seed})"
        lost = {k for k in before.found if before.found[k] != after.found.get(k)}
        assert {k for k in lost if not concerns(k, victim.relative_to(root))} == set(), case
        assert len(left) <= len(problems), case
        assert {p.path for p in left} <= {p.path for p in problems}, case
        copy.restore()


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize(
    "line",
    [
        b'[5,99999999999999999999,{"m":1.5}]\n',
        b'[5,9223372036854775808,{"m":1.5}]\n',
        b'[18446744073709551615,5,{"m":1.5}]\n',
        b'[5,1.5,{"m":1.5}]\n',
        b'[5,5,{"m":"many"}]\n',
        b'[5,5,{"m":null}]\n',
        b'[5,5,["m",1]]\n',
        b"[5,5]\n",
    ],
)
@pytest.mark.filterwarnings("ignore::nbtrack.errors.DamageWarning")
def test_line_of_impossible_numbers_costs_only_that_line(tmp_path: Path, line: bytes, ended: bool) -> None:
    store = FileStore.open(tmp_path / "store")
    writer = store.create_run()
    for step in range(3):
        writer.log_metrics({"m": float(step)}, step)
    if ended:
        writer.end()
    (log,) = store_logs(tmp_path)
    data = log.read_bytes()
    at = data.index(b"\n") + 1
    log.write_bytes(data[:at] + line + data[at:])
    reader = FileStore.open(tmp_path / "store")
    with pytest.warns(DamageWarning, match=writer.run_id):
        history = reader.get_metric_history(writer.run_id, "m")
    assert (history.step.tolist(), history.value.tolist()) == ([0, 1, 2], [0.0, 1.0, 2.0])
    (found,) = reader.search_runs(order_by=["step(metrics.m)"])
    assert found.summaries["m"].count == reader.get_run(writer.run_id).summaries["m"].count == 3
    if not ended:
        writer.end()


def store_logs(tmp_path: Path) -> list[Path]:
    """Return the logs of a store."""
    return list(tmp_path.glob("store/runs/*/*.jsonl"))


def test_step_that_counts_on_stays_the_highest_there_is(tmp_path: Path) -> None:
    store = FileStore.open(tmp_path / "store")
    writer = store.create_run()
    writer.log_metric("m", 1.0, 2**63 - 1)
    writer.log_metric("m", 2.0)
    writer.log_metrics({"m": 3.0})
    writer.end()
    assert store.get_metric_history(writer.run_id, "m").step.tolist() == [2**63 - 1] * 3
    assert store.search_runs()[0].data.metrics == {"m": 3.0}
