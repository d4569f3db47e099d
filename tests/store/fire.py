"""Real processes that write as hard as they can and are killed, starved of disk, forked and raced.

Run as a script, each scenario prints one JSON object of facts; the tests and ``tests/bench/fire.py`` judge them. A
scenario runs in a process of its own because it forks: a forked child of pytest would take its threads' locks along.

An *acknowledgement* is a line that a child writes to a file of its own after a call of the store has returned. It is
one ``write`` as well, so what it says did happen before the kill.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbtrack.entities import DatasetInput
from nbtrack.errors import ConflictError
from nbtrack.store import FileStore, open_store
from nbtrack.store.base import RunWriter, Store

Ack = Callable[..., None]


def environment() -> dict[str, str]:
    """Return the environment in which a new Python finds the nbtrack that is tested, installed or not."""
    import nbtrack

    return {**os.environ, "PYTHONPATH": str(Path(nbtrack.__file__).parents[1]), "PYTHONUTF8": "1"}


def scenario(name: str, *arguments: object, script: str = __file__, timeout_s: float = 110) -> dict[str, Any]:
    """Run a scenario of this file, or of another, in a new process and return its facts."""
    done = subprocess.run(
        [sys.executable, script, name, *map(str, arguments)],
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    if done.returncode:
        raise AssertionError(f"{name} exited with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def starve(root: Path, how: object, frees: str) -> dict[str, Any]:
    """Run ``starve.py`` on a store; see ``full_disk`` there."""
    return scenario(str(root), how, frees, script=str(Path(__file__).with_name("starve.py")))


def fork_all(count: int, work: Callable[[int], None]) -> list[int]:
    """Fork `count` children that start at the same moment; return their process ids."""
    gate, opener = os.pipe()
    children: list[int] = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(opener)
                os.read(gate, 1)
                work(number)
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    os.close(gate)
    os.close(opener)
    return children


def wait_all(children: list[int]) -> None:
    """Wait for children; raise if one failed."""
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        raise SystemExit(f"children exited with {codes}")


def acknowledger(folder: Path, child: str) -> Ack:
    """Return a function that notes, beyond any kill, that something was done."""
    fd = os.open(folder / f"{child}.acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def ack(run: str, op: str, *what: object) -> None:
        os.write(fd, json.dumps([run, op, *what]).encode() + b"\n")

    return ack


# -- SIGKILL at random moments -----------------------------------------------------------------------------------------
def storm(root: Path, acks: Path, child: str, resumable: list[str]) -> None:
    """Call every write call there is in a tight loop until killed."""
    rng = random.Random(child)
    ack = acknowledger(acks, child)
    store = open_store(root)
    count = 0
    while True:
        if resumable:
            run_id = resumable.pop()
            ack(run_id, "resuming")
            writer = store.resume_run(run_id)
            ack(run_id, "resume")
        else:
            writer = store.create_run(run_name=f"run of {child}", tags={"born": child})
            ack(writer.run_id, "create", f"run of {child}")
        for _ in range(rng.choice((1, 5, 40, 400))):
            count += 1
            one_call(rng, store, writer, ack, child, count)
        if rng.random() < 0.8:
            status = rng.choice(("FINISHED", "FAILED", "KILLED"))
            writer.end(status)
            ack(writer.run_id, "end", status)
            key = f"edited {child} {count}"
            store.edit_run(writer.run_id, tags={key: "yes"})
            ack(writer.run_id, "tag", key, "yes")


def one_call(rng: random.Random, store: Store, writer: RunWriter, ack: Ack, child: str, count: int) -> None:
    """Make one random write call and acknowledge it."""
    run = writer.run_id
    match rng.choices(range(8), (60, 12, 8, 8, 3, 3, 3, 3))[0]:
        case 0:
            writer.log_metric("loss", count + 0.25)
            ack(run, "metric", "loss", count + 0.25)
        case 1:
            writer.log_metrics({"loss": count + 0.5, "acc": -count, "nan": float("nan")})
            ack(run, "metric", "loss", count + 0.5)
            ack(run, "metric", "acc", -float(count))
        case 2:
            writer.log_params({f"p {child} {count}": count, "fixed": "1"})
            ack(run, "param", f"p {child} {count}", str(count))
        case 3:
            writer.set_tags({f"t {child} {count}": "ü" * rng.randrange(2000)})
            ack(run, "tagged", f"t {child} {count}")
        case 4:
            data = f"{child} {count}".encode() * rng.randrange(1, 3000)
            artifact = writer.log_artifact(data, f"{child}/{count}.bin")
            ack(run, "artifact", artifact.path, artifact.digest, len(data))
        case 5:
            writer.log_inputs([DatasetInput(f"{child} {count}", "training")])
            ack(run, "input", f"{child} {count}")
        case 6:
            writer.log_capture({f"{child} {count}": {"source": "x = 1\n" * 50}})
            ack(run, "capture", f"{child} {count}")
        case 7:
            number = store.append_commit("storm", {"action": "register", "who": f"{child} {count}"})
            ack("", "commit", number, f"{child} {count}")


def kill_rounds(root: str, acks: str, rounds: str, writers: str, first_round: str = "0") -> dict[str, Any]:
    """Let several writers storm and kill them all, many times; what was killed is resumed in a later round."""
    rng = random.Random(int(first_round))
    base, notes = Path(root), Path(acks)
    notes.mkdir(parents=True, exist_ok=True)
    dead: list[str] = []
    for number in range(int(first_round), int(first_round) + int(rounds)):
        picked = [dead.pop(rng.randrange(len(dead))) for _ in range(min(len(dead), int(writers) // 2))]

        def work(child: int, number: int = number, picked: list[str] = picked) -> None:
            storm(base, notes, f"{number}.{child}", picked[child : child + 1])

        children = fork_all(int(writers), work)
        time.sleep(rng.uniform(0.003, 0.06))
        files = [notes / f"{number}.{child}.acks" for child in range(int(writers))]
        slow = [file for file in files if not wait_for_acks(file, rng.choice((0, 1, 2, 4, 8)))]
        for child in children:
            os.kill(child, signal.SIGKILL)
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        if slow or set(ends) != {-signal.SIGKILL}:
            raise SystemExit(f"round {number}: a writer ended by itself or got stuck: {ends}, {[f.name for f in slow]}")
        dead = list(dict.fromkeys([*dead, *(run for file in files if (run := last_run(file))), *picked]))
    return {"rounds": int(rounds), "kills": int(rounds) * int(writers)}


def wait_for_acks(file: Path, count: int, timeout_s: float = 40.0) -> bool:
    """Wait until a writer has noted so many calls: on a busy machine it may not have run at all so far."""
    until = time.monotonic() + timeout_s
    while count and not (file.exists() and file.read_bytes().count(b"\n") >= count):
        if time.monotonic() > until:
            return False
        time.sleep(0.0005)
    return True


def last_run(file: Path) -> str:
    """Return the run of the last acknowledged call of a writer; empty if there is none."""
    lines = file.read_bytes().split(b"\n") if file.exists() else []
    return str(json.loads(lines[-2])[0]) if len(lines) > 1 else ""


# -- many at once ------------------------------------------------------------------------------------------------------
def tiny_runs(root: str, processes: str, each: str) -> dict[str, Any]:
    """Write many tiny runs from many processes into one store, which nobody has made yet."""

    def work(child: int) -> None:
        store = open_store(root)
        for number in range(int(each)):
            writer = store.create_run(run_name=f"{child}/{number}")
            writer.log_params({"child": child, "number": number})
            writer.log_metrics({"m": child * 1000 + number})
            writer.end()

    start = time.perf_counter()
    wait_all(fork_all(int(processes), work))
    return {"seconds": time.perf_counter() - start}


def first_use(root: str, processes: str) -> dict[str, Any]:
    """Start many processes at once in an empty folder, each with its own run, experiment and model."""

    def work(child: int) -> None:
        store = open_store(root)
        ident = store.create_experiment(f"experiment {child}")
        writer = store.create_run(ident, run_name=f"run {child}")
        writer.log_metrics({"m": child})
        store.append_commit("shared", {"action": "register", "who": child})
        writer.end()

    wait_all(fork_all(int(processes), work))
    return {"ids": json.loads((Path(root) / "nbtrack.json").read_bytes())}


def race_commits(root: str, acks: str, processes: str, each: str) -> dict[str, Any]:
    """Register (without expect) and promote (with expect) the same model from many processes."""
    notes = Path(acks)
    notes.mkdir(parents=True, exist_ok=True)

    def work(child: int) -> None:
        store = open_store(root)
        ack = acknowledger(notes, str(child))
        for count in range(int(each)):
            number = store.append_commit("clf", {"action": "register", "who": f"{child}.{count}"})
            ack("", "free", number, f"{child}.{count}")
            while True:
                commits = store.read_commits("clf")
                last = commits[-1]["number"]
                try:
                    body = {"action": "promote", "who": f"{child}.{count}", "saw": last}
                    number = store.append_commit("clf", body, expect=last)
                except ConflictError:
                    continue
                ack("", "expected", number, f"{child}.{count}", last)
                break

    wait_all(fork_all(int(processes), work))
    return {}


# -- one process, many hands -------------------------------------------------------------------------------------------
def forked_writer(root: str, children: str, each: str) -> dict[str, Any]:
    """Log to one run from a process and from its forked children at the same time."""
    store = open_store(root)
    writer = store.create_run(run_name="forked")
    writer.log_metrics({"before": 1.0})

    def work(child: int) -> None:
        for number in range(int(each)):
            writer.log_metric(f"child {child}", number)
        writer.set_tags({f"child {child}": "done"})
        if child % 2:
            writer.end()

    started = fork_all(int(children), work)
    for number in range(int(each)):
        writer.log_metric("parent", number)
    wait_all(started)
    status = FileStore.open(root).get_run(writer.run_id).info.status
    writer.log_metrics({"after": 1.0})
    writer.end("FAILED")
    return {"run_id": writer.run_id, "status_before_end": status}


def orphaned(root: str) -> dict[str, Any]:
    """Die by SIGKILL in a process whose forked child lives on; the child tells what others see."""
    notes, out = os.pipe()
    middle = os.fork()
    if middle == 0:
        writer = open_store(root).create_run(run_name="orphaned")
        writer.log_metrics({"m": 1.0})
        if os.fork() == 0:
            os.write(out, f"{writer.run_id} {os.getpid()}".encode())
            time.sleep(20)
            os._exit(0)
        time.sleep(20)
        os._exit(0)
    run_id, orphan = os.read(notes, 100).decode().split()
    alive = FileStore.open(root).get_run(run_id).info.status
    os.kill(middle, signal.SIGKILL)
    os.waitpid(middle, 0)
    start = time.perf_counter()
    status = ""
    while status != "CRASHED" and time.perf_counter() - start < 15:
        status = FileStore.open(root).get_run(run_id).info.status
    os.kill(int(orphan), 0)  # it lives
    os.kill(int(orphan), signal.SIGKILL)
    return {"run_id": run_id, "alive": alive, "dead": status, "seconds": time.perf_counter() - start}


def many_hands(root: str, threads: str, each: str) -> dict[str, Any]:
    """Log from threads, and from tasks, to runs of their own and to a shared one."""
    store = open_store(root)
    shared = store.create_run(run_name="shared")
    own = {f"thread {n}": store.create_run(run_name=f"thread {n}") for n in range(int(threads))}
    own |= {f"task {n}": store.create_run(run_name=f"task {n}") for n in range(int(threads))}

    def hammer(name: str) -> None:
        for number in range(int(each)):
            own[name].log_metric("m", number)
            shared.log_metrics({name: number, "all": number})
            own[name].log_metric("m", -number)

    async def task(name: str) -> None:
        for number in range(int(each)):
            own[name].log_metric("m", number)
            await asyncio.sleep(0)
            shared.log_metric(name, number)
            own[name].log_metric("m", -number)

    async def tasks() -> None:
        await asyncio.gather(*(task(name) for name in own if name.startswith("task")))

    workers = [threading.Thread(target=hammer, args=(name,)) for name in own if name.startswith("thread")]
    for worker in workers:
        worker.start()
    asyncio.run(tasks())
    for worker in workers:
        worker.join()
    for writer in (shared, *own.values()):
        writer.end()
    return {"shared": shared.run_id, "own": {name: writer.run_id for name, writer in own.items()}}


def watched(root: str, how: str) -> dict[str, Any]:
    """Start and end runs in one process while another looks at them as often as it can."""
    notes, out = os.pipe()

    def work(_child: int) -> None:
        store = open_store(root)
        count = 0
        until = time.perf_counter() + 1.5
        while time.perf_counter() < until or count < 10:
            writer = store.create_run(run_name="watched")
            os.write(out, writer.run_id.encode())
            writer.log_metrics({"m": 1.0})
            time.sleep(0.002)
            writer.end()
            count += 1

    FileStore.open(root)
    children = fork_all(1, work)
    os.close(out)
    store = FileStore.open(root)
    looks, wrong, run_id, runs = 0, [], "", 0
    while data := os.read(notes, 21):
        run_id = data.decode()
        runs += 1
        for _ in range(3):
            looks += 1
            if how == "get":
                states = {store.get_run(run_id).info.status}
            else:
                states = {r.info.status for r in store.search_runs(max_results=5)}
            if states - {"RUNNING", "FINISHED"}:
                wrong.append(f"{run_id}: {states}")
    wait_all(children)
    return {"looks": looks, "runs": runs, "wrong": wrong[:5]}


def beating(root: str) -> dict[str, Any]:
    """Open a run, let the heart beat ten times as fast as it does, and look at the log's time."""
    from nbtrack.store import heartbeat, liveness

    liveness.BEAT_S = heartbeat.BEAT_S = 0.2  # type: ignore[misc]
    writer = open_store(root).create_run()
    (log,) = Path(root).glob(f"runs/*/{writer.run_id}.jsonl")
    os.utime(log, (1.7e9, 1.7e9))
    until = time.perf_counter() + 10
    while log.stat().st_mtime < 1.75e9 and time.perf_counter() < until:
        time.sleep(0.05)
    touched = log.stat().st_mtime > 1.75e9
    writer.end()
    return {"touched": touched, "threads_at_rest": threading.active_count() - 1}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])), flush=True)
