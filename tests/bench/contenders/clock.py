"""The clock of a bench: the wall's, or on a busy machine that of the processor (``NBTRACK_BENCH_CLOCK=cpu``).

That of this thread: numpy's idle helpers turn in circles for a while after its import, which nobody waits for.
"""

from __future__ import annotations

import os
from time import perf_counter, thread_time

clock = thread_time if os.environ.get("NBTRACK_BENCH_CLOCK") == "cpu" else perf_counter
