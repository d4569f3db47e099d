"""``nbtrack runs``: list, show, compare in pairs, put into the trash and take out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nbtrack.cli.options import json_option, open_here, store_option

if TYPE_CHECKING:
    from nbtrack.entities import Run

_RUN_HELP = "RUN is an id, its last digits, or a name that only one run has."


@click.group("runs")
def command() -> None:
    """List, show and compare runs; delete and restore them."""


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


@command.command("show", epilog=_RUN_HELP)
@click.argument("run")
@store_option
@json_option
def show_run(run: str, store_uri: str | None, as_json: bool) -> None:
    """Show all that one run logged."""
    from nbtrack.cli.output import print_json, print_table, say, when
    from nbtrack.cli.references import find_run
    from nbtrack.reprs import run_card_text
    from nbtrack.reprs.numbers import format_number

    store = open_here(store_uri)
    found = store.get_run(find_run(store, run))
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
    facts += [(f"param {key}", value) for key, value in sorted(found.data.params.items())]
    facts += [
        (
            f"metric {key}",
            f"{format_number(m.last)} ({m.count} values, {format_number(m.min)} to {format_number(m.max)})",
        )
        if m.count > 1
        else (f"metric {key}", format_number(m.last))
        for key, m in sorted(found.summaries.items())
    ]
    facts += [(f"tag {key}", value) for key, value in sorted(found.data.tags.items())]
    facts += [(f"artifact {a.path}", f"{a.size_bytes:,} bytes") for _, a in sorted(found.artifacts.items())]
    print_table(["", ""], facts)


@command.command("diff", epilog=_RUN_HELP)
@click.argument("run_a", metavar="RUN")
@click.argument("run_b", metavar="RUN")
@store_option
@json_option
def diff_runs(run_a: str, run_b: str, store_uri: str | None, as_json: bool) -> None:
    """Show what differs between two runs."""
    from nbtrack.cli.output import print_json, print_table, say
    from nbtrack.cli.references import find_run
    from nbtrack.reprs.numbers import format_number, short_id

    store = open_here(store_uri)
    a, b = (store.get_run(find_run(store, run)) for run in (run_a, run_b))
    found = differences(a, b)
    if as_json:
        print_json({"a": a.run_id, "b": b.run_id, "differences": found})
        return
    if not found:
        say("No param, metric or tag differs.")
        return
    rows: list[list[object]] = []
    for one in found:
        before, after = one["a"], one["b"]
        cells: list[object] = [one["kind"], one["key"]]
        if one["kind"] == "metric":
            cells += [None if value is None else format_number(value) for value in (before, after)]
            cells.append(_change(before, after))
        else:
            cells += [before, after, ""]
        rows.append(cells)
    names = [f"{run.info.run_name} {short_id(run.run_id)}" for run in (a, b)]
    print_table(["", "key", *names, "change"], rows, right=[4])


def _change(before: float | None, after: float | None) -> str | None:
    from math import isnan

    from nbtrack.reprs.numbers import format_change

    if before is None or after is None or isnan(after - before):
        return None
    return format_change(after - before)


def differences(a: Run, b: Run) -> list[dict[str, Any]]:
    """Return the params, metrics and tags that differ between two runs, sorted; None where a run has no such key.

    Tags that nbtrack writes itself are left out: they differ between any two runs.
    """
    found: list[dict[str, Any]] = []
    for kind, ours, theirs in (
        ("param", a.data.params, b.data.params),
        ("metric", a.data.metrics, b.data.metrics),
        ("tag", a.data.tags, b.data.tags),
    ):
        found += [
            {"kind": kind, "key": key, "a": ours.get(key), "b": theirs.get(key)}
            for key in sorted({*ours, *theirs})
            if not _same(ours.get(key), theirs.get(key)) and not (kind == "tag" and key.startswith("nbtrack."))
        ]
    return found


def _same(a: Any, b: Any) -> bool:
    from math import isnan

    both_nan = isinstance(a, float) and isinstance(b, float) and isnan(a) and isnan(b)
    return both_nan or a == b


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
