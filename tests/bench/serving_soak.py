"""A server of a stage under load while the stage moves: failed requests, mixed answers, slow answers, growing memory.

python tests/bench/serving_soak.py [--seconds 600] [--every 5] [--clients 8]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import psutil
import uvloop


class Asker(asyncio.Protocol):
    """Asks over and over on one connection, and compares each answer with the version that says it gave it."""

    def __init__(self, request: bytes, soak: Soak, done: asyncio.Future[None]) -> None:
        self.request, self.soak, self.done, self.buffer = request, soak, done, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        self.soak.times.append(time.perf_counter() - self.started)
        version = head.lower().split(b"x-nbtrack-model: soak/")[1].split(b"\r\n")[0]
        if not head.startswith(b"HTTP/1.1 200") or json.loads(body) != {"predictions": [float(version)]}:
            self.soak.wrong.append(self.buffer)
        self.buffer = b""
        if time.perf_counter() < self.soak.until:
            self.send()
        else:
            self.soak.finished += 1
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Soak:
    """What was seen."""

    def __init__(self, seconds: float) -> None:
        self.times: list[float] = []
        self.wrong: list[bytes] = []
        self.finished = 0
        self.until = time.perf_counter() + seconds


async def run(port: int, clients: int, soak: Soak, promote: Any, every_s: float) -> int:
    """Ask until the time is up, and promote meanwhile; return how often."""
    loop = asyncio.get_running_loop()
    body = b'{"inputs":[[1.0,1.0]]}'
    head = f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    ends = [loop.create_future() for _ in range(clients)]
    for end in ends:
        await loop.create_connection(lambda end=end: Asker(request, soak, end), "127.0.0.1", port)  # type: ignore[misc]
    swaps = 0
    while time.perf_counter() < soak.until - every_s:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(promote, swaps % 3 + 1)
        swaps += 1
    await asyncio.gather(*ends)
    return swaps


def soak_a_stage(seconds: float, every_s: float, clients: int) -> dict[str, Any]:
    """Serve a stage while it moves, and return what its clients saw."""
    from sklearn.linear_model import LinearRegression

    import nbtrack

    with tempfile.TemporaryDirectory() as folder:
        nbtrack.set_tracking_uri(str(Path(folder) / ".nbtrack"))
        for value in (1.0, 2.0, 3.0):
            model = LinearRegression().fit([[0.0, 0.0], [1.0, 1.0]], [value, value])
            with nbtrack.start_run():
                nbtrack.log_model(model, "model", input_example=[[1.0, 1.0]], registered_model_name="soak")
        nbtrack.promote("soak", 3, "Staging")
        with nbtrack.serve("models:/soak/Staging") as server:
            process = psutil.Process(server.info.pid)
            before = process.memory_info().rss, process.num_fds()
            soak = Soak(seconds)

            def promote(version: int) -> None:
                nbtrack.promote("soak", version, "Staging")

            swaps = uvloop.run(run(server.port, clients, soak, promote, every_s))
            after = process.memory_info().rss, process.num_fds()
            if soak.wrong or soak.finished != clients:
                print(soak.wrong[:3], server.logs(5), file=sys.stderr)
    times = sorted(soak.times)
    return {
        "requests": len(times),
        "promotions": swaps,
        "wrong": len(soak.wrong),
        "broken connections": clients - soak.finished,
        "p50_ms": round(times[len(times) // 2] * 1e3, 3),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 3),
        "max_ms": round(times[-1] * 1e3, 1),
        "memory_mb": [round(before[0] / 1e6, 1), round(after[0] / 1e6, 1)],
        "open files": [before[1], after[1]],
    }


def main() -> int:
    """Run, and print what was seen; the exit code is 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description="Soak a server that follows a stage.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--every", type=float, default=5)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    told = soak_a_stage(options.seconds, options.every, options.clients)
    print(json.dumps(told, indent=1))
    return int(told["wrong"] > 0 or told["broken connections"] > 0)


if __name__ == "__main__":
    sys.exit(main())
