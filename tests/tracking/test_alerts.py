"""Alerts: what is told, what is only counted, and the conditions that raise them."""

from __future__ import annotations

import json
import math
import multiprocessing
import re
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbtrack
from nbtrack.entities import TAG_ALERTS, Alert
from nbtrack.errors import FilterSyntaxError, InvalidInputError
from nbtrack.reprs import run_card_html, run_card_text
from nbtrack.reprs.alerts import MAX_ALERTS, MAX_TAG, MAX_TEXT, MAX_TITLE, alerts_in_short, alerts_of, to_tag
from nbtrack.store import open_store
from nbtrack.tracking import alerts as module


def told(run_id: str) -> list[Alert]:
    """The alerts that a fresh reader finds in the store."""
    return alerts_of(nbtrack.get_run(run_id).data.tags)


def test_alert_is_in_the_store_at_once_and_on_the_card(store):
    with nbtrack.start_run() as run:
        nbtrack.alert("loss is NaN", "learning rate 0.5", level="error")
        (alert,) = told(run.run_id)
        assert (alert.title, alert.text, alert.level, alert.count) == ("loss is NaN", "learning rate 0.5", "error", 1)
        assert abs(alert.at - run.info.start_time) < 60_000
    found = nbtrack.get_run(run.run_id)
    assert "  ✗ error: loss is NaN: learning rate 0.5" in run_card_text(found)
    assert "loss is NaN" in run_card_html(found)
    assert len(nbtrack.search_runs(filter_string=f"tags.{TAG_ALERTS} LIKE '%loss is NaN%'")) == 1


def test_alert_repeats_are_counted_and_written_once(store, monkeypatch):
    with nbtrack.start_run() as run:
        written = []
        monkeypatch.setattr(run._writer, "set_tags", lambda tags, real=run._writer.set_tags: written.append(real(tags)))
        for n in range(5000):
            nbtrack.alert("slow", f"batch {n}")
        assert len(written) == 1
        assert [(one.count, one.text) for one in run.raised] == [(5000, "batch 0")]
        assert [one.count for one in told(run.run_id)] == [1]
    assert len(written) == 2
    assert [one.count for one in told(run.run_id)] == [5000]


def test_alert_after_its_wait_is_told_again_with_its_newest_text_and_gravest_level(store):
    with nbtrack.start_run() as run:
        nbtrack.alert("slow", "first", level="error", wait_s=0)
        nbtrack.alert("slow", "second", level="info", wait_s=0)
        (alert,) = told(run.run_id)
    assert (alert.count, alert.text, alert.level) == (2, "second", "error")
    assert alert.last_at >= alert.at


def test_alert_titles_beyond_a_dozen_share_one_and_are_counted(store):
    with nbtrack.start_run() as run:
        for n in range(1000):
            nbtrack.alert(f"title {n}", level="error" if n == 999 else "info")
        assert len(run._alerts._shown) == MAX_ALERTS
    found = told(run.run_id)
    assert [one.title for one in found[:-1]] == [f"title {n}" for n in range(MAX_ALERTS)]
    assert (found[-1].title, found[-1].count) == (module.BEYOND, 1000 - MAX_ALERTS)


def test_alert_secrets_and_control_characters_stay_out(store):
    key = "sk-" + "a1B2" * 12
    with nbtrack.start_run() as run:
        nbtrack.alert(f"bad {key}\x1b[31m\u202e", f"db_password = 'hunter2hunter2' {key}\nnext")
    (alert,) = told(run.run_id)
    text = nbtrack.get_run(run.run_id).data.tags[TAG_ALERTS]
    assert key not in text
    assert "hunter2" not in text
    assert re.search(r"[\x00-\x1f\u202e]", text) is None
    assert "redacted" in alert.title


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"title": ""}, r"alert: expected a title, got ''\. Say"),
        ({"title": None}, "alert: expected a title, got None"),
        ({"title": "x", "level": "fatal"}, "expected level 'info', 'warn', 'error', got 'fatal'"),
        ({"title": "x", "wait_s": -1}, "expected wait_s in seconds, 0 or more, got -1"),
        ({"title": "x", "wait_s": math.nan}, "expected wait_s in seconds, 0 or more, got nan"),
    ],
)
def test_alert_that_is_none_is_refused(store, arguments, message):
    with nbtrack.start_run() as run, pytest.raises(InvalidInputError, match=message):
        nbtrack.alert(**arguments)
    assert TAG_ALERTS not in run.data.tags


def test_alerts_of_a_run_that_goes_on_stay(store):
    with nbtrack.start_run() as run:
        nbtrack.alert("first")
    with nbtrack.start_run(run_id=run.run_id):
        nbtrack.alert("first")
        nbtrack.alert("second")
    assert [(one.title, one.count) for one in told(run.run_id)] == [("first", 2), ("second", 1)]


def test_alerts_of_many_threads_are_all_counted(store):
    together = threading.Barrier(4)

    def raise_twenty(run):
        together.wait()  # so that several ask for the first time at once
        for _ in range(20):
            run.alert("same", wait_s=0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            with nbtrack.start_run() as run:
                threads = [threading.Thread(target=raise_twenty, args=(run,)) for _ in range(4)]
                for one in threads:
                    one.start()
                for one in threads:
                    one.join()
            assert [one.count for one in told(run.run_id)] == [80]
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_alert_of_a_forked_child_reaches_the_run(store):
    with nbtrack.start_run() as run:
        nbtrack.alert("parent")
        child = multiprocessing.get_context("fork").Process(target=run.alert, args=("child",))
        child.start()
        child.join()
        assert child.exitcode == 0
    assert {one.title for one in told(run.run_id)} == {"parent", "child"}


@given(st.text(max_size=400))
def test_alerts_of_any_tag_are_read_or_left_out(text):
    alerts_of({TAG_ALERTS: text})
    rows = [{"title": text, "text": text, "level": text, "at": text, "count": -1}, 5, {"title": 3}]
    (one,) = alerts_of({TAG_ALERTS: json.dumps(rows)})
    assert (one.level, one.count, len(one.title) <= MAX_TITLE) == ("warn", 1, True)
    assert alerts_in_short({TAG_ALERTS: json.dumps(rows)}).startswith("▲")


@pytest.mark.parametrize("letter", ['"', "\\", "ü", "🙂"])
def test_alerts_fit_into_the_tag_of_an_mlflow_server(letter):
    now = 1_800_000_000_000
    most = [Alert(letter * MAX_TITLE, letter * MAX_TEXT, "error", now, 10**9, now + 1) for _ in range(MAX_ALERTS + 1)]
    text = to_tag(most)
    assert len(text) <= MAX_TAG
    assert [one.title for one in alerts_of({TAG_ALERTS: text})] == [letter * MAX_TITLE] * len(most)


# -- conditions --------------------------------------------------------------------------------------------------------
def test_alert_when_fires_once_when_its_condition_first_becomes_true(store):
    with nbtrack.start_run() as run:
        run.alert_when("val_loss > 1")
        run.alert_when("loss is not finite")
        run.alert_when("max(loss) > 3 and val_loss < 0.5")
        run.alert_when("lr < 0")
        for step, (loss, val_loss) in enumerate([(1, 1), (4, 1.5), (1, 0.4), (math.inf, 2)]):
            nbtrack.log_metric("val_loss", val_loss)
            nbtrack.log_metrics({"loss": loss}, step=step)
            seen = [one.title for one in told(run.run_id)]
            assert seen == ["val_loss > 1", "max(loss) > 3 and val_loss < 0.5", "loss is not finite"][:step]
        assert run.unmet == ["lr < 0"]
    first, _, last = told(run.run_id)
    assert (first.text, first.count) == ("val_loss is 1.5 at step 1", 1)
    assert last.text == "loss is ∞ at step 3"


def test_alert_when_sees_values_logged_on_the_run_and_leaves_other_runs_alone(store):
    with nbtrack.start_run() as outer:
        outer.alert_when("loss > 1")
        with nbtrack.start_run(nested=True) as inner:
            nbtrack.log_metric("loss", 2)
        assert told(outer.run_id) == told(inner.run_id) == []
        outer.log_metric("loss", 3)
        assert [one.title for one in told(outer.run_id)] == ["loss > 1"]
        assert len(nbtrack.get_metric_history(outer.run_id, "loss")) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r'alert: expected a condition such as "val_loss > 1", got \'\''),
        ("loss", "alert: expected a comparison, got the end"),
        ("loss > 'x'", "alert: expected a number, got 'x'"),
        ("params.lr > 1", "alert: an alert watches metrics, got the param 'lr'"),
        ("status = 'FAILED' and", "alert: expected a number, got 'FAILED'"),
        ("at_max(metrics.a, metrics.b) > 1", "expected one of last, min, max, count, step of a metric, got at_max"),
        ("loss > 1 loss < 2", "alert: expected AND, OR or the end"),
        ("loss > 1 or " * 60, "alert: too long; expected at most 500 characters, got 720"),
    ],
)
def test_alert_when_condition_that_cannot_be_read_says_where(store, text, message):
    with nbtrack.start_run() as run, pytest.raises(FilterSyntaxError, match=message):
        run.alert_when(text)


def test_alerts_survive_a_store_that_is_opened_anew(store):
    with nbtrack.start_run() as run:
        nbtrack.alert("kept")
    reader = type(store).open(store.uri, create=False)
    assert [one.title for one in alerts_of(reader.get_run(run.run_id).data.tags)] == ["kept"]
    assert reader.info()["format_version"] == open_store(store.uri).info()["format_version"]
