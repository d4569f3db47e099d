"""The %%track line: what it may say, and how it becomes a comment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.capture.options import parse_options
from nbtrack.capture.transform import track_line, transform
from nbtrack.errors import InvalidInputError


def test_parse_options_reads_all_of_them():
    found = parse_options(
        "'my run' --experiment=wine -t a=1 --tag b='x y' -p lr -p cfg.lr -m acc -m \"s['f1']\""
        " --step fit --note 'why not' --resume 0193abcd --no-capture git,source --no-capture output"
    )
    assert (found.name, found.experiment, found.step, found.note) == ("my run", "wine", "fit", "why not")
    assert found.tags == {"a": "1", "b": "x y"}
    assert (found.params, found.metrics) == (["lr", "cfg.lr"], ["acc", "s['f1']"])
    assert (found.resume, found.no_capture) == ("0193abcd", {"git", "source", "output"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--experimnt x", "unknown option '--experimnt'. Did you mean '--experiment'?"),
        ("-z", "unknown option '-z'"),
        ("a b", "expected one run name, got 'a' and 'b'. Put quotation marks around it."),
        ("-e", "-e expects a value"),
        ("-t novalue", "-t expects KEY=VALUE, got 'novalue'"),
        ("-m 'a + b'", r"-m expects the name of a variable.*got 'a \+ b'"),
        ("-p f(x)", r"-p expects the name of a variable.*got 'f\(x\)'"),
        ("--no-capture everything", "--no-capture expects one of source, params"),
        ("--resume ../x", "--resume expects a run id"),
        ("'open", "cannot be read"),
        ("../up", "run name: '..' is a path segment"),
        ("-e ../up", "experiment name: '..' is a path segment"),
        ("x" * 10_000, "run name: too long; expected at most 250 characters, got 10,000"),
    ],
)
def test_parse_options_wrong_line_is_told_in_one_message(line, message):
    with pytest.raises(InvalidInputError, match=message) as caught:
        parse_options(line)
    assert len(str(caught.value)) < 600


@given(st.text(max_size=60))
def test_parse_options_any_text_is_read_or_refused(line):
    try:
        parse_options(line)
    except InvalidInputError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%%track\nx = 1\n", "# %%track\nx = 1\n"),
        ("\n\n%%track rf -e wine\nx = 1\n", "\n\n# %%track rf -e wine\nx = 1\n"),
        ("  %%track\n  x = 1\n", "  # %%track\n  x = 1\n"),
        ("%%track\r\nx = 1\r\n", "# %%track\r\nx = 1\r\n"),
        ("%%track\n%%time\nx = 1\n", "%%time\nx = 1\n"),
        ("%%track\n\n%%bash\nls\n", "%%bash\nls\n"),
        ("%%track", "# %%track"),
        ("x = 1\n%%track\n", "x = 1\n%%track\n"),
        ("%%tracker\nx = 1\n", "%%tracker\nx = 1\n"),
        ("%%track?\n", "%%track?\n"),
        ("", ""),
    ],
)
def test_transform_touches_only_the_track_line(cell, expected):
    assert "".join(transform(cell.splitlines(keepends=True))) == expected


@given(st.text(max_size=200))
def test_transform_leaves_every_other_cell_alone(cell):
    lines = cell.splitlines(keepends=True)
    if track_line(cell) is None:
        assert transform(lines) == lines


@pytest.mark.parametrize(
    ("cell", "line"),
    [("%%track a\nx", "a"), ("\n %%track\n", ""), ("x\n%%track a", None), ("%%tracker", None), ("", None)],
)
def test_track_line_is_the_rest_of_the_first_line(cell, line):
    assert track_line(cell) == line
