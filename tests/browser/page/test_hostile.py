"""What users write is text, in every host and every view: a canary in the page stays silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import nbtrack
from nbtrack.store.base import Store

CANARY = "window.__canary=1"
SCRIPTS = {
    "handler": f'<img src=x onerror="{CANARY}">',
    "script": f"<script>{CANARY}</script>",
    "closing": f"</script></style></textarea></title><svg onload={CANARY}>",
    "link": f'<a href="javascript:{CANARY}">x</a>',
    "template": "{{constructor.constructor('" + CANARY + "')()}}${" + CANARY + "}",
    "attribute": f'" onmouseover="{CANARY}" x=\'',
    "turned": f"\u202e<img src=x onerror={CANARY}>\u202c\u2066",
    "markdown": f"[x](javascript:{CANARY}) ![x](x onerror={CANARY})",
}
ALL = "".join(SCRIPTS.values())
NAME = SCRIPTS["handler"] + SCRIPTS["script"] + SCRIPTS["closing"] + SCRIPTS["turned"]  # a name may be 250 long
LONG = "<b>" + "x" * 100_000
PAGES = {
    "page.html": f'<body onload="{CANARY};try{{top.__canary=1}}catch(e){{}}"><script>{CANARY};'
    "try{parent.__canary=9}catch(e){}"
    "try{top.location='http://127.0.0.1:9/'}catch(e){}fetch('http://127.0.0.1:9/').catch(()=>0);"
    "document.body.append('I ran in a frame')</script></body>",
    "drawing.svg": '<svg xmlns="http://www.w3.org/2000/svg" onload="parent.__canary=1">'
    f"<script>parent.__canary=1;{CANARY}</script>"
    '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml" onload="parent.__canary=1"/></foreignObject></svg>',
    "notes.md": ALL,
    "rows.csv": f'"{ALL.replace(chr(34), chr(34) * 2)}",b\n1,"{SCRIPTS["handler"].replace(chr(34), chr(34) * 2)}"\n',
    f"{'a' * 60} <img src=x onerror=1>.txt": ALL,
}


@pytest.fixture
def ids(store: Store) -> list[str]:
    """Three runs, everything in which is hostile; their params, cells and data differ."""
    found = []
    for i in range(3):
        with nbtrack.start_run(run_name=NAME + str(i)) as run:
            nbtrack.log_params({f"key {n}": text + str(i) for n, text in SCRIPTS.items()})
            nbtrack.log_params({"p<img src=x onerror=1>": LONG, "number": i, "kind": SCRIPTS["handler"] + "ab"[i % 2]})
            nbtrack.log_metric("acc<img src=x onerror=1>", 0.5 + i / 10)
            for step in range(4):
                nbtrack.log_metric("loss<script>", 1 / (step + 1), step=step)
            nbtrack.set_tags({"nbtrack.note": ALL, "tag<b>": ALL, "long": LONG})
            for text in SCRIPTS.values():
                nbtrack.alert(text, text + LONG, level="error")
            for path, text in PAGES.items():
                nbtrack.log_text(text, path)
            nbtrack.log_table(
                {"y_true": [SCRIPTS["script"], "b"], "y_pred": ["b", SCRIPTS["handler"]], "y_score": [0.1, 0.9]},
                "predictions.json",
            )
            nbtrack.log_dict(
                {"data": [{"type": "bar", "x": [ALL], "y": [1]}], "layout": {"title": {"text": ALL}}},
                "figures/bar.json",
            )
            cells = [
                {
                    "execution_count": 1,
                    "cell_id": None,
                    "source": ALL + str(i),
                    "reads": [ALL],
                    "writes": [ALL],
                    "this": False,
                },
                {
                    "execution_count": 2,
                    "cell_id": None,
                    "source": LONG + str(i),
                    "reads": [],
                    "writes": [],
                    "this": True,
                },
            ]
            data = [
                {
                    "name": ALL,
                    "kind": ALL,
                    "shape": [i, 2],
                    "digest": ALL,
                    "sampled": False,
                    "size_bytes": 1,
                    "path": ALL,
                }
            ]
            run.log_capture(
                {"source": ALL + str(i), "slice": {"cells": cells, "complete": False, "missing": [ALL]}, "data": data,
                 "seeds": {ALL: i}, "packages": {ALL: str(i)}, "git": {"commit": ALL, "diff": ALL}, "stdout": ALL,
                 "captured": [ALL], "not_captured": [ALL], "python": ALL}
            )  # fmt: skip
        found.append(run.run_id)
    return found


def silent(page: Page) -> None:
    """Nothing ran in the page, and nothing of a user's became an element of it."""
    page.wait_for_timeout(400)
    assert page.evaluate("() => window.__canary") is None
    strangers = ".nbt img:not(.nbt-image), .nbt script, .nbt a[href^=javascript], .nbt [onerror], .nbt [onload]"
    assert page.locator(strangers).count() == 0


def test_comparison_card_and_panel_show_hostile_text(store_page: Any, ids: list[str]) -> None:
    for view in ("compare", "panel"):
        page = store_page.open(view)
        grid = page.get_by_role("grid", name="Runs")
        expect(grid.get_by_text("<img src=x onerror=").first).to_be_visible()
        grid.get_by_role("rowheader").first.click()
        expect(page.locator("[data-nbt=run-name]").first).to_contain_text("<script>")
        silent(page)


def test_run_page_shows_hostile_text_and_frames_pages_without_an_origin(store_page: Any, ids: list[str]) -> None:
    page = store_page.open("run", runs=ids[0])
    expect(page.locator("[data-nbt=slice-cell]").first).to_contain_text("<img src=x")
    frame = page.frame_locator("iframe[title='page.html']")
    # A frame is drawn when its place comes into sight.
    page.get_by_role("region", name="page.html", exact=True).scroll_into_view_if_needed()
    expect(frame.get_by_text("I ran in a frame")).to_be_visible()
    for frame_element in page.locator("iframe").all():
        sandbox = frame_element.get_attribute("sandbox")
        assert sandbox in {"", "allow-scripts"}
    for path in PAGES:
        page.locator(f"[data-nbt=file][data-path='{path}'] button").first.click()
        expect(page.locator(f"[data-nbt=file][data-path='{path}'] [data-nbt=preview-file]")).to_be_visible()
        page.wait_for_timeout(200)
    silent(page)


def test_difference_shows_hostile_code(store_page: Any, ids: list[str]) -> None:
    for runs in (ids[:2], ids):
        page = store_page.open("diff", runs=",".join(runs))
        expect(page.locator("[data-nbt=difference]").first).to_be_visible()
        silent(page)


def test_every_plot_shows_hostile_names(store_page: Any, ids: list[str]) -> None:
    page = store_page.open("plots", runs=",".join(ids))
    for tab in page.locator("[role=tab]").all():
        tab.click()
        page.wait_for_timeout(600)
    silent(page)


def test_logged_plotly_figure_is_drawn_in_a_frame(store_page: Any, ids: list[str]) -> None:
    page = store_page.open("run", runs=ids[0])
    page.locator("[data-nbt=file][data-path='figures/bar.json'] button").first.click()
    frame = page.frame_locator("iframe[title='figures/bar.json']")
    expect(frame.locator(".main-svg").first).to_be_visible()
    silent(page)


def test_report_shows_hostile_text_and_asks_nobody(
    store_page: Any, ids: list[str], store: Store, tmp_path: Path
) -> None:
    file = nbtrack.report(tmp_path / "report.html", title=ALL, store=store)
    store_page.page.context.set_offline(True)
    store_page.page.goto(file.as_uri())
    page = store_page.page
    expect(page.locator("h1")).to_contain_text("<img src=x")
    page.get_by_role("grid", name="Runs").get_by_role("rowheader").first.click()
    expect(page.locator("[data-nbt=run-detail]")).to_be_visible()
    silent(page)
    text = file.read_text(encoding="utf-8")
    assert text.count("</script") == 2  # ours
