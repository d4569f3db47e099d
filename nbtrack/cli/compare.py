"""``nbtrack compare``: runs side by side, as text."""

from __future__ import annotations

import click

from nbtrack.cli.options import json_option, open_here, store_option


@click.command("compare")
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option(
    "-e", "--experiment", "experiments", metavar="NAME", multiple=True, help="Only this experiment; repeatable."
)
@click.option("-f", "--filter", "filter_string", metavar="TEXT", default="", help='Such as "metrics.accuracy > 0.9".')
@click.option("-n", "--max", "limit", type=click.IntRange(1), default=30, show_default=True, help="At most so many.")
@store_option
@json_option
def command(
    runs: tuple[str, ...],
    experiments: tuple[str, ...],
    filter_string: str,
    limit: int,
    store_uri: str | None,
    as_json: bool,
) -> None:
    """Compare runs side by side.

    Shows the params that differ between them, and all metrics with the highest and lowest marked. Without RUNs: the
    newest ones.
    """
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import experiment_ids, find_run
    from nbtrack.cli.run_rows import run_records
    from nbtrack.reprs import compare_text

    store = open_here(store_uri)
    table = store.run_table(
        experiment_ids(store, experiments),
        filter_string,
        max_results=limit,
        run_ids=[find_run(store, run) for run in runs] if runs else None,
    )
    if as_json:
        print_json({"store": store.uri, "total": table.total, "runs": run_records(store, table)})
    else:
        say(compare_text(table, max_rows=limit))
