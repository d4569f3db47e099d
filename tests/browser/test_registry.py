"""Registered models in a real panel: gates, the question before Production, a conflict, stages as columns."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from nbtrack import registry
from nbtrack.store import open_store
from nbtrack.store.base import Store

PANEL = "nbtrack-panel"


def open_models(page: Page) -> Locator:
    page.locator(f".jp-SideBar .lm-TabBar-tab[data-id='{PANEL}']").click()
    panel = page.locator(f"#{PANEL}")
    panel.get_by_role("tab", name="Models").click()
    model = panel.locator("[data-nbt=model][data-name=wine]")
    expect(model).to_be_visible()
    return model


def store_of(demo: Any) -> Store:
    return open_store(Path(demo.notebook).parent / ".nbtrack", create=False)


def column(model: Locator, stage: str) -> Locator:
    return model.locator(f"[data-nbt=board] [data-stage='{stage}'] button")


def shoot(page: Page, name: str) -> None:
    """Keep a picture where somebody asks for pictures."""
    if folder := os.environ.get("SHOTS_DIR"):
        page.screenshot(path=f"{folder}/{name}.png")


def test_panel_gate_refuses_with_both_numbers_and_production_is_asked_for(
    demo: Any, open_notebook: Callable[..., Any], page: Page
) -> None:
    store = store_of(demo)
    registry.set_gates("wine", "Production", ["accuracy >= 2"], store=store)
    open_notebook(demo.notebook)
    model = open_models(page)
    expect(column(model, "Staging")).to_have_text("v2")
    row = model.locator("[data-nbt=version][data-version='2']")
    row.get_by_role("button", name="Promote to Production").click()
    gate = row.locator("[data-nbt=gates] li")
    expect(gate).to_contain_text("asked is >= 2")
    expect(gate).to_contain_text("v2 has accuracy 0.9")
    expect(row.get_by_role("button", name="Move to Production")).to_have_attribute("aria-disabled", "true")
    shoot(page, "gate")
    row.get_by_role("button", name="Cancel").click()

    model.get_by_role("button", name="Gates").click()
    production = model.locator("[data-nbt=stage-gates][data-stage=Production]")
    production.get_by_role("button", name="Edit").click()
    production.locator("textarea").fill("accuracy >= 0.5")
    production.get_by_role("button", name="Save").click()
    expect(production.locator("code")).to_have_text("accuracy >= 0.5")

    row.get_by_role("button", name="Promote to Production").click()
    expect(row.locator("[data-nbt=gates] li")).to_have_attribute("data-passed", "true")
    row.get_by_role("button", name="Move to Production").click()
    dialog = page.get_by_role("dialog", name="Move wine v2 to Production?")
    expect(dialog).to_be_visible()
    shoot(page, "dialog")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert registry.get_version("wine", 2, store=store).current_stage == "Staging"
    row.get_by_role("button", name="Move to Production").click()
    dialog.get_by_role("button", name="Move to Production").click()
    expect(row.locator("[data-nbt=promoted]")).to_contain_text("Production")
    expect(column(model, "Production")).to_have_text("v2")
    row.get_by_role("button", name="Undo").click()
    expect(column(model, "Staging")).to_have_text("v2")
    expect(column(model, "Production")).to_have_count(0)


def test_panel_conflict_tells_who_was_faster_and_how_that_version_differs(
    demo: Any, open_notebook: Callable[..., Any], page: Page
) -> None:
    store = store_of(demo)
    open_notebook(demo.notebook)
    model = open_models(page)
    row = model.locator("[data-nbt=version][data-version='1']")
    row.get_by_role("button", name="Promote to Production").or_(
        row.get_by_role("button", name="Promote to Staging")
    ).click()
    expect(row.locator("[data-nbt=preview] [data-nbt=moves]")).to_be_visible()
    # Somebody is faster by a blink: his commit is there when ours arrives, and before the page has heard of it.
    page.route("**/nbtrack/**", lambda route: _faster(route, store))
    row.get_by_role("button", name="Move to Staging").click()
    conflict = row.locator("[data-nbt=conflict]")
    expect(conflict).to_contain_text("Somebody else changed this model meanwhile")
    expect(conflict).to_contain_text("moved v2 to Production")
    shoot(page, "conflict")
    conflict.get_by_role("button", name="Look again").click()
    expect(row.locator("[data-nbt=preview] [data-nbt=moves]")).to_be_visible()
    assert registry.get_version("wine", 1, store=store).current_stage == "None"


def _faster(route: Any, store: Store) -> None:
    body = route.request.post_data or ""
    if '"promote"' in body and '"preview"' not in body:
        registry.promote("wine", 2, "Production", store=store)
    route.continue_()


def test_panel_compares_trashes_and_restores_versions(demo: Any, open_notebook: Callable[..., Any], page: Page) -> None:
    open_notebook(demo.notebook)
    model = open_models(page)
    model.get_by_role("button", name="Compare").click()
    expect(model.locator("[data-nbt=version-diff]")).to_contain_text("accuracy")
    shoot(page, "compare")
    row = model.locator("[data-nbt=version][data-version='1']")
    row.locator("select").select_option(label="the trash")
    expect(row).to_have_count(0)
    model.get_by_role("button", name="Restore v1").click()
    expect(row).to_be_visible()
