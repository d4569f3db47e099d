"""Asks several trackers to do the same in turn, each in its own process, and tables the answers."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGES = {"mlflow": "mlflow", "pandm": "pandm", "exptrack": "exptrack", "goodseed": "goodseed", "trackio": "trackio"}
NEEDS = {"pandm": ["numpy"], "goodseed": ["numpy"], "trackio": ["numpy"]}


@dataclass
class Contender:
    """Something that can be asked: a name, its Python, its script."""

    name: str
    python: str
    script: str
    module: str
    extra: dict[str, str] = field(default_factory=dict)
    version: str = ""

    def environment(self) -> dict[str, str]:
        """Return the environment of its processes."""
        base = {k: v for k, v in os.environ.items() if not k.startswith(("NBTRACK_TRACKING", "MLFLOW"))}
        path = {"PYTHONPATH": str(ROOT)} if self.name in {"ours", "bare"} else {}
        base.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles everything anew at each start, nor do we here
        return {**base, **path, **self.extra, "MLFLOW_ALLOW_FILE_STORE": "true"}

    def ask(self, operation: str, *arguments: object) -> Any:
        """Run one operation in a new process and return its answer."""
        command = [self.python, str(HERE / "contenders" / self.script), operation, *map(str, arguments)]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{self.name} {operation} failed:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def timed(self, command: list[str]) -> float:
        """Return seconds of a whole process."""
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, env=self.environment(), capture_output=True, check=False)
        taken, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if os.environ.get("NBTRACK_BENCH_CLOCK") == "cpu":
            taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if done.returncode:
            raise SystemExit(f"{self.name}: {command} failed:\n{done.stderr.decode()[-3000:]}")
        return taken

    def memory(self, code: str) -> float:
        """Return the megabytes that a process which runs `code` had at its peak."""
        tell = "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])"
        command = [self.python, "-c", f"{code}\n{tell}"]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=True)
        return int(done.stdout.splitlines()[-1]) / 1024

    def time_of(self, operation: str, folder: Path) -> float:
        """Return seconds of a whole process that does one operation."""
        return self.timed([self.python, str(HERE / "contenders" / self.script), operation, str(folder)])


@dataclass
class Row:
    """One line of the table; values are in `unit`."""

    operation: str
    unit: str
    values: dict[str, float]
    asked: str
    met: bool | None


class Bench:
    """The contenders and a place to work."""

    def __init__(self, cache: Path, peers: list[str], mlflow: bool, rounds: int) -> None:
        self.cache = cache
        self.rounds = rounds
        self.work = Path(tempfile.mkdtemp(prefix="nbtrack-bench-"))
        self.ours = Contender("ours", sys.executable, "ours.py", "nbtrack")
        self.bare = Contender("bare", sys.executable, "bare.py", "")
        self.peers = [self._peer(name) for name in peers]
        self.mlflow: list[Contender] = []
        if mlflow:
            python, version = self._environment_of("mlflow")
            self.mlflow = [
                Contender(f"mlflow {kind}", python, "mlflow_.py", "mlflow", {"NBTRACK_BENCH_BACKEND": kind}, version)
                for kind in ("file", "sqlite")
            ]

    @property
    def all(self) -> list[Contender]:
        """Return everybody, in the order of the table."""
        return [self.ours, self.bare, *self.peers, *self.mlflow]

    def _peer(self, name: str) -> Contender:
        python, version = self._environment_of(name)
        return Contender(name, python, f"{name}_.py", name, {}, version)

    def _environment_of(self, name: str) -> tuple[str, str]:
        folder = self.cache / "environments" / name
        python = str(folder / "bin" / "python")
        if not Path(python).exists():
            say(f"installing {name} …")
            wanted = [PACKAGES[name], *NEEDS.get(name, [])]
            if shutil.which("uv"):
                run(["uv", "venv", "-q", "--python", sys.executable, str(folder)])
                run(["uv", "pip", "install", "-q", "--python", python, *wanted])
            else:
                run([sys.executable, "-m", "venv", str(folder)])
                run([python, "-m", "pip", "install", "-q", *wanted])
        code = f"from importlib.metadata import version; print(version({PACKAGES[name]!r}))"
        return python, subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    def folder(self, name: str) -> Path:
        """Return a path for a new folder."""
        return self.work / f"{name.replace(' ', '-')}-{time.monotonic_ns()}"

    def kept(self, who: Contender, what: str, make: Callable[[Path], Any]) -> tuple[Path, Any]:
        """Return a filled store from the cache, with what `make` told of it; make it if it is not there."""
        key = who.version or source_key()
        folder = self.cache / "stores" / f"{who.name.replace(' ', '-')}-{what}-{key}"
        note = folder.with_suffix(".json")
        if not note.exists():
            say(f"filling {who.name}: {what} …")
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps(make(folder)))
        return folder, json.loads(note.read_text())

    def rounds_of(
        self, who: list[Contender], ask: Callable[[Contender], Any], rounds: int | None = None
    ) -> dict[str, Any]:
        """Ask each contender in turn, several rounds; return the answers of each."""
        found: dict[str, list[Any]] = {c.name: [] for c in who}
        for number in range(rounds or self.rounds):
            for contender in who:
                if contender.name == "mlflow file" and number > 1:
                    continue  # it is slow, and nothing hangs on its last percent
                found[contender.name].append(ask(contender))
        return found


def source_key() -> str:
    """Return a hash of the store's source, so that stores of another day are not taken for today's."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "nbtrack" / "store").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def run(command: list[str]) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def say(text: str) -> None:
    """Tell the user what takes time, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def middle(found: dict[str, list[Any]], key: str | None = None, scale: float = 1.0) -> dict[str, float]:
    """Return each contender's median."""
    return {
        name: median(a[key] if key else a for a in answers) * scale
        for name, answers in found.items()
        if answers and (key is None or key in answers[0])
    }


def least(values: dict[str, float], name: str) -> float:
    """Return a contender's value, or infinity if it did not take part: what is compared with it is then not judged."""
    return values.get(name, float("inf"))


def judge(
    values: dict[str, float], *, most: float | None = None, bare: float | None = None, **ratios: float
) -> bool | None:
    """Return whether our value is at most `most`, `bare` times the bare one, and so many times less than MLflow's."""
    ours = values["ours"]
    verdicts = []
    if most is not None:
        verdicts.append(ours <= most)
    if bare is not None:
        verdicts.append(ours <= bare * values["bare"])
    for kind, times in ratios.items():
        if f"mlflow {kind}" in values:
            verdicts.append(ours * times <= values[f"mlflow {kind}"])
    return all(verdicts) if verdicts else None


def shown(value: float | None) -> str:
    """Return a figure as text of three significant digits."""
    if value is None:
        return "–"
    if value >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(rows: list[Row], peers: list[str]) -> str:
    """Return the rows as a Markdown table."""
    heads = [
        "operation",
        "unit",
        "nbtrack",
        "bare",
        *peers,
        "mlflow file",
        "mlflow sqlite",
        "file / ours",
        "asked",
        "met",
    ]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        ours = row.values["ours"]
        best = row.values.get("mlflow file", row.values.get("mlflow sqlite"))
        ratio = f"{best / ours:,.0f}×" if best and ours else "–"
        others = [shown(row.values.get(name)) for name in ("bare", *peers, "mlflow file", "mlflow sqlite")]
        met = "" if row.met is None else "yes" if row.met else "**no**"
        lines.append([row.operation, row.unit, shown(ours), *others, ratio, row.asked, met])
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines)
