"""The public surface: its names, that they resolve, and what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nbtrack

HEAVY = ("IPython", "numpy", "pandas", "plotly", "asyncio", "ipywidgets", "anywidget", "uvicorn", "msgspec", "sklearn")


def test_public_names_all_resolve() -> None:
    for name in nbtrack.__all__:
        assert getattr(nbtrack, name) is not None, name


def test_public_names_declared_for_type_checkers_are_the_ones_resolved() -> None:
    tree = ast.parse(Path(nbtrack.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    declared = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nbtrack")
        for alias in node.names
    }
    assert declared == nbtrack._HOME
    assert sorted(declared) == sorted(nbtrack.__all__)


def test_public_names_all_have_docstrings() -> None:
    missing = [name for name in nbtrack.__all__ if not (getattr(nbtrack, name).__doc__ or "").strip()]
    assert missing == []


def test_getattr_unknown_name_raises() -> None:
    with pytest.raises(AttributeError, match="no attribute 'log_metrik'"):
        nbtrack.log_metrik  # noqa: B018


def test_import_in_fresh_interpreter_loads_nothing_heavy() -> None:
    code = f"import sys, nbtrack; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_logging_a_run_in_fresh_interpreter_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
import sys, nbtrack
nbtrack.set_tracking_uri({str(tmp_path / "store")!r})
with nbtrack.start_run(run_name="worker"):
    nbtrack.log_param("lr", 0.1)
    nbtrack.log_metric("loss", 0.5)
print(sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
