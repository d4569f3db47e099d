"""The live view in a cell: an anywidget that asks this kernel, and is told when something changed."""

from __future__ import annotations

import contextvars
import gzip
import hashlib
import json
import threading
import weakref
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import anywidget
import traitlets

from nbtrack.wire.answer import answer_json

if TYPE_CHECKING:
    from nbtrack.store.base import Store

STATIC: Final = Path(__file__).parent / "static"
WIDGET_MIME: Final = "application/vnd.jupyter.widget-view+json"
# The same as in js/src/{loader,state}.ts and MetricChart.tsx; a seed that fits no question is only a seed in vain.
MOST_RUNS: Final = 1000
MOST_CELLS: Final = 50_000
FIRST_DRAWN: Final = 8
MOST_CHARTS: Final = 12
MOST_SEEDED: Final = 200  # runs; more make the cell's output wait longer than a question would
# These may take seconds; in a thread of their own they hold up neither the kernel nor the other questions.
SLOW: Final = frozenset({"serve", "invoke", "stop_server"})


@lru_cache(maxsize=1)
def program() -> tuple[str, bytes]:
    """Return the name and the bytes (gzip) of the front end's program."""
    packed = gzip.compress((STATIC / "view.js").read_bytes(), 9, mtime=0)
    return hashlib.sha256(packed).hexdigest()[:16], packed


def first_answers(
    store: Store,
    view: str = "compare",
    run_ids: list[str] | None = None,
    filter: str = "",
    experiment: str | None = None,
) -> str:
    """Return as JSON what the front end of a comparison asks first, as it words it, with the replies."""
    if view != "compare":
        return ""
    runs = {"op": "runs", "run_ids": run_ids, "experiment": experiment, "filter": filter, "limit": MOST_RUNS}
    runs["max_cells"] = MOST_CELLS
    pairs = [{"request": runs, "reply": json.loads(answer_json(store, json.dumps(runs).encode()))}]
    table = pairs[0]["reply"].get("answer")
    if table is None or len(table["run_ids"]) > MOST_SEEDED:
        return ""
    keys = [column["key"] for column in table["columns"] if column["kind"] == "metric"]
    if keys and table["run_ids"]:
        series = {"op": "series", "run_ids": table["run_ids"][:FIRST_DRAWN], "keys": keys[:MOST_CHARTS]}
        pairs.append({"request": series, "reply": json.loads(answer_json(store, json.dumps(series).encode()))})
    return json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


class View(anywidget.AnyWidget):  # type: ignore[misc]
    """One view of a store in a cell.

    The front end sends ``{id, request}`` as a custom message and gets ``{id}`` with the reply's bytes beside it.
    Requests may come in any thread: a kernel with subshells answers while a cell runs.

    What every view sends is a small entry (``_esm``). The program behind it comes with the first view of a kernel; a
    page that does not have it, for it was opened later, asks for it with ``{code}``.
    """

    _esm = STATIC / "widget.js"
    _sent: ClassVar[bool] = False  # whether a view of this process has brought the program along

    view = traitlets.Enum(["compare", "card"], default_value="compare").tag(sync=True)
    run_ids = traitlets.List(traitlets.Unicode(), default_value=None, allow_none=True).tag(sync=True)
    filter = traitlets.Unicode("").tag(sync=True)
    experiment = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    # What the front end asks first, with the answers: a view is complete before a busy kernel says its first word.
    seed = traitlets.Unicode("").tag(sync=True)
    # The class of the static picture that this view hides while it lives; with `inplace` it is mounted over it, and no
    # output of the notebook holds a widget that would be dead when it is opened again.
    picture = traitlets.Unicode("").tag(sync=True)
    inplace = traitlets.Bool(False).tag(sync=True)
    code_key = traitlets.Unicode("").tag(sync=True)
    code = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, store: Store, **traits: Any) -> None:
        self._store = store
        self._watching = False  # whether a front end has asked since it was last told of a change
        self._revision = ""
        asked = {name: traits[name] for name in ("view", "run_ids", "filter", "experiment") if name in traits}
        key, packed = program()
        first, View._sent = not View._sent, True
        super().__init__(**traits, seed=first_answers(store, **asked), code_key=key, code=packed if first else b"")
        self.on_msg(self._receive)
        _watch_cells(self)

    def _receive(self, _: Any, content: Any, buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        key, packed = program()
        if content.get("code") == key:
            self.send({"code": key}, buffers=[packed])
        if not isinstance(content.get("id"), str):
            return
        request = content.get("request")
        if isinstance(request, dict) and request.get("op") in SLOW:
            context = contextvars.copy_context()  # output of the thread belongs to the message that asked
            threading.Thread(target=context.run, args=(self._answer, content["id"], request), daemon=True).start()
        else:
            self._answer(content["id"], request)

    def _answer(self, message_id: str, request: Any) -> None:
        self._watching = True
        reply = answer_json(self._fresh_store, json.dumps(request).encode())
        self.send({"id": message_id}, buffers=[reply])

    def _fresh_store(self) -> Store:
        from nbtrack.tracking import pending

        pending.wait()
        return self._store

    def tell(self) -> None:
        """Tell the front end if the store has changed, unless nobody asked since the last time."""
        if not self._watching or self.comm is None:
            return
        revision = self._fresh_store().revision()
        if revision != self._revision:
            self._revision = revision
            self._watching = False
            self.send({"revision": revision})


_views: weakref.WeakSet[View] = weakref.WeakSet()
_hooked: weakref.WeakSet[Any] = weakref.WeakSet()


def _watch_cells(view: View) -> None:
    """Look after each cell whether something changed: then a view is up to date without ever polling."""
    from IPython.core.getipython import get_ipython

    _views.add(view)
    shell = get_ipython()
    if shell is not None and shell not in _hooked:
        _hooked.add(shell)
        shell.events.register("post_run_cell", _after_cell)


def _after_cell(result: Any = None) -> None:
    views = [view for view in list(_views) if view._watching]
    if views:
        # A run may still be ending in the background: wait for that elsewhere, the next cell need not.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(_tell, views), daemon=True).start()


def _tell(views: list[View]) -> None:
    for view in views:
        try:
            view.tell()
        except Exception as error:
            # A store that went away is said by the view itself when it next asks.
            view.log.debug("nbtrack: %s", error)
