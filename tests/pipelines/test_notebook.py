"""The notebook about pipelines that ships: clean, and everything in it comes out as its text says."""

from __future__ import annotations

from pathlib import Path

import nbformat

import nbtrack
from nbtrack.pipelines.execution import Execution, execute_notebook

PATH = Path(nbtrack.__file__).parent.parent / "notebooks" / "02-pipeline.ipynb"
ALL = ("load", "train", "evaluate")


def test_pipeline_notebook_is_clean_and_its_lines_are_short() -> None:
    book = nbformat.read(PATH, as_version=4)
    nbformat.validate(book)
    assert set(book.metadata) == {"kernelspec", "language_info"}
    for cell in book.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None and cell.metadata.get("tags")
            assert max(map(len, cell.source.splitlines())) <= 100


def test_pipeline_notebook_runs_and_does_what_it_says(tmp_path: Path) -> None:
    book = nbformat.read(PATH, as_version=4)
    summary = execute_notebook(Execution(book, tmp_path, (), None, timeout_s=120))
    assert summary["first"] == dict.fromkeys(ALL, "ran")
    assert summary["again"] == dict.fromkeys(ALL, "reused")
    assert summary["changed"] == {"load": "reused", "train": "ran", "evaluate": "ran"}
    assert set(summary["best"]) == {"n_estimators", "max_features"}
    assert summary["reproduced"] is True
    assert summary["retrained"] == {"wine": "reused", "grapes": "failed", "next": "left out"}
    shown = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert not [out for out in shown if out.output_type in {"stream", "error"}]
    table = next(out.data["text/html"] for out in shown if "supplier" in str(out.get("data", {}).get("text/html")))
    assert "3 pipelines for INT: 0 trained, 1 unchanged, 1 failed, 1 left out." in table
