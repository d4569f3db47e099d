"""The notebook that ships: clean, tagged, and made of cells that the capture understands."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

import nbtrack
from nbtrack.capture.transform import track_line

PATH = Path(nbtrack.__file__).parent.parent / "notebooks" / "01-first-run.ipynb"


@pytest.fixture(scope="module")
def cells():
    book = nbformat.read(PATH, as_version=4)
    nbformat.validate(book)
    assert set(book.metadata) == {"kernelspec", "language_info"}
    return book.cells


def test_first_notebook_has_no_outputs_and_short_lines(cells):
    for cell in cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert max(map(len, cell.source.splitlines())) <= 100


def test_first_notebook_cells_carry_the_tags_that_the_demo_shows(cells):
    tags = [tag for cell in cells for tag in cell.metadata.get("tags", [])]
    assert list(dict.fromkeys(tags)) == ["setup", "track", "compare", "register", "serve", "request", "stop"]
    assert all(cell.metadata.get("tags") for cell in cells if cell.cell_type == "code")


def test_first_notebook_tracks_three_cells_by_name(cells):
    names = [track_line(cell.source) for cell in cells if track_line(cell.source) is not None]
    assert names == ["one-narrow-tree", "one-tree", "forest"]


def test_first_notebook_ends_with_the_summary_that_the_demo_reads(cells):
    source = cells[-1].source
    keys = (
        "best_run",
        "model_version",
        "stage_changes",
        "url",
        "predictions_csv",
        "predictions_json",
        "predictions_notebook",
        "equal",
    )
    assert all(f'"{key}":' in source for key in keys)


def test_first_notebook_runs_are_what_its_text_says(cells, notebook):
    for cell in cells:
        if set(cell.metadata.get("tags", [])) & {"setup", "track"}:
            notebook.ok(cell.source)
    runs = notebook.runs
    assert [(run.data.params["n_estimators"], run.data.params["max_features"]) for run in runs] == [
        ("1", "0.1"),
        ("1", "0.5"),
        ("100", "0.5"),
    ]
    assert all(set(run.data.metrics) == {"accuracy", "f1_weighted"} for run in runs)
    assert all(run.capture["models"][0]["class"] == "RandomForestClassifier" for run in runs)
    scores = [run.data.metrics["accuracy"] for run in runs]
    assert scores == sorted(scores)
    assert len(set(scores)) == 3
