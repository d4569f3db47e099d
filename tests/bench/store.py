"""The store's speed, side by side: nbtrack, the bare operation, MLflow on files and on SQLite, and the best peers.

Run it by hand, on a machine that has little else to do::

    python tests/bench/store.py                     # every row, about five minutes; the first time a few more
    python tests/bench/store.py --only metric,small # some rows
    python tests/bench/store.py --peers ""          # without pandm, exptrack, goodseed and trackio
    python tests/bench/store.py --without mlflow    # nbtrack and the bare operation only: two minutes
    python tests/bench/store.py --json out.json     # the figures for a machine to read
    python tests/bench/store.py --cpu               # processor time, where others keep the machine busy

MLflow and each peer live in environments of their own, made by ``uv`` (or venv and pip) under the cache folder
(``--cache``, by default in the temporary folder); so do the stores that take long to fill. What is cached is keyed by
the version of the tracker, ours by its source. ``--fresh`` throws the cache away.

How it measures: each round asks every contender in turn, in a new process; the figure is the median of the rounds.
What is judged is the ratio to what ran beside it, or the absolute figure where one is asked. "First" reads are the
first in their process; files are warm. Imports (numpy's too: a notebook has it, and MLflow's own import brings it) are
not part of a search or a history; they have a row of their own. Filled stores spread their runs over 366 days, whose
folders are as old as they would be; MLflow's hold the same runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from side_by_side import Bench, Contender, Row, judge, middle, say, table

MS, US = 1e3, 1e6


# -- rows --------------------------------------------------------------------------------------------------------------
def row_import(b: Bench) -> list[Row]:
    """Time and memory of the import, over a bare Python; and with what the first run needs, for names are lazy."""
    who = [b.ours, *b.peers, *b.mlflow[:1]]

    def ask(c: Contender, code: str) -> float:
        return c.timed([c.python, "-c", code]) - c.timed([c.python, "-c", "pass"])

    for c in who:  # compile what is not compiled yet
        c.timed([c.python, "-c", f"import {c.module}"])
    usual = "import nbtrack; nbtrack.start_run, nbtrack.log_metric, nbtrack.log_params, nbtrack.set_tracking_uri"
    found = b.rounds_of(who, lambda c: ask(c, f"import {c.module}"), b.rounds + 2)
    used = b.rounds_of([b.ours], lambda c: ask(c, usual), b.rounds + 2)
    bare = {"bare": 0.0}
    seconds = middle(found, None, MS) | bare
    loaded = seconds | middle(used, None, MS)
    memory = {c.name: c.memory(f"import {c.module}") - c.memory("pass") for c in who} | bare
    full = memory | {"ours": b.ours.memory(usual) - b.ours.memory("pass")}
    time_asked, size_asked = "≤ 45; ≤ 1/30 of MLflow", "≤ 12"
    verdicts = [judge(v, most=45, **{"file": 30}) for v in (seconds, loaded)]
    return [
        Row("import, over bare python", "ms", seconds, time_asked, verdicts[0]),
        Row("… with what start_run and log_metric load", "ms", loaded, time_asked, verdicts[1]),
        Row("import, memory over bare python", "MB", memory, size_asked, judge(memory, most=12)),
        Row("… with what start_run and log_metric load", "MB", full, size_asked, judge(full, most=12)),
    ]


def row_first(b: Bench) -> list[Row]:
    """The whole process of the first run in an empty folder."""
    found = b.rounds_of(b.all, lambda c: c.time_of("first", b.folder(c.name)))
    values = middle(found, scale=MS)
    return [Row("first run in an empty folder, whole process", "ms", values, "≤ 1/15 of file", judge(values, file=15))]


def row_startend(b: Bench) -> list[Row]:
    """start_run and end_run in a process that has done it before."""
    counts = {"ours": 300, "bare": 300, "pandm": 30}
    found = b.rounds_of(b.all, lambda c: c.ask("startend", b.folder(c.name), counts.get(c.name, 12)))
    values = middle(found, scale=US)
    return [Row("start_run + end_run", "µs", values, "≤ 1/20 of file", judge(values, file=20))]


def row_metric(b: Bench) -> list[Row]:
    """One log_metric."""
    counts = {"ours": 20_000, "mlflow file": 1000, "mlflow sqlite": 200, "exptrack": 2000}
    who = [c for c in b.all if c.name != "bare"]
    found = b.rounds_of(who, lambda c: c.ask("metric", b.folder(c.name), counts.get(c.name, 10_000)))
    public = middle(found, "public", US)
    own = middle({"ours": found["ours"]}, "writer", US)
    bare = {"bare": middle({"bare": found["ours"]}, "bare", US)["bare"]}
    rest = {name: value for name, value in public.items() if name != "ours"}
    rows = [("log_metric, nbtrack.log_metric()", public | bare), ("log_metric, the store's writer", rest | own | bare)]
    return [
        Row(name, "µs", values, "≤ 2.5× bare; ≤ 1/100 of file", judge(values, bare=2.5, file=100))
        for name, values in rows
    ]


def row_history(b: Bench) -> list[Row]:
    """All points of a metric as arrays; bytes per point."""
    many, most = 100_000, 1_000_000
    others = [c for c in [*b.peers, *b.mlflow] if c.name != "exptrack"]
    told: dict[str, Any] = {}
    kept: dict[str, Path] = {"bare": b.folder("bare")}
    for c in others:
        kept[c.name], told[c.name] = b.kept(c, "100k points", lambda folder, c=c: c.ask("points", folder, many, "yes"))
    values = middle(
        b.rounds_of(
            [b.bare, *others], lambda c: c.ask("history", kept[c.name], told.get(c.name, {}).get("run_id", "-"), many)
        ),
        "first",
        MS,
    )
    rows: list[Row] = []
    ours = {}
    for count, name, limit in ((many, "100k", 10), (most, "1M", 30)):
        folder = b.folder("ours")
        told["ours"] = facts = b.ours.ask("points", folder, count, "yes")
        ours["first"] = b.ours.ask("history", folder, facts["run_id"], count)["first"] * MS
        facts |= b.ours.ask("compact", folder, facts["run_id"])
        found = b.rounds_of([b.ours], lambda c, f=folder, i=facts["run_id"], n=count: c.ask("history", f, i, n))
        beside = (
            values
            if count == many
            else middle(b.rounds_of([b.bare], lambda c: c.ask("history", kept["bare"], "-", most)), "first", MS)
        )
        sealed, again = beside | middle(found, "first", MS), middle(found, "again", MS)
        rows.append(
            Row(f"history of {name} points, sealed, new process", "ms", sealed, f"≤ {limit}", judge(sealed, most=limit))
        )
        rows.append(Row("… asked again in that process", "ms", again, "", None))
        rows.append(Row("… the very first time after the run's end", "ms", {"ours": ours["first"]}, "", None))
        rows.append(Row(f"end_run of a run of {name} points", "ms", {"ours": facts["end_s"] * MS}, "", None))
        for kind, most_bytes in (("live", 45), ("sealed", 6)) if count == many else ():
            size = {c: f[kind] / many for c, f in told.items() if kind in f} | {"bare": 24.0}
            rows.append(Row(f"bytes per point, {kind}", "B", size, f"≤ {most_bytes}", judge(size, most=most_bytes)))
    folder = b.folder("ours")
    facts = b.ours.ask("points", folder, many, "no")
    live = values | middle(
        b.rounds_of([b.ours], lambda c: c.ask("history", folder, facts["run_id"], many)), "first", MS
    )
    rows.insert(1, Row("history of 100k points, live, new process", "ms", live, "≤ 80", judge(live, most=80)))
    return rows


def row_search(b: Bench) -> list[Row]:
    """10,000 runs: filter, order, first hundred, in a process that has only imported."""
    count = 10_000
    kept = {
        c.name: b.kept(c, "10k runs", lambda folder, c=c: c.ask("runs", folder, count))[0] for c in [b.ours, *b.mlflow]
    }
    kept["bare"] = b.folder("bare")
    b.ours.ask("search", kept["ours"], count)  # writes the index, if filling has not
    found = b.rounds_of([b.ours, b.bare, *b.mlflow], lambda c: c.ask("search", kept[c.name], count))
    values, warm = middle(found, "fresh", MS), middle(found, "open", MS)
    loading = middle({"ours": found["ours"]}, "loading", MS)
    return [
        Row(
            "10k runs: filter, order, first 100, new process",
            "ms",
            values,
            "≤ 1/100 of sqlite",
            judge(values, sqlite=100),
        ),
        Row("… in an open store", "ms", warm, "", None),
        Row("… and once a process, to load what searching needs", "ms", loading, "", None),
    ]


def row_large(b: Bench) -> list[Row]:
    """100,000 runs."""
    count = 100_000
    store, _ = b.kept(b.ours, "100k runs", lambda folder: b.ours.ask("runs", folder, count))
    place = b.folder("bare")
    pair = [b.ours, b.bare]
    built = b.rounds_of(pair, lambda c: c.ask("rebuild", store, count), 3)
    found = b.rounds_of(pair, lambda c: c.ask("search", store if c.name == "ours" else place, count))
    frames = b.rounds_of(pair, lambda c: c.ask("frame", store if c.name == "ours" else place, count), 3)
    seen = b.rounds_of(pair, lambda c: c.ask("changed", store if c.name == "ours" else place), 3)
    rows = [
        ("100k runs: filter, order, first 100, new process", middle(found, "fresh", MS), 8.0),
        ("… in an open store", middle(found, "open", MS), None),
        ("100k runs → DataFrame (run_table)", middle(frames, "table", MS), 120.0),
        ("100k runs → DataFrame (nbtrack.search_runs)", middle(frames, "public", MS), 120.0),
        ("one of 100k runs changed: seen by a search", middle(seen, "seen", MS), 3.0),
        ("index of 100k runs rebuilt, warm", middle(built, None, MS), 4000.0),
    ]
    return [
        Row(name, "ms", values, f"≤ {limit:,.0f}" if limit else "", judge(values, most=limit) if limit else None)
        for name, values, limit in rows
    ]


def row_small(b: Bench) -> list[Row]:
    """Files and disk blocks of a small run."""
    found = {c.name: c.ask("small", b.folder(c.name)) for c in [b.ours, *b.mlflow]}
    files = {name: facts["files"] for name, facts in found.items()} | {"bare": 1.0}
    size = {name: facts["bytes"] for name, facts in found.items()} | {"bare": 4096.0}
    return [
        Row("files of a small run", "", files, "1", files["ours"] == 1),
        Row("disk taken by a small run", "B", size, "≤ 4,096", size["ours"] <= 4096),
    ]


ROWS: dict[str, Callable[[Bench], list[Row]]] = {
    "import": row_import,
    "first": row_first,
    "startend": row_startend,
    "metric": row_metric,
    "history": row_history,
    "search": row_search,
    "large": row_large,
    "small": row_small,
}


def main() -> int:
    """Measure, print the table, and say by the exit code whether all that is asked was met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(ROWS), help="rows to run, by name: " + ", ".join(ROWS))
    parser.add_argument(
        "--peers", default="pandm,exptrack,goodseed,trackio", help="peers beside MLflow, or an empty text"
    )
    parser.add_argument("--without", default="", help="'mlflow' to leave MLflow out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "nbtrack-bench-cache")
    parser.add_argument("--cpu", action="store_true", help="measure processor time instead of the wall clock's")
    parser.add_argument("--fresh", action="store_true", help="throw the cache away first")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures here")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(options.cache, ignore_errors=True)
    if options.cpu:
        os.environ["NBTRACK_BENCH_CLOCK"] = "cpu"
    start = time.perf_counter()
    peers = [name for name in options.peers.split(",") if name]
    bench = Bench(options.cache, peers, options.without != "mlflow", options.rounds)
    rows: list[Row] = []
    try:
        for name in options.only.split(","):
            say(f"{time.perf_counter() - start:5.0f} s  {name}")
            rows += ROWS[name](bench)
            say(table(rows[-1:], peers).splitlines()[-1])
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)
        versions = ", ".join(f"{c.name} {c.version}" for c in bench.all if c.version)
        print(f"\nPython {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions}")
        kind = "processor" if options.cpu else "wall"
        print(f"{kind} time, medians of {options.rounds} rounds, {time.perf_counter() - start:.0f} s in all\n")
        print(table(rows, peers))
    if options.json:
        options.json.write_text(json.dumps([vars(row) for row in rows], indent=1, default=str))
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    say(f"processor time of all contenders: {children.ru_utime + children.ru_stime:.0f} s")
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
