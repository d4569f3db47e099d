"""Our model server beside MLflow's and the bare `predict`, in one run on one machine.

    python tests/bench/serving.py [--mlflow PYTHON] [--seconds 3] [--json FILE]

`--mlflow` names a Python that has MLflow and the same scikit-learn; without it, only ours is measured. Breast cancer,
30 columns; LogisticRegression and RandomForestClassifier(100). Every answer is compared with the notebook's own model.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import uvloop

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
        times = uvloop.run(load(port, *bodies[name], 1, seconds))
        out[name] = {"p50_ms": round(times[len(times) // 2] * 1e3, 1)}
    return out


def post(port: int, body: bytes, kind: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": kind}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["predictions"]


@contextmanager
def ours(model: Any, data: Any, folder: Path) -> Iterator[tuple[int, int, float]]:
    import nbtrack

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
        contenders: dict[str, Any] = {"nbtrack": ours}
        if options.mlflow:
            contenders["mlflow"] = lambda *rest: mlflows(options.mlflow, *rest)
        for who, start in contenders.items():
            with tempfile.TemporaryDirectory() as folder, start(model, data, Path(folder)) as (port, pid, cold_s):
                if post(port, data.to_csv(index=False).encode(), "text/csv") != expected:
                    raise RuntimeError(f"{who} answers {name} otherwise than the notebook's model does")
                results[name][who] = {"cold_s": round(cold_s, 2), **measure(port, pid, bodies, options.seconds)}
        print(name, json.dumps(results[name], indent=1), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
