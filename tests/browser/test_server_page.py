"""The page of a served model, as a user sees it: a form that is filled in, an answer, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import nbtrack
from nbtrack.serving import ModelServer

EVIL = "<img src=x onerror='window.hacked=1'>"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    import pandas as pd
    from sklearn.tree import DecisionTreeClassifier

    data = pd.DataFrame({"alcohol": [12.0, 13.0, 14.0], EVIL: [1.0, 2.0, 3.0]})
    model = DecisionTreeClassifier().fit(data, ["light", "medium", EVIL])
    folder = tmp_path_factory.mktemp("page") / "wine"
    nbtrack.save_model(model, folder, input_example=data)
    with nbtrack.serve(folder) as server:
        yield server


@pytest.fixture(params=["light", "dark"])
def server_page(request: pytest.FixtureRequest, browser: Browser, served: ModelServer) -> Iterator[Page]:
    """The page, just opened; the test fails if its script raised, or asked for anything outside."""
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1100, "height": 900})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(served.url) else problems.append(sent.url))
    page.goto(served.url)
    yield page
    assert problems == []
    assert page.evaluate("window.hacked") is None
    context.close()


def test_server_page_predicts_with_the_logged_example_and_shows_the_request(server_page: Page) -> None:
    page = server_page
    expect(page.get_by_role("heading", level=1)).to_have_text("wine")
    expect(page.get_by_label("alcohol")).to_have_value("12")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#short")).to_have_text("light")
    expect(page.locator("#sent tr").first).to_contain_text("200")
    page.get_by_label("alcohol").fill("14")
    page.locator("#fields input").nth(1).fill("3")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#short")).to_have_text(EVIL)  # as text, never as markup


def test_server_page_with_text_in_a_number_marks_the_field(server_page: Page) -> None:
    page = server_page
    page.get_by_label("alcohol").fill("strong")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#short")).to_contain_text("column 'alcohol' must be double")
    expect(page.get_by_label("alcohol")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Example again").click()
    expect(page.get_by_label("alcohol")).to_have_value("12")


def test_server_page_sends_a_body_as_it_is_written(server_page: Page) -> None:
    page = server_page
    page.get_by_role("tab", name="Request body").click()
    page.get_by_label("Content type").select_option("text/csv")
    page.locator("#body").fill(f'alcohol,"{EVIL}"\n12,1\n13,2\n')
    expect(page.locator("#curl")).to_contain_text("Content-Type: text/csv")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#short")).to_have_text("light, medium")
    expect(page.locator("#timing")).to_contain_text("2 rows")


def test_snippets_of_the_server_page_work_as_they_stand(server_page: Page, tmp_path: Path) -> None:
    import subprocess
    import sys

    page = server_page
    curl = page.locator("#curl").inner_text()
    done = subprocess.run(f"{curl} --silent", shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == '{"predictions":["light"]}'
    page.get_by_label("Language").select_option("python")
    code = page.locator("#curl").inner_text()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '{"predictions":["light"]}'
