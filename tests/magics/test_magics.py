"""%nbtrack, %track, completion, help, and scripts made from notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.error import UsageError

import nbtrack
from nbtrack.magics import COMMANDS, match_arguments

ROOT = Path(nbtrack.__file__).parent.parent


def magic(notebook, line: str):
    return notebook.shell.run_line_magic("nbtrack", line)


@pytest.fixture
def tracked(notebook):
    notebook.ok("%%track a -t owner=ana\nC = 1.0\naccuracy = abs(-0.5)")
    notebook.ok("%%track b\nC = 2.0\naccuracy = abs(-0.75)")
    return notebook


def test_runs_lists_runs_as_text_and_html(tracked):
    shown = magic(tracked, "runs")
    assert [row[0] for row in shown.rows] == ["b", "a"]
    assert "accuracy" in repr(shown)
    assert "0.75" in repr(shown)
    assert "<table" in shown._repr_html_()
    assert [row[0] for row in magic(tracked, "runs metrics.accuracy > 0.6").rows] == ["b"]


def test_runs_without_metric_shows_a_dash(tracked):
    tracked.ok("%%track c\nx = 1")
    assert magic(tracked, "runs").rows[0][-1] == "–"


def test_diff_says_what_differs_and_shows_the_code(tracked):
    a, b = (run.run_id for run in tracked.runs)
    found = magic(tracked, f"diff {a} {b[-8:]}")
    first = found.differences[0]
    assert (first.kind, first.key, first.values) == ("param", "C", ("1.0", "2.0"))
    assert found.metrics == (("accuracy", (0.5, 0.75)),)
    assert found.verdict.startswith("Most likely: C: 1.0 → 2.0")
    assert not any(one.kind == "environment" for one in found.differences)
    assert "-C = 1.0" in repr(found)
    assert "+C = 2.0" in found._repr_html_()


def test_lineage_shows_the_cells_of_the_last_run_or_of_one(tracked):
    a, b = (run.run_id for run in tracked.runs)
    assert magic(tracked, "lineage").run.run_id == b
    first = magic(tracked, f"lineage {a[-8:]}")
    assert "C = 1.0" in first.script()
    assert "In [" in repr(first)
    assert "C = 1.0" in first._repr_html_()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "expected one of these, got ''"),
        ("frobnicate", "expected one of these, got 'frobnicate'"),
        ("diff one", "expected two or more runs, got 'one'"),
        ("diff ffff ffff", "'ffff' fits 0 runs"),
        ("runs accuracy >", "%nbtrack runs: "),
    ],
)
def test_wrong_line_is_a_usage_error_that_helps(tracked, line, message):
    with pytest.raises(UsageError, match=message):
        magic(tracked, line)


def test_store_says_where_the_runs_lie(tracked, workdir):
    rows = dict(map(tuple, magic(tracked, "store").rows))
    assert rows["uri"] == str(workdir / ".nbtrack")
    assert rows["runs"] == "2"


def test_compare_in_a_terminal_shows_both_runs_as_text(tracked, capsys):
    magic(tracked, "compare")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "status", "C", "accuracy"]
    assert [line.split()[0] for line in lines[1:]] == ["b", "a"]
    magic(tracked, "compare metrics.accuracy > 0.6")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_track_is_listed_and_has_help(notebook):
    assert "track" in notebook.shell.magics_manager.lsmagic()["cell"]
    assert {"track", "nbtrack"} <= set(notebook.shell.magics_manager.lsmagic()["line"])
    assert "--no-capture PART" in notebook.shell.magics_manager.magics["cell"]["track"].__doc__


def complete(notebook, text: str) -> list[str]:
    return [completion.text for completion in notebook.shell.Completer.completions(text, len(text))]


@pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%%track --no", {"--note", "--no-capture"}),
        ("%%track rf --no-capture s", {"source"}),
        ("%%track rf -e wi", {"wine"}),
        ("%%track rf -m acc", {"accuracy"}),
        ("%nbtrack r", {"runs"}),
        ("%track a", {"auto"}),
    ],
)
def test_arguments_are_completed(tracked, text, expected):
    nbtrack.set_experiment("wine")
    assert expected <= set(complete(tracked, text))


def test_arguments_completion_leaves_other_code_alone(tracked):
    class Context:
        line_with_cursor = "x = accu"
        cursor_position = 8

    assert match_arguments(Context())["completions"] == []


@pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")
def test_completion_makes_no_store(notebook, workdir):
    complete(notebook, "%%track -e ")
    assert not (workdir / ".nbtrack").exists()


def test_magic_called_by_name_tracks_too_as_in_an_exported_script(notebook):
    notebook.shell.run_cell_magic("track", "exported", "score = abs(-0.5)")
    assert (notebook.last.info.run_name, dict(notebook.last.data.metrics)) == ("exported", {"score": 0.5})
    with pytest.raises(ZeroDivisionError, match="division"):
        notebook.shell.run_cell_magic("track", "", "1 / 0")
    assert notebook.last.info.status == "FAILED"
    with pytest.raises(UsageError, match="the cell is empty"):
        notebook.shell.run_cell_magic("track", "", "  ")


def test_empty_cell_gives_a_message_and_no_run(notebook, capsys):
    assert notebook.run("%%track empty\n\n").success
    assert "%%track: the cell is empty" in capsys.readouterr().out
    assert notebook.runs == []


def test_load_outside_of_ipython_says_what_to_do():
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = (
        "import nbtrack\nfrom nbtrack.errors import RunStateError\n"
        "try:\n    nbtrack.load()\nexcept RunStateError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert "there is no IPython here" in done.stdout


def test_commands_are_all_told_in_the_error(tracked):
    with pytest.raises(UsageError, match="expected one of these") as caught:
        magic(tracked, "what")
    assert all(f"%nbtrack {name}" in str(caught.value) for name in COMMANDS)


def test_versions_promotions_and_history_as_last_line_are_shown_in_words(tracked):
    run_id = nbtrack.search_runs().run_id[0]
    with nbtrack.start_run(run_id=run_id):
        nbtrack.log_dict({"flavor": "none"}, "model/nbtrack-model.json")
    version = nbtrack.register_model(f"runs:/{run_id}/model", "wine")
    moved = nbtrack.promote("wine", version.version, "Staging", note="good")
    shown, _ = tracked.shell.display_formatter.format(version)
    assert shown["text/plain"].startswith("wine version 1  stage None")
    assert "<b>wine</b> version 1" in shown["text/html"]
    assert tracked.shell.display_formatter.format(moved)[0] == {"text/plain": "v1 → Staging"}
    run = tracked.shell.display_formatter.format(nbtrack.get_run(run_id))[0]
    assert run["text/plain"].splitlines()[1:] == ["  accuracy  0.75", "  C=2.0", f"  model runs:/{run_id}/model"]
    assert "<b>b</b>" in run["text/html"]
    history = tracked.shell.display_formatter.format(nbtrack.history("wine"))[0]["text/plain"]
    assert history.startswith("[2: v1 → Staging, by ")
    assert "'good'" in history
