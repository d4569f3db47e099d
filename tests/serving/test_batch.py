"""Requests put together: each gets its own rows back, nobody fails for another, and answers never depend on company."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nbtrack.entities import Column, Signature
from nbtrack.serving.batch import MAX_BATCH_ROWS, MAX_WAITING, Batcher
from nbtrack.serving.codec import Decoded
from nbtrack.serving.metrics import Metrics
from nbtrack.serving.refusal import Refusal
from nbtrack.serving.scorer import Scorer

SIGNATURE = Signature(inputs=(Column(None, "double"), Column(None, "double")))


def batcher(predict: Callable[[Any], Any], seconds: float = 0.0) -> tuple[Batcher, list[int]]:
    """A batcher whose calls of the model are counted by their rows; `seconds` is what the model is said to take."""
    calls: list[int] = []

    def counted(data: Any) -> Any:
        calls.append(len(data))
        return predict(data)

    scorer = Scorer(counted, SIGNATURE, {"inputs": [[1.0, 2.0], [3.0, 4.0]]})
    scorer.rehearse()
    scorer.predict_s = seconds
    calls.clear()
    return Batcher(scorer, Metrics()), calls


def request(*rows: list[float]) -> Decoded:
    return Decoded(np.array(rows), len(rows))


def first_plus_ten(data: Any) -> Any:
    return data[:, 0] * 10


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["on the loop", "in the thread"])
def test_requests_at_the_same_time_are_one_batch_and_each_gets_its_own_rows(seconds: float) -> None:
    asked, calls = batcher(first_plus_ten, seconds)

    async def main() -> list[Any]:
        requests = [request(*[[float(i), 0.0]] * (i % 3 + 1)) for i in range(30)]
        return await asyncio.gather(*(asked.score(each) for each in requests))

    answers = asyncio.run(main())
    assert [answer.tolist() for answer in answers] == [[i * 10.0] * (i % 3 + 1) for i in range(30)]
    assert calls == [60]


def test_requests_that_come_while_the_model_works_are_the_next_batch() -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(data: Any) -> Any:
        started.set()
        go_on.wait(5)
        return first_plus_ten(data)

    go_on.set()
    asked, calls = batcher(slow, seconds=1.0)
    started.clear()
    go_on.clear()

    async def main() -> None:
        first = asyncio.ensure_future(asked.score(request([1.0, 0.0])))
        await asyncio.to_thread(started.wait)
        others = [asyncio.ensure_future(asked.score(request([float(i), 0.0]))) for i in range(5)]
        await asyncio.sleep(0.05)
        go_on.set()
        assert (await first).tolist() == [10.0]
        assert [(await other).tolist() for other in others] == [[i * 10.0] for i in range(5)]

    asyncio.run(main())
    assert calls == [1, 5]


def test_request_that_the_model_refuses_does_not_fail_the_others() -> None:
    def picky(data: Any) -> Any:
        if (data[:, 0] == 13).any():
            raise ValueError("thirteen")
        return first_plus_ten(data)

    asked, calls = batcher(picky)

    async def main() -> list[Any]:
        return await asyncio.gather(
            *(asked.score(request([float(i), 0.0])) for i in range(12, 15)), return_exceptions=True
        )

    before, refused, after = asyncio.run(main())
    assert (before.tolist(), after.tolist()) == ([120.0], [140.0])
    assert isinstance(refused, Refusal)
    assert calls == [3, 1, 1, 1]


def test_model_that_looks_at_all_its_rows_is_asked_for_each_request_alone() -> None:
    asked, calls = batcher(lambda data: data[:, 0] - data[:, 0].mean())

    async def main() -> list[Any]:
        return await asyncio.gather(*(asked.score(request([float(i), 0.0])) for i in range(4)))

    assert [answer.tolist() for answer in asyncio.run(main())] == [[0.0]] * 4
    assert calls == [1, 1, 1, 1]


def test_requests_of_another_kind_of_data_are_a_batch_of_their_own() -> None:
    asked, calls = batcher(first_plus_ten)
    floats, wholes = request([1.0, 0.0]), Decoded(np.array([[2, 0]]), 1)

    async def main() -> list[Any]:
        return await asyncio.gather(*(asked.score(each) for each in (floats, floats, wholes, floats)))

    assert [answer.tolist() for answer in asyncio.run(main())] == [[10.0], [10.0], [20], [10.0]]
    assert calls == [2, 1, 1]


def test_batches_are_kept_to_a_size() -> None:
    asked, calls = batcher(first_plus_ten, seconds=1.0)
    many = Decoded(np.ones((400, 2)), 400)

    async def main() -> None:
        await asyncio.gather(*(asked.score(many) for _ in range(5)))

    asyncio.run(main())
    assert calls == [800, 800, 400]
    assert max(calls) <= MAX_BATCH_ROWS


def test_too_many_waiting_requests_are_turned_away_at_once() -> None:
    go_on = threading.Event()
    go_on.set()

    def slow(data: Any) -> Any:
        go_on.wait(5)
        return first_plus_ten(data)

    asked, _ = batcher(slow, seconds=1.0)
    go_on.clear()

    async def main() -> list[Any]:
        tasks = [asyncio.ensure_future(asked.score(request([1.0, 0.0]))) for _ in range(MAX_WAITING + 50)]
        await asyncio.sleep(0.01)
        go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    started = time.monotonic()
    answers = asyncio.run(main())
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert len(refused) == 50
    assert {each.status for each in refused} == {503}
    assert time.monotonic() - started < 5


def test_lone_request_is_answered_without_going_round() -> None:
    asked, calls = batcher(first_plus_ten)
    asked.connections = lambda: 1

    async def main() -> Any:
        coroutine = asked.score(request([4.0, 0.0]))
        with pytest.raises(StopIteration) as done:
            coroutine.send(None)  # it never has to wait
        return done.value.value

    assert asyncio.run(main()).tolist() == [40.0]
    assert calls == [1]


def test_client_that_goes_away_while_it_waits_does_no_harm() -> None:
    asked, calls = batcher(first_plus_ten)

    async def main() -> Any:
        gone = asyncio.ensure_future(asked.score(request([1.0, 0.0])))
        stays = asyncio.ensure_future(asked.score(request([2.0, 0.0])))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(main()).tolist() == [20.0]
    assert calls in ([2], [1])
