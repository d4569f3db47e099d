from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbtrack.cli.references import find_run
from nbtrack.cli.run_rows import print_runs
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.store import Store

from .conftest import Command, add_run

ESCAPES = "\x1b[31mred\x1b]0;title\x07\u202e"


def test_list_shows_params_and_metrics_of_each_run(store: Store, nbtrack: Command) -> None:
    add_run(store, "tree", depth="3", accuracy=0.5)
    run_id = add_run(store, "forest", depth="9", accuracy=0.97222)
    result = nbtrack("runs", "list")
    assert result.exit_code == 0
    head, _, first, second = (line.split() for line in result.stdout.splitlines())
    assert head == ["run", "name", "status", "started", "took", "depth", "accuracy"]
    assert first[:3] == [run_id[-8:], "forest", "finished"]
    assert first[-2:] == ["9", "0.9722"]
    assert second[-2:] == ["3", "0.5"]


def test_list_as_json_gives_whole_runs(store: Store, asked: Callable[..., Any]) -> None:
    run_id = add_run(store, "forest", depth="9", loss=float("nan"))
    found = asked("runs", "list")
    assert found["total"] == 1
    run = found["runs"][0]
    assert (run["run_id"], run["run_name"], run["experiment"]) == (run_id, "forest", "Default")
    assert run["params"] == {"depth": "9"}
    assert run["metrics"] == {"loss": "NaN"}


def test_list_filters_orders_and_tells_how_many_are_left(store: Store, nbtrack: Command) -> None:
    for number in range(4):
        add_run(store, f"run-{number}", accuracy=number / 10)
    arguments = ("-f", "metrics.accuracy > 0.05", "-o", "metrics.accuracy ASC", "-n", 2)
    lines = nbtrack("runs", "list", *arguments).stdout.splitlines()
    assert [line.split()[1] for line in lines[2:4]] == ["run-1", "run-2"]
    assert lines[4].startswith("1 more run")


def test_list_of_an_experiment_names_the_others_if_it_is_not_there(store: Store, nbtrack: Command) -> None:
    store.create_experiment("wine")
    result = nbtrack("runs", "list", "-e", "beer")
    assert result.exit_code == 1
    assert "'beer'" in result.stderr
    assert "'wine'" in result.stderr


def test_list_without_a_store_says_what_to_do_and_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nbtrack: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    result = nbtrack("runs", "list", "--store", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "does not exist" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_store_is_taken_from_the_environment_unless_given(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, asked: Callable[..., Any]
) -> None:
    add_run(store, "here")
    monkeypatch.chdir("/")
    monkeypatch.setenv("NBTRACK_TRACKING_URI", store.uri)
    assert asked("runs", "list")["runs"][0]["run_name"] == "here"
    monkeypatch.setenv("NBTRACK_TRACKING_URI", str(tmp_path / "other"))
    assert asked("runs", "list", "--store", store.uri)["total"] == 1


@pytest.mark.parametrize("arguments", [("runs", "list"), ("runs", "show", "RUN"), ("compare",)], ids=" ".join)
def test_hostile_names_are_shown_as_text(store: Store, nbtrack: Command, arguments: tuple[str, ...]) -> None:
    writer = store.create_run(run_name="[red]hi[/red] <script>")
    writer.log_params({"evil": ESCAPES})
    writer.end()
    other = add_run(store, "plain", evil="no")
    assert other
    result = nbtrack(*(writer.run_id if argument == "RUN" else argument for argument in arguments))
    assert result.exit_code == 0
    assert "[red]hi[/red] <script>" in result.stdout
    assert "red\N{REPLACEMENT CHARACTER}]0;title" in result.stdout
    assert not set(ESCAPES) & set(result.stdout) & set("\x1b\x07\u202e")


def test_show_tells_everything_a_run_logged(store: Store, nbtrack: Command) -> None:
    writer = store.create_run(run_name="forest", tags={"team": "wine"})
    writer.log_params({"depth": 3})
    for step, value in enumerate((0.5, 0.25, 0.125)):
        writer.log_metrics({"loss": value}, step=step)
    writer.log_artifact(b"hello", "notes/read.me")
    writer.end()
    shown = nbtrack("runs", "show", "forest").stdout
    for text in (
        writer.run_id,
        "param depth",
        "0.125 (3 values, 0.125 to 0.5)",
        "tag team",
        "notes/read.me",
        "5 bytes",
    ):
        assert text in shown


def test_diff_names_what_differs_and_nothing_else(store: Store, asked: Callable[..., Any], nbtrack: Command) -> None:
    a = add_run(store, "a", depth="3", same="x", accuracy=0.5, lost=float("nan"))
    b = add_run(store, "b", depth="9", same="x", accuracy=0.75, lost=float("nan"))
    found = asked("runs", "diff", a, b)
    assert [(one["kind"], one["key"], one["values"]) for one in found["differences"]] == [
        ("param", "depth", ["3", "9"])
    ]
    assert found["metrics"] == [{"key": "accuracy", "values": [0.5, 0.75]}]
    assert found["same"] == ["1 param"]
    text = nbtrack("runs", "diff", a, b).stdout
    assert "Most likely: depth: 3 → 9." in text
    assert "+0.25" in text
    assert "got 1. Name each one once" in nbtrack("runs", "diff", a, a).stderr


def test_lineage_of_a_run_without_a_notebook_says_what_is_known(store: Store, nbtrack: Command) -> None:
    run_id = add_run(store, "plain", depth="3")
    assert "was made by 0 cells" in nbtrack("runs", "lineage", run_id).stdout
    assert nbtrack("runs", "show", run_id, "--code").stdout.startswith("# The cells that made run plain")
    assert "has no slice" in nbtrack("runs", "reproduce", run_id).stderr


def test_delete_moves_to_the_trash_and_restore_takes_out(
    store: Store, asked: Callable[..., Any], nbtrack: Command
) -> None:
    run_id = add_run(store, "forest")
    assert nbtrack("runs", "delete", "forest").exit_code == 0
    assert asked("runs", "list")["runs"] == []
    assert asked("runs", "list", "--deleted")["runs"][0]["run_id"] == run_id
    assert nbtrack("runs", "restore", run_id[-8:]).exit_code == 0
    assert asked("runs", "list")["total"] == 1


def test_delete_of_an_unknown_run_touches_none_of_the_others(
    store: Store, asked: Callable[..., Any], nbtrack: Command
) -> None:
    add_run(store, "forest")
    result = nbtrack("runs", "delete", "forest", "nonsense")
    assert result.exit_code == 1
    assert "'nonsense'" in result.stderr
    assert asked("runs", "list")["total"] == 1


def test_find_run_takes_an_id_its_digits_or_a_name(store: Store) -> None:
    run_id = add_run(store, "forest")
    for text in (run_id, run_id[-6:], run_id[:16], "forest"):
        assert find_run(store, text) == run_id


def test_find_run_refuses_a_name_that_two_runs_have(store: Store) -> None:
    both = {add_run(store, "forest"), add_run(store, "forest")}
    with pytest.raises(InvalidInputError, match="2 runs have this name") as caught:
        find_run(store, "forest")
    assert all(run_id in str(caught.value) for run_id in both)


@pytest.mark.parametrize("text", ["nope", "abc", "0" * 21, ""])
def test_find_run_without_such_a_run_raises(store: Store, text: str) -> None:
    add_run(store, "forest")
    with pytest.raises(NotFoundError, match="run"):
        find_run(store, text)


def test_compare_shows_params_that_differ_and_marks_the_best(store: Store, nbtrack: Command) -> None:
    add_run(store, "tree", depth="3", same="x", accuracy=0.5)
    add_run(store, "forest", depth="9", same="x", accuracy=0.75)
    shown = nbtrack("compare").stdout
    assert "same" not in shown
    assert "0.75 ▲" in shown
    only = nbtrack("compare", "tree").stdout
    assert "forest" not in only


@pytest.mark.parametrize(("status", "shown"), [("FINISHED", False), ("FAILED", True)])
def test_short_table_of_runs_names_their_status_only_where_one_did_not_finish(
    store: Store, capsys: pytest.CaptureFixture[str], status: str, shown: bool
) -> None:
    add_run(store, "tree", depth="3", accuracy=0.5)
    writer = store.create_run(run_name="forest")
    writer.log_params({"depth": "9"})
    writer.end(status)
    print_runs(store, store.run_table(), with_times=False)
    head = capsys.readouterr().out.splitlines()[0].split()
    assert head == ["run", "name", *(["status"] if shown else []), "depth", "accuracy"]
