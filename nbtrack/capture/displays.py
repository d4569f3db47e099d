"""What a cell displays, seen on its way out: nothing is held back, nothing is drawn twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtrack.entities import VIEW_MIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from IPython.core.interactiveshell import InteractiveShell

Seen = Callable[[Any, "Mapping[str, Any]"], None]


class Displays:
    """Stands between a cell and its outputs while it runs, and gives them all on.

    `seen` is called with an object and the MIME bundle that it is shown as; the object is None where a library sends a
    bundle of its own making. Whatever `seen` raises is `failed`'s to tell: the output is the user's.
    """

    def __init__(self, shell: InteractiveShell, seen: Seen, failed: Callable[[Exception], None]) -> None:
        self.cleared_s = 0.0  # when the cell last cleared its outputs, by time.monotonic
        self._seen, self._failed = seen, failed
        self._shell = shell
        self._formatter, self._publisher = shell.display_formatter, shell.display_pub
        self._mine: list[tuple[Any, str, Any]] = []

    def start(self) -> None:
        """Take the place of the shell's own functions, on these objects only."""
        formatter: Any = self._formatter
        publisher: Any = self._publisher
        make, publish, clear = formatter.format, publisher.publish, publisher.clear_output

        def formatted(obj: Any, *args: Any, **kwargs: Any) -> Any:
            made = make(obj, *args, **kwargs)
            if self._shell.display_pub is publisher:  # %%capture and the like show it to nobody
                self._tell(obj, made[0] if isinstance(made, tuple) else made)
            return made

        def published(data: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(data, dict) and VIEW_MIME not in data:
                self._tell(None, data)
            return publish(data, *args, **kwargs)

        def cleared(*args: Any, **kwargs: Any) -> Any:
            self.cleared_s = time.monotonic()
            return clear(*args, **kwargs)

        for owner, name, function in (
            (formatter, "format", formatted),
            (publisher, "publish", published),
            (publisher, "clear_output", cleared),
        ):
            self._mine.append((owner, name, function))
            owner.__dict__[name] = function

    def stop(self) -> None:
        """Step aside, unless somebody else has taken the place since: then only listen no more."""
        self._seen = _nothing
        for owner, name, function in self._mine:
            if owner.__dict__.get(name) is function:
                del owner.__dict__[name]
        self._mine.clear()

    def _tell(self, obj: Any, data: Mapping[str, Any]) -> None:
        try:
            self._seen(obj, data)
        except Exception as error:
            self._failed(error)


def _nothing(obj: Any, data: Mapping[str, Any]) -> None:
    pass
