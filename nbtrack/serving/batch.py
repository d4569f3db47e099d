"""Requests that come at the same time are scored by one call of the model. There is no timer.

Whatever waits when the event loop has gone round once is one batch, so a lone request waits for nothing. Each request
gets the rows that it sent; where a batch fails, each is asked for again by itself, so nobody fails for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nbtrack.serving.codec import Decoded
from nbtrack.serving.metrics import Metrics
from nbtrack.serving.predictors import Handover
from nbtrack.serving.refusal import Refusal
from nbtrack.serving.scorer import INLINE_S, Scorer

MAX_BATCH_ROWS: Final = 1024
MAX_WAITING_ROWS: Final = 200_000
MAX_WAITING: Final = 5_000
_INLINE_ROWS: Final = 256  # more rows than these are scored in the thread, however fast the model is


@dataclass(slots=True)
class _Waiting:
    decoded: Decoded
    answer: asyncio.Future[Any]


class Batcher:
    """Puts requests together for a model.

    Parameters
    ----------
    scorer
        The model.
    metrics
        Where batches are counted.
    connections
        How many connections are open: with only one there is nobody to wait for.
    """

    def __init__(self, scorer: Scorer, metrics: Metrics, connections: Callable[[], int] = lambda: 2) -> None:
        self.scorer = scorer
        self.connections = connections
        self._metrics = metrics
        self._waiting: list[_Waiting] = []
        self._rows = 0
        self._turn_ahead = False
        self._busy = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nbtrack-model")

    async def score(self, decoded: Decoded) -> Any:
        """Return the predictions for one request.

        Raises
        ------
        Refusal
            If the model does not take the data, or too many requests wait already (503).
        """
        inline = self.scorer.predict_s < INLINE_S
        if not decoded.rows:
            return []
        if inline and decoded.rows <= _INLINE_ROWS and not self._waiting and self.connections() <= 1:
            self._metrics.batch.add(decoded.rows)
            try:
                return self.scorer.score(decoded.data, decoded.rows, decoded.params)
            except Handover:
                return await self._in_thread(decoded)
        if len(self._waiting) >= MAX_WAITING or self._rows > MAX_WAITING_ROWS:
            raise Refusal("too many requests are waiting. Try again in a moment.", status=503)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(decoded, loop.create_future())
        self._waiting.append(waiting)
        self._rows += decoded.rows
        if not self._turn_ahead and not self._busy:
            self._turn_ahead = True
            loop.call_soon(self._turn)
        try:
            return await waiting.answer
        except Handover:
            return await self._in_thread(decoded)

    async def _in_thread(self, decoded: Decoded) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.scorer.score, decoded.data, decoded.rows, decoded.params)

    def _turn(self) -> None:
        self._turn_ahead = False
        if self._busy:
            return
        if self.scorer.predict_s < INLINE_S and self._rows <= _INLINE_ROWS:
            while self._waiting:
                self._deliver(*self._ask(self._next_batch()))
        elif self._waiting:
            self._busy = True
            job = asyncio.get_running_loop().run_in_executor(self._thread, self._ask, self._next_batch())
            job.add_done_callback(self._done)

    def _done(self, job: asyncio.Future[tuple[list[_Waiting], list[Any]]]) -> None:
        self._busy = False
        if not job.cancelled():
            self._deliver(*job.result())
        self._turn()

    def _next_batch(self) -> list[_Waiting]:
        """Take from the front what one call of the model can answer: the same kind of data, not too many rows."""
        first = self._waiting[0]
        count, rows = 1, first.decoded.rows
        if self.scorer.batchable and not first.decoded.params:
            kind = _kind(first.decoded.data)
            for other in self._waiting[1:]:
                if rows + other.decoded.rows > MAX_BATCH_ROWS or other.decoded.params:
                    break
                if _kind(other.decoded.data) != kind:
                    break
                count += 1
                rows += other.decoded.rows
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._rows -= rows
        return batch

    def _ask(self, batch: list[_Waiting]) -> tuple[list[_Waiting], list[Any]]:
        """Return the answer, or the exception, for each request of a batch."""
        if len(batch) > 1:
            rows = sum(each.decoded.rows for each in batch)
            try:
                predictions = self.scorer.score(_joined([each.decoded.data for each in batch]), rows)
                if len(predictions) == rows:
                    self._metrics.batch.add(rows)
                    return batch, _split(predictions, [each.decoded.rows for each in batch])
            except Exception:  # noqa: S110 - each is asked for by itself below, and tells its own error
                pass
        answers: list[Any] = []
        for each in batch:
            self._metrics.batch.add(each.decoded.rows)
            try:
                answers.append(self.scorer.score(each.decoded.data, each.decoded.rows, each.decoded.params))
            except Exception as error:  # one that fails must not fail the others
                answers.append(error)
        return batch, answers

    @staticmethod
    def _deliver(batch: list[_Waiting], answers: list[Any]) -> None:
        for each, answer in zip(batch, answers, strict=True):
            if each.answer.done():  # the client has gone
                continue
            if isinstance(answer, Exception):
                each.answer.set_exception(answer)
            else:
                each.answer.set_result(answer)


def _kind(data: Any) -> Any:
    """Return what two pieces of data must have in common to be scored together without a change of either."""
    if isinstance(data, np.ndarray):
        return data.dtype, data.shape[1:]
    if hasattr(data, "dtypes") and hasattr(data, "columns"):
        return tuple(data.dtypes), tuple(data.columns)
    return object()


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import pandas as pd

    return pd.concat(parts, ignore_index=True)


def _split(predictions: Any, counts: list[int]) -> list[Any]:
    out = []
    start = 0
    for count in counts:
        out.append(predictions[start : start + count])
        start += count
    return out
