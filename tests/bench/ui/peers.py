"""Time from a request to a table of runs that can be used: ours, MLflow's and TensorBoard's, on the same runs.

``python tests/bench/ui/peers.py --mlflow VENV/bin/python --tensorboard VENV/bin/python``: each peer in an environment
of its own; one that is not named is left out. Every server is warm (one look before the one that counts), every browser
cold (a new context). Prints medians of three and ratios; a loaded machine leaves only the ratios.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from bench import OPTIONS, served  # noqa: E402

from nbtrack.store import open_store  # noqa: E402

# What is in the page once its table shows runs with their metrics.
NAMED = "(e) => e.children.length === 0 && /^sweep-\\d+$/.test((e.textContent || '').trim())"
READY = {
    "ours": "() => document.querySelectorAll('[role=row][data-run] [role=gridcell]').length > 20",
    "mlflow": f"() => [...document.querySelectorAll('*')].some({NAMED})",
    "tensorboard": f"""() => {{
      const all = (root) =>
        [...root.querySelectorAll('*')].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
      return all(document).some({NAMED});
    }}""",
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int) -> Iterator[str]:
    """Run a peer's server until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(url, timeout=5):
                break
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def look(browser: Browser, url: str, ready: str) -> float:
    """Seconds from the request of the page to a table with runs."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(ready, timeout=300_000, polling=20)
    taken = time.perf_counter() - started
    context.close()
    return taken


def measure(browser: Browser, url: str, name: str) -> float:
    """The median of three looks, after one that warms the server."""
    look(browser, url, READY[name])
    return statistics.median(look(browser, url, READY[name]) for _ in range(3))


@contextmanager
def address(name: str, python: str, folder: Path) -> Iterator[str]:
    """Serve a peer's runs; the address of its table."""
    if name == "ours":
        with served(open_store(folder)) as url:
            yield f"{url}/?view=compare"
        return
    port = free_port()
    if name == "mlflow":
        store = f"sqlite:///{folder}/mlflow.db"
        command = [python, "-m", "mlflow", "ui", "--backend-store-uri", store, "--port", str(port), "--workers", "1"]
        with running(command, port) as url:
            yield f"{url}/#/experiments/0/runs"
        return
    command = [python, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port), "--load_fast=false"]
    with running(command, port) as url:
        yield f"{url}/#hparams"


def main() -> None:
    """Make the runs with each tracker, then look at each table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mlflow", help="the Python of an environment with MLflow")
    parser.add_argument("--tensorboard", help="the Python of an environment with TensorBoard")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--keep", type=Path, help="keep the runs here, and use those that are there")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="nbtrack-peers-"))
    pythons = {"ours": sys.executable, "mlflow": options.mlflow, "tensorboard": options.tensorboard}
    subprocess.run(["node", "tests/harness.mjs"], cwd=HERE.parents[2] / "js", check=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=OPTIONS)
        for count in options.counts:
            own = 0.0
            for name, python in pythons.items():
                if not python:
                    continue
                where = folder / f"{name}{count}"
                if not where.exists():
                    subprocess.run([python, str(HERE / "make_peers.py"), name, str(where), str(count)], check=True)
                try:
                    with address(name, python, where) as url:
                        taken = measure(browser, url, name)
                except Exception as error:
                    print(
                        f"{count:>7,} runs  {name:<12} no table in time: {str(error).splitlines()[0][:80]}", flush=True
                    )
                    continue
                own = own or taken
                print(f"{count:>7,} runs  {name:<12} {taken * 1000:8.0f} ms   {taken / own:6.1f} ×", flush=True)
        browser.close()
    if options.keep is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
