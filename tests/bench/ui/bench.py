"""How quick the interface is, in a headless Chromium, over real stores: ``python tests/bench/ui/bench.py [--quick]``.

The components stand on a page of their own (``js/tests/harness.ts``) which asks a local HTTP server that answers from
the store: one hop, as through a kernel's comm or a Jupyter server. Prints a table of what was measured and what was
aimed at; a loaded machine gives other numbers, and nothing here fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from nbtrack.store import open_store
from nbtrack.store.base import Store

ROOT = Path(__file__).parents[3]
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--enable-precise-memory-info"]
# Notes in each frame what can be seen, from the moment the page begins.
WATCH = """
window.seen = {};
const look = () => {
  const now = performance.now();
  const note = (name, there) => { if (there && !(name in window.seen)) window.seen[name] = now; };
  note('rows', document.querySelectorAll('[role=row][data-run]').length > 0);
  note('curves', document.querySelectorAll('.nbt-curve canvas').length > 0);
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"


def _page_module() -> Any:
    """The page that the browser tests serve."""
    found = importlib.util.spec_from_file_location("nbt_page", ROOT / "tests" / "browser" / "page" / "conftest.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["nbt_page"] = module
    found.loader.exec_module(module)
    return module


@contextmanager
def served(store: Store) -> Iterator[str]:
    """Serve the page over a store."""
    handler = type("Handler", (_page_module().Handler,), {"store": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def make_runs(folder: Path, count: int, params: int, metrics: int) -> Store:
    """A store of so many finished runs."""
    store = open_store(folder)
    rng = np.random.default_rng(0)
    for i in range(count):
        writer = store.create_run("0", f"sweep-{i}", start_time_ms=1_795_000_000_000 + i * 1000)
        writer.log_params({f"p{k}": int(v) for k, v in enumerate(rng.integers(0, 50, params))})
        writer.log_metrics({f"m{k}/acc": float(v) for k, v in enumerate(rng.random(metrics))})
        writer.end()
    return store


def make_curves(folder: Path, runs: int, points: int) -> Store:
    """A store of runs with one long curve each."""
    store = open_store(folder)
    rng = np.random.default_rng(0)
    for i in range(runs):
        writer = store.create_run("0", f"long-{i}")
        for step, value in enumerate(rng.standard_normal(points).cumsum().tolist()):
            writer.log_metric("loss", value, step)
        writer.end()
    return store


Measured = dict[str, float]


def heap(page: Page) -> float:
    """The heap in use after a collection, in MB."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"]) / 1e6


def task_ms(page: Page) -> float:
    """Main thread time of the page so far, in ms."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"]) * 1000


def since(page: Page, what: str) -> float:
    """Ms from the arrival of the output until `what` was in a frame."""
    page.wait_for_function("what => what in window.seen", arg=what, timeout=120_000)
    return float(
        page.evaluate("what => window.seen[what] - performance.getEntriesByName('nbt-start')[0].startTime", what)
    )


TIMED = """async ([act, seen]) => {
  const from = performance.now();
  (0, eval)(act)();
  const there = (0, eval)(seen);
  while (!there()) await new Promise((done) => requestAnimationFrame(done));
  return performance.now() - from;
}"""


def timed(page: Page, act: str, seen: str) -> float:
    """Ms from an act until the page shows what it was for."""
    return float(page.evaluate(TIMED, [act, seen]))


def table(url: str, page: Page) -> Measured:
    """First paint, sort and filter of the comparison."""
    page.goto(f"{url}/?view=compare")
    found = {"first paint (ms)": since(page, "rows")}
    page.wait_for_timeout(1500)
    first = "document.querySelector('[role=row][data-run]').dataset.run"
    page.evaluate(f"() => {{ window.before = {first}; }}")
    head = "document.querySelectorAll('[role=columnheader]')[2]"
    sorts = []
    for _ in range(3):
        page.evaluate(f"() => {{ window.before = {first}; }}")
        sorts.append(timed(page, f"() => {head}.click()", f"() => {first} !== window.before"))
        page.wait_for_timeout(600)
    found["sort (ms)"] = statistics.median(sorts)
    count = "document.querySelector('[data-nbt=count]').textContent"
    page.evaluate(f"() => {{ window.before = {count}; }}")
    found["filter (ms)"] = timed(
        page, "() => { nbtState.filter.value = 'sweep-99'; }", f"() => {count} !== window.before"
    )
    found["rows in the page"] = page.evaluate("() => document.querySelectorAll('[role=row]').length")
    return found


def curves(url: str, page: Page) -> Measured:
    """Long curves: seen, zoomed, and the heap that they take."""
    page.goto(f"{url}/?view=card&runs=none")
    page.wait_for_timeout(800)
    before = heap(page)
    page.goto(f"{url}/?view=plots")
    page.wait_for_function("() => window.nbtState.runs.value !== null")
    page.evaluate("() => { nbtState.chosen.value = new Set(nbtState.runs.value.run_ids.slice(0, 1)); }")
    page.wait_for_function("() => document.querySelectorAll('.nbt-legend li').length === 1")
    page.wait_for_timeout(500)
    lines = "document.querySelectorAll('.nbt-legend li').length"
    all_runs = "() => { nbtState.chosen.value = new Set(nbtState.runs.value.run_ids); }"
    found = {"20 curves visible (ms)": timed(page, all_runs, f"() => {lines} === nbtState.runs.value.run_ids.length")}
    page.wait_for_timeout(800)
    page.evaluate(
        """() => {
          const ask = window.fetch;
          window.answered = 0;
          window.fetch = async (...all) => {
            const got = await ask(...all);
            const body = await got.text();
            window.answered += 1;
            return new Response(body, {status: got.status});
          };
        }"""
    )
    key = "new KeyboardEvent('keydown', {key: '+', bubbles: true})"
    zooms = []
    for _ in range(4):
        page.evaluate("() => { window.answered = 0; }")
        act = f"() => document.querySelector('[data-nbt=curve]').dispatchEvent({key})"
        zooms.append(timed(page, act, "() => window.answered > 0"))
        page.wait_for_timeout(700)
    found["zoom, detail from the store (ms)"] = statistics.median(zooms)
    found["heap growth (MB)"] = heap(page) - before
    return found


def live(url: str, page: Page, store: Store) -> Measured:
    """Main thread time of one update while a run logs; a hundred other runs are in the table."""
    writer = store.create_run("0", "training")
    for step in range(200):
        writer.log_metric("loss", math.exp(-step / 50), step)
    page.goto(f"{url}/?view=compare")
    since(page, "curves")
    page.wait_for_timeout(1500)
    costs = []
    for step in range(200, 208):
        writer.log_metric("loss", math.exp(-step / 50), step)
        idle = task_ms(page)
        page.evaluate("() => nbtState.refresh()")
        page.wait_for_timeout(700)
        costs.append(task_ms(page) - idle)
    quiet = task_ms(page)
    page.wait_for_timeout(700)
    rest = task_ms(page) - quiet
    writer.end()
    return {"one live update, main thread (ms)": statistics.median(costs) - rest}


AIMS: dict[str, dict[str, float]] = {
    "1,000 runs": {"first paint (ms)": 300, "sort (ms)": 50, "filter (ms)": 50, "rows in the page": 200},
    "50,000 runs": {"first paint (ms)": 1000, "sort (ms)": 100, "filter (ms)": 100, "rows in the page": 200},
    "curves": {"20 curves visible (ms)": 500, "zoom, detail from the store (ms)": 150, "heap growth (MB)": 150},
    "live": {"one live update, main thread (ms)": 16},
}


def show(name: str, found: Measured) -> None:
    """Print what was measured beside what was aimed at."""
    for what, value in found.items():
        aim = AIMS.get(name.split(" × ", maxsplit=1)[0], {}).get(what)
        verdict = "" if aim is None else f"   aim ≤ {aim:,.0f}   {'ok' if value <= aim else 'MISSED'}"
        print(f"{name:<34} {what:<36} {value:10.1f}{verdict}", flush=True)


def main() -> None:
    """Build the page, make the stores, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="5,000 instead of 50,000 runs, 100,000 instead of 1 M points"
    )
    parser.add_argument("--keep", type=Path, help="keep the stores here, and use those that are there")
    parser.add_argument("--only", default="", help="only what this names: runs, curves, live")
    options = parser.parse_args()
    import subprocess

    subprocess.run(["node", "tests/harness.mjs"], cwd=ROOT / "js", check=True)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="nbtrack-ui-"))
    many, points = (5000, 100_000) if options.quick else (50_000, 1_000_000)

    def store_of(name: str, make: Callable[[Path], Store]) -> Store:
        started = time.perf_counter()
        if (folder / name / "done").exists():
            return open_store(folder / name / "s")
        made = make(folder / name / "s")
        (folder / name / "done").write_text("yes")
        print(f"made {name} in {time.perf_counter() - started:.0f} s", flush=True)
        return made

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=OPTIONS)
        print(f"Chromium {chromium.version}", flush=True)

        def fresh() -> Page:
            page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.add_init_script(WATCH)
            page.set_default_timeout(120_000)
            return page

        if options.only in {"", "runs"}:
            for name, count, params, metrics in (("1,000 runs", 1000, 30, 20), (f"{many:,} runs", many, 10, 5)):
                store = store_of(f"runs{count}", lambda where, n=count, p=params, m=metrics: make_runs(where, n, p, m))  # type: ignore[misc]
                with served(store) as url:
                    table(url, fresh())  # once to warm the server's imports and index
                    show(name, table(url, fresh()))
        if options.only in {"", "curves"}:
            store = store_of(f"curves{points}", lambda where: make_curves(where, 20, points))
            for run_id in store.run_table().run_ids:
                store.get_metric_history(run_id, "loss")  # as after the first look at a run that ended
            with served(store) as url:
                show(f"curves × {points:,} points", curves(url, fresh()))
        if options.only in {"", "live"}:
            store = store_of("live", lambda where: make_runs(where, 100, 10, 5))
            with served(store) as url:
                show("live", live(url, fresh(), store))
        chromium.close()
    if options.keep is None:
        shutil.rmtree(folder)
    print(json.dumps({"machine": "ratios only where other work runs beside"}))


if __name__ == "__main__":
    main()
