"""A writer on a disk that fills up while it logs. Run as a script by ``fire.scenario``; prints JSON facts."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from nbtrack.store import open_store


def full_disk(root: str, how: str, frees: str) -> dict[str, Any]:
    """Log 3,000 points where there is room for some; count warnings and errors; end once there is room, or never.

    `how` is the size in bytes that a file may have (RLIMIT_FSIZE), or ``tmpfs`` where the disk itself is small; then
    a file ``ballast`` beside the store fills it and is removed to make room.
    """
    store = open_store(root)
    ballast = Path(root).parent / "ballast"
    writer = store.create_run(run_name="starved")
    warned: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        for step in range(3000):
            if step == 500:
                _fill(how, ballast)
            if step % 2:
                writer.log_metrics({"loss": step + 0.5}, step=step)
            else:
                writer.log_metric("loss", step + 0.5, step)
        seconds = time.perf_counter() - start
        shown = len(store.get_metric_history(writer.run_id, "loss"))
        if frees == "yes":
            _make_room(how, ballast)
        writer.end()
        warned = [f"{w.category.__name__}: {w.message}" for w in caught]
    print(json.dumps({"run_id": writer.run_id, "warned": warned, "seconds": seconds, "shown": shown}), flush=True)
    if frees != "yes":
        os._exit(0)  # as a kill would: nothing at exit can help
    return {"run_id": writer.run_id, "warned": warned, "seconds": seconds, "shown": shown}


def _fill(how: str, ballast: Path) -> None:
    if how != "tmpfs":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(how), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for size in (65536, 1):
            try:
                while True:
                    os.write(fd, b"x" * size)
            except OSError:
                continue
    finally:
        os.close(fd)


def _make_room(how: str, ballast: Path) -> None:
    if how == "tmpfs":
        ballast.unlink()
    else:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


if __name__ == "__main__":
    print(json.dumps(full_disk(*sys.argv[1:])), flush=True)
