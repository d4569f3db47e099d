"""A real JupyterLab, a real Chromium, and what a user does with them.

One server, one browser and one page a session, one folder a test: to load JupyterLab takes longer than most tests, so
what a test opened is closed, and the page left to the next (`fresh=True` loads it anew). The page is driven by
JupyterLab's commands and by clicks on what a user sees, and waits are on promises, never on a clock.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    Playwright,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from .lab_server import START_TIMEOUT_S, Lab, lab_environment, running_lab

NOTEBOOK = "01-first-run.ipynb"
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # nothing outside is reached
]
VIEWPORT: ViewportSize = {"width": 1440, "height": 900}
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)  # a busy machine is no failure
# Opens, once: resolves when the notebook in front is loaded, and its kernel (if it gets one) answers.
READY = """async (withKernel) => {
  const app = window.jupyterapp;
  await app.restored;
  let panel = null;
  for (let i = 0; i < 600; i++) {
    panel = [...app.shell.widgets('main')].find((w) => w.context && w.content?.widgets);
    if (panel) break;
    await new Promise((done) => setTimeout(done, 50));
  }
  if (!panel) throw new Error('no notebook was opened');
  await panel.context.ready;
  await panel.revealed;
  if (withKernel) {
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
  }
}"""


# Closes what a test opened; false if something is left that only a new page gets rid of.
CLEAR = """async () => {
  const app = window.jupyterapp;
  if (app === undefined || document.querySelector('.jp-Dialog') !== null) return false;
  for (const widget of [...app.shell.widgets('main'), ...app.shell.widgets('down')]) {
    if (widget.context?.model) widget.context.model.dirty = false;
    widget.close();
  }
  for (const widget of app.shell.widgets('left')) {
    if (widget.id === 'nbtrack-panel') widget.tab.value = 'runs';
  }
  await app.commands.execute('filebrowser:activate');
  app.shell.collapseRight?.();
  if (document.body.dataset.jpThemeName !== 'JupyterLab Light') {
    await app.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' });
  }
  return [...app.shell.widgets('main')].every((widget) => !widget.context);
}"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home, root = tmp_path_factory.mktemp("lab-home"), tmp_path_factory.mktemp("lab-root")
    with running_lab(home, root, lab_environment(home)) as started:
        yield started


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    own = playwright.chromium.executable_path
    found = os.environ.get("NBTRACK_CHROMIUM") or next(filter(None, map(shutil.which, names)), None) or own
    if not Path(found).is_file():
        pytest.fail("there is no Chromium for the browser tests. Run them with: python3 dev.py test -- tests/browser")
    chromium = playwright.chromium.launch(executable_path=found, args=CHROMIUM_OPTIONS)
    yield chromium
    chromium.close()


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One for all tests: its cache holds JupyterLab's program, which else every test would load and compile anew."""
    made = browser.new_context(viewport=VIEWPORT, accept_downloads=False)
    made.set_default_timeout(PATIENCE_MS)
    yield made
    with suppress(Error):
        made.close()


@dataclass
class SharedPage:
    """The page that tests use in turn, and what it should not have done."""

    context: BrowserContext
    page: Page | None = None
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def get(self) -> Page:
        if self.page is None or self.page.is_closed():
            self.page = self.context.new_page()
            self.page.on("request", self._look)
            self.page.on("pageerror", lambda error: self._hear(str(error)))
            self.page.on("dialog", lambda dialog: dialog.accept())  # the browser's own "leave this page?"
        return self.page

    def _look(self, request: Request) -> None:
        if request.url.startswith(("http", "ws")) and urlsplit(request.url).hostname not in {"127.0.0.1", "localhost"}:
            self.outside.append(request.url)

    def _hear(self, error: str) -> None:
        if "Canceled future for" not in error:  # JupyterLab's own, of a notebook that is closed while its kernel starts
            self.errors.append(error)

    def clear(self) -> None:
        """Leave it as a test wants to find it, or close it."""
        if self.page is None or self.page.is_closed():
            return
        with suppress(Error):
            self.page.set_viewport_size(VIEWPORT)
            self.page.keyboard.press("Escape")
            if self.page.evaluate(CLEAR):
                return
        with suppress(Error):
            self.page.close()


@pytest.fixture(scope="session")
def shared_page(context: BrowserContext) -> SharedPage:
    return SharedPage(context)


@pytest.fixture
def page(shared_page: SharedPage, lab: Lab) -> Iterator[Page]:
    """The page, cleared; the test fails if it raised, or asked for anything outside: it cannot reach that."""
    shared_page.outside.clear()
    shared_page.errors.clear()
    yield shared_page.get()
    outside, errors = [*shared_page.outside], [*shared_page.errors]
    shared_page.clear()
    lab.end_sessions()
    assert outside == [], "the page asked outside of this machine"
    assert errors == [], "the page raised"


@dataclass
class NotebookPage:
    """A notebook that is open in JupyterLab."""

    page: Page
    lab: Lab
    path: str

    @property
    def file(self) -> Path:
        return self.lab.root / self.path

    def open(self, kernel: bool = True, fresh: bool = True) -> None:
        """Open it: in a page that is loaded anew, or in a cleared one as it stands, if that is of this JupyterLab."""
        if not fresh and self.page.url.startswith(self.lab.url):
            self.command("docmanager:open", path=self.path)
            self.wait(kernel)
            return
        workspace = f"t{secrets.token_hex(6)}"
        self.page.goto(f"{self.lab.url}lab/workspaces/{workspace}/tree/{self.path}?reset&token={self.lab.token}")
        self.wait(kernel)

    def wait(self, kernel: bool = True) -> None:
        self.page.wait_for_function("() => window.jupyterapp !== undefined")
        self.page.evaluate(READY, kernel)

    def reload(self, kernel: bool = True) -> None:
        self.page.reload()
        self.wait(kernel)

    def command(self, name: str, **args: Any) -> None:
        """Execute a JupyterLab command and wait for its promise."""
        self.page.evaluate(
            "async ([name, args]) => { await window.jupyterapp.commands.execute(name, args); }", [name, args]
        )

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def run_cell(self, index: int) -> None:
        self.select(index)
        self.command("notebook:run-cell")

    def select(self, index: int) -> None:
        """Make a cell the active one."""
        self.page.evaluate(
            """(index) => {
              const panel = [...window.jupyterapp.shell.widgets('main')].find((w) => w.content?.widgets);
              panel.content.activeCellIndex = index;
              window.jupyterapp.shell.activateById(panel.id);
            }""",
            index,
        )

    def scroll_to(self, index: int) -> None:
        """Bring a cell into sight; JupyterLab draws outputs only near what is seen."""
        self.page.evaluate(
            """async (index) => {
              const panel = [...window.jupyterapp.shell.widgets('main')].find((w) => w.content?.widgets);
              await panel.content.scrollToItem(index, 'start');
            }""",
            index,
        )

    def cells_with(self, text: str) -> list[int]:
        """The places of the code cells whose source holds `text`."""
        found: list[int] = self.page.evaluate(
            """(text) => {
              const panel = [...window.jupyterapp.shell.widgets('main')].find((w) => w.content?.widgets);
              return panel.content.widgets.flatMap((cell, i) =>
                cell.model.type === 'code' && cell.model.sharedModel.getSource().includes(text) ? [i] : []);
            }""",
            text,
        )
        return found

    def source(self, index: int) -> str:
        said: str = self.page.evaluate(
            """(index) => [...window.jupyterapp.shell.widgets('main')].find((w) => w.content?.widgets)
              .content.widgets[index].model.sharedModel.getSource()""",
            index,
        )
        return said

    def saved(self) -> dict[str, Any]:
        """Save the notebook; return what is on disk."""
        self.command("docmanager:save")
        found: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        return found


def notebook_json(cells: list[str]) -> dict[str, Any]:
    """A new notebook with these code cells."""
    return {
        "cells": [
            {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
            for i, text in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def folder(lab: Lab) -> Path:
    """A folder of this test's own that JupyterLab shows."""
    made = lab.root / f"work-{secrets.token_hex(4)}"
    made.mkdir()
    return made


@pytest.fixture
def open_notebook(page: Page, lab: Lab) -> Callable[..., NotebookPage]:
    """Open a notebook file below the server's root; `fresh` in a page that is loaded anew."""

    def opened(file: Path, kernel: bool = True, fresh: bool = False) -> NotebookPage:
        notebook = NotebookPage(page, lab, file.relative_to(lab.root).as_posix())
        notebook.open(kernel, fresh)
        return notebook

    return opened


@pytest.fixture
def new_notebook(folder: Path, open_notebook: Callable[..., NotebookPage]) -> Callable[..., NotebookPage]:
    """Make a notebook of these code cells and open it."""

    def made(*cells: str, kernel: bool = True, fresh: bool = False) -> NotebookPage:
        file = folder / "notebook.ipynb"
        file.write_text(json.dumps(notebook_json(list(cells))), encoding="utf-8")
        return open_notebook(file, kernel, fresh)

    return made


@dataclass
class Demo:
    """A folder in which the first notebook has been run, and what came of it."""

    folder: Path
    report: dict[str, Any]

    @property
    def notebook(self) -> Path:
        return self.folder / NOTEBOOK


@pytest.fixture(scope="session")
def demo_template(lab: Lab, tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Demo:
    """Made once, also where several processes test: the first makes it, the others wait for it."""
    shared = tmp_path_factory.getbasetemp()
    place = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / f"demo-{testrun_uid}"
    where, told = place / "demo", place / "report.json"
    try:
        place.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    else:
        done = subprocess.run(
            [sys.executable, "-m", "nbtrack.cli", "demo", "--no-lab", "--json", "--dir", str(where)],
            env=lab.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        part = told.with_suffix(".part")
        part.write_text(done.stdout if done.returncode == 0 else json.dumps({"failed": done.stderr}), encoding="utf-8")
        part.rename(told)
    report = json.loads(told.read_text(encoding="utf-8"))
    assert "failed" not in report, report["failed"]
    return Demo(where, report)


@pytest.fixture
def demo(demo_template: Demo, folder: Path) -> Demo:
    """A copy of it of this test's own: a store may be copied like any folder."""
    target = folder / "demo"
    shutil.copytree(demo_template.folder, target)
    return Demo(target, demo_template.report)
