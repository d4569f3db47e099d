"""A page that is watched: how long what it does takes, by the clock and in processor time of its main thread.

The main thread's time comes from the browser's own trace, so that other work of the machine does not count.
"""

from __future__ import annotations

import json
import statistics
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--enable-precise-memory-info"]
CATEGORIES = ["toplevel", "blink.user_timing", "disabled-by-default-devtools.timeline", "devtools.timeline"]
# Marks the first frame in which rows can be seen, from the moment the page begins, and then looks no more.
WATCH = """
const look = () => {
  if (document.querySelectorAll('[role=row][data-run]').length > 0) {
    performance.mark('rows');
  } else {
    requestAnimationFrame(look);
  }
};
requestAnimationFrame(look);
"""
ACT = """async ([name, act, seen]) => {
  performance.mark(name + ':from');
  (0, eval)(act)();
  const there = (0, eval)(seen);
  while (!there()) await new Promise((done) => requestAnimationFrame(done));
  performance.mark(name + ':to');
  const [from, to] = [':from', ':to'].map((end) => performance.getEntriesByName(name + end)[0].startTime);
  return to - from;
}"""


@dataclass
class Task:
    """A task of the main thread, in ms: where in the trace, how long, and how much of it on a processor."""

    at: float
    wall: float
    cpu: float


@dataclass
class Trace:
    """What the main thread of a page did; `marks` are where, in ms."""

    marks: dict[str, float] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)

    def cpu(self, first: str, last: str) -> float:
        """Processor time between two marks, in ms."""
        return self.between(self.marks[first], self.marks[last])

    def between(self, first: float, last: float) -> float:
        """Processor time between two moments, in ms."""
        total = 0.0
        for task in self.tasks:
            inside = min(last, task.at + task.wall) - max(first, task.at)
            if inside > 0:
                total += task.cpu * min(1.0, inside / max(task.wall, 1e-6))
        return total

    def read(self, data: bytes) -> None:
        """Take in what the browser wrote."""
        events: list[dict[str, Any]] = json.loads(data)["traceEvents"]
        marks = [one for one in events if one.get("cat") == "blink.user_timing" and one["ph"] in "IRn"]
        self.marks = {one["name"]: one["ts"] / 1000 for one in marks}
        main = {(one["pid"], one["tid"]) for one in marks}
        tasks = [one for one in events if one["name"] == "ThreadControllerImpl::RunTask" and one["ph"] == "X"]
        self.tasks = [
            Task(one["ts"] / 1000, one["dur"] / 1000, one.get("tdur", one["dur"]) / 1000)
            for one in tasks
            if (one["pid"], one["tid"]) in main
        ]


class Watched:
    """A fresh page over a server."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.page: Page = context.new_page()
        self.page.add_init_script(WATCH)
        self.page.set_default_timeout(180_000)
        self.session = context.new_cdp_session(self.page)

    def open(self, view: str, **options: str) -> None:
        """Show a view."""
        self.page.goto(f"{self.url}/?view={view}" + "".join(f"&{key}={value}" for key, value in options.items()))
        self.page.wait_for_function("() => window.nbtState !== undefined")

    def since_start(self, mark: str) -> float:
        """Ms from the arrival of the output until a mark."""
        self.page.wait_for_function("mark => performance.getEntriesByName(mark).length > 0", arg=mark)
        times = "names => names.map((name) => performance.getEntriesByName(name)[0].startTime)"
        start, at = self.page.evaluate(times, ["nbt-start", mark])
        return float(at - start)

    def act(self, name: str, act: str, seen: str) -> float:
        """Do something; ms until the page shows what it was for."""
        return float(self.page.evaluate(ACT, [name, act, seen]))

    def heap_mb(self) -> float:
        """The heap in use after a collection."""
        self.session.send("HeapProfiler.collectGarbage")
        self.session.send("Performance.enable")
        metrics = {one["name"]: one["value"] for one in self.session.send("Performance.getMetrics")["metrics"]}
        return float(metrics["JSHeapUsedSize"]) / 1e6

    def server_cpu_ms(self) -> float:
        """Processor time of the server so far."""
        with urllib.request.urlopen(f"{self.url}/cpu") as answer:
            return float(answer.read()) * 1000

    @contextmanager
    def traced(self) -> Iterator[Trace]:
        """Trace what the main thread does until the block ends."""
        trace = Trace()
        self.browser.start_tracing(page=self.page, categories=CATEGORIES)
        yield trace
        trace.read(self.browser.stop_tracing())

    def close(self) -> None:
        self.page.context.close()


def median(values: list[float]) -> float:
    return statistics.median(values)


def percentile(values: list[float], part: float) -> float:
    """The value that `part` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
