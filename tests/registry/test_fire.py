"""Many processes at one model, and processes that die in the middle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nbtrack
from nbtrack import registry
from nbtrack.errors import DamageWarning
from nbtrack.store import open_store
from nbtrack.store.base import Store

from .killing import verdict
from .racing import judge, race

ROUNDS = 12
PROCESSES = 20


def test_promote_by_twenty_processes_has_one_winner_a_round(store: Store, log: Callable[..., str]) -> None:
    uri = log()
    for _ in range(2 * PROCESSES):
        nbtrack.register_model(uri, "clf")
    start = registry.last_commit("clf")
    judge(store.uri, race(store.uri, PROCESSES, ROUNDS, start), ROUNDS, start)


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


KILLS = 300
SCRIPT = Path(__file__).with_name("killing.py")


@pytest.mark.timeout(300)  # some 15 seconds; a busy machine takes its time
@pytest.mark.skipif(not hasattr(os, "fork"), reason="writers are forked, to be killed by the hundred")
def test_three_hundred_sigkills_leave_every_change_whole_or_absent(
    store: Store, log: Callable[..., str], tmp_path: Path
) -> None:
    uri = log()
    for _ in range(3):
        nbtrack.register_model(uri, "clf")
    acks = tmp_path / "acks"
    command = [sys.executable, str(SCRIPT), store.uri, str(acks), str(KILLS), "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280)
    assert json.loads(done.stdout)["killed"] >= KILLS
    found = verdict(store.uri, str(acks))
    assert {"register", "promote", "undo", "log_model"} <= set(found["noted"]), found
    assert found["commits"] > KILLS // 10 and found["models"] > 0, found


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
