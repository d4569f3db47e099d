"""What a cell uses: its time, and now and then a look at processor and memory."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

EVERY_S: Final = 1.0
MAX_SAMPLES: Final = 120  # then every second one is dropped, and the next ones are taken half as often


def memory_now() -> int | None:
    """Return the bytes of this process in memory, or None where nothing tells."""
    try:
        import psutil  # type: ignore[import-untyped,unused-ignore]  # comes with ipykernel

        return int(psutil.Process().memory_info().rss)
    except Exception:  # not installed, or not allowed to look
        return None


@dataclass
class Usage:
    """Samples of one cell. `sample` may be called from any one thread at a time."""

    every_s: float = EVERY_S
    peak_memory_bytes: int = 0
    cpu_percent: list[float] = field(default_factory=list)  # 100 is one core
    gpu: list[dict[str, Any]] = field(default_factory=list)
    _wall_s: float = field(default_factory=time.perf_counter)
    _cpu_s: float = field(default_factory=time.process_time)
    _last: tuple[float, float] = (0.0, 0.0)

    def start(self) -> None:
        """Start the clocks."""
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()
        self._last = (self._wall_s, self._cpu_s)

    @property
    def due(self) -> bool:
        """Whether it is time for another sample."""
        return time.perf_counter() - self._last[0] >= self.every_s

    def sample(self) -> None:
        """Take one sample."""
        now, cpu = time.perf_counter(), time.process_time()
        wall = now - self._last[0]
        if wall > 0:
            self.cpu_percent.append(round(100 * (cpu - self._last[1]) / wall, 1))
        self._last = (now, cpu)
        if len(self.cpu_percent) >= MAX_SAMPLES:
            self.cpu_percent = self.cpu_percent[1::2]
            self.every_s *= 2
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory_now() or 0)
        if found := gpu_now():
            self.gpu = _highest(self.gpu, found)

    def stop(self) -> dict[str, Any]:
        """Stop the clocks; return ``wall_s``, ``cpu_s``, and what the samples say."""
        found: dict[str, Any] = {
            "wall_s": round(time.perf_counter() - self._wall_s, 6),
            "cpu_s": round(time.process_time() - self._cpu_s, 6),
        }
        if peak := max(self.peak_memory_bytes, memory_now() or 0):
            found["peak_memory_bytes"] = peak
        if self.cpu_percent:
            found["cpu_percent"] = list(self.cpu_percent)
        if gpu := _highest(self.gpu, gpu_now()):
            found["gpu"] = gpu
        return found


def gpu_now() -> list[dict[str, Any]]:
    """Return for each GPU that torch uses in this process ``name``, ``memory_bytes`` and, if known, ``percent``.

    Nothing is imported or started for it: a process that does not use torch on a GPU gets an empty list.
    """
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return []
    found = []
    for index in range(cuda.device_count()):
        one: dict[str, Any] = {
            "name": str(cuda.get_device_name(index)),
            "memory_bytes": int(cuda.max_memory_allocated(index)),
        }
        try:
            one["percent"] = float(cuda.utilization(index))  # needs NVIDIA's own library
        except Exception:  # it says so in many ways
            one.pop("percent", None)
        found.append(one)
    return found


def _highest(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(before) != len(now):
        return now or before
    return [
        new | {key: max(old.get(key, 0), new[key]) for key in ("memory_bytes", "percent") if key in new}
        for old, new in zip(before, now, strict=True)
    ]
