"""Ctrl-C at any moment of a call that logs: what came before is there, the summary is true, and the lock is free."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbtrack.store import FileStore

ROUNDS = 400


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Let the alarm do what Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("interrupts")
def test_interrupted_calls_leave_a_sound_log_and_a_true_summary(tmp_path: Path) -> None:
    store = FileStore.open(tmp_path / "store")
    writer = store.create_run()
    acknowledged, stored, tagged, number = 0, set(), 0, 0
    while number < ROUNDS or acknowledged <= ROUNDS or not tagged:  # a busy machine needs more rounds
        number += 1
        try:
            # most rounds hit the short calls; every tenth leaves a slow disk the time to store an artifact
            signal.setitimer(signal.ITIMER_REAL, 0.02 if number % 10 == 0 else 0.0002 + number % 97 * 1e-6)
            while True:
                writer.log_metric("m", float(acknowledged))
                acknowledged += 1
                if acknowledged % 50 == 0:
                    writer.set_tags({"last": acknowledged})
                    tagged = acknowledged
                    stored.add(writer.log_artifact(b"x", f"file-{acknowledged}").path)
        except KeyboardInterrupt:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    other = threading.Thread(target=writer.log_metric, args=("other", 1.0), daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive()
    writer.end()
    run = store.get_run(writer.run_id)
    values = store.get_metric_history(writer.run_id, "m").value.tolist()
    assert acknowledged > ROUNDS
    assert sorted(set(values))[:acknowledged] == [float(value) for value in range(acknowledged)]
    assert (run.summaries["m"].count, run.data.metrics["m"]) == (len(values), values[-1])
    assert run.data.metrics["other"] == 1.0
    assert int(run.data.tags["last"]) >= tagged > 0
    assert stored and stored <= run.artifacts.keys()
    assert list(store.check()) == []
