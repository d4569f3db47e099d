"""``nbtrack runs``: list, show, compare, run again, put into the trash and take out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nbtrack.cli.options import json_option, open_here, store_option

if TYPE_CHECKING:
    from nbtrack.entities import Run

_RUN_HELP = "RUN is an id, its last digits, or a name that only one run has."


@click.group("runs")
def command() -> None:
    """List, show, compare and reproduce runs; delete and restore them."""


@command.command("list")
@click.option(
    "-e", "--experiment", "experiments", metavar="NAME", multiple=True, help="Only this experiment; repeatable."
)
@click.option("-f", "--filter", "filter_string", metavar="TEXT", default="", help='Such as "metrics.accuracy > 0.9".')
@click.option("-o", "--order-by", metavar="TEXT", multiple=True, help='Such as "metrics.accuracy DESC"; repeatable.')
@click.option("-n", "--max", "limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@click.option("--deleted", is_flag=True, help="Show the trash instead.")
@store_option
@json_option
def list_runs(
    experiments: tuple[str, ...],
    filter_string: str,
    order_by: tuple[str, ...],
    limit: int,
    deleted: bool,
    store_uri: str | None,
    as_json: bool,
) -> None:
    """List runs, newest first, with their params and metrics."""
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import experiment_ids
    from nbtrack.cli.run_rows import print_runs, run_records

    store = open_here(store_uri)
    table = store.run_table(
        experiment_ids(store, experiments),
        filter_string,
        order_by,
        max_results=limit,
        view="DELETED_ONLY" if deleted else "ACTIVE_ONLY",
    )
    if as_json:
        print_json({"store": store.uri, "total": table.total, "runs": run_records(store, table)})
    elif table.run_ids:
        print_runs(store, table)
    else:
        say(
            f"No runs in {store.uri}"
            + (" fit." if filter_string or experiments else "'s trash." if deleted else " yet.")
        )


def _record(run: Run, experiment: str) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "run_name": run.info.run_name,
        "experiment": experiment,
        "experiment_id": run.info.experiment_id,
        "status": run.info.status,
        "start_time": run.info.start_time,
        "end_time": run.info.end_time,
        "user_id": run.info.user_id,
        "lifecycle_stage": run.info.lifecycle_stage,
        "params": run.data.params,
        "metrics": run.data.metrics,
        "tags": run.data.tags,
        "artifacts": [
            {"path": a.path, "size_bytes": a.size_bytes, "sha256": a.digest} for _, a in sorted(run.artifacts.items())
        ],
        "inputs": [
            {"name": i.name, "context": i.context, "digest": i.digest, "source": i.source}
            for i in run.inputs.dataset_inputs
        ],
        "capture": run.capture,
    }


def _by_name(item: tuple[str, Any]) -> tuple[object, ...]:
    from nbtrack.names import natural_key

    return natural_key(item[0])


@command.command("show", epilog=_RUN_HELP)
@click.argument("run")
@click.option("--code", is_flag=True, help="Print the cells that made it, as one Python script.")
@store_option
@json_option
def show_run(run: str, code: bool, store_uri: str | None, as_json: bool) -> None:
    """Show all that one run logged."""
    from nbtrack.cli.output import print_json, print_table, say, when
    from nbtrack.cli.references import find_run
    from nbtrack.entities import TAG_ALERTS
    from nbtrack.reprs import run_card_text
    from nbtrack.reprs.numbers import format_number

    store = open_here(store_uri)
    found = store.get_run(find_run(store, run))
    if code:
        from nbtrack.capture.lineage import lineage

        say(lineage(found, store=store).script())
        return
    experiment = store.get_experiment(found.info.experiment_id).name
    if as_json:
        print_json(_record(found, experiment))
        return
    say(run_card_text(found))
    facts: list[tuple[str, object]] = [
        ("run id", found.run_id),
        ("experiment", experiment),
        ("started", when(found.info.start_time)),
        ("ended", when(found.info.end_time)),
    ]
    facts += [("by", found.info.user_id)] * bool(found.info.user_id)
    facts += [("lifecycle", "in the trash; `nbtrack runs restore` takes it out")] * (
        found.info.lifecycle_stage == "deleted"
    )
    facts += [(f"param {key}", value) for key, value in sorted(found.data.params.items(), key=_by_name)]
    facts += [
        (
            f"metric {key}",
            f"{format_number(m.last)} ({m.count} values, {format_number(m.min)} to {format_number(m.max)})",
        )
        if m.count > 1
        else (f"metric {key}", format_number(m.last))
        for key, m in sorted(found.summaries.items(), key=_by_name)
    ]
    told = {key: value for key, value in found.data.tags.items() if key != TAG_ALERTS}  # the card above says those
    facts += [(f"tag {key}", value) for key, value in sorted(told.items(), key=_by_name)]
    facts += [
        (f"artifact {a.path}", f"{a.size_bytes:,} bytes") for _, a in sorted(found.artifacts.items(), key=_by_name)
    ]
    print_table(["", ""], facts)


@command.command("diff", epilog=_RUN_HELP)
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True)
@store_option
@json_option
def diff_runs(runs: tuple[str, ...], store_uri: str | None, as_json: bool) -> None:
    """Say why runs are different.

    One list, what most likely matters first: params, the code of the cell and of the cells that it used, the data that
    they read, seeds, packages, the git commit. The first run is what the others are compared with.
    """
    from dataclasses import asdict

    from nbtrack.capture.differences import diff
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import find_run

    store = open_here(store_uri)
    found = diff(*[find_run(store, run) for run in runs], store=store)
    if as_json:
        document = asdict(found)
        document["metrics"] = [{"key": key, "values": values} for key, values in found.metrics]
        print_json(document)
    else:
        say(repr(found))


@command.command("lineage", epilog=_RUN_HELP)
@click.argument("run")
@click.option("--notebook", is_flag=True, help="Print the cells as a notebook.")
@store_option
@json_option
def show_lineage(run: str, notebook: bool, store_uri: str | None, as_json: bool) -> None:
    """Show where a run came from, and what was made of it.

    The cells that made it, the data that they read, the environment, child runs and model versions.
    """
    from nbtrack.capture.lineage import lineage
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import find_run

    store = open_here(store_uri)
    found = lineage(find_run(store, run), store=store)
    if notebook:
        print_json(found.notebook())
    elif as_json:
        print_json(found.record())
    else:
        say(repr(found))


@command.command("reproduce", epilog=_RUN_HELP)
@click.argument("run")
@click.option("--folder", type=click.Path(file_okay=False), help="Where to execute; the notebook's folder.")
@click.option("--no-stamp", is_flag=True, help="Write nothing to the run.")
@store_option
@json_option
@click.pass_context
def reproduce_run(
    ctx: click.Context, run: str, folder: str | None, no_stamp: bool, store_uri: str | None, as_json: bool
) -> None:
    """Run the cells of a run again, and compare.

    In a clean kernel, where the notebook lies; every metric and param is compared. Files that the cells write are
    written again. Exits with 1 if a value is not the same.
    """
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import find_run
    from nbtrack.pipelines.reproduce import reproduce

    store = open_here(store_uri)
    result = reproduce(find_run(store, run), store=store, folder=folder, stamp=not no_stamp)
    if as_json:
        print_json({"run_id": result.run_id, **result.record()})
    else:
        say(repr(result))
    ctx.exit(0 if result.reproduced else 1)


def _move(runs: tuple[str, ...], store_uri: str | None, deleted: bool) -> None:
    from nbtrack.cli.output import say
    from nbtrack.cli.references import find_run

    store = open_here(store_uri)
    for run_id in [find_run(store, run) for run in runs]:  # all are found before the first is moved
        store.edit_run(run_id, deleted=deleted)
        say(
            f"{run_id} moved to the trash; `nbtrack runs restore {run_id}` takes it out"
            if deleted
            else f"{run_id} restored"
        )


@command.command("delete", epilog=_RUN_HELP)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@store_option
def delete_runs(runs: tuple[str, ...], store_uri: str | None) -> None:
    """Move runs to the trash.

    Nothing is lost before `nbtrack store gc --yes`.
    """
    _move(runs, store_uri, deleted=True)


@command.command("restore", epilog=_RUN_HELP)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@store_option
def restore_runs(runs: tuple[str, ...], store_uri: str | None) -> None:
    """Take runs out of the trash."""
    _move(runs, store_uri, deleted=False)
