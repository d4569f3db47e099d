"""A second model that is asked the same questions; what it would have said is counted, never returned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from nbtrack.serving.batch import Batcher
from nbtrack.serving.codec import Codec, Decoded, plain
from nbtrack.serving.metrics import Metrics
from nbtrack.serving.scorer import Scorer

MAX_BEHIND: Final = 100  # requests that may wait for the shadow; beyond these it is not asked, so it slows nobody down
_log = logging.getLogger("nbtrack.serving")


class Shadow:
    """Compares a second model with the one that answers.

    Parameters
    ----------
    scorer
        The second model.
    uri
        Its URI, as :attr:`counts` shows it.
    """

    def __init__(self, scorer: Scorer, uri: str) -> None:
        self.rows = self.different = self.failed = self.skipped = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.take(scorer, uri)

    def take(self, scorer: Scorer, uri: str) -> None:
        """Ask this model from now on."""
        self.scorer = scorer
        self.uri = uri
        self._batcher = Batcher(scorer, Metrics())

    @property
    def counts(self) -> dict[str, Any]:
        """What was seen: rows compared, rows with another prediction, requests that failed or were left out."""
        return {
            "model_uri": self.uri,
            "rows": self.rows,
            "different": self.different,
            "failed": self.failed,
            "skipped": self.skipped,
        }

    def compare(self, read: Callable[[Codec], Decoded], predictions: Any) -> None:
        """Ask the second model the same, some time soon; `read` gives the request as its codec reads it."""
        if len(self._tasks) >= MAX_BEHIND:
            self.skipped += 1
            return
        task = asyncio.get_running_loop().create_task(self._compare(read, predictions))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compare(self, read: Callable[[Codec], Decoded], predictions: Any) -> None:
        try:
            decoded = read(self.scorer.codec)
            mine, theirs = np.asarray(plain(predictions)), np.asarray(plain(await self._batcher.score(decoded)))
            if mine.shape != theirs.shape:
                self.failed += 1
                return
            differ = mine != theirs
            if mine.dtype.kind == "f" and theirs.dtype.kind == "f":
                differ &= ~(np.isnan(mine) & np.isnan(theirs))
            self.rows += len(mine)
            self.different += int(differ.reshape(len(mine), -1).any(axis=1).sum()) if len(mine) else 0
        except Exception:  # whatever it is, nobody waits for it
            self.failed += 1
            _log.info("the shadow %s failed", self.uri, exc_info=True)
