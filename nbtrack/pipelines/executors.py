"""Where the trials of a sweep run: processes of this machine, or whatever executor or cluster the user has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from nbtrack.errors import InvalidInputError

Crew = tuple[Executor, int]  # and how many work at once


@contextmanager
def crew(executor: Any, workers: int | None) -> Iterator[Crew]:
    """Give an executor for as long as the block runs; one that was made here is shut down with it.

    Parameters
    ----------
    executor
        None for processes of this machine, ``"threads"``, any ``concurrent.futures`` executor, a Dask ``Client``, a
        ``joblib.Parallel``, or the ``ray`` module.
    workers
        How many trials run at once; as many as the executor has workers if not given.
    """
    if workers is not None and workers < 1:
        raise InvalidInputError(f"sweep: expected at least one worker, got {workers!r}.")
    if executor is None or executor == "processes":
        from loky import ProcessPoolExecutor

        count = workers or os.cpu_count() or 1
        with _shut_down(ProcessPoolExecutor(count, timeout=60)) as pool:
            yield pool, count
    elif executor == "threads":
        count = workers or os.cpu_count() or 1
        with _shut_down(ThreadPoolExecutor(count)) as pool:
            yield pool, count
    elif isinstance(executor, Executor):
        yield executor, workers or getattr(executor, "_max_workers", None) or 8
    elif callable(getattr(executor, "get_executor", None)):  # a Dask client
        count = workers or sum(executor.nthreads().values()) or 1
        yield executor.get_executor(pure=False), count
    elif type(executor).__module__.startswith("joblib") and hasattr(executor, "n_jobs"):
        from joblib import effective_n_jobs

        count = workers or effective_n_jobs(executor.n_jobs)
        if getattr(executor._backend, "uses_threads", False):
            with _shut_down(ThreadPoolExecutor(count)) as pool:
                yield pool, count
        else:
            from joblib.externals.loky import get_reusable_executor

            yield get_reusable_executor(max_workers=count), count
    elif getattr(executor, "__name__", "") == "ray":
        yield _Ray(executor), workers or int(executor.cluster_resources().get("CPU", 1))
    else:
        raise InvalidInputError(
            f"sweep: expected an executor, a Dask Client, joblib.Parallel, ray, 'processes' or 'threads', got"
            f" {executor!r:.80}."
        )


@contextmanager
def _shut_down(pool: Any) -> Iterator[Any]:
    try:
        yield pool
    except BaseException:
        kill = {"kill_workers": True} if "loky" in type(pool).__module__ else {"cancel_futures": True}
        pool.shutdown(wait=False, **kill)
        raise
    pool.shutdown(wait=True)


class _Ray(Executor):
    """Ray as an executor."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        if not ray.is_initialized():
            ray.init()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand one call to the cluster."""
        found: Future[Any] = self._ray.remote(fn).remote(*args, **kwargs).future()
        return found
