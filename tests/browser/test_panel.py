"""The side panels, the status bar and the run table in a real JupyterLab."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from nbtrack.store import open_store

PANEL = "nbtrack-panel"
INSPECTOR = "nbtrack-inspector"


def shown_in(page: Page, name: str) -> Locator:
    """One of our panels, brought to the front by its command."""
    command = {PANEL: "nbtrack:open-panel", INSPECTOR: "nbtrack:open-inspector"}[name]
    page.evaluate("(id) => window.jupyterapp.commands.execute(id)", command)
    panel = page.locator(f"#{name}")
    expect(panel).to_be_visible()
    return panel


def rows_of(place: Locator) -> Locator:
    return place.get_by_role("grid", name="Runs").locator("[role=row][data-run]")


def names_of(place: Locator) -> list[str]:
    read = "rows => rows.map((r) => [Number(r.ariaRowIndex), r.querySelector('.nbt-text').innerText])"
    return [name for _, name in sorted(rows_of(place).evaluate_all(read))]


TRAIN = """%%track {name}
C = {C}
accuracy = {accuracy}"""


def picture(page: Page, root: Path, name: str) -> None:
    """Keep a picture for people to look at, where they asked for it."""
    if os.environ.get("NBTRACK_SCREENSHOTS"):
        folder = root / "docs" / "images"
        page.screenshot(path=folder / f"{name}.png")


def test_inspector_follows_the_cell_and_tells_what_changed(
    new_notebook: Callable[..., Any], page: Page, root: Path
) -> None:
    notebook = new_notebook("%load_ext nbtrack", TRAIN.format(name="fit", C=0.1, accuracy=0.8), "1 + 1")
    notebook.run_cell(0)
    notebook.run_cell(1)
    inspector = shown_in(page, INSPECTOR)
    notebook.select(1)
    steps = inspector.locator("[data-nbt=history-step]")
    expect(steps).to_have_count(1)
    expect(steps).to_contain_text("first run")
    notebook.run_cell(1)
    expect(steps).to_have_count(1)
    expect(steps).to_contain_text("×2")
    page.evaluate(
        """(source) => [...window.jupyterapp.shell.widgets('main')].find((w) => w.content?.widgets)
          .content.widgets[1].model.sharedModel.setSource(source)""",
        TRAIN.format(name="fit", C=3.0, accuracy=0.9),
    )
    notebook.run_cell(1)
    notebook.select(1)
    expect(steps).to_have_count(2)
    expect(steps.first).to_contain_text("code changed")
    expect(steps.first).to_contain_text(re.compile(r"C\s*0\.1\s*→\s*3\.0"))
    expect(steps.first).to_contain_text("▲ 0.1")
    picture(page, root, "inspector")
    notebook.select(2)
    expect(inspector.locator("[data-nbt=empty]")).to_contain_text("No run of this cell yet")
    expect(inspector.locator("[data-nbt=track-cell]")).to_be_visible()
    inspector.locator("[data-nbt=track-cell]").click()
    expect(inspector.get_by_text("tracked", exact=True)).to_be_visible()
    assert notebook.source(2).startswith("%%track")
    status = page.locator("#jp-main-statusbar [data-nbt=status-item]")
    expect(status).to_contain_text("fit: accuracy 0.9")


def test_panels_and_tabs_come_back_after_a_reload_without_a_kernel(
    demo: Any, open_notebook: Callable[..., Any], page: Page
) -> None:
    notebook = open_notebook(demo.notebook, kernel=False, fresh=True)
    panel = shown_in(page, PANEL)
    expect(rows_of(panel)).to_have_count(3)
    notebook.command("nbtrack:compare")
    tab = page.locator(".nbt-host-main")
    expect(rows_of(tab)).to_have_count(3)
    page.evaluate("async () => { await window.jupyterapp.serviceManager.workspaces.list(); }")
    page.wait_for_timeout(1500)  # JupyterLab saves its layout a second after the last change, and says so nowhere
    page.goto(page.url.replace("reset&", "").replace("?reset", "?"))
    notebook.wait(False)
    expect(rows_of(page.locator(".nbt-host-main"))).to_have_count(3)
    expect(page.locator(f"#{PANEL}")).to_be_visible()


def test_runs_are_handled_by_menu_commands_and_keys(demo: Any, open_notebook: Callable[..., Any], page: Page) -> None:
    notebook = open_notebook(demo.notebook, kernel=False)
    panel = shown_in(page, PANEL)
    rows = rows_of(panel)
    expect(rows).to_have_count(3)
    first = names_of(panel)[0]
    rows.filter(has_text=first).first.click(button="right")
    menu = page.locator(".lm-Menu")
    expect(menu.get_by_text("Move the Run to the Trash")).to_be_visible()
    assert menu.get_by_text("Restore the Run").count() == 0
    menu.get_by_text("Show Other Runs against this Run").click()
    expect(rows.first).to_contain_text("baseline")
    expect(panel.locator(".nbt-delta").first).to_be_visible()
    rows.filter(has_text=first).first.click(button="right")
    page.locator(".lm-Menu").get_by_text("Move the Run to the Trash").click()
    expect(rows).to_have_count(2)
    notebook.command("nbtrack:toggle-trash")
    expect(rows).to_have_count(1)
    rows.first.click(button="right")
    page.locator(".lm-Menu").get_by_text("Restore the Run").click()
    expect(panel.locator("[data-nbt=empty]")).to_contain_text("The trash is empty")
    notebook.command("nbtrack:toggle-trash")
    expect(rows).to_have_count(3)
    name = rows.filter(has_text=first).first.get_by_role("rowheader")
    name.dblclick()
    field = panel.locator("[data-nbt=cell-input]")
    field.fill("champion")
    field.press("Enter")
    expect(rows.filter(has_text="champion")).to_have_count(1)
    names = {run.info.run_name for run in open_store(demo.folder / ".nbtrack", create=False).search_runs()}
    assert "champion" in names


# What the palette lists; it closes as soon as anything else takes the focus, so it is opened until it was read.
PALETTE = """async () => {
  for (let i = 0; i < 100; i++) {
    await window.jupyterapp.commands.execute('apputils:activate-command-palette');
    const labels = [...document.querySelectorAll('.lm-CommandPalette-itemLabel')];
    if (labels.length > 0) return labels.map((one) => one.textContent);
    await new Promise((done) => setTimeout(done, 50));
  }
  return [];
}"""


def test_every_command_is_in_the_palette_and_takes_no_shortcut_from_another(
    demo: Any, open_notebook: Callable[..., Any], page: Page
) -> None:
    notebook = open_notebook(demo.notebook, kernel=False)
    notebook.select(notebook.cells_with("%%track")[0])
    found = page.evaluate(
        """() => {
          const { commands } = window.jupyterapp;
          const ours = commands.listCommands().filter((id) => id.startsWith('nbtrack:'));
          const keys = commands.keyBindings.map((b) => [b.command, b.keys.join(' ')]);
          const mine = keys.filter(([id]) => id.startsWith('nbtrack:'));
          const clashes = mine.filter(([id, key]) => keys.some(([other, k]) => other !== id && k === key));
          return { ours, mine, clashes, labels: ours.map((id) => commands.label(id)) };
        }"""
    )
    assert found["clashes"] == []
    assert {key for _, key in found["mine"]} == {"Alt Shift T", "Alt Shift R", "Alt Shift I"}
    assert all(found["labels"])
    said = set(page.evaluate(PALETTE))
    palette = {label for id_, label in zip(found["ours"], found["labels"], strict=True) if id_ != "nbtrack:restore-run"}
    assert palette <= said


SLOW_TRAINING = """%%track slow
import time, nbtrack
for step in range(400):
    nbtrack.log_metric('loss', 1 / (step + 1), step=step)
    time.sleep(0.05)"""


def test_panel_shows_new_points_while_the_kernel_is_busy_and_keeps_what_the_user_did(
    new_notebook: Callable[..., Any], page: Page, folder: Path
) -> None:
    store = open_store(folder / ".nbtrack")
    for i in range(60):
        run = store.create_run(run_name=f"old-{i}")
        run.log_params({"n": i})
        run.log_metrics({"loss": 2.0 + i})
        run.end()
    notebook = new_notebook("%load_ext nbtrack", SLOW_TRAINING)
    notebook.run_cell(0)
    panel = shown_in(page, PANEL)
    expect(panel.get_by_role("grid", name="Runs")).to_have_attribute("aria-rowcount", "61")
    frame = panel.locator(".nbt-grid-frame")
    frame.evaluate("(e) => { e.scrollTop = 700; }")
    notebook.select(1)
    page.evaluate("() => { void window.jupyterapp.commands.execute('notebook:run-cell'); }")
    expect(panel.get_by_role("grid", name="Runs")).to_have_attribute("aria-rowcount", "62")
    assert frame.evaluate("(e) => e.scrollTop") == 700
    expect(page.locator("#jp-main-statusbar [data-nbt=status-item]")).to_contain_text("1 run is running")
    frame.evaluate("(e) => { e.scrollTop = 0; }")
    row = rows_of(panel).filter(has_text="slow")
    expect(row).to_contain_text("Running")
    index = panel.locator("[role=columnheader][data-key=loss]").get_attribute("data-column")
    loss = row.locator(f"[data-column='{index}'] .nbt-text")
    before = float(loss.inner_text())
    page.wait_for_function("([e, v]) => Number(e.innerText) < v", arg=[loss.element_handle(), before])
    notebook.command("notebook:interrupt-kernel")
    expect(row).to_contain_text("Interrupted")


@pytest.fixture
def sweep(folder: Path) -> Path:
    """A folder with a notebook and a store of 3,000 runs of 40 params: too large for one answer."""
    store = open_store(folder / ".nbtrack")
    for i in range(3000):
        run = store.create_run(run_name=f"trial-{i}", start_time_ms=1_700_000_000_000 + i)
        run.log_params({f"p{k}": (i * (k + 3)) % 97 for k in range(40)})
        run.log_metrics({"loss": (i * 37) % 3000})
        run.end()
    return folder


def test_large_store_is_sorted_filtered_and_scrolled_block_by_block(
    sweep: Path, new_notebook: Callable[..., Any], page: Page
) -> None:
    sizes: list[int] = []

    def measure(response: Any) -> None:
        if "nbtrack/api/call" in response.url:
            sizes.append(len(response.body()))

    page.on("response", measure)
    new_notebook("1", kernel=False)
    panel = shown_in(page, PANEL)
    grid = panel.get_by_role("grid", name="Runs")
    expect(grid).to_have_attribute("aria-rowcount", "3001")
    page.evaluate("(id) => window.jupyterapp.commands.execute('nbtrack:compare')", "")
    tab = page.locator(".nbt-host-main")
    expect(rows_of(tab).first).to_contain_text("trial-2999")
    tab.locator("[role=columnheader][data-key=loss]").click()
    expect(rows_of(tab).first).to_contain_text("trial-0")
    tab.locator("[data-nbt=filter]").fill("metrics.loss >= 2990 AND params.p3 > 10")
    expect(tab.locator("[data-nbt=count]")).to_contain_text("of 3000 runs")
    tab.locator("[data-nbt=filter]").fill("trial-123")
    expect(rows_of(tab).first).to_contain_text("trial-123")
    tab.locator("[data-nbt=filter]").fill("")
    expect(tab.locator("[data-nbt=count]")).to_have_text("3000 runs")
    frame = tab.locator(".nbt-grid-frame")
    frame.evaluate("(e) => { e.scrollTop = 28 * 1500; }")
    expect(tab.locator("[role=row][aria-rowindex='1510'][data-run]")).to_be_visible()
    frame.evaluate("(e) => { e.scrollLeft = 2000; }")
    expect(tab.locator("[role=columnheader][data-key=p39], [role=columnheader][data-key=p9]").first).to_be_visible()
    assert page.locator(".nbt-host-main .nbt-row").count() <= 200
    page.remove_listener("response", measure)
    assert max(sizes) < 400_000, sizes


def test_kernel_without_nbtrack_is_told_in_the_panel(
    new_notebook: Callable[..., Any], page: Page, folder: Path
) -> None:
    hide = "import sys\nfor name in [m for m in sys.modules if m.split('.')[0] == 'nbtrack']: del sys.modules[name]\n"
    notebook = new_notebook(hide + "sys.modules['nbtrack'] = None", "1 + 1")
    panel = shown_in(page, PANEL)
    notebook.run_cell(0)
    notebook.select(1)
    notebook.command("nbtrack:toggle-track")
    expect(panel.locator("[data-nbt=mismatch]")).to_contain_text("The kernel has no nbtrack")
    assert json.loads(json.dumps(notebook.source(1))).startswith("%%track")
