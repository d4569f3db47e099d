"""Time from a request to a table of runs that can be used: ours, MLflow's and TensorBoard's, on the same runs.

``python tests/bench/ui/bench.py --mlflow VENV/bin/python --tensorboard VENV/bin/python``: each peer in an environment
of its own; one that is not named is left out. Every server is warm (one look before those that count), every browser
cold (a new context). Medians of three, with ratios; a loaded machine leaves only the ratios.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser
from playwright.sync_api import Error as PageError
from playwright.sync_api import TimeoutError as PageTimeout
from server import served

HERE = Path(__file__).parent
START_S = 180
LOOK_S = 240
# What is in the page once its table shows runs by their names, at least so many.
READY = """least => {
  const all = (root) =>
    [...root.querySelectorAll('*')].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
  const named = (e) => e.children.length === 0 && /^sweep-\\d+$/.test((e.textContent || '').trim());
  return all(document).filter(named).length >= least;
}"""
LEAST = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the peers."""
    parser.add_argument("--mlflow", help="the Python of an environment with MLflow")
    parser.add_argument("--tensorboard", help="the Python of an environment with TensorBoard")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000], help="runs in the peers' tables")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], url: str, log: Path) -> Iterator[None]:
    """Run a peer's server until the block ends; it has answered once when the block begins."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            deadline = time.monotonic() + START_S
            while True:
                with suppress(OSError), urllib.request.urlopen(url, timeout=10):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"its server did not start: {log.read_text(errors='replace')[-300:]}")
                time.sleep(0.3)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 15)  # with the workers that it started
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()


def look(browser: Browser, url: str) -> float:
    """Seconds from the request of the page to a table with runs."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    try:
        page = context.new_page()
        started = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_function(READY, arg=LEAST, timeout=LOOK_S * 1000, polling=20)
        return time.perf_counter() - started
    finally:
        context.close()


@contextmanager
def address(name: str, python: str, folder: Path) -> Iterator[str]:
    """Serve the runs in a folder; the address of their table."""
    if name == "nbtrack":
        with served(folder) as url:
            yield f"{url}/?view=compare"
        return
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    if name == "mlflow":
        store = f"sqlite:///{folder}/mlflow.db"
        command = [python, "-m", "mlflow", "ui", "--backend-store-uri", store, "--port", str(port), "--workers", "1"]
        url = f"{root}/#/experiments/0/runs"
    else:
        command = [python, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port), "--load_fast=false"]
        url = f"{root}/#hparams"
    with running(command, root, folder.with_suffix(".log")):
        yield url


def _made(name: str, python: str, folder: Path, count: int) -> Path:
    """The folder of a peer's runs, made unless they are there whole."""
    place = folder / f"peer-{name}-{count}"
    if not place.with_suffix(".done").exists():
        subprocess.run([python, str(HERE / "make_peers.py"), name, str(place), str(count)], check=True)
        place.with_suffix(".done").write_text("yes")
    return place


def compare(browser: Browser, folder: Path, options: argparse.Namespace) -> None:
    """Print how long each takes to show a table of the same runs."""
    pythons = {"nbtrack": sys.executable, "mlflow": options.mlflow, "tensorboard": options.tensorboard}
    named = {name: python for name, python in pythons.items() if python}
    if len(named) < 2 or options.only not in "peers":
        return
    for count in options.counts:
        own = 0.0
        for name, python in named.items():
            try:
                with address(name, python, _made(name, python, folder, count)) as url:
                    look(browser, url)
                    taken = statistics.median(look(browser, url) for _ in range(3))
            except (PageError, RuntimeError, subprocess.CalledProcessError) as error:
                why = f"no table within {LOOK_S} s" if isinstance(error, PageTimeout) else str(error)[:200]
                print(f"{count:>7,} runs, request to table   {name:<12} {why}", flush=True)
                continue
            own = own or taken
            print(
                f"{count:>7,} runs, request to table   {name:<12} {taken * 1000:8.0f} ms   {taken / own:6.1f} ×",
                flush=True,
            )
