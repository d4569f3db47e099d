"""A writer that is interrupted, as by Ctrl-C, at any moment of its calls. Run as a script; prints JSON facts."""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from nbtrack.store import open_store


class Interrupted(KeyboardInterrupt):
    """Raised by the timer wherever the program happens to be."""


def interrupted(root: str, count: str) -> dict[str, Any]:
    """Log until `count` calls were interrupted and more were not; return what was acknowledged, and what may be there.

    On a slow disk hardly a call ends before the alarm: there it takes more rounds.
    """
    rng = random.Random(3)
    writer = open_store(root).create_run(run_name="interrupted")

    def strike(_signal: int, _frame: object) -> None:
        raise Interrupted

    signal.signal(signal.SIGALRM, strike)
    sure: list[float] = []
    perhaps: list[float] = []
    value, strikes = 0.0, 0
    while strikes < int(count) or len(sure) <= int(count):
        value += 1.0
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 2e-4))
            while True:
                if int(value) % 2:
                    writer.log_metric("m", value)
                else:
                    writer.log_metrics({"m": value, "k": -value})
                sure.append(value)
                value += 1.0
        except Interrupted:
            strikes += 1
            if not sure or sure[-1] != value:
                perhaps.append(value)
    signal.setitimer(signal.ITIMER_REAL, 0)
    helper = threading.Thread(target=writer.log_metric, args=("thread", 1.0), daemon=True)
    helper.start()
    helper.join(10)  # would hang if an interrupt had left the lock taken
    writer.end()
    return {"run_id": writer.run_id, "sure": sure, "perhaps": perhaps, "hangs": helper.is_alive()}


if __name__ == "__main__":
    facts = interrupted(*sys.argv[2:])
    Path(sys.argv[2], "facts.json").write_text(json.dumps(facts))
    print(json.dumps({"file": str(Path(sys.argv[2], "facts.json"))}))
