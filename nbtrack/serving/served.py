"""A model that a server answers for: the version that answers now, and what has been seen of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtrack.serving.batch import Batcher
from nbtrack.serving.metrics import Metrics
from nbtrack.serving.scorer import Scorer
from nbtrack.serving.shadow import Shadow
from nbtrack.serving.target import Target

if TYPE_CHECKING:
    from nbtrack.serving.guard import Headers
    from nbtrack.serving.request_log import RequestLog


@dataclass(frozen=True, slots=True)
class Live:
    """The version that answers now, and how answers name it. Replaced as a whole, between two requests."""

    scorer: Scorer
    batcher: Batcher
    model_name: str
    version: str
    model_uri: str
    digest: str
    label: str  # name and version
    header: bytes  # the same in a form that every client can read


class Served:
    """One of the models of a server.

    Parameters
    ----------
    scorer, target
        The version that answers at first, and what it is.
    """

    def __init__(self, scorer: Scorer, target: Target) -> None:
        self.metrics = Metrics()
        self.connections: Callable[[], int] = lambda: 2  # who runs the server may know how many are open
        self.shadow: Shadow | None = None
        self._log: RequestLog | None = None
        self._followers: list[Shadow] = []
        self.live = self.prepared(scorer, target)

    @property
    def name(self) -> str:
        """What requests call it: the same for all of its versions."""
        return self.live.model_name

    @property
    def log(self) -> RequestLog | None:
        """Where requests are written, if they are."""
        return self._log

    @log.setter
    def log(self, log: RequestLog) -> None:
        self._log = log
        log.describe(self.live.scorer.codec.schema.names, self.live.scorer.profile)

    def prepared(self, scorer: Scorer, target: Target) -> Live:
        """Return what :meth:`put` takes."""
        batcher = Batcher(scorer, self.metrics, lambda: self.connections())  # noqa: PLW0108 - it is set later
        version = "" if target.version is None else str(target.version)
        label = f"{target.model_name}/{version}" if version else target.model_name
        header = label.encode("ascii", "backslashreplace")
        return Live(scorer, batcher, target.model_name, version, target.uri, target.digest, label, header)

    def put(self, live: Live) -> None:
        """Let another version answer from the next request on."""
        self.live = live
        for shadow in self._followers:
            shadow.take(live.scorer, live.model_uri)
        if self._log is not None:
            self._log.describe(live.scorer.codec.schema.names, live.scorer.profile)

    def compare_with(self, other: Served) -> None:
        """Ask `other` whatever this one is asked, and count where they differ."""
        self.shadow = Shadow(other.live.scorer, other.live.model_uri)
        other._followers.append(self.shadow)


class Split:
    """Which of two models answers a request.

    Parameters
    ----------
    weights
        How many requests of all go to each, such as ``(90, 10)``.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self.weights = tuple(weights)
        self._asked = 0

    def choose(self, headers: Headers) -> int:
        """Return 0 or 1: by the ``X-Request-Id``, so that one that is sent again gets the same; else in turn."""
        first, whole = self.weights[0], sum(self.weights)
        for name, value in headers:
            if name == b"x-request-id":
                return int(zlib.crc32(value) % whole >= first)
        self._asked += 1
        return int(self._asked * (whole - first) % whole < whole - first)


def health(served: Served, uptime_s: float) -> dict[str, Any]:
    """Return what ``/health`` says of a model."""
    live = served.live
    told: dict[str, Any] = {
        "status": "ready",
        "model": live.model_name,
        "version": live.version or None,
        "model_uri": live.model_uri,
        "uptime_s": round(uptime_s, 3),
        "requests": sum(served.metrics.by_status.values()),
    }
    if served.shadow is not None:
        told["shadow"] = served.shadow.counts
    if served.log is not None:
        told["log"] = served.log.counts
    return told


def compared(served: Sequence[Served], split: Split | None) -> str:
    """Return in words how a shadow, or the other model of a split, answered; empty where nothing is compared."""
    counts = [one.shadow.counts for one in served if one.shadow is not None]
    if not counts:
        return ""
    rows, different, failed, skipped = (
        sum(c[key] for c in counts) for key in ("rows", "different", "failed", "skipped")
    )
    if split is None:
        told = f"{different:,} of {rows:,} rows answered otherwise by the shadow {counts[0]['model_uri']}"
    else:
        shares = ":".join(map(str, split.weights))
        told = f"{' and '.join(one.live.label for one in served[:2])} share the requests {shares};"
        told += f" {different:,} of {rows:,} rows are answered otherwise by the other"
    if failed:
        told += f"; it could not answer {failed:,} requests"
    return f"{told}; {skipped:,} requests were left out" if skipped else told
