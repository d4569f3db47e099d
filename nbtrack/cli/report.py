"""``nbtrack report``: one HTML file for people who have no Jupyter."""

from __future__ import annotations

from pathlib import Path

import click

from nbtrack.cli.options import json_option, open_here, store_option


@click.command("report")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option(
    "-t", "--title", metavar="TEXT", default="", help="The heading. Default: the name of the project's folder."
)
@click.option("-e", "--experiment", metavar="NAME", help="Only runs of this experiment.")
@click.option("-f", "--filter", "filter_string", metavar="TEXT", default="", help='Such as "metrics.accuracy > 0.9".')
@store_option
@json_option
def command(
    path: Path,
    runs: tuple[str, ...],
    title: str,
    experiment: str | None,
    filter_string: str,
    store_uri: str | None,
    as_json: bool,
) -> None:
    """Write one HTML page about runs and models.

    It is for people who have no Jupyter: it says which model is in use, how good it is and since when; opens from disk,
    without any network; and holds no code. Without RUNs: all that fit, at most 1,000.
    """
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import find_run
    from nbtrack.wire import report

    store = open_here(store_uri)
    run_ids = [find_run(store, run) for run in runs] or None
    written = report(path, run_ids, title=title, experiment=experiment, filter=filter_string, store=store)
    if as_json:
        print_json({"path": str(written), "size_bytes": written.stat().st_size})
        return
    say(f"{written}: {written.stat().st_size / 1e6:.1f} MB. Open it in any browser.")
