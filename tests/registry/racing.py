"""Many processes that promote at once: ``python racing.py STORE ROUNDS ME PROCESSES START BEGIN``.

In each round every racer has seen the same last commit and tries to put another version into Production.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def promote_on_time(root: str, rounds: int, me: int, processes: int, start: int, begin: float) -> list[Any]:
    """Take part in every round; return the commits of this one's wins, and how often it was told that it lost."""
    from nbtrack import registry
    from nbtrack.errors import ConflictError
    from nbtrack.store import open_store

    store = open_store(root)
    time.sleep(max(0, begin - time.time()))
    won, told = [], 0
    for number in range(rounds):
        seen = start + number
        while registry.last_commit("clf", store=store) < seen:
            time.sleep(0.0005)
        try:
            done = registry.promote("clf", me + 1, "Production", expect=seen, store=store)
            if done.commit is None:  # this one is there already: a round without a winner would never end
                raise SystemExit("promoted twice in a row")
            won.append(done.commit.number)
        except ConflictError as error:
            assert "moved v" in str(error) and "ago" in str(error), error
            told += 1
        me = (me + processes) % (2 * processes)
    return [won, told]


def race(root: str, processes: int, rounds: int, start: int) -> list[tuple[list[int], int]]:
    """Let `processes` race for `rounds`; return what each of them says."""
    begin = time.time() + 5  # python starts slowly when twenty do
    numbers = [str(rounds), "ME", str(processes), str(start), str(begin)]
    racers = []
    for me in range(processes):
        command = [sys.executable, str(Path(__file__)), root, *(str(me) if n == "ME" else n for n in numbers)]
        racers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    return [tuple(json.loads(racer.communicate(timeout=90 + rounds * 5)[0])) for racer in racers]


def judge(root: str, answers: list[tuple[list[int], int]], rounds: int, start: int) -> None:
    """Raise AssertionError unless each round had one winner, every loser was told, and the history has no gap."""
    from nbtrack import registry
    from nbtrack.store import open_store

    store = open_store(root)
    assert sorted(number for won, _ in answers for number in won) == list(range(start + 1, start + rounds + 1))
    assert sum(told for _, told in answers) == rounds * (len(answers) - 1)
    commits = registry.history("clf", store=store)
    assert [commit.number for commit in commits] == list(range(start + rounds, 0, -1))
    in_production = [v for v in registry.get_model("clf", store=store).versions if v.current_stage == "Production"]
    assert [v.version for v in in_production] == [commits[0].changes[0]["version"]]


if __name__ == "__main__":
    print(json.dumps(promote_on_time(sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6]))))
