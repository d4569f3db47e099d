"""The picture of a cell that still runs."""

from __future__ import annotations

import pytest

from nbtrack.entities import Run, RunData, RunInfo
from nbtrack.reprs import run_card_html, run_card_text


def card(status: str, capture: dict) -> Run:
    return Run(RunInfo("a" * 32, "net", "0", status, 1), RunData({"lr": "0.1"}), capture=capture)


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        ({"done": 3, "total": 10, "unit": "epoch", "remaining_s": 26.4}, "3 of 10 epochs, about 26 s left"),
        ({"done": 3, "total": 10, "unit": "it", "remaining_s": 90}, "3 of 10 it, about 1 min 30 s left"),
        ({"done": 0, "total": 10, "unit": "<b>"}, "0 of 10 <b>s"),
    ],
)
def test_running_card_says_how_far_it_is(progress, words):
    run = card("RUNNING", {"wall_s": 5.0, "progress": progress})
    assert words in run_card_text(run)
    assert "running for 5.0 s" in run_card_text(run)
    html = run_card_html(run)
    assert "<b>s" not in html
    assert f"width:{10.0 * progress['done']:.1f}%" in html


@pytest.mark.parametrize("progress", [None, "half", {}, {"done": "1", "total": 2}, {"done": 1, "total": 0}])
def test_progress_that_says_nothing_is_left_out(progress):
    assert " of " not in run_card_text(card("RUNNING", {"progress": progress}))


def test_progress_of_a_run_that_has_ended_is_no_news():
    assert " of " not in run_card_text(card("CRASHED", {"progress": {"done": 1, "total": 2}}))


def test_card_of_a_run_that_broke_off_says_how_to_go_on_and_the_next_one_where_from():
    crashed = card("CRASHED", {})
    advice = "its process died; %%track --resume aaaaaaaa goes on in a new run"
    assert advice in run_card_text(crashed) and advice in run_card_html(crashed)
    tags = {"nbtrack.resumed_run_id": "a" * 32}
    second = Run(RunInfo("b" * 32, "net", "0", "FINISHED", 1, 2), RunData({}, {}, tags))
    assert "goes on where run aaaaaaaa broke off" in run_card_text(second)
    assert "goes on where run aaaaaaaa broke off" in run_card_html(second)
    for status in ("FINISHED", "RUNNING", "FAILED"):
        assert "broke off" not in run_card_text(card(status, {})) and "--resume" not in run_card_html(card(status, {}))
