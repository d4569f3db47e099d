"""A cell that takes long: its card while it runs, when it is stopped, when its kernel dies, and when it goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from nbtrack.entities import TAG_RESUMED
from nbtrack.store import open_store

from .conftest import NotebookPage

LOAD = "%load_ext nbtrack\nimport nbtrack, os, time\nopen('pid', 'w').write(str(os.getpid()))"
LONG = """%%track long
lr = 0.1
for epoch in range(400):
    nbtrack.log_metric("loss", 1 / (epoch + 1))
    time.sleep(0.1)"""
GOES_ON = """%%track goes-on
for epoch in range(4 if os.path.exists('again') else 400):
    nbtrack.log_metric("loss", 1 / (epoch + 1))
    time.sleep(0.1)"""
RISKY = """%%track risky --alert "loss > 5"
while not os.path.exists('stop'):
    nbtrack.log_metric("loss", 9 if os.path.exists('go') else 0.1)
    time.sleep(0.1)"""
# Counts the updates of the card's output that reach the page, each with the time at which the kernel sent it.
COUNT = """() => {
  const panel = [...window.jupyterapp.shell.widgets('main')].find((w) => w.content?.widgets);
  window.nbtUpdates = [];
  panel.sessionContext.session.kernel.anyMessage.connect((_, { msg }) => {
    if (msg.header.msg_type !== 'update_display_data') return;
    window.nbtUpdates.push([Date.parse(msg.header.date), JSON.stringify(msg).length]);
  });
}"""


def start(page: Page, notebook: NotebookPage, index: int) -> None:
    """Run a cell without waiting for its end."""
    notebook.select(index)
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-cell')")


def card_of(page: Page, name: str) -> Locator:
    return page.locator(".jp-Notebook").get_by_role("region", name=f"Run {name}")


def step_of(card: Locator) -> int:
    """The last step that the card's curve shows."""
    found = re.search(r"steps 0 to (\d+)", card.locator("[data-nbt=curve]").inner_text())
    return int(found[1]) if found else -1


def test_running_card_shows_progress_and_curve_survives_a_reload_and_stops(
    new_notebook: Callable[..., NotebookPage], page: Page
) -> None:
    notebook = new_notebook(LOAD, LONG, fresh=True)
    notebook.run_cell(0)
    page.evaluate(COUNT)
    start(page, notebook, 1)
    card = card_of(page, "long")
    expect(card.locator("[data-nbt=progress-text]")).to_contain_text(
        re.compile(r"of 400 steps · .* so far · about .* left")
    )
    expect(card.locator("[data-nbt=curve][data-key=loss]")).to_be_visible()
    page.wait_for_function("() => window.nbtUpdates.length >= 15")
    updates = page.evaluate("() => window.nbtUpdates")
    assert (updates[-1][0] - updates[0][0]) / (len(updates) - 1) > 180  # ms: five a second, and no more
    assert max(size for _, size in updates) < 40_000

    seen = step_of(card)
    notebook.reload(kernel=False)  # unsaved, as when a tab is closed; the kernel is busy, and stays so
    notebook.scroll_to(1)
    card = card_of(page, "long")
    expect(card.locator("[data-nbt=curve][data-key=loss]")).to_be_visible()
    expect(card.locator("[data-nbt=progress-text]")).to_contain_text("of 400 steps")
    until = time.monotonic() + 20
    while step_of(card) <= seen and time.monotonic() < until:
        page.wait_for_timeout(200)
    assert step_of(card) > seen

    page.wait_for_function(
        """() => [...window.jupyterapp.shell.widgets('main')].find((w) => w.content?.widgets)
          .sessionContext.session?.kernel != null"""
    )
    card.get_by_role("button", name="Stop", exact=True).click()
    expect(card.locator(".nbt-status-killed")).to_be_visible()
    (run,) = open_store(notebook.file.parent / ".nbtrack").search_runs()
    assert run.info.status == "KILLED"


def test_alert_is_told_where_the_notebook_is_out_of_sight_and_stands_on_its_card(
    new_notebook: Callable[..., NotebookPage], page: Page
) -> None:
    notebook = new_notebook(LOAD, RISKY)
    folder = notebook.file.parent
    notebook.run_cell(0)
    start(page, notebook, 1)
    card = card_of(page, "risky")
    expect(card.locator("[data-nbt=progress-text]")).to_be_visible()
    status = page.locator("[data-nbt=status-item]")
    expect(status).to_contain_text("1 run is running")
    page.evaluate("() => void window.jupyterapp.commands.execute('launcher:create')")
    expect(card).not_to_be_visible()
    (folder / "go").touch()
    toast = page.locator(".Toastify__toast")
    expect(toast).to_contain_text("risky: loss > 5: loss is 9 at step")
    expect(status).to_contain_text("risky: loss > 5")
    toast.get_by_role("button", name="Show run").click()
    expect(page.locator("[data-nbt=run-detail] [data-nbt=alert]")).to_contain_text("loss > 5")
    (folder / "stop").touch()
    page.locator(".lm-TabBar-tab", has_text=notebook.file.name).first.click()
    notebook.scroll_to(1)
    expect(card.locator(".nbt-status-finished")).to_be_visible()
    expect(card.locator("[data-nbt=alert]")).to_have_text(re.compile("^Warning: loss > 5loss is 9 at step"))
    expect(toast).to_have_count(0)


def test_kernel_that_dies_leaves_its_curve_and_resume_goes_on_with_it(
    new_notebook: Callable[..., NotebookPage], page: Page
) -> None:
    notebook = new_notebook(LOAD, GOES_ON)
    folder = notebook.file.parent
    notebook.run_cell(0)
    start(page, notebook, 1)
    card = card_of(page, "goes-on")
    expect(card.locator("[data-nbt=curve][data-key=loss]")).to_be_visible()
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    died = time.monotonic()
    expect(card.locator(".nbt-status-crashed")).to_be_visible()
    assert time.monotonic() - died < 10
    store = open_store(folder / ".nbtrack")
    (crashed,) = store.search_runs()
    last = store.get_run(crashed.run_id).summaries["loss"].step
    assert last >= 5
    assert step_of(card) == last

    page.locator(".jp-Dialog .jp-mod-accept").click()  # JupyterLab says that the kernel died and is restarting
    page.wait_for_function(
        """() => [...window.jupyterapp.shell.widgets('main')].find((w) => w.content?.widgets)
          .sessionContext.session?.kernel?.status === 'idle'"""
    )
    (folder / "again").touch()
    notebook.run_cell(0)
    notebook.scroll_to(1)
    card.get_by_role("button", name="Resume").click()
    expect(card.locator(".nbt-status-finished")).to_be_visible()
    assert notebook.source(1).splitlines()[0] == f"%%track goes-on --resume {crashed.run_id}"
    new, old = store.search_runs()
    assert new.data.tags[TAG_RESUMED] == old.run_id
    assert store.get_run(new.run_id).summaries["loss"].step == last + 4
    expect(card.locator("[data-nbt=curve]")).to_contain_text(f"steps 0 to {last + 4}")


def test_chips_leave_a_param_out_of_the_next_run_and_pin_another(
    new_notebook: Callable[..., NotebookPage], page: Page
) -> None:
    cell = "%%track\nC = 1.0\nverbose_name = 'x'\nlate = [0.5][0]\naccuracy = abs(-0.5)"
    notebook = new_notebook(LOAD, cell, fresh=True)
    notebook.run_all()
    notebook.scroll_to(1)
    card = page.locator(".jp-Notebook [data-nbt=run-card]")
    left_out = card.locator("[data-nbt=param][data-key=verbose_name]")
    left_out.hover()
    left_out.locator("[data-nbt=unpin]").click()
    expect(left_out.locator("[data-nbt=unpin]")).to_have_attribute("aria-pressed", "true")
    pinned = card.locator("[data-nbt=metric][data-key=accuracy]")
    pinned.hover()
    pinned.locator("[data-nbt=pin]").click()
    expect(pinned.locator("[data-nbt=pin]")).to_have_attribute("aria-pressed", "true")
    notebook.run_cell(1)
    expect(card.locator("[data-nbt=param][data-key=C]")).to_be_visible()
    expect(card.locator("[data-nbt=param][data-key=verbose_name]")).to_have_count(0)
    card.locator("[data-nbt=captured] summary").click()
    expect(card.locator("[data-nbt=captured]")).to_contain_text("param verbose_name (unpinned)")
    newest, first = open_store(notebook.file.parent / ".nbtrack").search_runs()
    assert "verbose_name" in first.data.params
    assert "verbose_name" not in newest.data.params
    saved = notebook.saved()
    assert set(saved["metadata"]) == {"kernelspec", "language_info"}
    assert all("pins" not in json.dumps(one["metadata"]) for one in saved["cells"])
