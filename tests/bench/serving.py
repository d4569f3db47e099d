"""Our model server beside MLflow's and the bare `predict`, in one run on one machine.

    python tests/bench/serving.py [--mlflow PYTHON] [--seconds 3] [--json FILE]

`--mlflow` names a Python that has MLflow and the same scikit-learn; without it, only ours is measured. Breast cancer,
30 columns; LogisticRegression and RandomForestClassifier(100). Every answer is compared with the notebook's own model.
The last line is of a server that follows a stage while it moves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import uvloop
from serving_soak import soak_a_stage

SWAPS = 20
SAVE_FOR_MLFLOW = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
import mlflow.sklearn, pandas as pd
from mlflow.models import infer_signature
model, data = pickle.load(open(sys.argv[1], "rb"))
mlflow.sklearn.save_model(model, sys.argv[2], serialization_format="cloudpickle",
                          signature=infer_signature(data, model.predict(data)), input_example=data.head(3))
"""


class Client(asyncio.Protocol):
    """Sends one request over and over on one connection, each as soon as the last was answered."""

    def __init__(self, request: bytes, until: float, times: list[float], done: asyncio.Future[None]) -> None:
        self.request, self.until, self.times, self.done = request, until, times, done
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self.times.append(now - self.started)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not answered: {self.buffer[:500]!r}")
        self.buffer = b""
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def http_request(port: int, body: bytes, kind: str) -> bytes:
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
    )
    return f"{head}\r\n\r\n".encode() + body


async def load(port: int, body: bytes, kind: str, clients: int, seconds: float) -> list[float]:
    """Return the time that each request took, in seconds."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    ends = [loop.create_future() for _ in range(clients)]
    until = time.perf_counter() + seconds
    request = http_request(port, body, kind)
    for end in ends:
        await loop.create_connection(lambda end=end: Client(request, until, times, end), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    return sorted(times)


def measure(port: int, pid: int, bodies: dict[str, tuple[bytes, str]], seconds: float) -> dict[str, Any]:
    """Return what one server does with each of `bodies`."""
    out: dict[str, Any] = {}
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    out["memory_mb"] = round(sum(each.memory_full_info().pss for each in family) / 1e6)

    def cpu() -> float:
        return sum(sum(each.cpu_times()[:2]) for each in family if each.is_running())

    for name, clients in (("1 client", 1), ("8 clients", 8), ("64 clients", 64)):
        before = cpu()
        times = uvloop.run(load(port, *bodies["one row"], clients, seconds))
        out[name] = {
            "p50_ms": round(times[len(times) // 2] * 1e3, 3),
            "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 3),
            "per_s": round(len(times) / seconds),
            "cpu_ms": round((cpu() - before) / len(times) * 1e3, 3),
        }
    for name in ("10,000 rows of CSV", "5,000 rows of JSON"):
        uvloop.run(load(port, *bodies[name], 1, 0.01))  # the first loads what reads it
        before = cpu()
        times = uvloop.run(load(port, *bodies[name], 1, seconds))
        out[name] = {
            "p50_ms": round(times[len(times) // 2] * 1e3, 1),
            "cpu_ms": round((cpu() - before) / len(times) * 1e3, 1),
        }
    return out


def table(name: str, found: dict[str, Any]) -> None:
    """Print what was asked of a model's server and what was seen, as parts of MLflow's figures."""
    mine, theirs = found["nbtrack"], found["mlflow"]
    forest = "Forest" in name

    def part(*keys: str, of: dict[str, Any] | None = None) -> float:
        first, second = of or mine, theirs
        for key in keys:
            first, second = first[key], second[key]
        return float(first / second)  # type: ignore[arg-type]

    plain = found["nbtrack without arrays"]
    at_64 = mine["64 clients"]
    rows = [
        ("one-row JSON, 1 client, p50", part("1 client", "p50_ms"), 1 / 15 if forest else 1 / 20),
        ("processor of it", part("1 client", "cpu_ms"), None),
        ("64 clients, requests/s, inverse", 1 / part("64 clients", "per_s"), 1 / 150 if forest else 1 / 100),
        ("64 clients, p99 of p50", at_64["p99_ms"] / at_64["p50_ms"], 4),
        ("cold start, compiled", part("cold_s"), 1 / 10),
        ("cold start, scikit-learn", part("cold_s", of=plain), 1 / 3),
        ("memory, compiled", part("memory_mb"), 1 / 6),
        ("memory, scikit-learn", part("memory_mb", of=plain), 1 / 2),
        ("10,000 rows of CSV", part("10,000 rows of CSV", "p50_ms"), 2 / 3),
        ("processor of it", part("10,000 rows of CSV", "cpu_ms"), None),
        ("5,000 rows of JSON", part("5,000 rows of JSON", "p50_ms"), 1 / 3),
        ("processor of it", part("5,000 rows of JSON", "cpu_ms"), None),
    ]
    print(f"\n{name}, as parts of MLflow's figures (load {os.getloadavg()[0]:.1f})")
    for what, seen, asked in rows:
        told = "" if asked is None else f"asked {asked:.3f}{'' if seen <= asked else '   MISSED'}"
        print(f"  {what:34}{seen:8.3f}   {told}")


def post(port: int, body: bytes, kind: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": kind}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["predictions"]


@contextmanager
def ours(model: Any, data: Any, folder: Path, arrays: bool = True) -> Iterator[tuple[int, int, float]]:
    import nbtrack

    with nullcontext() if arrays else patch("nbtrack.models.compiled.build.build", return_value=None):
        nbtrack.save_model(model, folder / "ours", input_example=data.head(3))
    started = time.perf_counter()
    with nbtrack.serve(folder / "ours") as server:
        post(server.port, *one_row(data))
        yield server.port, server.info.pid, time.perf_counter() - started


@contextmanager
def mlflows(python: str, model: Any, data: Any, folder: Path) -> Iterator[tuple[int, int, float]]:
    import pickle
    import socket

    (folder / "model.pickle").write_bytes(pickle.dumps((model, data)))
    target = folder / "mlflows"
    subprocess.run([python, "-c", SAVE_FOR_MLFLOW, folder / "model.pickle", target], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = time.perf_counter()
    command = [python, "-m", "mlflow", "models", "serve", "-m", str(target), "-p", str(port), "--env-manager", "local"]
    environment = {**os.environ, "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"}
    with (folder / "mlflow.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)
    try:
        while True:
            try:
                post(port, *one_row(data))
                break
            except OSError:
                if time.perf_counter() - started > 120 or server.poll() is not None:
                    raise RuntimeError((folder / "mlflow.log").read_text()[-3000:]) from None
                time.sleep(0.02)
        yield port, server.pid, time.perf_counter() - started
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def one_row(data: Any) -> tuple[bytes, str]:
    split = {"columns": list(data.columns), "data": [data.iloc[0].tolist()]}
    return json.dumps({"dataframe_split": split}).encode(), "application/json"


def requests(data: Any) -> dict[str, tuple[bytes, str]]:
    many = data.sample(10_000, replace=True, random_state=0)
    split = {"columns": list(data.columns), "data": many[:5000].to_numpy().tolist()}
    return {
        "one row": one_row(data),
        "10,000 rows of CSV": (many.to_csv(index=False).encode(), "text/csv"),
        "5,000 rows of JSON": (json.dumps({"dataframe_split": split}).encode(), "application/json"),
    }


def bare(model: Any, data: Any) -> float:
    """Return the time of the notebook's own ``model.predict`` of one row, in ms."""
    row, times = data.head(1), []
    for _ in range(200):
        started = time.perf_counter()
        model.predict(row)
        times.append(time.perf_counter() - started)
    return round(sorted(times)[100] * 1e3, 3)


def main() -> None:
    """Measure, and print one table for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mlflow", help="a Python that has MLflow")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="", help="the name of one of the models")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    data, target = load_breast_cancer(return_X_y=True, as_frame=True)
    bodies = requests(data)
    results: dict[str, Any] = {}
    for name, model in (
        ("LogisticRegression", LogisticRegression(max_iter=5000)),
        ("RandomForest(100)", RandomForestClassifier(100, random_state=0)),
    ):
        if options.only not in name:
            continue
        model.fit(data, target)
        expected = model.predict(data).tolist()
        results[name] = {"bare predict": {"one_row_ms": bare(model, data)}}
        contenders: dict[str, Any] = {"nbtrack": ours, "nbtrack without arrays": partial(ours, arrays=False)}
        if options.mlflow:
            contenders["mlflow"] = lambda *rest: mlflows(options.mlflow, *rest)
        for who, start in contenders.items():
            with tempfile.TemporaryDirectory() as folder, start(model, data, Path(folder)) as (port, pid, cold_s):
                if post(port, data.to_csv(index=False).encode(), "text/csv") != expected:
                    raise RuntimeError(f"{who} answers {name} otherwise than the notebook's model does")
                results[name][who] = {"cold_s": round(cold_s, 2), **measure(port, pid, bodies, options.seconds)}
        print(name, json.dumps(results[name], indent=1), flush=True)
        if options.mlflow:
            table(name, results[name])
    results["swaps"] = soak_a_stage(2.0 * (SWAPS + 1), 2.0, 8)
    swaps = results["swaps"]
    print(f"\n{swaps['promotions']} swaps at 8 clients: {swaps['wrong'] + swaps['broken connections']} of", end=" ")
    print(f"{swaps['requests']:,} requests failed, p99 {swaps['p99_ms']} ms (asked: 0, 50), max {swaps['max_ms']} ms")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
