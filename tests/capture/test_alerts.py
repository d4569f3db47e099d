"""``%%track --alert``: conditions that are looked at while the cell runs."""

from __future__ import annotations

import pytest

from nbtrack.capture.options import parse_options
from nbtrack.entities import VIEW_MIME
from nbtrack.errors import InvalidInputError
from nbtrack.reprs.alerts import alerts_of

from .conftest import Kernel, Notebook


def test_alert_option_is_read_as_often_as_it_stands():
    found = parse_options("net --alert 'val_loss > 1' --alert=\"loss is not finite\" --alert '`top 5` < 0.1'")
    assert found.alerts == ["val_loss > 1", "loss is not finite", "`top 5` < 0.1"]


@pytest.mark.parametrize("text", ["val_loss >", "params.lr > 1", "loss > 'x'", ""])
def test_alert_option_that_cannot_be_read_is_told_with_the_usage(text):
    with pytest.raises(InvalidInputError, match=r"%%track: alert: [\s\S]*Usage: %%track") as caught:
        parse_options(f"--alert '{text}'")
    assert len(str(caught.value)) < 700


def test_alert_fires_while_the_cell_runs_and_stands_on_its_card(notebook: Notebook):
    notebook.ok(
        "%%track --alert 'loss > 1' --alert 'loss is nan' --alert 'missing < 3'\n"
        "import nbtrack\nseen = []\n"
        "for value in (0.5, 1.5, 0.1, 1.7):\n"
        "    nbtrack.log_metric('loss', value)\n"
        "    seen.append([one.title for one in nbtrack.active_run().raised])"
    )
    assert notebook.names["seen"] == [[], *[["loss > 1"]] * 3]
    (alert,) = alerts_of(notebook.last.data.tags)
    assert (alert.count, alert.text) == (1, "loss is 1.5 at step 1")
    assert "▲ loss > 1</b>: loss is 1.5 at step 1" in notebook.cards[-1]["text/html"].replace("&gt;", ">")
    assert notebook.last.capture["not_captured"] == ["alert 'missing < 3': no such metric was logged"]


def test_alert_is_also_about_metrics_that_are_found_when_the_cell_has_ended(notebook: Notebook):
    notebook.ok("%%track --alert 'accuracy < 0.5'\naccuracy = sum([0.1, 0.2])")
    assert [one.title for one in alerts_of(notebook.last.data.tags)] == ["accuracy < 0.5"]
    assert "accuracy &lt; 0.5" in notebook.cards[-1]["text/html"]


def test_alert_reaches_the_running_card_at_once(kernel: Kernel):
    reply = kernel.run(
        "%%track --alert 'loss > 1'\nimport nbtrack, time\nfor i in range(12):\n"
        "    nbtrack.log_metric('loss', i / 5)\n    time.sleep(0.15)\n    nbtrack.alert('<b>slow</b>', level='info')"
    )
    assert reply.status == "ok", reply.traceback
    running = [data for data in (*reply.cards, *(data for _, data in reply.updates)) if "live" in data[VIEW_MIME]]
    assert any("loss &gt; 1" in data["text/html"] and "&lt;b&gt;slow" in data["text/html"] for data in running)
    assert any('"loss > 1"' in data[VIEW_MIME]["live"]["alerts"] for data in running)
    assert [(one.title, one.count) for one in alerts_of(kernel.last().data.tags)] == [
        ("<b>slow</b>", 12),
        ("loss > 1", 1),
    ]
