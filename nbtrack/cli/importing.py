"""``nbtrack import``: bring runs over from another tracker."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from nbtrack.cli.options import json_option, store_option

if TYPE_CHECKING:
    from nbtrack.bridge import ImportReport

_SHOWN = 20  # lines of one kind


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only count what would be imported.")
@store_option
@json_option
def command(source: Path, dry_run: bool, store_uri: str | None, as_json: bool) -> None:
    """Import the runs and models that another tracker wrote.

    SOURCE is an MLflow `mlruns` folder or an `mlflow.db`. It is only read. A second import adds only what is new.
    """
    from dataclasses import asdict

    from nbtrack.bridge import import_runs
    from nbtrack.cli.output import print_json
    from nbtrack.errors import StoreNotFoundError
    from nbtrack.store import open_store

    bar: Any
    with click.progressbar(length=1, label="runs", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        with TemporaryDirectory() as nowhere:
            try:
                store = open_store(store_uri, create=not dry_run)
            except StoreNotFoundError:  # a dry run leaves no store behind
                store = open_store(nowhere)
            report = import_runs(source, store, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(asdict(report))
    else:
        _tell(report, "would be imported" if dry_run else "imported")


def _tell(report: ImportReport, verb: str) -> None:
    from nbtrack.cli.output import say
    from nbtrack.reprs.numbers import plural

    say(
        f"{plural(report.runs, 'run')} of {plural(report.experiments, 'experiment')} {verb}:"
        f" {report.params:,} params, {report.metric_values:,} metric values, {report.tags:,} tags,"
        f" {report.inputs:,} inputs, {report.artifacts:,} artifacts; {report.deleted:,} of them in the trash."
    )
    if report.models or report.versions or report.logged_models:
        say(
            f"{plural(report.models, 'registered model')} with {plural(report.versions, 'version')} {verb}:"
            f" {report.stages:,} in a stage, {report.aliases:,} aliases;"
            f" {plural(report.logged_models, 'logged model')}."
        )
    if report.known:
        say(f"{report.known:,} runs and versions were here already.")
    for title, lines in (("", report.repaired), ("", report.problems), ("Not carried over: ", report.left_behind)):
        for line in lines[:_SHOWN]:
            say(title + line)
        if len(lines) > _SHOWN:
            say(f"… and {len(lines) - _SHOWN:,} more; --json lists them all.")
