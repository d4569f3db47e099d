"""The table by keys alone: whatever a key takes away or moves, the next key goes on from there."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

import nbtrack
from nbtrack.store.base import Store


@pytest.fixture
def page(store: Store, store_page: Any) -> Page:
    for i in range(4):
        with nbtrack.start_run(run_name=f"net-{i}"):
            nbtrack.log_params({"lr": 0.1 / (i + 1), "kind": "ab"[i % 2]})
            nbtrack.log_metrics({"accuracy": 0.8 + i / 50, "loss": 1 / (i + 1)})
    opened: Page = store_page.open("compare")
    expect(opened.locator("[data-nbt=count]")).to_have_text("4 runs")
    return opened


def tab_to(page: Page, selector: str, key: str = "Tab") -> None:
    for _ in range(60):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press(key)
    pytest.fail(f"{key} does not reach {selector}")


def test_run_is_renamed_trashed_and_brought_back_without_losing_the_focus(page: Page) -> None:
    tab_to(page, "[role=columnheader], [role=rowheader], [role=gridcell]")
    page.keyboard.press("Control+Home")
    names = page.get_by_role("grid", name="Runs").get_by_role("rowheader")
    name = names.filter(has_text="net-3")
    expect(name).to_be_focused()
    page.keyboard.press("F2")
    expect(page.locator("[data-nbt=cell-input]")).to_be_focused()
    page.keyboard.type("half")
    page.keyboard.press("Escape")
    expect(name).to_be_focused()
    page.keyboard.press("F2")
    page.keyboard.type("best")
    page.keyboard.press("Enter")
    best = names.filter(has_text="best")
    expect(best).to_be_focused()
    page.keyboard.press("Delete")
    expect(best).to_have_count(0)
    expect(names.filter(has_text="net-2")).to_be_focused()
    tab_to(page, "[data-nbt=undo-trash]", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-nbt=count]")).to_have_text("4 runs")
    expect(page.locator("body")).not_to_be_focused()


def test_columns_stay_in_their_places_and_tab_stays_in_the_popup(page: Page) -> None:
    tab_to(page, "[data-nbt=choose-columns]")
    page.keyboard.press("Enter")
    search = page.locator("[data-nbt=search-columns]")
    expect(search).to_be_focused()
    tab_to(page, "[data-nbt=column] input")
    ids = "lines => lines.map((line) => line.dataset.id)"
    lines = page.locator("[data-nbt=column]")
    before = lines.evaluate_all(ids)
    box = lines.first.locator("input")
    page.keyboard.press("Space")
    expect(box).not_to_be_checked()
    expect(box).to_be_focused()
    assert lines.evaluate_all(ids) == before
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    search.focus()
    page.keyboard.press("Shift+Tab")
    expect(page.locator("[data-nbt=reset-columns]")).to_be_focused()
    page.keyboard.press("Tab")
    expect(search).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("[data-nbt=choose-columns]")).to_be_focused()


def test_view_is_saved_and_deleted_and_the_popup_keeps_the_focus(page: Page) -> None:
    tab_to(page, "[data-nbt=saved-views]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-nbt=view-name]")).to_be_focused()
    page.keyboard.type("mine")
    page.keyboard.press("Enter")
    expect(page.locator("[data-nbt=use-view]")).to_have_text("mine")
    tab_to(page, "[data-nbt=delete-view]", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-nbt=use-view]")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("[data-nbt=views]")).to_have_count(0)
    expect(page.locator("[data-nbt=saved-views]")).to_be_focused()
