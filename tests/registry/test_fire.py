"""Many processes at one model, and processes that die in the middle."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import nbtrack
from nbtrack import registry
from nbtrack.errors import DamageWarning
from nbtrack.store import open_store
from nbtrack.store.base import Store

ROUNDS = 12
PROCESSES = 20

RACER = """
import json, sys, time
from nbtrack import registry
from nbtrack.errors import ConflictError
from nbtrack.store import open_store

store, rounds, me, begin = open_store(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
time.sleep(max(0, begin - time.time()))
won, told = [], 0
first = registry.last_commit("clf", store=store)
for number in range(rounds):
    seen = START + number
    while registry.last_commit("clf", store=store) < seen:
        time.sleep(0.0005)
    try:
        done = registry.promote("clf", me + 1, "Production", expect=seen, store=store)
        if done.commit is None:  # this one is there already: an edit keeps the round going
            raise SystemExit("promoted twice in a row")
        won.append(done.commit.number)
    except ConflictError as error:
        assert "moved v" in str(error) and "ago" in str(error), error
        told += 1
    me = (me + PROCESSES) % (2 * PROCESSES)
print(json.dumps([won, told]))
"""


def test_promote_by_twenty_processes_has_one_winner_a_round(store: Store, log: Callable[..., str]) -> None:
    uri = log()
    for _ in range(2 * PROCESSES):
        nbtrack.register_model(uri, "clf")
    start = registry.last_commit("clf")
    code = RACER.replace("START", str(start)).replace("PROCESSES", str(PROCESSES))
    begin = str(time.time() + 5)  # python starts slowly when twenty do
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, store.uri, str(ROUNDS), str(i), begin], stdout=subprocess.PIPE, text=True
        )
        for i in range(PROCESSES)
    ]
    answers = [json.loads(racer.communicate(timeout=90)[0]) for racer in racers]
    winners = sorted(number for won, _ in answers for number in won)
    assert winners == list(range(start + 1, start + ROUNDS + 1))
    assert sum(told for _, told in answers) == ROUNDS * (PROCESSES - 1)
    commits = nbtrack.history("clf")
    assert [commit.number for commit in commits] == list(range(start + ROUNDS, 0, -1))
    in_production = [v for v in registry.get_model("clf").versions if v.current_stage == "Production"]
    assert [v.version for v in in_production] == [commits[0].changes[0]["version"]]


REGISTRAR = """
import sys
from nbtrack import registry
from nbtrack.store import open_store

store = open_store(sys.argv[1])
for _ in range(int(sys.argv[3])):
    print(registry.register_model(sys.argv[2], "clf", store=store).version)
"""


def test_register_by_eight_processes_loses_and_repeats_no_number(store: Store, log: Callable[..., str]) -> None:
    uri = log()
    racers = [
        subprocess.Popen([sys.executable, "-c", REGISTRAR, store.uri, uri, "25"], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    numbers = [int(line) for racer in racers for line in racer.communicate(timeout=60)[0].split()]
    assert sorted(numbers) == list(range(1, 201))
    assert [version.version for version in registry.get_model("clf").versions] == list(range(200, 0, -1))


CHURN = """
import sys
from nbtrack import registry
from nbtrack.store import open_store

store = open_store(sys.argv[1])
print("go", flush=True)
while True:
    version = registry.register_model(sys.argv[2], "clf", store=store).version
    registry.promote("clf", version, "Production", store=store)
    registry.set_alias("clf", "champion", version, store=store)
    registry.undo("clf", store=store)
"""


def test_sigkill_in_the_middle_leaves_every_commit_whole_or_absent(store: Store, log: Callable[..., str]) -> None:
    uri = log()
    for kill in range(6):
        churn = subprocess.Popen([sys.executable, "-c", CHURN, store.uri, uri], stdout=subprocess.PIPE, text=True)
        assert churn.stdout is not None and churn.stdout.readline() == "go\n"
        time.sleep(0.05 + 0.013 * kill)
        churn.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        churn.communicate()
        commits = nbtrack.history("clf")
        assert [commit.number for commit in commits] == list(range(len(commits), 0, -1))
        assert {commit.action for commit in commits} <= {"register", "promote", "alias", "undo"}
    model = registry.get_model("clf")
    assert sum(version.current_stage == "Production" for version in model.versions) == 1


def test_damaged_last_commit_does_not_lock_the_model_and_its_number_is_not_used_again(
    three: Store, tmp_path: Path, log: Callable[..., str]
) -> None:
    uri = log()
    shutil.copytree(three.uri.removeprefix("file://"), tmp_path / "copy")
    last = max((tmp_path / "copy" / "models" / "clf").glob("*.json"))
    last.chmod(0o644)
    last.write_bytes(last.read_bytes()[:-30])
    store = open_store(tmp_path / "copy")
    with pytest.warns(DamageWarning, match=f"{last.name} is damaged"):
        assert [version.version for version in registry.get_model("clf", store=store).versions] == [2, 1]
        assert registry.register_model(uri, "clf", store=store).version == 4
        assert registry.register_model(uri, "clf", store=store).version == 5
        assert registry.promote("clf", 4, "Staging", store=store).text == "v4 → Staging"
        assert registry.undo("clf", store=store).text == "commit 6 undone: v4 → None"
    assert [commit.number for commit in registry.history("clf", store=store)] == [7, 6, 5, 4, 2, 1]
