"""Two ways to ask a model: its compiled arrays first, which need no library; the model itself where they do not do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nbtrack.models.compiled import NotCovered, as_matrix
from nbtrack.serving.schema import Schema

if TYPE_CHECKING:
    from nbtrack.models import Loaded
    from nbtrack.models.compiled import Compiled

BULK_S: Final = 0.03  # of processor: arrays that take more for a request make the model itself worth its memory
_log = logging.getLogger("nbtrack.serving")


class Handover(Exception):
    """The model itself must be asked, and that takes too long for the event loop."""


class ModelItself:
    """A model of its own library, asked with frames where it was fitted on frames."""

    def __init__(self, loaded: Loaded, schema: Schema) -> None:
        self._loaded = loaded
        self._schema = schema
        use_one_thread(loaded.model)

    def __call__(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        if self._schema.named and isinstance(data, np.ndarray):
            data = self._schema.frame_of(data)
        return self._loaded.ask(data, params)


class CompiledFirst:
    """The compiled predictor of a model; the model itself is loaded when something first asks for it.

    It is asked for what the arrays do not cover, such as missing values, and for so many rows that its library's loops
    win. Both give exactly the same answers.
    """

    def __init__(self, loaded: Loaded, compiled: Compiled, schema: Schema, loop_thread: int) -> None:
        self._loaded = loaded
        self._compiled = compiled
        self._schema = schema
        self._loop_thread = loop_thread
        self._itself: ModelItself | None = None
        self._lock = threading.Lock()
        self._failed: Exception | None = None
        self._fetching = False
        self._row_s = 0.0  # of processor that a row costs where there are many, the least seen: others may be busy, too
        self._first = True
        self._itself_row_s = 0.0

    def __call__(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        matrix = data if isinstance(data, np.ndarray) else as_matrix(data)
        if matrix is None or params:
            return self._ask_itself(data, params)
        rows = len(matrix)
        if rows > 64 and rows * self._row_s > BULK_S:
            if self._itself is not None and self._itself_row_s < self._row_s:
                return self._itself(matrix)
            self._fetch()
        started = time.process_time()
        try:
            answer = self._compiled.predict(matrix)
        except NotCovered:
            return self._ask_itself(matrix)
        if rows > 64:
            row_s = (time.process_time() - started) / rows
            self._row_s = min(row_s, self._row_s or row_s)
            if self._first:  # it made what the others find ready
                self._first, self._row_s = False, 0.0
        return answer

    def _ask_itself(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        if threading.get_ident() == self._loop_thread:
            raise Handover
        return self._get()(data, params)

    def _get(self) -> ModelItself:
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if self._itself is None:
                try:
                    itself = ModelItself(self._loaded, self._schema)
                except Exception as error:
                    self._failed = error
                    raise
                self._itself = itself
                _log.info("the model itself is loaded, too")
            return self._itself

    def _fetch(self) -> None:
        """Load the model beside the requests, so that later large ones are quicker."""
        if self._fetching:
            return
        self._fetching = True

        def fetch() -> None:
            try:
                itself = self._get()
                sample = np.zeros((1024, self._compiled.width))
                itself(sample)
                started = time.process_time()
                itself(sample)
                self._itself_row_s = (time.process_time() - started) / len(sample)
            except Exception:  # the arrays go on answering
                _log.warning("the model itself cannot be loaded; its compiled arrays go on answering", exc_info=True)

        threading.Thread(target=fetch, name="nbtrack-fetch", daemon=True).start()


def use_one_thread(model: Any) -> None:
    """Make an estimator predict on the calling thread: handing a small request to a pool costs more than its answer."""
    params = getattr(model, "get_params", None)
    if not callable(params):
        return
    try:
        found = [name for name in params(deep=True) if name == "n_jobs" or name.endswith("__n_jobs")]
        if found:
            model.set_params(**dict.fromkeys(found, 1))
    except Exception:  # a strange estimator is served as it is
        _log.warning("n_jobs could not be set", exc_info=True)
