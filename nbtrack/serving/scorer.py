"""The model behind a server: asked for predictions, timed, and checked on its own example before it may listen."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from nbtrack.entities import Signature
from nbtrack.errors import ServingError
from nbtrack.serving.codec import Codec, encode, plain
from nbtrack.serving.describe import example_body
from nbtrack.serving.predictors import Handover
from nbtrack.serving.refusal import Refusal
from nbtrack.serving.schema import first_gap

INLINE_S: Final = 0.002  # a model faster than this is asked on the event loop: a thread would cost more
COMPANY: Final = 33  # rows scored together and alone, to see whether it makes a difference
SLOW_S: Final = 0.01
_log = logging.getLogger("nbtrack.serving")


@dataclass(slots=True)
class Scorer:
    """One loaded model.

    Parameters
    ----------
    predict
        Takes what the codec decoded, and params where a request has some; returns one prediction for each row.
    signature
        The model's signature, if it has one.
    logged_example
        The logged input example as parsed JSON, if there is one.
    profile
        The profile of the training data as it was logged, if there is one.
    logged_answer
        What the model answered for the example when it was logged, if that is known.
    """

    predict: Callable[..., Any]
    signature: Signature | None = None
    logged_example: Any = None
    profile: bytes | None = None
    logged_answer: Any = None
    differs: bool = field(init=False, default=False)  # from what it answered when it was logged
    batchable: bool = field(init=False, default=False)
    codec: Codec = field(init=False)
    example: dict[str, Any] = field(init=False)
    predict_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.codec = Codec(self.signature)
        self.example = example_body(self.signature, self.logged_example)

    def score(self, data: Any, rows: int, params: Mapping[str, Any] | None = None) -> Any:
        """Return the model's predictions.

        Raises
        ------
        Refusal
            If the model raises: data that fits the schema may still be data it cannot take.
        Handover
            If the event loop asks for something that must be asked for from another thread.
        """
        if not rows:
            return []
        try:
            return self.predict(data, params) if params else self.predict(data)
        except Handover:
            raise
        except MemoryError:
            raise Refusal("not enough memory for so many rows. Send fewer at once.", status=413) from None
        except Exception as error:
            _log.warning("the model raised", exc_info=True)
            raise self._refused(data, error) from error

    def _refused(self, data: Any, error: Exception) -> Refusal:
        if (gap := first_gap(data)) is not None:
            row, place = gap
            name = self.codec.schema.names[place] if self.codec.schema.named else str(place)
            return Refusal(
                f"the model does not take missing or infinite values; row {row} has one in column {name!r}.",
                path=f"row {row}, column {name!r}",
                expected="a finite number",
            )
        return Refusal(
            f"the model cannot take this input ({type(error).__name__}). The log of the server says more;"
            " `example` shows a request that works."
        )

    def rehearse(self) -> None:
        """Send the example through the whole path a request takes, and time the model on it.

        Raises
        ------
        ServingError
            If the model does not answer its own logged example, or with another number of rows.
        """
        body = json.dumps(self.example).encode()
        try:
            decoded = self.codec.decode(body, "application/json")
            answer = json.loads(encode(_off_the_loop(self.score, decoded.data, decoded.rows)))["predictions"]
        except Refusal as refusal:
            if self.logged_example is None:  # a made-up example proves nothing
                self.predict_s = INLINE_S * 2
                return
            cause = refusal.__cause__
            why = f"{type(cause).__name__}: {cause}" if cause is not None and not refusal.path else refusal.message
            raise ServingError(
                f"self-check: the model does not answer the input example that was logged with it ({why})."
                " Log it again with an input_example that model.predict() accepts."
            ) from refusal
        if isinstance(answer, list) and len(answer) != decoded.rows:
            raise ServingError(
                f"self-check: the model gave {len(answer)} predictions for the {decoded.rows} rows of its logged input"
                " example; expected one for each row."
            )
        self.differs = isinstance(self.logged_answer, list) and not _alike(answer, self.logged_answer[: len(answer)])
        try:
            self.predict_s = min(self._time(decoded.data) for _ in range(3))
        except Handover:  # its own example is not for the compiled arrays: everything goes to the thread
            self.predict_s = INLINE_S * 2
        self.batchable = self._same_in_company(decoded.data)

    def _time(self, data: Any) -> float:
        started = time.perf_counter()
        self.predict(data)
        return time.perf_counter() - started

    def _same_in_company(self, data: Any) -> bool:
        """Return whether a row gets the very same prediction alone and among others.

        It need not: a model may look at all of its rows, and sums of floats may be added up in another order.
        """
        try:
            many = _repeated(data, COMPANY if self.predict_s < SLOW_S else COMPANY // 8)
            together = plain(self.predict(many))
            alone = [plain(self.predict(many[i : i + 1])) for i in range(len(many))]
            return len(together) == len(many) and all(
                np.array_equal(np.asarray(together[i : i + 1]), np.asarray(one)) for i, one in enumerate(alone)
            )
        except Exception:  # whatever it is, it is no model to put requests together for
            return False


def _alike(mine: Any, theirs: Any) -> bool:
    """Return whether two lists of predictions are the same but for the last digits of their numbers."""
    try:
        first, second = np.asarray(mine), np.asarray(theirs)
        if first.dtype.kind in "iuf" and second.dtype.kind in "iuf":
            return first.shape == second.shape and np.allclose(first, second, rtol=1e-6, atol=1e-9, equal_nan=True)
    except ValueError:  # rows of different length
        pass
    return bool(mine == theirs)


def _off_the_loop(ask: Callable[..., Any], *args: Any) -> Any:
    """Ask from another thread than the one that the event loop will run on."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask, *args).result()


def _repeated(data: Any, count: int) -> Any:
    """Return `count` rows made of those of `data`, doubles shifted a little so that no two are alike."""
    places = np.arange(count) % len(data)
    rows = data.iloc[places].reset_index(drop=True) if hasattr(data, "iloc") else np.asarray(data)[places]
    shift = 1 + np.random.default_rng(0).normal(scale=0.05, size=count)
    if isinstance(rows, np.ndarray):
        return rows * shift[:, None] if rows.dtype.kind == "f" and rows.ndim == 2 else rows
    doubles = rows.dtypes == "float64"
    if doubles.any():
        rows.loc[:, doubles] = rows.loc[:, doubles].mul(shift, axis=0)
    return rows
