"""A model's server from its run's card in JupyterLab: the rehearsal, also one that fails; ask, watch, stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

import nbtrack

from .test_journeys import grid_in, open_panel


@pytest.fixture
def notebook(new_notebook: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A notebook beside a store with a model that can be served and one that cannot."""
    import pandas as pd

    class Homesick(BaseEstimator):  # type: ignore[misc]
        def predict(self, data: Any) -> Any:
            import os

            return data[os.environ["NBTRACK_TEST_COLUMN"]]  # no other process knows it

    monkeypatch.setenv("NBTRACK_TEST_COLUMN", "hue")

    data = pd.DataFrame({"alcohol": [11.0, 12.0, 13.0, 14.0], "hue": [1.0, 2.0, 3.0, 4.0]})
    nbtrack.set_tracking_uri(str(folder / ".nbtrack"))
    for name, model in (("steady", LogisticRegression().fit(data, [0, 0, 1, 1])), ("homesick", Homesick())):
        with nbtrack.start_run(run_name=name):
            nbtrack.log_model(model, "model", input_example=data)
    return new_notebook("1 + 1", kernel=False)


def test_server_is_rehearsed_asked_watched_and_stopped_from_a_card(notebook: Any, page: Page) -> None:
    panel = open_panel(page)
    rows = grid_in(panel).locator("[role=row][data-run]")
    rows.filter(has_text="homesick").get_by_role("rowheader").click()
    card = panel.get_by_role("region", name="Run homesick")
    card.get_by_role("button", name="Serve", exact=True).click()
    server = card.get_by_role("region", name="Model server on port")
    failed = server.locator("[data-nbt=checks] li[data-nbt=failed]")
    expect(failed).to_contain_text("Example")
    expect(failed).to_contain_text("NBTRACK_TEST_COLUMN")  # what was wrong
    expect(server.locator("[data-nbt=checks] li[data-nbt=ok]").first).to_contain_text("Port")
    server.get_by_role("button", name="Remove").click()
    expect(server).to_have_count(0)

    rows.filter(has_text="steady").get_by_role("rowheader").click()
    card = panel.get_by_role("region", name="Run steady")
    card.get_by_role("button", name="Serve", exact=True).click()
    server = card.get_by_role("region", name="Model server on port")
    expect(server.locator("[data-nbt=server-meta]")).to_contain_text("Ready · up less than a minute · 0 requests")
    server.get_by_label("alcohol").fill("13.9")
    server.get_by_label("hue").fill("3.8")
    server.get_by_role("button", name="Predict").click()
    expect(server.locator("[data-nbt=answer]")).to_contain_text('"predictions": [1]')
    server.get_by_label("hue").fill("blue")
    server.get_by_role("button", name="Predict").click()
    expect(server.locator("[data-nbt=answer-status]")).to_have_text("refused · 400")
    server.get_by_text("Requests, drift and log").click()
    requests = server.locator("[data-nbt=requests] tbody tr")
    expect(requests).to_have_count(2)
    expect(requests.first).to_contain_text("400")
    server.get_by_text("Ask it from code").click()
    server.get_by_text("Python", exact=True).click()
    expect(server.locator("[data-nbt=python]")).to_contain_text("/invocations")
    server.get_by_text("Rehearsal: all checks passed").click()
    expect(server.locator("[data-nbt=checks] li[data-nbt=ok]")).to_have_count(4)
    server.get_by_role("button", name="Stop").click()
    expect(server).to_have_count(0)
