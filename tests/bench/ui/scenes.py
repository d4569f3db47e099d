"""What is measured: the table, scrolling, long curves, and a run that is being logged."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser
from watching import Watched, median, percentile

from nbtrack.store import open_store

FIRST_ROW = "document.querySelector('[role=row][data-run]')?.dataset.run"
COUNT = "document.querySelector('[data-nbt=count]').textContent"


@dataclass
class Got:
    """A figure: by the clock (or whatever `unit` says), the main thread's share of it, and what was asked."""

    what: str
    value: float
    cpu: float | None = None
    unit: str = "ms"
    asked: float | None = None


def table(first_paint: float, act: float, browser: Browser, url: str, place: Path) -> Iterator[Got]:
    """First paint, sort and filter of the comparison; medians of several."""
    paints: list[tuple[float, float]] = []
    for number in range(4):  # the first warms the server
        page = Watched(browser, url)
        with page.traced() as trace:
            page.open("compare")
            wall = page.since_start("rows")
        if number:
            paints.append((wall, trace.cpu("nbt-start", "rows")))
        page.close()
    yield Got("first paint", median([p[0] for p in paints]), median([p[1] for p in paints]), "ms", first_paint)
    page = Watched(browser, url)
    page.open("compare")
    page.since_start("rows")
    page.page.wait_for_timeout(1500)
    head = "document.querySelectorAll('[role=columnheader]')[2]"
    sorts: list[tuple[float, float]] = []
    filters: list[tuple[float, float]] = []
    for number, text in enumerate(["sweep-9", "sweep-99", "sweep-5", "metrics.`m0/acc` > 0.9", "params.p0 = '7'"]):
        page.page.evaluate(f"() => {{ window.before = {FIRST_ROW}; }}")
        with page.traced() as trace:
            wall = page.act(f"sort{number}", f"() => {head}.click()", f"() => {FIRST_ROW} !== window.before")
        sorts.append((wall, trace.cpu(f"sort{number}:from", f"sort{number}:to")))
        page.page.wait_for_timeout(500)
        page.page.evaluate(f"() => {{ window.before = {COUNT}; }}")
        change = f"() => {{ nbtState.filter.value = {text!r}; }}"
        with page.traced() as trace:
            wall = page.act(f"filter{number}", change, f"() => {COUNT} !== window.before")
        filters.append((wall, trace.cpu(f"filter{number}:from", f"filter{number}:to")))
        page.page.wait_for_timeout(500)
        page.page.evaluate("() => { nbtState.filter.value = ''; }")
        page.page.wait_for_timeout(500)
    yield Got("sort", median([s[0] for s in sorts]), median([s[1] for s in sorts]), "ms", act)
    yield Got("filter", median([f[0] for f in filters]), median([f[1] for f in filters]), "ms", act)
    yield Got(
        "rows in the page", page.page.evaluate("() => document.querySelectorAll('[role=row]').length"), None, "", 200
    )
    page.close()


SCROLL = """async ([down, right]) => {
  const frame = document.querySelector('.nbt-grid-frame');
  const times = [];
  let blank = 0;
  for (let i = 0; i < 180; i++) {
    performance.mark('frame' + i);
    times.push(performance.now());
    frame.scrollTop += down;
    frame.scrollLeft += right;
    await new Promise((done) => requestAnimationFrame(done));
    blank += document.querySelector('.nbt-coming') === null ? 0 : 1;
  }
  performance.mark('frame180');
  times.push(performance.now());
  return [times.slice(1).map((at, i) => at - times[i]), blank];
}"""


def scrolling(browser: Browser, url: str, place: Path) -> Iterator[Got]:
    """Frames while the table is scrolled, all columns shown: down, then to the right."""
    page = Watched(browser, url)
    page.open("card", runs="none")
    page.page.wait_for_timeout(800)
    before = page.heap_mb()
    page.open("compare")
    page.since_start("rows")
    page.page.evaluate("() => { nbtState.showAll.value = true; }")
    page.page.wait_for_timeout(1500)
    columns = page.page.evaluate("() => nbtState.columns.value.length")
    yield Got("columns of the table", columns, None, "")
    for name, by in (("down", [160, 0]), ("right", [0, 120]), ("down fast", [5000, 0])):
        with page.traced() as trace:
            times, blank = page.page.evaluate(SCROLL, by)
        costs = [trace.cpu(f"frame{i}", f"frame{i + 1}") for i in range(180)]
        yield Got(f"scroll {name}: frame, median", median(times), median(costs), "ms", 17)
        yield Got(f"scroll {name}: frame, 95 of 100", percentile(times, 0.95), percentile(costs, 0.95), "ms", 33)
        yield Got(f"scroll {name}: frames with blank rows", blank, None, "of 180")
        page.page.wait_for_timeout(800)
    cells = page.page.evaluate("() => document.querySelectorAll('.nbt-cell').length")
    yield Got(
        "rows in the page", page.page.evaluate("() => document.querySelectorAll('[role=row]').length"), None, "", 200
    )
    yield Got("cells in the page", cells, None, "")
    yield Got("heap growth", page.heap_mb() - before, None, "MB", 150)
    page.close()


ALL = "() => { nbtState.chosen.value = new Set(nbtState.runs.value.run_ids); }"
LINES = "document.querySelectorAll('.nbt-legend li').length"
COUNT_ANSWERS = """() => {
  const ask = window.fetch;
  window.answered = 0;
  window.fetch = async (...all) => {
    const got = await ask(...all);
    const body = await got.text();
    window.answered += 1;
    return new Response(body, {status: got.status});
  };
}"""


def curves(browser: Browser, url: str, place: Path) -> Iterator[Got]:
    """Long curves: seen for the first time by this server and again, zoomed, and the heap that they take."""
    page = Watched(browser, url)
    page.open("card", runs="none")
    page.page.wait_for_timeout(800)
    before = page.heap_mb()
    for round_ in ("first look", "again"):
        page.open("plots")
        page.page.wait_for_function("() => window.nbtState.runs.value !== null")
        page.page.evaluate("() => { nbtState.chosen.value = new Set(nbtState.runs.value.run_ids.slice(0, 1)); }")
        page.page.wait_for_function(f"() => {LINES} === 1")
        page.page.wait_for_timeout(500)
        with page.traced() as trace:
            wall = page.act("all", ALL, f"() => {LINES} === nbtState.runs.value.run_ids.length")
        yield Got(f"20 curves visible, {round_}", wall, trace.cpu("all:from", "all:to"), "ms", 500)
        page.page.wait_for_timeout(800)
    page.page.evaluate(COUNT_ANSWERS)
    key = "new KeyboardEvent('keydown', {key: '+', bubbles: true})"
    press = f"() => {{ window.answered = 0; document.querySelector('[data-nbt=curve]').dispatchEvent({key}); }}"
    zooms: list[tuple[float, float, float]] = []
    for number in range(8):
        used = page.server_cpu_ms()
        with page.traced() as trace:
            wall = page.act(f"zoom{number}", press, "() => window.answered > 0")
        cost = page.server_cpu_ms() - used
        zooms.append((wall, trace.cpu(f"zoom{number}:from", f"zoom{number}:to"), cost))
        page.page.wait_for_timeout(500)
    yield Got(
        "zoom, finer curves from the store", median([z[0] for z in zooms]), median([z[1] for z in zooms]), "ms", 150
    )
    yield Got("zoom, the slowest of 8", max(z[0] for z in zooms), max(z[1] for z in zooms), "ms", 150)
    yield Got("zoom, processor time of the server", median([z[2] for z in zooms]), None, "ms")
    yield Got("heap growth", page.heap_mb() - before, None, "MB", 150)
    page.close()


def live(browser: Browser, url: str, place: Path) -> Iterator[Got]:
    """What one update costs while a run logs, beside so many others: the page, the server, the bytes between them."""
    writer = open_store(place).create_run("0", f"training {time.time():.0f}")
    for step in range(200):
        writer.log_metric("loss", math.exp(-step / 50), step)
    page = Watched(browser, url)
    page.open("compare")
    page.since_start("rows")
    page.page.wait_for_timeout(2500)  # so long a folder that has just changed is looked at anew
    sizes = "() => performance.getEntriesByType('resource').reduce((sum, one) => sum + one.encodedBodySize, 0)"
    shown = "() => [...document.querySelectorAll('[role=row]')].map((one) => one.textContent).join()"
    main, server, sent = [], [], []
    for step in range(200, 208):
        writer.log_metric("loss", math.exp(-step / 50), step)
        used, size, before = page.server_cpu_ms(), page.page.evaluate(sizes), page.page.evaluate(shown)
        with page.traced() as trace:
            page.page.evaluate("() => { performance.mark('from'); nbtState.refresh(); }")
            page.page.wait_for_function(f"before => ({shown})() !== before", arg=before)
            page.page.wait_for_timeout(500)
            page.page.evaluate("() => { performance.mark('to'); }")
        idle_from, idle_to = trace.marks["to"] - 250, trace.marks["to"]
        rest = trace.between(idle_from, idle_to) / 250 * (trace.marks["to"] - trace.marks["from"])
        main.append(max(0.0, trace.cpu("from", "to") - rest))
        server.append(page.server_cpu_ms() - used)
        sent.append((page.page.evaluate(sizes) - size) / 1024)
    writer.discard()
    yield Got("one live update, main thread", median(main), None, "ms CPU", 16)
    yield Got("one live update, server", median(server), None, "ms CPU")
    yield Got("one live update, answers", median(sent), None, "KB")
    page.close()
