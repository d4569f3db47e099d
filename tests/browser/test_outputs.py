"""What a cell leaves in the notebook: a picture that needs nobody, and a live view that hides it while it lives."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .conftest import NotebookPage, notebook_json
from .lab_server import Lab, lab_environment, running_lab

VIEW_MIME = "application/vnd.nbtrack.view+json"
CELLS = (
    "%load_ext nbtrack\nimport nbtrack",
    "%%track first\nC = 1.0\nfor i in range(5):\n    nbtrack.log_metric('loss', 1 / (i + 1))\naccuracy = abs(-0.5)",
    "%%track second\nC = 2.0\naccuracy = abs(-0.75)\nnote = '<img src=x onerror=alert(1)>'",
    "nbtrack.compare()",
)
PICTURES = 3  # two cards and a comparison


@pytest.fixture(scope="module")
def bare_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab that has never heard of nbtrack: neither its panel nor its handlers; widgets it has."""
    home, root = tmp_path_factory.mktemp("bare-home"), tmp_path_factory.mktemp("bare-root")
    env = lab_environment(home)
    config = home / "config_dir"
    (config / "labconfig").mkdir()
    (config / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": {"nbtrack": True}}))
    (config / "jupyter_server_config.json").write_text(
        json.dumps({"ServerApp": {"jpserver_extensions": {"nbtrack": False}}})
    )
    with running_lab(home, root, env) as lab:
        yield lab


def open_in(page: Page, lab: Lab, name: str, kernel: bool) -> NotebookPage:
    opened = NotebookPage(page, lab, name)
    opened.open(kernel)
    return opened


def without_kernel(saved: dict[str, Any]) -> dict[str, Any]:
    """The notebook as JupyterLab opens it without starting a kernel."""
    return {**saved, "metadata": {**saved["metadata"], "kernelspec": {"name": "gone", "display_name": "Gone"}}}


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The notebook after somebody ran it where nobody looked."""
    return run_headless(tmp_path_factory.mktemp("executed"), CELLS)


def run_headless(folder: Path, cells: tuple[str, ...]) -> dict[str, Any]:
    file = folder / "notebook.ipynb"
    file.write_text(json.dumps(notebook_json(list(cells))), encoding="utf-8")
    command = [sys.executable, "-m", "jupyter", "execute", "--inplace", str(file)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def outputs_of(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in notebook["cells"] for output in cell["outputs"] if VIEW_MIME in output.get("data", {})]


def test_executed_notebook_holds_pictures_only_and_little_of_them(executed: dict[str, Any]) -> None:
    shown = outputs_of(executed)
    assert len(shown) == PICTURES
    assert all(set(output["data"]) == {VIEW_MIME, "text/html", "text/plain"} for output in shown)
    assert all(len(json.dumps(output)) < 20_000 for output in shown)
    assert all(output["metadata"] == {} for output in shown)
    assert "widgets" not in executed["metadata"]
    assert all(set(cell["metadata"]) <= {"execution"} for cell in executed["cells"])  # nbclient's own times
    assert "widget-view" not in json.dumps(executed)
    assert "<img" not in "".join("".join(output["data"]["text/html"]) for output in shown)


def without_ids_and_times(notebook: dict[str, Any]) -> str:
    text = json.dumps(outputs_of(notebook), sort_keys=True, ensure_ascii=False)
    text = re.sub(r'color:#[0-9A-Fa-f]{6}(?=\\">●)', "", text)  # the colour of a run goes with its id
    return re.sub(r"[0-9a-f]{8,}|(in|of) [\d.]+ (ms|s|min)\b", "", text)


def test_run_again_changes_ids_and_times_only(executed: dict[str, Any], tmp_path: Path) -> None:
    """In a new store: in the same one, the change against the run before would be news."""
    again = run_headless(tmp_path, CELLS)
    assert without_ids_and_times(again) == without_ids_and_times(executed)


def test_nbconvert_shows_the_pictures_without_a_script_of_ours(executed: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "saved.ipynb"
    file.write_text(json.dumps(executed), encoding="utf-8")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", str(file)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    html = (tmp_path / "saved.html").read_text(encoding="utf-8")
    assert html.count("✓ finished") >= 4
    assert "widget-view" not in html
    assert "<img src=x" not in html


def test_lab_without_nbtrack_and_without_a_kernel_shows_every_picture(
    bare_lab: Lab, executed: dict[str, Any], page: Page
) -> None:
    name = f"{secrets.token_hex(4)}.ipynb"
    (bare_lab.root / name).write_text(json.dumps(without_kernel(executed)), encoding="utf-8")
    notebook = open_in(page, bare_lab, name, kernel=False)
    assert page.evaluate("() => window.jupyterapp.hasPlugin('nbtrack:plugin')") is False
    for index in (1, 2, 3):
        notebook.scroll_to(index)
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    expect(cells.nth(1).locator(".jp-OutputArea")).to_contain_text("finished")
    expect(cells.nth(2).locator(".jp-OutputArea")).to_contain_text("accuracy")
    expect(cells.nth(3).locator(".jp-OutputArea")).to_contain_text("second")
    expect(page.locator(".jp-Notebook")).not_to_contain_text("Error displaying widget")
    expect(page.locator(".jp-Notebook")).not_to_contain_text("Loading widget")
    assert page.locator(".nbt").count() == 0


def test_lab_without_nbtrack_mounts_the_live_comparison_over_its_picture(bare_lab: Lab, page: Page) -> None:
    name = f"{secrets.token_hex(4)}.ipynb"
    (bare_lab.root / name).write_text(json.dumps(notebook_json(list(CELLS))), encoding="utf-8")
    notebook = open_in(page, bare_lab, name, kernel=True)
    notebook.run_all()
    notebook.scroll_to(3)
    grid = page.get_by_role("grid", name="Runs")
    expect(grid.locator("[role=row][data-run]")).to_have_count(2)
    expect(page.locator("[class^=nbt-picture]")).to_be_hidden()
    saved = notebook.saved()
    assert "widgets" not in saved["metadata"]
    assert "widget-view" not in json.dumps(saved)
    notebook.reload()  # the kernel lives: so does the view
    notebook.scroll_to(3)
    expect(grid.locator("[role=row][data-run]")).to_have_count(2)
    (bare_lab.root / name).write_text(json.dumps(without_kernel(saved)), encoding="utf-8")
    bare_lab.end_sessions()
    notebook.open(kernel=False)
    notebook.scroll_to(3)
    expect(page.locator("[class^=nbt-picture]")).to_be_visible()
    expect(page.locator(".jp-Notebook")).not_to_contain_text("widget")


def test_reopened_without_a_kernel_is_interactive_through_the_server(
    new_notebook: Callable[..., NotebookPage], page: Page
) -> None:
    notebook = new_notebook(*CELLS)
    notebook.run_all()
    notebook.scroll_to(3)
    grid = page.locator(".jp-Notebook").get_by_role("grid", name="Runs")
    expect(grid.locator("[role=row][data-run]")).to_have_count(2)
    saved = notebook.saved()
    assert "widget-view" not in json.dumps(saved)
    assert "widgets" not in saved["metadata"]
    notebook.lab.end_sessions()
    notebook.file.write_text(json.dumps(without_kernel(saved)), encoding="utf-8")
    notebook.open(kernel=False)
    notebook.scroll_to(3)
    heading = grid.locator("[role=columnheader][data-key=accuracy]")
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    notebook.scroll_to(1)
    card = page.get_by_role("region", name="Run first")
    expect(card.locator("[data-nbt=curve][data-key=loss]")).to_have_attribute("data-points", "5")
