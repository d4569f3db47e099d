"""What a model server counts, and how Prometheus reads it. A few additions a request; no library."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nbtrack.serving.served import Served

LATENCY_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BATCH_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)


class Histogram:
    """Counts of values up to each of `bounds`, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str) -> list[str]:
        """Return it in Prometheus' text format; `labels` is empty or ends with a comma."""
        out = []
        running = 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            running += count
            out.append(f'{name}_bucket{{{labels}le="{bound:g}"}} {running}')
        running += self.counts[-1]
        bare = f"{{{labels[:-1]}}}" if labels else ""
        return [
            *out,
            f'{name}_bucket{{{labels}le="+Inf"}} {running}',
            f"{name}_sum{bare} {self.total:.9g}",
            f"{name}_count{bare} {running}",
        ]


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.by_status: dict[int, int] = {}
        self.rows = 0
        self.latency = Histogram(LATENCY_S)
        self.batch = Histogram(tuple(float(n) for n in BATCH_ROWS))

    def count(self, status: int) -> None:
        """Count one answer."""
        self.by_status[status] = self.by_status.get(status, 0) + 1


_SHADOW: Final = (
    ("rows", "Rows that the shadow was asked for, too."),
    ("different", "Rows for which the shadow predicts something else."),
    ("failed", "Requests that the shadow could not answer."),
    ("skipped", "Requests that the shadow was too slow for."),
)


def metrics_text(served: Sequence[Served], uptime_s: float) -> str:
    """Return what all models of a server counted in Prometheus' text format (0.0.4).

    Counters carry the name of their model where there is more than one, and the version where the name is the same.
    """
    each = [(_labels(one, served), one) for one in served]
    lines: list[str] = []

    def family(name: str, kind: str, about: str, values: Iterable[str]) -> None:
        lines.extend([f"# HELP {name} {about}", f"# TYPE {name} {kind}", *values])

    def counter(name: str, about: str, values: Iterable[tuple[str, float]]) -> None:
        told = (f"{name}{{{labels[:-1]}}} {value}" if labels else f"{name} {value}" for labels, value in values)
        family(name, "counter", about, told)

    facts = [f'nbtrack_info{{model="{_label(o.name)}",version="{_label(o.live.version)}"}} 1' for o in served]
    family("nbtrack_info", "gauge", "The models that are served.", facts)
    about = "Time since the server was ready."
    family("nbtrack_uptime_seconds", "gauge", about, [f"nbtrack_uptime_seconds {uptime_s:.3f}"])
    statuses = [
        (f'{labels}status="{status}",', n) for labels, o in each for status, n in sorted(o.metrics.by_status.items())
    ]
    counter("nbtrack_requests_total", "Scoring requests by status.", statuses)
    counter("nbtrack_rows_total", "Rows scored.", [(labels, o.metrics.rows) for labels, o in each])
    name, about = "nbtrack_latency_seconds", "Time from the last byte of a request to its answer."
    family(name, "histogram", about, [line for labels, o in each for line in o.metrics.latency.lines(name, labels)])
    name, about = "nbtrack_batch_rows", "Rows scored by one call of the model."
    family(name, "histogram", about, [line for labels, o in each for line in o.metrics.batch.lines(name, labels)])
    for key, about in _SHADOW:
        counts = [(labels, o.shadow.counts[key]) for labels, o in each if o.shadow is not None]
        if counts:
            counter(f"nbtrack_shadow_{key}_total", about, counts)
    logs = [(labels, o.log) for labels, o in each if o.log is not None]
    if logs:
        counter("nbtrack_logged_requests_total", "Requests in the log.", [(k, log.counts["logged"]) for k, log in logs])
        counter(
            "nbtrack_log_dropped_total",
            "Sampled requests that are not in the log.",
            [(k, log.counts["dropped"]) for k, log in logs],
        )
    return "\n".join(lines) + "\n"


def _labels(one: Served, served: Sequence[Served]) -> str:
    """Return what tells a model's counters from those of the others: two that share requests may have one name."""
    if len(served) == 1:
        return ""
    alone = [other.name for other in served].count(one.name) == 1
    return f'model="{_label(one.name)}",' + ("" if alone else f'version="{_label(one.live.version)}",')


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
