"""What a user clicks, in the order in which a newcomer clicks it."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

PANEL = "nbtrack-panel"
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
VIEW_MIME = "application/vnd.nbtrack.view+json"


def grid_in(place: Locator) -> Locator:
    """The table of runs in a place."""
    return place.get_by_role("grid", name="Runs")


def column_of(grid: Locator, key: str) -> list[str]:
    """What a table shows below the heading `key`, from top to bottom."""
    index = grid.locator(f"[role=columnheader][data-key='{key}']").get_attribute("data-column")
    cells = grid.locator(f"[role=row][data-run] [data-column='{index}']")
    read = "cells => cells.map((c) => [Number(c.dataset.row), c.querySelector('.nbt-text').innerText])"
    places = cells.evaluate_all(read)
    return [text for _, text in sorted(places)]


def numbers(texts: list[str]) -> list[float]:
    return [float(text) for text in texts]


def open_panel(page: Page) -> Locator:
    """Click the icon in JupyterLab's left sidebar."""
    page.locator(f".jp-SideBar .lm-TabBar-tab[data-id='{PANEL}']").click()
    panel = page.locator(f"#{PANEL}")
    expect(panel.get_by_role("tab", name="Runs", exact=False)).to_be_visible()
    return panel


def ask(url: str, body: str, content_type: str) -> list[Any]:
    """Send one scoring request, as any program would."""
    request = urllib.request.Request(f"{url}/invocations", body.encode(), {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: list[Any] = json.load(answer)["predictions"]
        return found


def five_wines() -> Any:
    """The five wines of which the first notebook asks the served model."""
    from sklearn.datasets import load_wine
    from sklearn.model_selection import train_test_split

    X, y = load_wine(return_X_y=True, as_frame=True)
    return train_test_split(X, y, test_size=0.4, stratify=y, random_state=3)[1].head(5)


def test_first_notebook_run_in_lab_shows_cards_and_a_table_that_sorts(
    folder: Path, root: Path, open_notebook: Callable[..., Any], page: Page
) -> None:
    file = folder / "01-first-run.ipynb"
    file.write_bytes((root / "notebooks" / "01-first-run.ipynb").read_bytes())
    notebook = open_notebook(file)
    notebook.run_all()

    tracked = notebook.cells_with("%%track")
    assert len(tracked) == 3
    for index, name in zip(tracked, ["one-narrow-tree", "one-tree", "forest"], strict=True):
        notebook.scroll_to(index)
        card = page.get_by_role("region", name=f"Run {name}")
        expect(card).to_be_visible()
        expect(card.locator("[data-nbt=metric][data-key=accuracy]")).to_be_visible()
        expect(card.locator("[data-nbt=param][data-key=n_estimators]")).to_be_visible()

    (shown,) = notebook.cells_with("nbtrack.compare()")
    notebook.scroll_to(shown)
    grid = grid_in(page.locator(".jp-Notebook"))
    expect(grid.locator("[role=row][data-run]")).to_have_count(3)
    heading = grid.locator("[role=columnheader][data-key=accuracy]")
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    once = numbers(column_of(grid, "accuracy"))
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    again = numbers(column_of(grid, "accuracy"))
    assert once == sorted(once, reverse=True)
    assert again == sorted(again)
    assert once[0] > once[-1]
    assert column_of(grid, "max_features") != []

    saved = notebook.saved()
    assert "widgets" not in saved["metadata"]
    cells = [cell for cell in saved["cells"] if "nbtrack.compare()" in cell["source"]]
    data = cells[0]["outputs"][-1]["data"]
    assert VIEW_MIME in data
    html = "".join(data["text/html"])
    assert "one-narrow-tree" in html
    assert "forest" in html
    assert "<script" not in html


def test_panel_registers_promotes_serves_and_predicts_like_the_notebook(
    demo: Any, open_notebook: Callable[..., Any], page: Page
) -> None:
    open_notebook(demo.notebook)
    panel = open_panel(page)
    grid = grid_in(panel)
    expect(grid.locator("[role=row][data-run]")).to_have_count(3)
    grid.locator("[role=row][data-run]").filter(has_text="forest").get_by_role("rowheader").click()
    card = panel.get_by_role("region", name="Run forest")
    expect(card).to_be_visible()

    card.get_by_role("button", name="Register", exact=True).click()
    form = card.locator("[data-nbt=register-form]")
    form.get_by_label("Register as").fill("wine")
    form.get_by_role("button", name="Register", exact=True).click()
    expect(card.locator("[data-nbt=registered]")).to_contain_text("Registered as wine version 3")

    card.get_by_role("button", name="Promote to Staging").click()
    preview = card.locator("[data-nbt=preview]")
    expect(preview.locator("[data-nbt=moves] li")).to_have_count(2)
    preview.get_by_label("Note for the history").fill("best of three")
    preview.get_by_role("button", name="Move to Staging").click()
    expect(card.locator("[data-nbt=promoted]")).to_contain_text("Staging")

    card.get_by_role("button", name="Serve", exact=True).click()
    server = card.get_by_role("region", name="Model server on port")
    expect(server.locator("[data-nbt=url]")).to_be_visible()
    url = server.locator("[data-nbt=url]").inner_text()
    wines, expected = five_wines(), demo.report["predictions"]["notebook"]
    assert ask(url, wines.to_csv(index=False), "text/csv") == expected
    split = json.dumps({"dataframe_split": wines.to_dict(orient="split", index=False)})
    assert ask(url, split, "application/json") == expected

    server.get_by_role("button", name="As JSON").click()
    server.get_by_label("Request body as JSON").fill(split)
    server.get_by_role("button", name="Predict").click()
    expect(server.locator("[data-nbt=answer-status]")).to_contain_text("200")
    assert json.loads(server.locator("[data-nbt=answer]").inner_text())["predictions"] == expected

    panel.get_by_role("tab", name="Models").click()
    model = panel.locator("[data-nbt=model][data-name=wine]")
    expect(model.locator("[data-nbt=version] [data-nbt=stage]").first).to_have_text("Staging")
    model.get_by_role("button", name="History").click()
    expect(model.locator("[data-nbt=commit]").first).to_contain_text("best of three")

    panel.get_by_role("tab", name="Servers").click()
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("No model is served")).to_be_visible()
    with pytest.raises(OSError, match=r"refused|reset|disconnected"):
        ask(url, split, "application/json")


def test_panel_promotion_moves_the_former_version_back_and_undo_restores_it(
    demo: Any, open_notebook: Callable[..., Any], page: Page
) -> None:
    open_notebook(demo.notebook)
    panel = open_panel(page)
    panel.get_by_role("tab", name="Models").click()
    model = panel.locator("[data-nbt=model][data-name=wine]")
    stage = {v: model.locator(f"[data-nbt=version][data-version='{v}'] [data-nbt=stage]").first for v in (1, 2)}
    expect(stage[2]).to_have_text("Staging")
    row = model.locator("[data-nbt=version][data-version='1']")
    row.get_by_role("button", name="Promote to Staging").click()
    moves = row.locator("[data-nbt=preview] [data-nbt=moves] li")
    expect(moves).to_have_count(2)
    row.get_by_role("button", name="Move to Staging").click()
    expect(row.locator("[data-nbt=promoted]")).to_be_visible()
    expect(stage[1]).to_have_text("Staging")
    expect(stage[2]).to_have_text("no stage")
    row.get_by_role("button", name="Undo").click()
    expect(stage[2]).to_have_text("Staging")
    expect(stage[1]).to_have_text("no stage")


def test_reload_after_kernel_shutdown_still_shows_the_comparison(
    demo: Any, open_notebook: Callable[..., Any], page: Page
) -> None:
    notebook = open_notebook(demo.notebook, fresh=True)
    (shown,) = notebook.cells_with("nbtrack.compare()")
    notebook.run_cell(notebook.cells_with("%load_ext")[0])
    notebook.run_cell(shown)
    notebook.scroll_to(shown)
    expect(grid_in(page.locator(".jp-Notebook")).locator("[role=row][data-run]")).to_have_count(3)
    notebook.saved()
    notebook.command("kernelmenu:shutdown")
    notebook.reload(kernel=False)
    notebook.scroll_to(shown)
    grid = grid_in(page.locator(".jp-Notebook"))
    expect(grid.locator("[role=row][data-run]")).to_have_count(3)
    expect(page.get_by_text("Error displaying widget")).to_have_count(0)
    heading = grid.locator("[role=columnheader][data-key=accuracy]")
    heading.click()
    assert numbers(column_of(grid, "accuracy")) == sorted(numbers(column_of(grid, "accuracy")), reverse=True)


def test_notebook_opened_without_any_kernel_shows_a_live_comparison(
    demo: Any, open_notebook: Callable[..., Any], page: Page, lab: Any
) -> None:
    content = json.loads(demo.notebook.read_text(encoding="utf-8"))
    # As a colleague's would be: of a kernel that is not here, and not signed by us.
    content["metadata"] = {"kernelspec": {"name": "away", "display_name": "Away", "language": "other"}}
    demo.notebook.write_text(json.dumps(content), encoding="utf-8")
    notebook = open_notebook(demo.notebook, kernel=False)
    choice = page.locator(".jp-Dialog")
    choice.locator("select").select_option(label="No Kernel")
    choice.get_by_role("button", name="Select").click()
    (shown,) = notebook.cells_with("nbtrack.compare()")
    notebook.scroll_to(shown)
    grid = grid_in(page.locator(".jp-Notebook"))
    expect(grid.locator("[role=row][data-run]")).to_have_count(3)
    heading = grid.locator("[role=columnheader][data-key=accuracy]")
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert lab.sessions() == []


def test_track_button_in_the_cell_toolbar_makes_the_next_run_of_a_cell_tracked(
    new_notebook: Callable[..., Any], page: Page
) -> None:
    notebook = new_notebook("rate = 0.5\naccuracy = 1 - rate / 10", "1 + 1")
    notebook.select(0)
    button = page.locator(".jp-cell-toolbar [data-jp-item-name='nbtrack-track']")
    button.get_by_role("button").click()
    expect(page.locator(".jp-Notebook .cm-content").first).to_contain_text("%%track")
    assert notebook.source(0).startswith("%%track\n")
    notebook.run_cell(0)
    card = page.locator("[data-nbt=run-card]")
    expect(card.locator("[data-nbt=metric][data-key=accuracy]")).to_contain_text("0.95")
    expect(card.locator("[data-nbt=param][data-key=rate]")).to_contain_text("0.5")
    notebook.select(0)
    button.get_by_role("button").click()
    assert notebook.source(0).startswith("rate = 0.5")


def test_raising_cell_keeps_its_traceback_and_the_next_run_works(new_notebook: Callable[..., Any], page: Page) -> None:
    notebook = new_notebook(
        "%load_ext nbtrack",
        "%%track broken\nrate = 0.5\nraise ValueError('no luck today')",
        "%%track fine\naccuracy = 0.75",
    )
    for index in range(3):
        notebook.run_cell(index)
    expect(page.locator(".jp-Notebook").get_by_text("ValueError: no luck today").first).to_be_visible()
    broken, fine = (page.get_by_role("region", name=f"Run {name}") for name in ("broken", "fine"))
    expect(broken).to_contain_text(re.compile("failed", re.IGNORECASE))
    expect(fine).to_contain_text(re.compile("finished", re.IGNORECASE))
    panel = open_panel(page)
    expect(grid_in(panel).locator("[role=row][data-run]")).to_have_count(2)
    expect(grid_in(panel).locator("[role=row][data-run]").filter(has_text="broken")).to_contain_text(
        "failed", ignore_case=True
    )


def test_panel_follows_the_store_that_the_notebook_chose(new_notebook: Callable[..., Any], page: Page) -> None:
    notebook = new_notebook(
        "%load_ext nbtrack",
        "%%track here\naccuracy = 0.5",
        "import nbtrack\nnbtrack.set_tracking_uri('elsewhere')",
        "%%track there\naccuracy = 0.75",
    )
    for index in range(2):
        notebook.run_cell(index)
    runs = grid_in(open_panel(page)).locator("[role=row][data-run]")
    expect(runs).to_have_text(re.compile("here"))
    for index in range(2, 4):
        notebook.run_cell(index)
    expect(runs).to_have_count(1)
    expect(runs).to_have_text(re.compile("there"))
    panel = page.locator(f"#{PANEL}")
    panel.locator("[data-nbt=choose-stores]").click()
    other = f"[data-nbt=store-choice][data-path='{notebook.file.parent.name}/.nbtrack'] input"
    panel.locator(other).check()
    expect(runs).to_have_count(2)
    expect(grid_in(panel)).to_contain_text("here")
    panel.locator(other).uncheck()
    expect(runs).to_have_count(1)
    page.keyboard.press("Escape")
    page.locator("#jp-main-statusbar [data-nbt=status-item]").click()
    recent = page.locator("[data-nbt=recent-run]")
    expect(recent).to_have_text(re.compile("Finished.*there.*accuracy 0.75"))
    recent.click()
    expect(page.locator(".nbt-host-main [data-nbt=run-detail]")).to_contain_text("there")


HOSTILE = """<img src=x onerror="window.__canary=1"><script>window.__canary=2</script>'"&amp;{{7*7}}"""


def test_hostile_names_are_shown_as_text_everywhere(new_notebook: Callable[..., Any], page: Page) -> None:
    hostile = f"""import nbtrack
with nbtrack.start_run(run_name={HOSTILE!r}) as run:
    nbtrack.log_param('key<b>', {HOSTILE!r})
    nbtrack.log_metric('acc<i>x', 0.5)
    nbtrack.set_tag('t<u>', {HOSTILE!r})"""
    plain = """with nbtrack.start_run(run_name='plain'):
    nbtrack.log_param('key<b>', 'other')
    nbtrack.log_metric('acc<i>x', 0.6)"""
    notebook = new_notebook(hostile, plain, "nbtrack.compare()", "nbtrack.compare(run.run_id)\nrun", fresh=True)
    notebook.run_all()
    notebook.scroll_to(2)
    expect(grid_in(page.locator(".jp-Notebook")).first.get_by_text("<img src=x onerror=").first).to_be_visible()
    panel = open_panel(page)
    row = grid_in(panel).locator("[role=row][data-run]").filter(has_text="<img src=x")
    row.get_by_role("rowheader").click()
    expect(panel.locator("[data-nbt=run-name]")).to_have_text(HOSTILE)
    notebook.saved()
    notebook.reload()
    notebook.scroll_to(3)
    expect(page.locator(".jp-Notebook").get_by_text("<img src=x onerror=").first).to_be_visible()
    assert page.evaluate("window.__canary") is None
    assert page.locator(".jp-Notebook .nbt img, .jp-OutputArea-output img[src='x'], #nbtrack-panel img").count() == 0


def test_keyboard_alone_opens_the_panel_sorts_and_selects_a_run(
    demo: Any, open_notebook: Callable[..., Any], page: Page
) -> None:
    open_notebook(demo.notebook)
    page.keyboard.press("Control+Shift+C")
    palette = page.get_by_role("dialog") if page.get_by_role("dialog").count() else page.locator(".lm-CommandPalette")
    expect(palette.first).to_be_visible()
    page.keyboard.type("Show Runs & Models")
    page.keyboard.press("Enter")
    grid = grid_in(page.locator(f"#{PANEL}"))
    expect(grid.locator("[role=row][data-run]")).to_have_count(3)
    grid.locator("[tabindex='0']").first.focus()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Enter")
    card = page.locator(f"#{PANEL} [data-nbt=run-card]")
    expect(card).to_be_visible()


THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


@pytest.mark.parametrize("theme", THEMES)
def test_readme_pictures_show_the_comparison_and_the_panel(
    demo: Any, open_notebook: Callable[..., Any], page: Page, root: Path, tmp_path: Path, theme: str
) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    notebook = open_notebook(demo.notebook)
    notebook.command("apputils:change-theme", theme=THEMES[theme])
    page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=THEMES[theme])
    notebook.run_cell(notebook.cells_with("%load_ext")[0])
    (shown,) = notebook.cells_with("nbtrack.compare()")
    notebook.run_cell(shown)
    panel = open_panel(page)
    grid_in(panel).locator("[role=row][data-run]").filter(has_text="forest").get_by_role("rowheader").click()
    expect(panel.get_by_role("region", name="Run forest")).to_be_visible()
    notebook.select(shown)
    notebook.scroll_to(shown)
    inline = page.locator(".jp-Notebook [data-nbt=compare]")
    expect(inline).to_be_visible()
    colours = inline.evaluate("(e) => [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]")
    assert luminance(colours[0]) < 0.5 if theme == "light" else luminance(colours[0]) > 0.5
    # Only on demand: a test run must not change tracked files.
    pictures = root / "docs" / "images" if os.environ.get("NBTRACK_SCREENSHOTS") else tmp_path
    pictures.mkdir(parents=True, exist_ok=True)
    picture = pictures / f"compare-{theme}.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000


def luminance(colour: str) -> float:
    """The brightness of a computed colour, from 0 to 1."""
    red, green, blue = (float(part) for part in re.findall(r"[\d.]+", colour)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255
