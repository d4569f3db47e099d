"""``nbtrack import``: bring runs over from another tracker."""

from __future__ import annotations

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
@click.option("--experiment", metavar="NAME", help="The experiment for all runs. Default: what they were in.")
@click.option("--params", metavar="A,B", help="Columns of a CSV file that are params.")
@click.option("--metrics", metavar="A,B", help="Columns that are metrics.")
@click.option("--tags", metavar="A,B", help="Columns that are tags.")
@click.option("--run", metavar="COLUMN", help="The column that tells runs apart; without one each row is a run.")
@click.option("--step", metavar="COLUMN", help="The column with the step of the metrics.")
@click.option("--time", metavar="COLUMN", help="The column with the time.")
@store_option
@json_option
def command(
    source: Path, dry_run: bool, experiment: str | None, store_uri: str | None, as_json: bool, **told: str | None
) -> None:
    """Import the runs and models that another tracker wrote.

    SOURCE is an MLflow `mlruns` folder or an `mlflow.db`, a folder of Weights & Biases' offline runs, a folder of
    TensorBoard's event files, or a CSV file. It is only read. A second import adds only what is new.
    """
    from dataclasses import asdict

    from nbtrack.bridge import import_runs
    from nbtrack.bridge.csv_runs import Columns
    from nbtrack.cli.output import bar_file, print_json
    from nbtrack.errors import StoreNotFoundError
    from nbtrack.store import open_store

    given: dict[str, Any] = {word: name for word, name in told.items() if name}
    for word in ("params", "metrics", "tags"):
        if word in given:
            given[word] = tuple(name.strip() for name in given[word].split(","))
    columns = Columns(**given) if given else None
    bar: Any
    with click.progressbar(length=1, label="runs", file=bar_file()) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        with TemporaryDirectory() as nowhere:
            try:
                store = open_store(store_uri, create=not dry_run)
            except StoreNotFoundError:  # a dry run leaves no store behind
                store = open_store(nowhere)
            report = import_runs(
                source, store, dry_run=dry_run, progress=progress, columns=columns, experiment=experiment
            )
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
