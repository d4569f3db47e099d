"""How a run asks for attention: the half of an active run that raises alerts."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

from nbtrack.tracking import stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbtrack.entities import Alert, MetricSummary, RunData
    from nbtrack.tracking.alerts import Alerts, Watch

_making = threading.Lock()

Append: TypeAlias = "Callable[[str, Any, int | None, int | None], None]"  # one value of a metric


class Alerting(ABC):
    """Raises alerts when it is told to, or when a condition over its metrics becomes true."""

    append_metric: Append
    _alerts: Alerts | None = None
    _watch: Watch | None = None

    @property
    @abstractmethod
    def data(self) -> RunData:
        """What the run logged up to now."""

    @abstractmethod
    def summaries(self) -> Mapping[str, MetricSummary]:
        """Each metric logged up to now, in one line."""

    @abstractmethod
    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag."""

    def alert(self, title: str, text: str = "", level: str = "warn", wait_s: float = 60.0) -> None:
        """Ask for attention: the run's card, its page, the tables and JupyterLab show it while the run goes on.

        It may stand in a loop: the same title is told again after `wait_s` only, with how often it came.

        Parameters
        ----------
        title
            What happened, in a few words; up to 100 characters are kept, and a dozen different titles of a run.
        text
            What there is to say about it; up to 240 characters are kept.
        level
            ``"info"``, ``"warn"`` or ``"error"``.
        wait_s
            Seconds in which the same title is only counted.

        Raises
        ------
        InvalidInputError
            If there is no title, or the level or the time is none.
        """
        alerts = self._alerts
        if alerts is None or alerts.pid != os.getpid():
            alerts = self._first_alerts()
        alerts.add(title, text, level, wait_s)

    def _first_alerts(self) -> Alerts:
        """Return where this process keeps the run's alerts, made once however many threads ask; a child has its own."""
        from nbtrack.tracking.alerts import Alerts

        with _making:
            if self._alerts is None or self._alerts.pid != os.getpid():
                self._alerts = Alerts(self.data.tags, self.set_tag)
            return self._alerts

    def alert_when(self, condition: str) -> None:
        """Raise an alert once, when a condition over the metrics of this run first becomes true.

        It is looked at whenever one of its metrics is logged.

        Parameters
        ----------
        condition
            In the language of :func:`nbtrack.search_runs`, where a bare name is a metric: ``"val_loss > 1"``,
            ``"loss is not finite"``, ``"min(acc) < 0.2 or max(loss) > 9"``.

        Raises
        ------
        FilterSyntaxError
            If it cannot be read.
        """
        from nbtrack.store.conditions import parse_condition
        from nbtrack.tracking.alerts import Watch

        found = parse_condition(condition)
        with _making:
            if self._watch is None:
                self._watch = Watch(self)
                self.append_metric = self._watch.around(self.append_metric)
                stack.rewire(self, self.append_metric)
            self._watch.add(found)

    @property
    def raised(self) -> list[Alert]:
        """The alerts that this process raised on the run; from memory, so it may be asked often."""
        return [] if self._alerts is None else self._alerts.all()

    @property
    def unmet(self) -> list[str]:
        """The conditions of :meth:`alert_when` about metrics of which this run logged none."""
        known = self.summaries()
        waiting = self._watch.waiting if self._watch is not None else []
        return [one.text for one in waiting if one.keys.isdisjoint(known)]

    def count_alerts(self) -> None:
        """Write down how often alerts came that were only counted."""
        if self._alerts is not None and self._alerts.pid == os.getpid():
            self._alerts.flush()


def _after_fork() -> None:
    global _making  # noqa: PLW0603 - a lock that another thread held at the fork would never be free
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
