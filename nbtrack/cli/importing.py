"""``nbtrack import``: bring runs over from another tracker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from nbtrack.cli.options import json_option, store_option


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only count what would be imported.")
@store_option
@json_option
def command(source: Path, dry_run: bool, store_uri: str | None, as_json: bool) -> None:
    """Import the runs of an MLflow `mlruns` folder.

    SOURCE is only read. A second import adds only what is new.
    """
    from dataclasses import asdict

    from nbtrack.bridge import import_mlruns
    from nbtrack.cli.output import print_json, say
    from nbtrack.store import open_store

    bar: Any
    with click.progressbar(length=1, label="runs", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        report = import_mlruns(source, open_store(store_uri), dry_run=dry_run, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    verb = "would be imported" if dry_run else "imported"
    say(
        f"{report.runs:,} runs of {report.experiments:,} experiments {verb}: {report.params:,} params,"
        f" {report.metric_values:,} metric values, {report.tags:,} tags, {report.artifacts:,} artifacts."
    )
    if report.known:
        say(f"{report.known:,} runs were here already.")
    for problem in report.problems:
        say(problem)
