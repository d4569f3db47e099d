"""Writers of one registered model that are killed at random moments: ``python killing.py STORE ACKS KILLS SEED``.

One process imports everything once and forks the writers, so that hundreds of kills take seconds. Each writer notes
every call that returned; what was noted must be there afterwards. ``verdict`` judges what is left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any


def work(root: str, acks: str, seed: int, begun: int) -> None:
    """Register, promote, undo, log, until killed; note each call that returned."""
    from sklearn.dummy import DummyClassifier

    import nbtrack
    from nbtrack import registry
    from nbtrack.errors import NbtrackError

    nbtrack.set_tracking_uri(root)
    dice = random.Random(seed)
    model = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
    notes = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(**facts: Any) -> None:
        os.write(notes, json.dumps(facts).encode() + b"\n")

    def log() -> None:
        with nbtrack.start_run() as run:
            info = nbtrack.log_model(model, input_example=[[0.5]], registered_model_name="clf")
            note(op="log_model", run=run.run_id, version=info.registered_model_version)

    def register() -> None:
        made = registry.register_model(f"models:/clf/{1 + dice.randrange(3)}", "clf")
        note(op="register", version=made.version)

    def promote() -> None:
        done = registry.promote("clf", 1 + dice.randrange(3), dice.choice(["Production", "Staging"]), former="below")
        note(op="promote", number=done.commit.number if done.commit else 0)

    def undo() -> None:
        done = registry.undo("clf")
        note(op="undo", number=done.commit.number if done.commit else 0)

    os.write(begun, b"!")
    while True:
        try:
            dice.choice([log, register, promote, promote, undo])()
        except NbtrackError as error:  # the three versions to choose from may have been undone away for a moment
            note(op="refused", why=str(error))


def warm_up(root: str) -> None:
    """Import all that writers use, once and not in each of them; in a store of its own, which no writer inherits."""
    from sklearn.dummy import DummyClassifier

    import nbtrack
    from nbtrack import registry

    nbtrack.set_tracking_uri(root)
    with nbtrack.start_run():
        model = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
        nbtrack.log_model(model, input_example=[[0.5]], registered_model_name="clf")
    registry.promote("clf", 1, "Staging", former="below")
    registry.undo("clf")


def _noted(acks: str) -> int:
    """Return how many calls the writers have noted so far."""
    return Path(acks).read_bytes().count(b"\n") if Path(acks).exists() else 0


def kill(root: str, acks: str, kills: int, seed: int) -> dict[str, int]:
    """Fork and kill, two writers at a time; return how many were killed."""
    warm_up(f"{root}-warm-up")
    dice = random.Random(seed)
    killed = 0
    while killed < kills:
        writers, before = [], _noted(acks)
        for _ in range(2):
            reads, begun = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reads)
                try:
                    work(root, acks, dice.randrange(2**30) + os.getpid(), begun)
                finally:
                    os._exit(1)
            os.close(begun)
            writers.append((child, reads))
        for _, reads in writers:
            os.read(reads, 1)
            os.close(reads)
        time.sleep(dice.uniform(0, 0.04))
        wanted, until = before + dice.choice((0, 1, 2)), time.monotonic() + 20
        while _noted(acks) < wanted and time.monotonic() < until:  # on a busy machine they may not have run at all
            time.sleep(0.001)
        for child, _ in writers:
            os.kill(child, signal.SIGKILL)
            time.sleep(dice.uniform(0, 0.005))
        for child, _ in writers:
            killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    return {"killed": killed}


def verdict(root: str, acks: str) -> dict[str, Any]:
    """Read everything that is left; raise AssertionError where something is half, lost or missing."""
    import nbtrack
    from nbtrack import registry
    from nbtrack.registry.fold import State, apply
    from nbtrack.store import open_store

    nbtrack.set_tracking_uri(root)
    store = open_store(root)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing may be damaged
        bodies = store.read_commits("clf")
        assert [body["number"] for body in bodies] == list(range(1, len(bodies) + 1))
        state = State("clf")
        for body in bodies:
            apply(state, body)
            for stage in ("Staging", "Production"):
                assert len(state.in_stage(stage)) <= 1, (stage, body)
        assert sorted(state.versions) == list(range(1, len(state.versions) + 1))
        noted = [json.loads(line) for line in Path(acks).read_bytes().split(b"\n") if line.endswith(b"}")]
        for one in noted:
            assert one.get("number", 0) <= len(bodies)
            assert one.get("version") is None or one["version"] in state.versions, one
        whole = 0
        for run_id in nbtrack.search_runs(search_all_experiments=True, max_results=10**6).run_id:
            if registry.logged_models(store.get_run(run_id)):
                assert len(nbtrack.load_model(f"runs:/{run_id}/model").predict([[0.9]])) == 1
                whole += 1
        logged = {one["run"] for one in noted if one["op"] == "log_model"}
        assert whole >= len(logged)
        for version in state.live():
            assert len(nbtrack.predict(f"models:/clf/{version.version}", [[0.1]])) == 1
    acts: dict[str, int] = {}
    for one in noted:
        acts[one["op"]] = acts.get(one["op"], 0) + 1
    return {"commits": len(bodies), "versions": len(state.versions), "models": whole, "noted": acts}


if __name__ == "__main__":
    print(json.dumps(kill(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
