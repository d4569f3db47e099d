"""Alerts of an active run: a title is told once, its repeats are counted; conditions that are looked at as it logs."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any, Final, cast

from nbtrack.entities import TAG_ALERTS, Alert, AlertLevel
from nbtrack.errors import InvalidInputError
from nbtrack.reprs.alerts import LEVELS, MAX_ALERTS, MAX_TEXT, MAX_TITLE, alerts_of, to_tag
from nbtrack.reprs.numbers import clean, format_number
from nbtrack.store.conditions import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nbtrack.store.conditions import Condition
    from nbtrack.tracking.alerting import Alerting, Append

BEYOND: Final = "more alerts"
_BEYOND_TEXT: Final = f"a run tells {MAX_ALERTS} titles; these had others"
_MAX_VALUES: Final = 4  # of metrics, named in the text of a condition that became true


class Alerts:
    """The alerts of one run, as its own process knows them.

    A new title is written into the run at once. A repeat is only counted, in memory, until `wait_s` have passed or the
    run ends: a process that dies loses some of that count, and nothing else.
    """

    def __init__(self, tags: Mapping[str, str], set_tag: Callable[[str, str], None]) -> None:
        self.pid = os.getpid()
        self._set_tag = set_tag
        self._lock = threading.RLock()
        self._kept = {one.title: one for one in alerts_of(tags)}
        self._shown = {title: title for title in self._kept}  # a title as it was given -> as it is told
        self._repeats: dict[str, int] = {}  # that are counted, but not told yet
        self._next_s: dict[str, float] = {}  # from when on a repeat is told

    def add(self, title: str, text: str, level: str, wait_s: float) -> None:
        """Tell of something, or count that it came again; raises InvalidInputError for what is no alert."""
        grave = _check(title, level, wait_s)
        now_s = monotonic()
        with self._lock:
            shown = self._shown.get(title) or self._name(title)
            known = self._kept.get(shown)
            if known is not None:
                self._repeats[shown] = self._repeats.get(shown, 0) + 1
                if now_s < self._next_s.get(shown, 0.0):
                    return
                grave = max(grave, known.level, key=LEVELS.index)
            at = time_ns() // 1_000_000
            told = _BEYOND_TEXT if shown == BEYOND else _fit(str(text), MAX_TEXT)
            self._kept[shown] = replace(known or Alert(shown, at=at), text=told, level=grave, last_at=at)
            self._write()
            self._next_s[shown] = monotonic() + wait_s

    def _name(self, title: str) -> str:
        """Return as what a title is told: after the first dozen all others share one, so that nothing grows."""
        if len(self._kept) >= MAX_ALERTS:
            return BEYOND
        shown = self._shown[title] = _fit(title, MAX_TITLE)
        return shown

    def all(self) -> list[Alert]:
        """Return the alerts up to now, with all their repeats."""
        with self._lock:
            return [replace(one, count=one.count + self._repeats.get(title, 0)) for title, one in self._kept.items()]

    def _write(self) -> None:
        found = self.all()
        self._set_tag(TAG_ALERTS, to_tag(found))
        self._kept = {one.title: one for one in found}
        self._repeats.clear()

    def flush(self) -> None:
        """Write the repeats that were only counted."""
        with self._lock:
            if self._repeats:
                self._write()


def _fit(text: str, most: int) -> str:
    """Return a text without secrets, as one line of at most `most` characters."""
    from nbtrack.tracking.redaction import redact

    return clean(redact(text[: 4 * most]), most)


def _check(title: Any, level: Any, wait_s: Any) -> AlertLevel:
    """Return the level; raises InvalidInputError where one of them is not what an alert takes."""
    if not isinstance(title, str) or not title.strip():
        raise InvalidInputError(f"alert: expected a title, got {title!r:.80}. Say in a few words what happened.")
    if level not in LEVELS:
        raise InvalidInputError(f"alert: expected level {', '.join(map(repr, LEVELS))}, got {level!r:.80}.")
    if not isinstance(wait_s, (int, float)) or not wait_s >= 0:
        raise InvalidInputError(f"alert: expected wait_s in seconds, 0 or more, got {wait_s!r:.80}.")
    return cast("AlertLevel", level)


class Watch:
    """Conditions over the metrics of a run. Each raises an alert when it first becomes true, and is then done with."""

    def __init__(self, run: Alerting) -> None:
        self._run = run
        self.waiting: list[Condition] = []
        self.keys: frozenset[str] = frozenset()

    def add(self, condition: Condition) -> None:
        """Watch for one more."""
        self.waiting.append(condition)
        self.keys |= condition.keys

    def around(self, log: Append) -> Append:
        """Return `log`, which appends one value of a metric, with a look at it afterwards."""

        def append(key: str, value: Any, step: int | None = None, timestamp: int | None = None) -> None:
            log(key, value, step, timestamp)
            if key in self.keys:
                self.look((key,))

        return append

    def look(self, keys: Iterable[str]) -> None:
        """Raise the alerts of those conditions about `keys` that are true now."""
        concerned = [one for one in self.waiting if not one.keys.isdisjoint(keys)]
        if not concerned:
            return
        metrics = self._run.summaries()
        for condition in concerned:
            if holds(condition.node, metrics) and self._take(condition):
                known = [(key, metrics[key]) for key in sorted(condition.keys) if key in metrics][:_MAX_VALUES]
                values = [f"{key} is {format_number(one.last)} at step {one.step}" for key, one in known]
                self._run.alert(condition.text, ", ".join(values))

    def _take(self, condition: Condition) -> bool:
        """Return whether it was still waited for; of several threads one gets it."""
        try:
            self.waiting.remove(condition)
        except ValueError:
            return False
        self.keys = frozenset(key for one in self.waiting for key in one.keys)
        return True
