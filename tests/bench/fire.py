"""Truth under fire, the long form: minutes instead of seconds. Run it by hand before a release::

    python tests/bench/fire.py               # all of it, about six minutes
    python tests/bench/fire.py kill --rounds 2000
    python tests/bench/fire.py fuzz --cases 1000

kill  SIGKILL at random moments, several writers a round, every write call there is; then every acknowledgement checked
tiny  16 processes, 500 tiny runs each, into a store that nobody has made yet
first 16 processes that start at once in an empty folder, many times
race  20 processes that register and promote one model
fuzz  damaged files of every kind, many more than the normal tests damage
full  a full disk
promote   20 processes promote one model, 100 rounds
registry  SIGKILL in register, promote, undo and log_model
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from nbtrack.store import FileStore  # noqa: E402
from tests.registry import racing  # noqa: E402
from tests.registry.killing import verdict  # noqa: E402
from tests.store.fire import scenario, starve  # noqa: E402
from tests.store.verify import judge_storm, raw_lines  # noqa: E402


def kill(work: Path, options: argparse.Namespace) -> str:
    """Kill writers; return what was checked."""
    root, notes = work / "store", work / "acks"
    for begin in range(0, options.rounds, 50):
        scenario("kill_rounds", root, notes, min(50, options.rounds - begin), options.writers, begin, timeout_s=600)
    verdict = judge_storm(root, notes)
    wrong = {name: found[:10] for name, found in verdict.items() if isinstance(found, list) and found}
    assert not wrong, wrong
    return (
        f"{options.rounds} rounds, {options.rounds * options.writers} kills, {verdict['acknowledged']:,} acknowledged"
        f" calls in {verdict['runs']:,} runs, {verdict['lines']:,} lines, {verdict['torn']} torn tails: nothing lost"
    )


def tiny(work: Path, _options: argparse.Namespace) -> str:
    """Write 8,000 tiny runs."""
    facts = scenario("tiny_runs", work / "store", 16, 500, timeout_s=600)
    runs = FileStore.open(work / "store").search_runs(max_results=10**6)
    assert len({r.run_id for r in runs}) == 8000
    assert {r.info.run_name for r in runs} == {f"{c}/{n}" for c in range(16) for n in range(500)}
    assert {r.info.status for r in runs} == {"FINISHED"}
    raw_lines(work / "store")
    return f"8,000 runs by 16 processes in {facts['seconds']:.1f} s: all there"


def first(work: Path, _options: argparse.Namespace) -> str:
    """Start at once in an empty folder, 40 times."""
    for number in range(40):
        root = work / str(number) / "store"
        scenario("first_use", root, 16)
        store = FileStore.open(root)
        assert len(store.search_runs()) == 16 and len(store.list_experiments()) == 17
        assert [c["number"] for c in store.read_commits("shared")] == list(range(1, 17))
    return "40 empty folders, 16 processes each: every run, experiment and commit there"


def race(work: Path, _options: argparse.Namespace) -> str:
    """Register and promote."""
    scenario("race_commits", work / "store", work / "acks", 20, 60, timeout_s=600)
    commits = FileStore.open(work / "store").read_commits("clf")
    assert [c["number"] for c in commits] == list(range(1, 2401))
    assert all(c["saw"] == c["number"] - 1 for c in commits if c["action"] == "promote")
    assert len({(c["action"], c["who"]) for c in commits}) == 2400
    return "2,400 commits by 20 processes: no gap, no double, none lost"


def fuzz(_work: Path, options: argparse.Namespace) -> str:
    """Run the fuzz tests with many more cases."""
    environment = {**os.environ, "NBTRACK_FUZZ_CASES": str(options.cases)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--timeout",
        "3000",
        "-n",
        "2",
        str(ROOT / "tests/store/test_fuzz.py"),
    ]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    return f"{options.cases} damages of each kind of file: {done.stdout.strip().splitlines()[-1]}"


def full(work: Path, _options: argparse.Namespace) -> str:
    """Meet a limit on the size of files at every byte of a line."""
    for limit in range(20_000, 20_060):
        root = work / str(limit) / "store"
        facts = starve(root, limit, "yes" if limit % 2 else "no")
        raw_lines(root)
        found = FileStore.open(root).get_metric_history(facts["run_id"], "loss").value.tolist()
        assert len(found) == 3000 if limit % 2 else len(found) >= 500
        assert found == [n + 0.5 for n in range(len(found))]
        assert len(facts["warned"]) == 1, facts
    return "60 limits: warned once each, went on, nothing earlier harmed"


def _versions(root: Path, count: int) -> int:
    """Register a small model so many times; return the number of the last commit."""
    from sklearn.dummy import DummyClassifier

    import nbtrack

    nbtrack.set_tracking_uri(str(root))
    with nbtrack.start_run():
        model = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
        uri = nbtrack.log_model(model, input_example=[[0.5]]).model_uri
    for _ in range(count):
        nbtrack.register_model(uri, "clf")
    return count


def promote(work: Path, _options: argparse.Namespace) -> str:
    """Promote at once, again and again."""
    root, processes, rounds = str(work / "store"), 20, 100
    start = _versions(work / "store", 2 * processes)
    racing.judge(root, racing.race(root, processes, rounds, start), rounds, start)
    return f"{processes} processes, {rounds} rounds: one winner each, {rounds * (processes - 1):,} losers told, no gap"


def registry(work: Path, options: argparse.Namespace) -> str:
    """Kill whoever changes a registered model."""
    root, acks, kills = str(work / "store"), str(work / "acks"), options.rounds * options.writers
    _versions(work / "store", 3)
    script = str(ROOT / "tests/registry/killing.py")
    subprocess.run([sys.executable, script, root, acks, str(kills), "1"], check=True, capture_output=True)
    found = verdict(root, acks)
    acts = ", ".join(f"{count:,} {act}" for act, count in sorted(found["noted"].items()))
    return f"{kills:,} kills; {found['commits']:,} commits, {found['models']:,} models whole; acknowledged: {acts}"


PARTS: dict[str, Callable[[Path, argparse.Namespace], str]] = {
    "kill": kill,
    "tiny": tiny,
    "first": first,
    "race": race,
    "full": full,
    "fuzz": fuzz,
    "promote": promote,
    "registry": registry,
}


def main() -> None:
    """Run the parts that were asked for; stop at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--cases", type=int, default=150)
    options = parser.parse_args()
    for name in options.parts:
        work = Path(tempfile.mkdtemp(prefix="nbtrack-fire-"))
        start = time.perf_counter()
        print(f"{name}: {PARTS[name](work, options)} ({time.perf_counter() - start:.0f} s)", flush=True)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
