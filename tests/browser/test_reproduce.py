"""The Reproduce button and the graph of a pipeline, in a real JupyterLab with a real kernel and without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from nbtrack.store import open_store

CELLS = [
    "%load_ext nbtrack",
    "rate = 0.25",
    "%%track fit\naccuracy = 1 - rate",
    "import nbtrack\nnbtrack.compare()",
]


def reproduce(card: Locator) -> None:
    """Click, read what it means, click again, and wait for the verdict."""
    card.locator("[data-nbt=reproduce]").click()
    expect(card.locator("[data-nbt=reproduce-ask]")).to_contain_text("clean kernel")
    card.locator("[data-nbt=confirm-reproduce]").click()
    expect(card.locator("[data-nbt=reproducing]")).to_be_visible()
    expect(card.locator("[data-nbt=reproducing]")).to_have_count(0)


def test_run_is_reproduced_from_the_cell_and_from_the_panel_without_a_kernel(
    new_notebook: Callable[..., Any], page: Page, folder: Path
) -> None:
    notebook = new_notebook(*CELLS)
    notebook.run_all()
    inline = page.locator(".jp-Notebook [data-nbt=compare]")
    inline.locator("[role=row][data-run]").get_by_role("rowheader").click()
    reproduce(inline.locator("[data-nbt=run-card]"))
    expect(inline.locator("[data-nbt=reproduced]")).to_contain_text("all exactly the same")
    (run,) = open_store(folder / ".nbtrack", create=False).search_runs()
    assert run.data.tags["nbtrack.reproduced"].startswith("yes ")
    notebook.command("kernelmenu:shutdown")
    notebook.command("nbtrack:open-panel")
    panel = page.locator("#nbtrack-panel")
    panel.locator("[role=row][data-run]").get_by_role("rowheader").click()
    card = panel.locator("[data-nbt=run-card]")
    expect(card.locator("[data-nbt=reproduced]")).to_be_visible()
    reproduce(card)
    expect(card.locator("[data-nbt=reproduced]")).to_contain_text("all exactly the same")
    (again,) = open_store(folder / ".nbtrack", create=False).search_runs()
    assert again.data.tags["nbtrack.reproduced"] > run.data.tags["nbtrack.reproduced"]
