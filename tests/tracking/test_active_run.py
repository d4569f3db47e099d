"""Which run is active where, and how it ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import nbtrack
from nbtrack.entities import TAG_NOTE, TAG_PARENT, TAG_SOURCE
from nbtrack.errors import InvalidInputError, InvalidNameError, NotFoundError, RunStateError

ROOT = Path(nbtrack.__file__).parent.parent


def statuses(store) -> dict[str, str]:
    return {run.info.run_name: run.info.status for run in store.search_runs()}


def test_start_run_block_ends_finished_and_keeps_what_was_logged(store):
    with nbtrack.start_run(run_name="one", tags={"who": "ana"}, description="a first try") as run:
        assert nbtrack.active_run() is run
        assert run.info.status == "RUNNING"
        assert nbtrack.log_param("C", 3.0) == 3.0
        nbtrack.log_params({"kernel": "rbf"})
        nbtrack.log_metric("loss", 0.5)
        nbtrack.log_metric("loss", 0.25)
        nbtrack.log_metrics({"acc": 0.9}, step=7)
        nbtrack.set_tag("stage", "draft")
    assert nbtrack.active_run() is None
    assert (run.info.status, run.info.run_name) == ("FINISHED", "one")
    assert run.data.params == {"C": "3.0", "kernel": "rbf"}
    assert run.data.metrics == {"loss": 0.25, "acc": 0.9}
    assert {"who": "ana", "stage": "draft", TAG_NOTE: "a first try"}.items() <= dict(run.data.tags).items()
    history = nbtrack.get_metric_history(run.run_id, "loss")
    assert (len(history), history.step.tolist(), history.value.tolist()) == (2, [0, 1], [0.5, 0.25])
    assert nbtrack.get_metric_history(run.run_id, "acc").step.tolist() == [7]
    assert nbtrack.last_active_run().run_id == run.run_id


def test_start_run_exception_ends_failed_and_is_raised(store):
    with pytest.raises(ZeroDivisionError, match="division by zero"), nbtrack.start_run(run_name="bad") as run:
        1 / 0  # noqa: B018
    assert run.info.status == "FAILED"
    error = nbtrack.get_run(run.run_id).capture["error"]
    assert error["type"] == "ZeroDivisionError"
    assert "1 / 0" in error["traceback"]
    assert nbtrack.active_run() is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt("by hand"), "KILLED"),
        (asyncio.CancelledError("by the loop"), "KILLED"),
        (SystemExit(0), "FINISHED"),
        (SystemExit(3), "FAILED"),
        (MemoryError("full"), "FAILED"),
    ],
    ids=["ctrl-c", "cancelled", "exit-0", "exit-3", "memory"],
)
def test_start_run_leaving_by_signal_or_exit_is_told_truthfully(store, error, status):
    with pytest.raises(type(error), match=str(error)), nbtrack.start_run() as run:
        raise error
    assert run.info.status == status


def test_start_run_while_active_says_what_to_do(store):
    with nbtrack.start_run(run_name="outer") as outer:
        with pytest.raises(RunStateError, match=rf"{outer.run_id} is still active.*end_run\(\).*nested=True"):
            nbtrack.start_run()
        with nbtrack.start_run(nested=True) as inner:
            assert nbtrack.active_run() is inner
        assert nbtrack.active_run() is outer
    assert inner.data.tags[TAG_PARENT] == outer.run_id


def test_end_run_ends_the_newest_and_does_nothing_without_one(store):
    outer = nbtrack.start_run(run_name="outer")
    nbtrack.start_run(run_name="inner", nested=True)
    nbtrack.end_run("FAILED")
    assert nbtrack.active_run() is outer
    nbtrack.end_run()
    nbtrack.end_run()
    assert statuses(store) == {"inner": "FAILED", "outer": "FINISHED"}


def test_end_run_unknown_status_is_refused(store):
    nbtrack.start_run()
    with pytest.raises(InvalidInputError, match="expected one of FINISHED, FAILED, KILLED, got 'DONE'"):
        nbtrack.end_run("DONE")


def test_log_metric_without_run_starts_one(store):
    nbtrack.log_metric("loss", 1)
    run = nbtrack.active_run()
    assert run.data.metrics == {"loss": 1.0}
    nbtrack.end_run()
    assert run.info.status == "FINISHED"


def test_start_run_as_decorator_makes_each_call_a_run_and_none_by_itself(store):
    @nbtrack.start_run(run_name="train")
    def train(x: int) -> int:
        nbtrack.log_param("x", x)
        return x + 1

    @nbtrack.start_run
    async def train_async() -> str:
        await asyncio.sleep(0)
        return nbtrack.active_run().run_id

    assert store.search_runs(view="ALL") == []
    assert nbtrack.active_run() is None
    assert (train(1), train(2)) == (2, 3)
    assert {run.data.params["x"] for run in store.search_runs()} == {"1", "2"}
    assert asyncio.run(train_async()) in {run.run_id for run in store.search_runs()}
    assert statuses(store)["train"] == "FINISHED"
    assert train.__name__ == "train"


def test_start_run_with_run_id_goes_on_with_the_run(store):
    with nbtrack.start_run() as run:
        nbtrack.log_metric("loss", 0.5)
    with nbtrack.start_run(run_id=run.run_id) as again:
        nbtrack.log_metric("loss", 0.25)
    assert again.run_id == run.run_id
    assert nbtrack.get_metric_history(run.run_id, "loss").value.tolist() == [0.5, 0.25]
    with pytest.raises(InvalidNameError, match="run id: expected"):
        nbtrack.start_run(run_id="../etc/passwd")
    with pytest.raises(NotFoundError, match="run"):
        nbtrack.start_run(run_id="0" * 21)


@pytest.mark.parametrize("name", ["../up", "a/../b", "x" * 10_000, "tab\tbed", " "])
def test_start_run_hostile_name_is_refused_and_leaves_nothing(store, name):
    with pytest.raises(InvalidNameError, match="run name"):
        nbtrack.start_run(run_name=name)
    assert store.search_runs(view="ALL") == []
    assert nbtrack.active_run() is None


def test_start_run_html_name_is_kept_as_text(store):
    with nbtrack.start_run(run_name="<b>bold</b>") as run:
        pass
    assert run.info.run_name == "<b>bold</b>"
    assert "<b>bold</b>" not in run._repr_html_()
    assert "&lt;b&gt;bold" in run._repr_html_()


def test_start_run_unknown_experiment_lists_those_there_are(store):
    with pytest.raises(NotFoundError, match=r"no experiment with the id '99'.*'Default'"):
        nbtrack.start_run(experiment_id="99")


def test_start_run_records_who_did_it(store, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_USER", "hub-ana")
    with nbtrack.start_run() as run:
        pass
    assert run.info.user_id == "hub-ana"
    monkeypatch.setenv("NBTRACK_USER", "ana")
    with nbtrack.start_run() as run:
        pass
    assert run.info.user_id == "ana"


def test_threads_have_runs_of_their_own_and_else_see_the_main_one(store):
    with nbtrack.start_run(run_name="main") as main:

        def plain() -> str:
            return nbtrack.active_run().run_id

        def own(k: int) -> tuple[str, str]:
            with nbtrack.start_run(run_name=f"w{k}", nested=True) as run:
                nbtrack.log_metric("k", k)
                return run.run_id, nbtrack.active_run().run_id

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: plain(), range(8))) == {main.run_id}
            for mine, active in pool.map(own, range(20)):
                assert mine == active
    children = store.search_runs(filter_string=f"tags.`{TAG_PARENT}` = '{main.run_id}'")
    assert sorted(run.data.metrics["k"] for run in children) == list(range(20))


def test_thread_without_nested_starts_an_independent_run(store):
    found = []
    with nbtrack.start_run():

        def work() -> None:
            with nbtrack.start_run(run_name="free") as run:
                found.append(dict(run.data.tags))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert TAG_PARENT not in found[0]


def test_asyncio_tasks_do_not_see_each_others_runs(store):
    async def work(k: int, ready: asyncio.Barrier) -> None:
        with nbtrack.start_run(run_name=f"t{k}", nested=True) as run:
            await ready.wait()  # all runs are open now
            assert nbtrack.active_run() is run
            nbtrack.log_metric("k", k)
            await ready.wait()

    async def main() -> None:
        with nbtrack.start_run(run_name="parent") as parent:
            await asyncio.gather(*(work(k, ready) for k, ready in [(k, barrier) for k in range(5)]))
            assert nbtrack.active_run() is parent

    barrier = asyncio.Barrier(5)
    asyncio.run(main())
    runs = {run.info.run_name: run for run in store.search_runs()}
    assert [runs[f"t{k}"].data.metrics["k"] for k in range(5)] == [0, 1, 2, 3, 4]
    assert {runs[f"t{k}"].data.tags[TAG_PARENT] for k in range(5)} == {runs["parent"].run_id}


def test_forked_child_logs_but_does_not_end_the_parents_run(store):
    with nbtrack.start_run() as run:
        nbtrack.log_metric("from", 1)
        child = os.fork()
        if child == 0:
            try:
                nbtrack.log_metric("child", 2)
                run.end("FAILED")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert run.info.status == "RUNNING"
        nbtrack.log_metric("from", 3)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"from": 3.0, "child": 2.0}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("nbtrack.start_run(); nbtrack.log_metric('a', 1)", "FINISHED"),
        ("nbtrack.start_run(); raise ValueError", "FAILED"),
        ("nbtrack.start_run(); raise KeyboardInterrupt", "KILLED"),
        ("nbtrack.start_run().__enter__()", "KILLED"),
        ("nbtrack.start_run(); import os; os._exit(1)", "CRASHED"),
    ],
    ids=["forgotten", "exception", "ctrl-c", "block-never-left", "died"],
)
def test_program_end_seals_forgotten_runs_truthfully(store, tmp_path, code, status):
    script = tmp_path / "train.py"
    script.write_text(f"import nbtrack\n{code}\n")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NBTRACK_TRACKING_URI": str(tmp_path / "store")}
    subprocess.run([sys.executable, str(script)], env=env, capture_output=True, timeout=60, check=False)
    run = store.search_runs()[0]
    assert run.info.status == status
    assert run.data.tags[TAG_SOURCE] == "train.py"


def test_log_metric_takes_numpy_and_says_what_it_got_else(store):
    nbtrack.log_metrics({"a": np.float32(0.5), "b": np.array([2]), "c": True, "d": float("nan")})
    run = nbtrack.active_run()
    assert run.data.metrics["a"] == 0.5
    assert (run.data.metrics["b"], run.data.metrics["c"]) == (2.0, 1.0)
    with pytest.raises(InvalidInputError, match=r"metric 'x': expected one number, got str '3'"):
        nbtrack.log_metric("x", "3")
    with pytest.raises(InvalidInputError, match=r"metric 'x': expected one number, got ndarray"):
        nbtrack.log_metric("x", np.zeros(3))


def test_log_param_twice_differently_is_refused(store):
    nbtrack.log_param("C", 1)
    nbtrack.log_param("C", 1)
    with pytest.raises(InvalidInputError, match="C"):
        nbtrack.log_param("C", 2)
    assert nbtrack.active_run().data.params == {"C": "1"}


def test_ended_run_refuses_to_be_entered_again(store):
    run = nbtrack.start_run()
    nbtrack.end_run()
    with pytest.raises(RunStateError, match=r"has ended; start_run\(run_id="), run:
        pass
