"""What a model server counts, and how Prometheus reads it. A few additions a request; no library."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

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

    def lines(self, name: str, about: str) -> list[str]:
        """Return it in Prometheus' text format."""
        out = [f"# HELP {name} {about}", f"# TYPE {name} histogram"]
        running = 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            running += count
            out.append(f'{name}_bucket{{le="{bound:g}"}} {running}')
        running += self.counts[-1]
        return [
            *out,
            f'{name}_bucket{{le="+Inf"}} {running}',
            f"{name}_sum {self.total:.9g}",
            f"{name}_count {running}",
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

    def text(self, model: str, version: str, uptime_s: float) -> str:
        """Return everything in Prometheus' text format (0.0.4)."""
        lines = [
            "# HELP nbtrack_info The model that is served.",
            "# TYPE nbtrack_info gauge",
            f'nbtrack_info{{model="{_label(model)}",version="{_label(version)}"}} 1',
            "# HELP nbtrack_uptime_seconds Time since the server was ready.",
            "# TYPE nbtrack_uptime_seconds gauge",
            f"nbtrack_uptime_seconds {uptime_s:.3f}",
            "# HELP nbtrack_requests_total Scoring requests by status.",
            "# TYPE nbtrack_requests_total counter",
            *(f'nbtrack_requests_total{{status="{status}"}} {n}' for status, n in sorted(self.by_status.items())),
            "# HELP nbtrack_rows_total Rows scored.",
            "# TYPE nbtrack_rows_total counter",
            f"nbtrack_rows_total {self.rows}",
            *self.latency.lines("nbtrack_latency_seconds", "Time from the last byte of a request to its answer."),
            *self.batch.lines("nbtrack_batch_rows", "Rows scored by one call of the model."),
        ]
        return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
