"""Everybody can use it: axe finds nothing, keys alone reach everything, and nothing depends on size or on motion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sklearn.linear_model import LogisticRegression

import nbtrack
from nbtrack.store import open_store
from nbtrack.store.base import Store

AXE = Path(__file__).parents[3] / "js" / "node_modules" / "axe-core" / "axe.min.js"
# The page around our components belongs to its host.
RULES = {"rules": {rule: {"enabled": False} for rule in ("region", "page-has-heading-one", "landmark-one-main")}}


def violations(page: Page) -> list[str]:
    """What axe finds, each with the first element it is about."""
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(path=AXE)
    found: list[dict[str, Any]] = page.evaluate("async (rules) => (await axe.run('main', rules)).violations", RULES)
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:300]} {one['nodes'][0]['failureSummary'][:300]}"
        for one in found
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for all tests of this file: they only look."""
    folder = tmp_path_factory.mktemp("access") / "store"
    nbtrack.set_tracking_uri(str(folder))
    return open_store(folder)


@pytest.fixture(scope="module")
def ids(store: Store, pipeline: str) -> list[str]:
    """Four runs with curves, a note, a picture, a table, a model that is registered, and one that failed."""
    found = []
    for i in range(4):
        with nbtrack.start_run(run_name=f"net-{i}") as run:
            nbtrack.log_params({"lr": 0.1 / (i + 1), "kind": "ab"[i % 2]})
            nbtrack.log_metric("accuracy", 0.8 + i / 50)
            for step in range(20):
                nbtrack.log_metric("loss", 1 / (step + 1 + i), step=step)
            nbtrack.log_image([[[255, 0, 0]] * 4] * 4, "figures/red.png")
            nbtrack.log_table(
                {"y_true": [0, 1, 1, 0], "y_pred": [0, 1, 0, 0], "y_score": [0.1, 0.8, 0.4, 0.3]}, "predictions.json"
            )
            nbtrack.set_tag("nbtrack.note", "A note")
            for level in ("info", "warn", "error")[:i]:
                nbtrack.alert(f"{level}: loss stays", "since step 7", level=level)
            cells = [
                {
                    "execution_count": i,
                    "cell_id": None,
                    "source": f"x = {i}",
                    "reads": [],
                    "writes": ["x"],
                    "this": True,
                }
            ]
            run.log_capture({"source": f"x = {i}", "slice": {"cells": cells, "complete": True, "missing": []}})
            run.log_capture({"reproduced": STAMP})
            run.log_capture({"stdout": "printed", "packages": {"numpy": "2"}, "python": "3.11", "seeds": {"numpy": i}})
            nbtrack.sklearn.log_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "model", input_example=[[0.5]])
        found.append(run.run_id)
    nbtrack.register_model(f"runs:/{found[0]}/model", "clf")
    nbtrack.register_model(f"runs:/{found[3]}/model", "other")  # two boards: their parts must not be called the same
    with pytest.raises(ValueError, match="no luck"), nbtrack.start_run(run_name="broken"):
        raise ValueError("no luck")
    return found


@pytest.fixture(scope="module")
def pipeline(store: Store) -> str:
    """A pipeline of three steps, the last of which failed."""
    with pytest.raises(ValueError, match="no wine"):
        nbtrack.run_pipeline([load, train, taste], "wine", params={"size": 3})
    return str(nbtrack.search_runs(filter_string="tags.`nbtrack.pipeline` != ''").run_id[0])


def load(size: int) -> dict[str, int]:
    return {"wine": size}


def train(wine: int) -> dict[str, int]:
    return {"model": wine}


def taste(model: int, wine: int) -> None:
    raise ValueError("no wine")


STAMP = {
    "reproduced": False,
    "at": "2026-11-20T10:00:00+00:00",
    "verdict": "Not reproduced: 1 of 2 values differ, first metric accuracy was 0.8 and is 0.9.",
    "compared": 2,
    "differences": [["metric", "accuracy", "0.8", "0.9"]],
    "changed": ["numpy 2.3 → 2.4"],
}
# Buttons and lines of the graph whose colour is that of the page: in high contrast nothing may tell by colour alone.
INVISIBLE = """() => {
  const page = getComputedStyle(document.body).backgroundColor;
  const lost = (one, name) => getComputedStyle(one)[name] === page;
  return [
    ...[...document.querySelectorAll('.nbt-step-node, .nbt-button')].filter((one) => lost(one, 'color')),
    ...[...document.querySelectorAll('.nbt-edge path')].filter((one) => lost(one, 'stroke') && lost(one, 'fill')),
  ].map((one) => one.outerHTML.slice(0, 200));
}"""

VIEWS = {
    "compare": "[data-nbt=plots]",
    "run": "[data-nbt=run-detail]",
    "diff": "[data-nbt=run-diff]",
    "card": "[data-nbt=run-card]",
    "models": "[data-nbt=model]",
    "panel": ".nbt-panel-body [role=grid]",
    "pipeline": "[data-nbt=pipeline-step]",
}


def opened(store_page: Any, view: str, ids: list[str], pipeline: str, theme: str = "light") -> Page:
    """A view, ready to be looked at."""
    runs = {"run": ids[1], "card": ids[1], "diff": ",".join(ids[:2]), "pipeline": pipeline}.get(view, "")
    page: Page = store_page.open("run" if view == "pipeline" else view, theme, runs=runs)
    expect(page.locator(VIEWS[view]).first).to_be_visible()
    if view == "models":
        page.locator("[data-nbt=history]").first.click()
        expect(page.locator("[data-nbt=commit]").first).to_be_visible()
    if view == "card":
        page.locator("[data-nbt=reproduce-details]").click()
        page.locator("[data-nbt=reproduce]").click()
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_violation(store_page: Any, ids: list[str], pipeline: str, theme: str) -> None:
    for view in VIEWS:
        page = opened(store_page, view, ids, pipeline, theme)
        page.wait_for_timeout(100)
        assert violations(page) == [], view


PLOTS = ("diff", "parallel", "scatter", "matrix", "importance", "best", "confusion", "roc", "pr", "files")


@pytest.mark.parametrize(("theme", "kinds"), [("light", PLOTS), ("dark", ("diff", "parallel", "scatter", "files"))])
def test_axe_finds_no_violation_in_any_plot(
    store_page: Any, ids: list[str], theme: str, kinds: tuple[str, ...]
) -> None:
    page = store_page.open("plots", theme, runs=",".join(ids))
    for kind in kinds:
        page.locator(f"[data-nbt=plot-{kind}]").click()
        page.wait_for_timeout(150)
        expect(page.locator("[data-nbt=figure][data-ready='0'] .nbt-plotly")).to_have_count(0)
        assert violations(page) == [], kind


def test_axe_finds_no_violation_in_high_contrast(store_page: Any, ids: list[str], pipeline: str) -> None:
    store_page.page.emulate_media(forced_colors="active")
    for view in VIEWS:
        page = opened(store_page, view, ids, pipeline)
        assert violations(page) == [], view
        invisible = page.evaluate(INVISIBLE)
        assert invisible == [], view


@pytest.mark.parametrize("width", [640, 320])
def test_zoomed_to_200_and_400_percent_the_page_scrolls_down_only(store_page: Any, ids: list[str], width: int) -> None:
    store_page.page.set_viewport_size({"width": width, "height": 640})  # 1280 px at 200 % and at 400 %
    for view in ("compare", "run", "diff"):
        page = store_page.open(view, runs=",".join(ids[:2]) if view != "compare" else "")
        expect(page.locator(VIEWS[view]).first).to_be_visible()
        page.wait_for_timeout(300)
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, view


def test_nothing_moves_where_motion_is_not_wanted(store_page: Any, ids: list[str]) -> None:
    store_page.page.emulate_media(reduced_motion="reduce")
    page = store_page.open("compare")
    expect(page.locator(VIEWS["compare"])).to_be_visible()
    moving = page.evaluate(
        """() => [...document.querySelectorAll('.nbt *')].filter((one) => {
          const style = getComputedStyle(one);
          return (style.animationName !== 'none' && parseFloat(style.animationDuration) > 0.01)
            || style.transitionDuration.split(',').some((time) => parseFloat(time) > 0.01);
        }).map((one) => one.className)"""
    )
    assert moving == []


def test_keys_alone_open_everything_about_a_run_and_zoom_into_its_curve(store_page: Any, ids: list[str]) -> None:
    page = store_page.open("compare")
    grid = page.get_by_role("grid", name="Runs")
    grid.locator("[tabindex='0']").first.focus()
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("[data-nbt=run-card]")).to_be_visible()
    page.locator("[data-nbt=everything]").focus()
    page.keyboard.press("Enter")
    detail = page.locator("[data-nbt=run-detail]")
    expect(detail).to_be_visible()
    curve = detail.locator("[data-nbt=curve]")
    curve.focus()
    page.keyboard.press("ArrowRight")
    expect(curve.locator(".nbt-readout")).to_contain_text("step")
    page.keyboard.press("+")
    expect(curve).to_have_attribute("data-zoomed", "true")
    page.keyboard.press("0")
    expect(curve).to_have_attribute("data-zoomed", "false")
    outline = curve.evaluate("(one) => { one.focus(); return getComputedStyle(one).outlineStyle; }")
    assert outline != "none"


def test_keys_alone_open_a_step_of_a_pipeline_and_come_back(store_page: Any, pipeline: str) -> None:
    page = store_page.open("run", runs=pipeline)
    steps = page.locator("[data-nbt=pipeline-step]")
    expect(steps).to_have_count(3)
    steps.nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-nbt=run-name]")).to_have_text("train")
    page.locator("[data-nbt=back]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-nbt=run-name]")).to_have_text("wine")
    assert [one.get_attribute("data-status") for one in steps.all()] == ["ran", "ran", "failed"]


def test_each_plot_has_its_numbers_as_a_table(store_page: Any, ids: list[str]) -> None:
    page = store_page.open("plots", runs=",".join(ids))
    page.locator("[data-nbt=plot-scatter]").click()
    figure = page.locator("[data-nbt=figure][data-kind=scatter]")
    expect(figure).to_have_attribute("data-ready", "1")
    figure.locator("[data-nbt=chart-table]").click()
    expect(figure.locator("[data-nbt=data-table] tbody tr")).to_have_count(4)
    expect(figure.locator("[data-nbt=data-table]")).to_contain_text("net-2")
