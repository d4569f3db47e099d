from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.entities import VIEW_MIME
from nbtrack.errors import FilterSyntaxError, InvalidInputError, NotFoundError
from nbtrack.plots import PALETTE
from nbtrack.widget import compare, run_card

from .conftest import WIDGET_MIME, FrontEnd

TWO_RUNS = """
for i, name in enumerate(["first", "second"]):
    with nbtrack.start_run(run_name=name):
        nbtrack.log_param("trees", i)
        for step in range(3):
            nbtrack.log_metric("accuracy", i / 2 + step / 10, step=step)
"""


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    nbtrack.set_tracking_uri(None)
    return tmp_path


def make_runs() -> list[str]:
    ids = []
    for name in ("first", "second"):
        with nbtrack.start_run(run_name=name) as run:
            nbtrack.log_metric("accuracy", len(name))
        ids.append(run.run_id)
    return ids


def test_compare_in_a_kernel_displays_one_output_that_is_complete_without_it(front_end: FrontEnd) -> None:
    front_end.run(TWO_RUNS)
    (output,) = front_end.run("nbtrack.compare()")
    data = output["data"]
    assert set(data) == {VIEW_MIME, "text/html", "text/plain"}
    assert "first" in data["text/html"]
    assert "second" in data["text/html"]
    assert "<svg" in data["text/html"]
    assert "<script" not in data["text/html"]
    assert "accuracy" in data["text/plain"]
    assert output["metadata"] == {}
    assert re.fullmatch("[0-9a-f]{32}", data[VIEW_MIME].pop("widget"))
    assert data[VIEW_MIME] == {
        "version": 1,
        "view": "compare",
        "store": ".nbtrack",
        "run_ids": None,
        "filter": "",
        "experiment": None,
    }


@pytest.mark.parametrize("host", [{}, {"VSCODE_PID": "77", "VSCODE_CWD": "/"}], ids=["nobody", "in VS Code's terminal"])
def test_kernel_that_nobody_looks_at_opens_no_widget(front_end: FrontEnd) -> None:
    front_end.run(TWO_RUNS)
    (output,) = front_end.run("nbtrack.compare()")
    assert set(output["data"]) == {VIEW_MIME, "text/html", "text/plain"}
    assert "widget" not in output["data"][VIEW_MIME]
    front_end.run("import sys\nassert 'anywidget' not in sys.modules")


def test_vs_code_gets_the_widget_as_a_sibling_of_the_picture(front_end: FrontEnd) -> None:
    front_end.run(TWO_RUNS)
    front_end.run("__vsc_ipynb_file__ = '/tmp/notebook.ipynb'")
    picture, live = front_end.run("nbtrack.compare()")
    assert set(picture["data"]) == {VIEW_MIME, "text/html", "text/plain"}
    assert set(live["data"]) == {WIDGET_MIME}
    assert live["data"][WIDGET_MIME]["model_id"] == picture["data"][VIEW_MIME]["widget"]
    assert picture["metadata"] == live["metadata"] == {}


def test_widget_asked_over_its_comm_answers_with_bytes(front_end: FrontEnd) -> None:
    front_end.run(TWO_RUNS)
    (output,) = front_end.run("nbtrack.compare()")
    comm_id = output["data"][VIEW_MIME]["widget"]
    reply = front_end.call(comm_id, {"op": "runs"})
    assert reply["ok"]
    assert len(reply["answer"]["run_ids"]) == 2
    series = front_end.call(comm_id, {"op": "series", "run_ids": reply["answer"]["run_ids"], "keys": ["accuracy"]})
    assert [len(one["step"]) for one in series["answer"]["series"]] == [3, 3]


@pytest.mark.parametrize("request_", [{"op": "nothing"}, {}, None, [1, 2], "text", {"op": "run", "run_id": 7}])
def test_widget_asked_nonsense_answers_that_it_is_invalid(front_end: FrontEnd, request_: Any) -> None:
    (output,) = front_end.run("nbtrack.compare()")
    reply = front_end.call(output["data"][VIEW_MIME]["widget"], request_)
    assert not reply["ok"]
    assert reply["error"]["code"] == "invalid"


def test_widget_is_told_after_a_cell_that_changed_the_store(front_end: FrontEnd) -> None:
    front_end.run(TWO_RUNS)
    (output,) = front_end.run("nbtrack.compare()")
    comm_id = output["data"][VIEW_MIME]["widget"]
    before = front_end.call(comm_id, {"op": "revision"})["answer"]["revision"]
    front_end.run("with nbtrack.start_run(run_name='third'): pass")
    assert front_end.wait_for_push()["revision"] != before
    assert len(front_end.call(comm_id, {"op": "runs"})["answer"]["run_ids"]) == 3


def test_first_answers_hold_what_the_front_end_asks_first(workdir: Path) -> None:
    from nbtrack.tracking import get_store
    from nbtrack.widget.view import first_answers

    first, second = make_runs()
    runs, series = json.loads(first_answers(get_store()))
    # js/tests/components.test.ts holds the front end to the very same words
    asked = {"op": "runs", "run_ids": None, "experiment": None, "filter": "", "limit": 1000, "max_cells": 50_000}
    assert runs["request"] == asked
    assert runs["reply"]["answer"]["run_ids"] == [second, first]
    assert series["request"] == {"op": "series", "run_ids": [second, first], "keys": ["accuracy"]}
    assert len(series["reply"]["answer"]["series"]) == 2


def test_first_answers_of_an_empty_store_hold_no_series(workdir: Path) -> None:
    from nbtrack.tracking import get_store
    from nbtrack.widget.view import first_answers

    (runs,) = json.loads(first_answers(get_store()))
    assert runs["reply"]["answer"]["run_ids"] == []


def test_compare_with_runs_shows_only_those(front_end: FrontEnd) -> None:
    front_end.run(TWO_RUNS)
    (output,) = front_end.run("nbtrack.compare(nbtrack.search_runs(filter_string=\"attributes.run_name = 'first'\"))")
    assert "first" in output["data"]["text/html"]
    assert "second" not in output["data"]["text/html"]
    (run_id,) = output["data"][VIEW_MIME]["run_ids"]
    (other,) = front_end.run(f"nbtrack.compare({run_id!r})")
    assert other["data"][VIEW_MIME]["run_ids"] == [run_id]


def test_compare_with_a_filter_keeps_it_for_later_runs(front_end: FrontEnd) -> None:
    front_end.run(TWO_RUNS)
    (output,) = front_end.run("nbtrack.compare('metrics.accuracy > 0.5')")
    assert output["data"][VIEW_MIME]["run_ids"] is None
    assert output["data"][VIEW_MIME]["filter"] == "metrics.accuracy > 0.5"
    assert "first" not in output["data"]["text/html"]


def test_run_card_in_a_kernel_displays_the_card(front_end: FrontEnd) -> None:
    front_end.run(TWO_RUNS)
    (output,) = front_end.run("from nbtrack.widget import run_card\nrun_card(nbtrack.search_runs()['run_id'].iloc[0])")
    assert output["data"][VIEW_MIME]["view"] == "card"
    assert "second" in output["data"]["text/html"]


def test_compare_outside_of_a_kernel_prints_text(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_runs()
    compare()
    printed = capsys.readouterr().out
    assert "first" in printed
    assert "second" in printed
    assert "<" not in printed


def test_compare_of_an_empty_store_says_how_to_begin(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare()
    assert "%%track" in capsys.readouterr().out


def test_compare_with_an_unknown_experiment_raises(workdir: Path) -> None:
    make_runs()
    with pytest.raises(NotFoundError, match="there is no experiment 'nope'"):
        compare(experiment="nope")


def test_compare_with_a_filter_that_cannot_be_read_raises(workdir: Path) -> None:
    make_runs()
    with pytest.raises(FilterSyntaxError, match="filter"):
        compare("this is no filter")


@pytest.mark.parametrize("runs", [7, [7], [None]])
def test_compare_with_something_that_is_no_run_raises(workdir: Path, runs: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"compare: expected .*run"):
        compare(runs)


def test_run_card_of_an_unknown_run_raises(workdir: Path) -> None:
    with pytest.raises(NotFoundError, match="f" * 32):
        run_card("f" * 32)


def test_palette_of_the_front_end_is_that_of_the_plots() -> None:
    source = (Path(nbtrack.__file__).parents[1] / "js" / "src" / "format.ts").read_text(encoding="utf-8")
    listed = source.split("PALETTE = [", 1)[1].split("]", 1)[0]
    assert re.findall(r"#\w+", listed) == list(PALETTE)


def test_widget_module_loads_anywidget_only_when_shown() -> None:
    code = "import sys, nbtrack.widget; print([m for m in ('anywidget', 'IPython', 'ipywidgets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_compare_of_nothing_says_why_and_how_to_see_all(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with nbtrack.start_run():
        nbtrack.log_metric("acc", 0.9)
    for arguments, told in (
        ({"runs": []}, "No runs were given. Pass runs or their ids"),
        ({"filter": "metrics.acc > 1"}, "No run fits the filter 'metrics.acc > 1'"),
        ({"runs": ["f" * 32]}, "None of the given runs is there"),
    ):
        nbtrack.compare(**arguments)
        assert told in capsys.readouterr().out
