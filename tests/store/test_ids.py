"""Ids: unique, and in the order in which they were made."""

from __future__ import annotations

import threading

from nbtrack.store.layout import new_id


def test_new_id_within_one_millisecond_sorts_in_the_order_of_making() -> None:
    made = [new_id(at_ms=1_700_000_000_000) for _ in range(400)]
    assert made == sorted(made)
    assert len(set(made)) == 400
    assert {len(one) for one in made} == {21}


def test_new_id_from_many_threads_is_never_repeated() -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend([new_id() for _ in range(2000)])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16_000
