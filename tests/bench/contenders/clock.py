"""The clock of a bench: the wall's, or on a busy machine that of the processor (``NBTRACK_BENCH_CLOCK=cpu``)."""

from __future__ import annotations

import os
from time import perf_counter, process_time

clock = process_time if os.environ.get("NBTRACK_BENCH_CLOCK") == "cpu" else perf_counter
