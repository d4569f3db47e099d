"""How quick the interface is, in a headless Chromium, over real stores: ``python tests/bench/ui/bench.py [--quick]``.

The components stand on a page of their own (``js/tests/harness.ts``) which asks a local HTTP server that answers from
the store: one hop, as through a kernel's comm or a Jupyter server. Prints what was asked, what was got by the clock and
in processor time of the page's main thread, and whether it was met. On a loaded machine the clock says little; the
processor time still does. Nothing here fails.

With ``--mlflow PYTHON`` and ``--tensorboard PYTHON`` (each an environment of its own that holds the peer) their tables
are timed beside ours over the same runs: see ``peers.py``.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
import peers
import scenes
from scenes import Got
from server import ROOT, served
from stores import kept, make_curves, make_runs, make_wide
from watching import OPTIONS


def show(about: str, got: Got) -> None:
    """Print one line of the table."""
    cpu = "" if got.cpu is None else f"{got.cpu:,.1f}"
    asked = "" if got.asked is None else f"≤ {got.asked:,.0f}"
    by_cpu = got.cpu is not None and got.asked is not None and got.cpu <= got.asked
    met = (
        ""
        if got.asked is None
        else "met"
        if got.value <= got.asked
        else "by CPU, not by the clock"
        if by_cpu
        else "MISSED"
    )
    print(f"{about:<24} {got.what:<44} {got.value:>10,.1f} {cpu:>9} {got.unit:<7} {asked:>7}  {met}", flush=True)


def bundle() -> Iterator[Got]:
    """What a widget sends before any plot."""
    subprocess.run(["node", "build.mjs"], cwd=ROOT / "js", check=True, stdout=subprocess.DEVNULL)
    packed = gzip.compress((ROOT / "nbtrack/widget/static/view.js").read_bytes(), 9)
    yield Got("widget bundle, gzip", len(packed) / 1024, None, "KB", 120)


def all_scenes(quick: bool) -> list[tuple[str, str, Callable[[Path], object], Callable[..., Iterator[Got]]]]:
    """``(name, name of its store, how that is made, what is measured over it)`` of each scene."""
    many, points, columns = (5000, 100_000, 200) if quick else (50_000, 1_000_000, 1000)
    runs = partial(make_runs, params=10, metrics=5)
    return [
        (
            "1,000 runs",
            "runs1000",
            partial(make_runs, count=1000, params=30, metrics=20),
            partial(scenes.table, 300, 50),
        ),
        (f"{many:,} runs", f"runs{many}", partial(runs, count=many), partial(scenes.table, 1000, 100)),
        (f"{many:,} × {columns:,}", f"wide{many}", partial(make_wide, count=many, keys=columns), scenes.scrolling),
        (f"20 × {points:,} points", f"curves{points}", partial(make_curves, runs=20, points=points), scenes.curves),
        ("live, 10 runs", "live10", partial(runs, count=10), scenes.live),
        ("live, 900 runs", "live900", partial(runs, count=900), scenes.live),
        ("live, 10,000 runs", "live10000", partial(runs, count=10_000), scenes.live),
    ]


def measure(browser: Browser, folder: Path, quick: bool, only: str) -> None:
    """Print a line for each figure."""
    print(f"{'':<24} {'':<44} {'got':>10} {'main CPU':>9} {'':<7} {'asked':>7}")
    if only in "bundle":
        for got in bundle():
            show("widget", got)
    for name, store, make, scene in all_scenes(quick):
        if only in name:
            place = kept(folder, store, make)  # type: ignore[arg-type]
            with served(place) as url:
                for got in scene(browser, url, place):
                    show(name, got)


def main() -> None:
    """Build the page, make the stores, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5,000 × 200 instead of 50,000 × 1,000; 100,000 points")
    parser.add_argument("--keep", type=Path, help="keep the stores here, and use those that are there")
    parser.add_argument("--only", default="", help="only the scenes whose name contains this, such as 'live'")
    peers.add_options(parser)
    options = parser.parse_args()
    subprocess.run(["node", "tests/harness.mjs"], cwd=ROOT / "js", check=True)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="nbtrack-ui-"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=OPTIONS)
        load = os.getloadavg()[0]
        print(f"Chromium {browser.version}; load of the machine {load:.1f} on {os.cpu_count()} processors", flush=True)
        measure(browser, folder, options.quick, options.only)
        peers.compare(browser, folder, options)
        browser.close()
    print(f"load at the end {os.getloadavg()[0]:.1f}")
    if options.keep is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
