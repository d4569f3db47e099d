"""``nbtrack demo``: the first notebook, executed for real, then opened in JupyterLab."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nbtrack.cli.options import json_option
from nbtrack.errors import MissingLibraryError, NotebookError, NotFoundError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from nbtrack.store.base import RunTable, Store

NOTEBOOK: Final = "01-first-run.ipynb"
STEPS: Final = ("setup", "track", "compare", "register", "serve", "request", "stop")
_EXECUTING: Final = ("nbclient", "nbformat", "ipykernel", "sklearn")


@click.command("demo")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("nbtrack-demo"),
    show_default=True,
    help="The working folder; its store is the .nbtrack in it.",
)
@click.option("--no-lab", is_flag=True, help="Do not start JupyterLab at the end.")
@json_option
def command(folder: Path, no_lab: bool, as_json: bool) -> None:
    """Run the first notebook for real and open it in JupyterLab.

    Executes the notebook that comes with nbtrack: three runs of a random forest on scikit-learn's wine data, the best
    one registered, promoted to Staging and served, and the served predictions compared with the model's own. Start it
    again in the same folder: the version that was in Staging gives way.
    """
    from nbtrack.cli.output import print_json

    require_libraries((*_EXECUTING, *(() if no_lab else ("jupyterlab",))))
    report = run_demo(folder.absolute(), as_json)
    if not as_json:
        print_report(report)
    if not report["predictions"]["equal"]:
        if as_json:
            print_json(report)
        raise NotebookError(
            "demo: the served predictions are not those of the model in the notebook; expected"
            f" {report['predictions']['notebook']}, got {report['predictions']['csv']} for CSV and"
            f" {report['predictions']['json']} for JSON. Please report this."
        )
    if no_lab:
        if as_json:
            print_json(report)
        return
    open_lab(folder.absolute(), report, as_json)


def require_libraries(names: tuple[str, ...]) -> None:
    """Raise MissingLibraryError, with the line that installs them, unless all of these can be imported."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise MissingLibraryError(
            f"demo: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed in this Python;"
            ' expected the extra "demo". Run: pip install "nbtrack[demo]"'
        )


def shipped_notebook() -> Path:
    """Return the path of the notebook that comes with nbtrack: in the installed package, or in a checkout.

    Raises
    ------
    NotFoundError
        If it is in neither.
    """
    package = Path(__file__).resolve().parents[1]
    for place in (package / "notebooks" / NOTEBOOK, package.parent / "notebooks" / NOTEBOOK):
        if place.is_file():
            return place
    raise NotFoundError(f"demo: the notebook {NOTEBOOK} is not in {package}. Install nbtrack again.")


def _fingerprint(notebook: NotebookNode) -> str:
    from hashlib import sha256

    return sha256("\0".join(cell.source for cell in notebook.cells).encode()).hexdigest()


def place_notebook(folder: Path) -> NotebookNode:
    """Return the shipped notebook, to be written to `folder`; one there whose cells were edited is put aside first."""
    import nbformat

    notebook = nbformat.read(shipped_notebook(), as_version=4)
    # Remembered in the copy, so that a later nbtrack with another notebook can tell an edited copy from an old one.
    notebook.metadata["nbtrack"] = {"demo": _fingerprint(notebook)}
    target = folder / NOTEBOOK
    if target.exists() and not _is_as_placed(target):
        number = 1
        while (aside := target.with_name(f"{target.stem}-yours-{number}.ipynb")).exists():
            number += 1
        target.rename(aside)
        click.echo(f"Your edited notebook is kept as {aside.name}.", err=True)
    return notebook


def _is_as_placed(path: Path) -> bool:
    import nbformat

    try:
        found = nbformat.read(path, as_version=4)
        return bool(found.metadata["nbtrack"]["demo"] == _fingerprint(found))
    except Exception:
        return False  # whatever it is, it is the user's


def save_signed(notebook: NotebookNode, path: Path) -> None:
    """Write the notebook and sign it, so that JupyterLab trusts its outputs."""
    import logging

    import nbformat
    from nbformat.sign import NotebookNotary

    nbformat.write(notebook, path)
    logger = logging.Logger("nbtrack.signing")  # where the home folder is read-only the notary complains, and goes on
    logger.addHandler(logging.NullHandler())
    notary = NotebookNotary(log=logger)
    try:
        notary.sign(nbformat.read(path, as_version=4))  # as JupyterLab will read it
    finally:
        notary.store.close()


def run_demo(folder: Path, silent: bool) -> dict[str, Any]:
    """Execute the notebook in `folder` and return what came of it.

    Raises
    ------
    NotebookError
        If a cell fails. The notebook as far as it got, and the store, are left for a look.
    """
    from nbtrack import registry
    from nbtrack.cli.progress import shown_progress
    from nbtrack.pipelines.execution import Execution, execute_notebook
    from nbtrack.store import open_store

    folder.mkdir(parents=True, exist_ok=True)
    store = open_store(folder / ".nbtrack")  # before the kernel looks for one: it takes the nearest
    before = {name: registry.last_commit(name, store=store) for name in store.list_models()}
    begun_ms, begun = time.time_ns() // 1_000_000, time.perf_counter()
    notebook = place_notebook(folder)
    try:
        with shown_progress(silent) as watcher:
            summary = execute_notebook(Execution(notebook, folder, STEPS, watcher))
    finally:
        save_signed(notebook, folder / NOTEBOOK)
    table = store.run_table(filter_string=f"attributes.start_time >= {begun_ms}", order_by=["attributes.start_time"])
    return {
        "folder": str(folder),
        "notebook": str(folder / NOTEBOOK),
        "store": store.uri,
        "seconds": round(time.perf_counter() - begun, 2),
        "runs": _runs(store, table),
        "registry": _moves(store, before),
        **_read_summary(summary),
    }


def _read_summary(summary: dict[str, Any]) -> dict[str, Any]:
    try:
        return {
            "best_run": {"run_id": summary["best_run"], "run_name": summary["best_run_name"]},
            "model_version": summary["model_version"],
            "stage_changes": summary["stage_changes"],
            "served_url": summary["url"],
            "predictions": {
                "csv": summary["predictions_csv"],
                "json": summary["predictions_json"],
                "notebook": summary["predictions_notebook"],
                "equal": summary["equal"] is True,
            },
        }
    except KeyError as error:
        raise NotebookError(
            f"demo: the notebook's summary lacks {error}; expected it as nbtrack ships it. Install nbtrack again."
        ) from error


def _moves(store: Store, before: dict[str, int]) -> list[dict[str, Any]]:
    """Return the commits of every model after the numbers in `before`, oldest first."""
    from nbtrack import registry

    return [
        {"model": name, "number": commit.number, "text": registry.describe(commit), "changes": commit.changes}
        for name in store.list_models()
        for commit in reversed(registry.history(name, store=store))
        if commit.number > before.get(name, 0)
    ]


def _runs(store: Store, table: RunTable) -> list[dict[str, Any]]:
    from nbtrack.cli.run_rows import run_records

    keys = ("run_id", "run_name", "experiment", "status", "params", "metrics")
    return [{key: record[key] for key in keys} for record in run_records(store, table)]


def print_report(report: dict[str, Any]) -> None:
    """Print what came of the demo: its runs, the registry's moves, and whether the served model answered truly."""
    from nbtrack.cli.output import say
    from nbtrack.cli.run_rows import print_runs
    from nbtrack.store import open_store

    store = open_store(report["store"])
    run_ids = [run["run_id"] for run in report["runs"]]
    print_runs(store, store.run_table(run_ids=run_ids, order_by=["attributes.start_time"]), with_times=False)
    say("")
    for commit in report["registry"]:
        say(f"registry     {commit['model']}: {commit['text']}")
    say(f"served at    {report['served_url']} (stopped again)")
    asked = report["predictions"]
    verdict = "equal to the notebook" if asked["equal"] else f"they DIFFER from the notebook, {asked['notebook']}"
    say(f"predictions  CSV {asked['csv']}, JSON {asked['json']}: {verdict}")
    say(f"notebook     {report['notebook']}")
    say(f"store        {report['store']}  ({report['seconds']:.1f} s)")


def open_lab(folder: Path, report: dict[str, Any], as_json: bool) -> None:
    """Start JupyterLab on the notebook, tell its address, and wait for Ctrl-C or its own end."""
    from nbtrack.cli.jupyter import JupyterLab
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.signals import exit_on_terminate

    with exit_on_terminate(), JupyterLab(folder, NOTEBOOK) as lab:
        url = lab.wait_until_ready()
        if as_json:
            print_json({**report, "lab_url": url})
        else:
            say(f"\nJupyterLab is running with the notebook open:\n\n    {url}\n\nCtrl-C stops it.")
        lab.wait()
