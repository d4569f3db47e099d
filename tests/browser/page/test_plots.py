"""Plots as they are drawn and used: real plotly, real brushes, real files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import nbtrack
from nbtrack.store import open_store
from nbtrack.store.base import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Twenty runs of a sweep, with a long curve each, for all tests of this file: they only look."""
    folder = tmp_path_factory.mktemp("plots") / "store"
    store = open_store(folder)
    for i in range(20):
        writer = store.create_run("0", f"net-{i:02d}", start_time_ms=1_795_000_000_000 + i)
        writer.log_params({"lr": 10.0 ** -(1 + i % 4), "kind": "ab"[i % 2]})
        for step in range(3000):
            spike = 5.0 if step == 1500 + i else 0.0
            writer.log_metric("loss", math.exp(-step / 500) + spike, step)
        writer.log_metric("accuracy", 0.5 + i / 50)
        writer.end()
    return store


def drawn(page: Page, kind: str) -> Any:
    page.locator(f"[data-nbt=plot-{kind}]").click()
    figure = page.locator(f"[data-nbt=figure][data-kind={kind}]")
    expect(figure).to_have_attribute("data-ready", "1")
    return figure


def test_plotly_comes_once_and_only_when_a_figure_is_shown(store_page: Any) -> None:
    asked: list[str] = []
    store_page.page.on("request", lambda request: asked.append(request.post_data or ""))
    page = store_page.open("compare")
    expect(page.locator("[data-nbt=chart]").first).to_be_visible()
    assert not any('"plotly"' in body for body in asked)
    for kind in ("scatter", "best", "importance"):
        expect(drawn(page, kind).locator(".main-svg").first).to_be_visible()
    assert sum('"plotly"' in body for body in asked) == 1


def test_keys_reach_every_plot_of_a_narrow_page(store_page: Any) -> None:
    store_page.page.set_viewport_size({"width": 400, "height": 900})
    page = store_page.open("compare")
    tabs = page.get_by_role("tablist", name="Plots")
    expect(tabs).to_be_visible()
    heights = tabs.locator("[role=tab]").evaluate_all("tabs => [...new Set(tabs.map((tab) => tab.offsetTop))]")
    assert len(heights) == 1, "the tabs stand in several rows"
    more = page.locator("[data-nbt=plot-more]")
    more.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu", name="Plots")).to_be_visible()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    matrix = page.locator("[data-nbt=plot-matrix]")
    expect(matrix).to_be_focused()
    expect(matrix).to_be_in_viewport()
    figure = page.locator("[data-nbt=figure][data-kind=matrix]")
    expect(figure).to_have_attribute("data-ready", "1")


def test_brush_on_an_axis_filters_the_table_and_clearing_it_shows_all_again(store_page: Any) -> None:
    page = store_page.open("compare")
    count = page.locator("[data-nbt=count]")
    expect(count).to_have_text("20 runs")
    figure = drawn(page, "parallel")
    figure.scroll_into_view_if_needed()
    bars = figure.locator(".parcoords .y-axis .axis-brush .background")
    labels = figure.locator(".parcoords .axis-title").all_text_contents()
    accuracy = next(i for i, text in enumerate(labels) if text.startswith("accuracy"))
    box = bars.nth(accuracy).bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + box["height"] * 0.02)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] * 0.3, steps=6)
    page.mouse.up()
    expect(count).to_contain_text("of 20 runs")
    rows = page.locator("[role=row][data-run]")
    expect(rows.filter(has_text="net-15")).to_be_visible()
    expect(rows.filter(has_text="net-03")).to_have_count(0)
    page.locator("[data-nbt=brush-fields] summary").click()
    page.locator("[data-nbt=clear-brushes]").click()
    expect(count).to_have_text("20 runs")


def test_brush_by_typing_needs_no_mouse(store_page: Any) -> None:
    page = store_page.open("compare")
    drawn(page, "parallel")
    page.locator("[data-nbt=brush-fields] summary").press("Enter")
    field = page.get_by_label("accuracy from")
    field.fill("0.8")
    field.press("Enter")
    expect(page.locator("[data-nbt=count]")).to_have_text("5 of 20 runs")


def test_zoom_asks_the_store_for_more_detail_and_keeps_peaks(store_page: Any) -> None:
    page = store_page.open("plots")
    chart = page.locator("[data-nbt=chart][data-key=loss]")
    curve = chart.locator("[data-nbt=curve]")
    expect(curve.locator("canvas").first).to_be_visible()
    over = curve.locator(".u-over")
    box = over.bounding_box()
    assert box is not None
    with page.expect_request(lambda request: '"low"' in (request.post_data or "")) as asked:
        page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + 60, steps=5)
        page.mouse.up()
    assert '"series"' in (asked.value.post_data or "")
    expect(curve).to_have_attribute("data-zoomed", "true")
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    expect(curve.locator(".nbt-readout")).to_contain_text("step 1")
    chart.locator("[data-nbt=zoom-out]").click()
    expect(curve).to_have_attribute("data-zoomed", "false")


def test_curves_smoothed_grouped_and_along_time_are_asked_of_the_store(store_page: Any) -> None:
    page = store_page.open("plots")
    expect(page.locator("[data-nbt=curve] canvas").first).to_be_visible()
    with page.expect_request(lambda request: '"smooth":0.5' in (request.post_data or "")):
        page.locator("[data-nbt=smooth]").fill("0.5")
    with page.expect_request(lambda request: '"relative"' in (request.post_data or "")):
        page.locator("[data-nbt=axis]").select_option("relative")
    with page.expect_request(lambda request: '"bands"' in (request.post_data or "")):
        page.locator("[data-nbt=group]").select_option("param:kind")
    legend = page.locator("[data-nbt=chart][data-key=loss] .nbt-legend li")
    expect(legend).to_have_count(2)
    page.locator("[data-nbt=log-y]").click()
    expect(page.locator("[data-nbt=log-y]")).to_have_attribute("aria-pressed", "true")


FILES = {"png": b"\x89PNG", "svg": b"<svg", "html": b"<!doctype html>"}


def test_figure_is_saved_as_png_svg_and_a_page_that_needs_no_network(store_page: Any, tmp_path: Path) -> None:
    page = store_page.open("plots")
    figure = drawn(page, "best")
    for kind, begins in FILES.items():
        with page.expect_download() as started:
            figure.locator("[data-nbt=save-figure]").click()
            page.locator(f"[data-nbt=save-{kind}]").click()
        assert started.value.suggested_filename == f"accuracy-best-so-far.{kind}"
        started.value.save_as(tmp_path / f"figure.{kind}")
        assert (tmp_path / f"figure.{kind}").read_bytes().startswith(begins)
    page.context.set_offline(True)
    page.goto((tmp_path / "figure.html").as_uri())
    expect(page.locator(".main-svg").first).to_be_visible()


def test_report_button_saves_a_page_that_opens_without_a_network(store_page: Any, tmp_path: Path) -> None:
    page = store_page.open("compare")
    with page.expect_download() as started:
        page.locator("[data-nbt=report]").click()
    file = tmp_path / started.value.suggested_filename
    started.value.save_as(file)
    page.context.set_offline(True)
    page.goto(file.as_uri())
    expect(page.locator("[data-nbt=best-run]")).to_contain_text("Of 20 runs, net-19 has the highest accuracy: 0.88.")
    expect(page.locator("[data-nbt=curve] canvas").first).to_be_visible()
    assert nbtrack.__version__ in page.locator("footer").inner_text()
